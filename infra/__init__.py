"""What the product runs on: state machines, the local stack, packaging and the API description."""
