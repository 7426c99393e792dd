"""Writing tables without pyarrow: DuckDB copies a DataFrame to Parquet."""

from pathlib import Path

import duckdb
import pandas as pd


def write_parquet(frame: pd.DataFrame, path: Path) -> Path:
    """Write a DataFrame as Parquet (zstd) and return the path; the same rows give the same bytes."""
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("frame", frame)
        connection.execute(
            f"COPY (FROM frame) TO '{str(path).replace(chr(39), chr(39) * 2)}' (FORMAT parquet, COMPRESSION zstd)"
        )
    return path
