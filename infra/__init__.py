"""Infrastructure: state machines, the local stack, packaging and the API description."""
