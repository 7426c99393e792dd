"""Basics that every folder uses and that import no other: errors, settings, clock, JSON, arrays."""
