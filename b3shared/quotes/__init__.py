"""Market data in: sources, the one schema they are read into, corporate actions and data quality."""
