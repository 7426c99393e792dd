"""Market data: sources, the schema they are read into, corporate actions, data quality."""
