"""Writes and reads DataFrames as Parquet with DuckDB, without pyarrow."""

from pathlib import Path

import pandas as pd
from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype

from b3shared.storage.database import literal, parquet_files, scratch


def write_parquet(frame: pd.DataFrame, path: Path) -> Path:
    """Write a DataFrame as Parquet (zstd) and return the path; the same rows give the same bytes.

    A column of text without a value stays text; DuckDB alone would infer integers from its NULLs.
    """
    empty = [c for c in frame.columns if not _is_typed(frame[c]) and frame[c].isna().all()]
    replaced = ", ".join(f'CAST(NULL AS VARCHAR) AS "{column}"' for column in empty)
    columns = f"* REPLACE ({replaced})" if empty else "*"
    with scratch() as connection:
        connection.register("frame", frame)
        connection.execute(
            f"COPY (SELECT {columns} FROM frame) TO {literal(path)} "
            "(FORMAT parquet, COMPRESSION zstd)"
        )
    return path


def read_parquet(path: Path) -> pd.DataFrame:
    """Read a Parquet file into a DataFrame."""
    with scratch() as connection:
        return connection.execute(f"FROM read_parquet({parquet_files([path])})").df()


def _is_typed(column: pd.Series) -> bool:
    """Whether a column's type says what its values are."""
    return bool(is_numeric_dtype(column) or is_datetime64_any_dtype(column))
