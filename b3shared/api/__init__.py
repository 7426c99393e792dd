"""The HTTP API: requests, responses, errors."""
