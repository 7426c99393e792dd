"""Registered versions, what is live, and the rules of promotion."""
