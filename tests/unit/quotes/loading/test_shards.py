"""A load in shards gives the rows and the report of one load."""

from pathlib import Path

import duckdb
import pandas as pd
import pytest
from bundled_years import FIVE_YEARS, START

from b3shared.core.config import BUNDLED_QUOTES
from b3shared.core.errors import B3Error
from b3shared.params.run import PipelineParams
from b3shared.quotes.lake.write import write_lake
from b3shared.quotes.loading.load import load_quotes
from b3shared.quotes.loading.shards import cut, load_shards
from b3shared.quotes.sources.lake import LakeSource
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage import FolderStorage

FAULTS = """
    SELECT * REPLACE (NULL AS ticker) FROM q WHERE ticker = 'VALE3' AND date > '2023-12-20'
    UNION ALL SELECT * REPLACE ('' AS ticker) FROM q WHERE ticker = 'VALE3' AND date > '2023-12-26'
    UNION ALL SELECT * REPLACE (NULL AS date)
        FROM q WHERE ticker IN ('ABEV3', 'WEGE3') AND date > '2023-12-20'
    UNION ALL SELECT * REPLACE (DATE '2031-01-02' AS date)
        FROM q WHERE ticker = 'ITUB4' AND date > '2023-12-26'
    UNION ALL SELECT * REPLACE (close * 1.01 AS close, high * 1.01 AS high, volume * 2 AS volume)
        FROM q WHERE ticker IN ('PETR4', 'BBAS3') AND date BETWEEN '2021-03-01' AND '2021-03-10'
    UNION ALL SELECT * REPLACE (date + 5 AS date)
        FROM q WHERE ticker = 'PETR4' AND dayofweek(date) = 1
    UNION ALL SELECT * REPLACE ('PETRA25' AS ticker)
        FROM q WHERE ticker = 'PETR4' AND date > '2023-12-20'
    UNION ALL SELECT * REPLACE ('NEWW3' AS ticker)
        FROM q WHERE ticker = 'PETR4' AND date > '2023-08-20'
    UNION ALL SELECT * REPLACE (close * 3 AS close)
        FROM q WHERE ticker = 'MGLU3' AND date > '2023-12-20'
"""


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> ParquetSource:
    """Bundled quotes with every kind of fault, holes included."""
    path = tmp_path_factory.mktemp("dirty") / "quotes.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE q AS FROM {FIVE_YEARS}")
        holes = (
            "(ticker = 'CYRE3' AND month(date) = 4) OR (ticker = 'GGBR4' AND date > '2023-06-01')"
        )
        connection.execute(
            f"COPY (SELECT * FROM q WHERE NOT ({holes}) UNION ALL {FAULTS}) "
            f"TO '{path}' (FORMAT parquet)"
        )
    return ParquetSource(path)


def rows_of(files: list[Path]) -> pd.DataFrame:
    return pd.concat([ParquetSource(file).read(QuoteQuery()) for file in files], ignore_index=True)


@pytest.mark.parametrize("shard_rows", [4_000, 30_000, 10**9])
def test_rows_and_report_are_those_of_one_load(
    dirty: ParquetSource, tmp_path: Path, shard_rows: int
) -> None:
    params = PipelineParams(max_missing_sessions=20)
    whole, loaded = load_quotes(dirty, params), load_shards(dirty, params, tmp_path, shard_rows)
    assert loaded.report == whole.report
    assert {"gap", "closed_day", "duplicate", "no_ticker", "unexplained_jump"} <= {
        f.kind for f in whole.findings
    }
    pd.testing.assert_frame_equal(rows_of(loaded.shards), whole.frame, check_dtype=False)
    shards = [ParquetSource(file).read(QuoteQuery()) for file in loaded.shards]
    assert all(len(shard) <= shard_rows for shard in shards)
    assert len(shards) > 1 or shard_rows == 10**9


