"""Fills the lake: ingests the exchange's files, imports quotes of other sources."""
