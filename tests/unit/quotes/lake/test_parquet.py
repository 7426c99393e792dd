"""The same rows give the same Parquet bytes, and types do not depend on the values."""

from pathlib import Path

import duckdb
import pandas as pd

from b3shared.quotes.corporate_actions.overrides import apply_overrides
from b3shared.quotes.corporate_actions.table import ACTION_TYPES
from b3shared.quotes.lake.parquet import write_parquet


def types(path: Path) -> dict[str, str]:
    return {row[0]: row[1] for row in duckdb.sql(f"DESCRIBE FROM '{path}'").fetchall()}


def test_the_same_rows_give_the_same_bytes(bundled: pd.DataFrame, tmp_path: Path) -> None:
    first, second = (
        write_parquet(bundled.head(5000), tmp_path / name).read_bytes()
        for name in ("a.parquet", "b.parquet")
    )
    assert first == second


def test_a_text_column_without_a_value_stays_text(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "ticker": ["PETR4", "VALE3"],
            "isin": [None, None],
            "it's": pd.Series([None, None], dtype="str"),
        }
    )
    path = write_parquet(frame, tmp_path / "it's.parquet")

    assert types(Path(str(path).replace("'", "''"))) == {
        "ticker": "VARCHAR",
        "isin": "VARCHAR",
        "it's": "VARCHAR",
    }


def test_an_empty_table_of_actions_has_the_types_of_a_full_one(tmp_path: Path) -> None:
    override = pd.DataFrame({"ticker": ["PETR4"], "date": ["2023-01-02"], "split_factor": [2.0]})
    none = pd.DataFrame(
        {name: pd.Series(dtype=_DTYPES[kind]) for name, kind in ACTION_TYPES.items()}
    )
    write_parquet(none, tmp_path / "1.parquet")
    write_parquet(apply_overrides(none, override), tmp_path / "2.parquet")
    found = duckdb.sql(f"SELECT ticker, factor FROM '{tmp_path}/*.parquet'").fetchall()
    assert found == [("PETR4", 2.0)]


_DTYPES = {"VARCHAR": "object", "DATE": "datetime64[s]", "DOUBLE": "float64", "BIGINT": "int64"}
