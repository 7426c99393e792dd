"""The lake: Parquet files by year behind one manifest."""