@pytest.mark.parametrize("listed", ["adjusted", "none"])
def test_splits_in_shards_are_those_of_one_load(tmp_path: Path, listed: str) -> None:
    """Shards judge splits by all tickers of the source, as one load does.

    Only all of them tell whether prices are adjusted already, or whether the whole market fell.
    """
    later = "(product(split_factor) OVER (PARTITION BY ticker ORDER BY date DESC) / split_factor)"
    adjusted = ", ".join(f"{name} / {later} AS {name}" for name in ("open", "high", "low", "close"))
    columns = f"* REPLACE ({adjusted})" if listed == "adjusted" else "* EXCLUDE (split_factor)"
    duckdb.execute(
        f"COPY (SELECT {columns} FROM {FIVE_YEARS}) TO '{tmp_path}/quotes.parquet' (FORMAT parquet)"
    )
    source, params = ParquetSource(tmp_path / "quotes.parquet"), PipelineParams()
    whole, loaded = load_quotes(source, params), load_shards(source, params, tmp_path, 5_000)
    assert loaded.report == whole.report

    pd.testing.assert_frame_equal(rows_of(loaded.shards), whole.frame, check_dtype=False)
    assert ("split_without_trace" if listed == "adjusted" else "detected_split") in {
        f.kind for f in whole.findings
    }


def test_no_ticker_is_in_two_shards(dirty: ParquetSource, tmp_path: Path) -> None:
    files = load_shards(dirty, PipelineParams(max_missing_sessions=20), tmp_path, 5_000).shards
    tickers = [set(ParquetSource(file).read(QuoteQuery())["ticker"]) for file in files]
    assert sum(map(len, tickers)) == len(set.union(*tickers))


@pytest.mark.parametrize(
    "params",
    [
        {"tickers": ["PETR4", "NONE3"]},
        {"start": "2010-01-01", "end": "2010-12-31"},
        {"period": "30d"},
        {"max_missing_sessions": 0},
    ],
)
def test_a_load_in_shards_refuses_what_one_load_refuses_in_the_same_words(
    tmp_path: Path, params: dict
) -> None:
    path = tmp_path / "holed.parquet"
    duckdb.execute(
        f"COPY (FROM {FIVE_YEARS} WHERE date NOT BETWEEN '2022-05-02' AND '2022-05-06') "
        f"TO '{path}' (FORMAT parquet)"
    )
    source, asked = (
        ParquetSource(path),
        PipelineParams.from_values({"max_missing_sessions": 20} | params),
    )

    with pytest.raises(B3Error) as whole:
        load_quotes(source, asked)
    with pytest.raises(B3Error) as sharded:
        load_shards(source, asked, tmp_path, 5_000)
    assert type(sharded.value) is type(whole.value)
    assert (sharded.value.message, sharded.value.details) == (
        whole.value.message,
        whole.value.details,
    )


def test_a_lakes_files_are_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = FolderStorage(tmp_path / "lake")
    write_lake(ParquetSource(BUNDLED_QUOTES).read(QuoteQuery(START)), storage, "lake/quotes")
    fetched: list[str] = []
    receive = FolderStorage._receive
    monkeypatch.setattr(
        FolderStorage,
        "_receive",
        lambda self, key, path: (fetched.append(key), receive(self, key, path)),
    )
    source = LakeSource(str(tmp_path / "lake" / "lake" / "quotes"))
    source.newest()
    before = len(fetched)
    loaded = load_shards(source, PipelineParams(), tmp_path, 10_000)
    assert len(loaded.shards) > 5

    again = fetched[before:]
    years = [key for key in again if "2020" in key]
    assert len(years) == 1
    assert loaded.report == load_quotes(source, PipelineParams()).report


def test_shards_hold_whole_tickers_and_at_most_so_many_rows() -> None:
    counts = pd.DataFrame({"ticker": ["A", "B", "C", "D", None], "rows": [4, 5, 20, 1, 3]})
    queries = cut(QuoteQuery(), counts, 10)
    assert [(q.first_ticker, q.before_ticker) for q in queries] == [
        (None, "C"),
        ("C", "D"),
        ("D", None),
    ]
