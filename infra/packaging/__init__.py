"""Builds the Lambda layers, and measures the functions with them."""
