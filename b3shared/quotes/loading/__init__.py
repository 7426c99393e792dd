"""Loads clean quotes from a source, with a report of what was left out."""
