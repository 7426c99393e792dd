"""Looking at some tickers at a time gives the candidates of all at once, to the last bit."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from bundled_years import FIVE_YEARS
from paths import SHARED_DATA

from b3shared.core.config import BUNDLED_QUOTES
from b3shared.core.errors import InvalidQuotesError, OutOfMemoryError
from b3shared.quotes.corporate_actions.candidates import candidate_rows
from b3shared.quotes.corporate_actions.detection import detect_actions
from b3shared.quotes.lake.lake import relation_of
from b3shared.quotes.lake.parquet import write_parquet

ALL = 10**9
"""Rows at once, so that everything is looked at together."""


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"temp_directory": str(tmp_path / "spill")}) as connection:
        yield connection


def suspects(
    connection: duckdb.DuckDBPyConnection, relation: str, at_once: int
) -> list[pd.DataFrame]:
    return list(candidate_rows(connection, relation, at_once))


@pytest.mark.parametrize(
    ("file", "tickers", "at_once"),
    [
        (BUNDLED_QUOTES, 15, 1),
        (BUNDLED_QUOTES, 1_000, 7_000),
        (SHARED_DATA / "b3_daily.parquet", 60, 20_000),
        (SHARED_DATA / "b3_cotahist_days.parquet", 1_000, 500),
    ],
)
def test_candidates_do_not_depend_on_which_tickers_are_examined_together(
    connection: duckdb.DuckDBPyConnection, file: Path, tickers: int, at_once: int
) -> None:
    if not file.exists():
        pytest.skip(f"{file} is absent")
    chosen = f"SELECT ticker FROM '{file}' GROUP BY 1 ORDER BY hash(ticker) LIMIT {tickers}"
    connection.execute(f"CREATE TABLE quotes AS FROM '{file}' WHERE ticker IN ({chosen})")
    (whole,) = suspects(connection, "quotes", ALL)
    parts = suspects(connection, "quotes", at_once)
    assert len(whole) > 5
    assert len(parts) > 5

    found = pd.concat([part for part in parts if len(part)], ignore_index=True)
    pd.testing.assert_frame_equal(
        found, whole, check_exact=True, check_dtype=False
    )  # of columns that a part has no value of
    once = detect_actions(connection, "quotes", ALL)
    assert len(once)

    pd.testing.assert_frame_equal(
        detect_actions(connection, "quotes", at_once), once, check_exact=True
    )


def fallen_market(sessions: int = 80, tickers: int = 40) -> pd.DataFrame:
    """Forty quiet shares that open 12 % lower on one day, all but the last, which halves on it."""
    rng = np.random.default_rng(3)
    days = pd.bdate_range("2022-01-03", periods=sessions).astype("datetime64[s]")
    frames = []

    for number in range(tickers):
        close = 30 * np.exp(np.cumsum(rng.normal(0, 0.002, sessions)))
        close[60:] *= 0.5 if number == tickers - 1 else 0.88
        frames.append(
            pd.DataFrame(
                {
                    "ticker": f"AA{number:02}3",
                    "date": days,
                    "close": close.round(2),
                    "open": close.round(2),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize("at_once", [1, 80, 333, ALL])
def test_a_fall_of_the_whole_market_is_recognised_ticker_by_ticker(
    connection: duckdb.DuckDBPyConnection, at_once: int
) -> None:
    connection.register("quotes", fallen_market())
    found = pd.concat(suspects(connection, "quotes", at_once))
    assert found["ticker"].tolist() == ["AA393"], "the others fell with the market"
    assert found["market_gap"].iloc[0] == pytest.approx(np.log(0.88), abs=0.01)
    connection.register("few", fallen_market(tickers=10))
    assert len(pd.concat(suspects(connection, "few", at_once))) == 10, "ten are no market"


def test_memory_is_bounded_by_the_rows_examined_together(tmp_path: Path) -> None:
    """300,000 rows with all used columns fit into 32 MB only in parts."""
    with duckdb.connect(config={"threads": 2}) as connection:
        wide = (
            "'ON  ED  NM' AS type, 'BR' || ticker || 'ACNOR1' AS isin, 100 + year(date) AS dismes"
        )
        copies = (
            "SELECT * REPLACE (chr(65 + copy::INT) || ticker[2:] AS ticker) "
            f"FROM {FIVE_YEARS}, range(4) AS c(copy)"
        )
        columns = "ticker, date, open, high, low, close, volume"
        connection.execute(
            f"COPY (SELECT {columns}, {wide} FROM ({copies})) TO '{tmp_path}/wide.parquet'"
        )

    relation = relation_of([tmp_path / "wide.parquet"])
    config = {"threads": 1, "memory_limit": "32MB", "temp_directory": str(tmp_path / "spill")}
    with duckdb.connect(config=config) as connection:
        with pytest.raises(OutOfMemoryError):  # and not: the quotes are at fault
            detect_actions(connection, relation, ALL)
        detect_actions(connection, relation, 20_000)


def test_no_table_is_left_in_the_connection_even_after_an_error(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    quotes = fallen_market(tickers=2)
    bad = write_parquet(quotes.assign(date="yesterday"), tmp_path / "bad.parquet")
    with pytest.raises(InvalidQuotesError, match="yesterday"):
        detect_actions(connection, f"'{bad}'")
    connection.register("quotes", quotes)
    assert len(next(candidate_rows(connection, "quotes", 1))) <= 1, "and nobody asks for the rest"
    assert not connection.execute("FROM duckdb_tables()").fetchall()
    assert len(suspects(connection, "quotes", 1)) == 2
