"""Listed splits are kept where prices are as traded, and cleared where they are adjusted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from b3shared.core.config import BUNDLED_QUOTES
from b3shared.params.run import PipelineParams
from b3shared.quotes.corporate_actions.listed_splits import untraced_splits
from b3shared.quotes.corporate_actions.overrides import OVERRIDES
from b3shared.quotes.ingest.import_quotes import fill_lake
from b3shared.quotes.ingest.ingest import Ingest
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.loading.load import load_quotes, read_quotes
from b3shared.quotes.sources import open_source
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage import open_storage
from b3shared.storage.database import connect

PRICES = ["open", "high", "low", "close"]


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    """The bundled quotes as they are: prices as traded, splits listed."""
    return ParquetSource(BUNDLED_QUOTES).read(QuoteQuery())


@pytest.fixture(scope="module")
def adjusted(raw: pd.DataFrame) -> pd.DataFrame:
    """The same with prices in today's shares, as Yahoo serves them, and the splits listed."""
    later = raw[::-1].groupby("ticker")["split_factor"].cumprod()[::-1] / raw["split_factor"]
    return raw.assign(**{name: raw[name] / later for name in PRICES})


def listed(frame: pd.DataFrame) -> int:
    return int((frame["split_factor"] != 1).sum())


def left(frame: pd.DataFrame, tmp_path: Path) -> int:
    """How many of the listed splits a source of these quotes applies."""
    source = ParquetSource(write_parquet(frame, tmp_path / "quotes.parquet"))
    return listed(read_quotes(source, QuoteQuery())[0])


def with_split(
    frame: pd.DataFrame, day: str, factor: float, move: float | None = None
) -> pd.DataFrame:
    """One ticker's quotes with a split listed on a day on which its close moved by so much."""
    own = frame[(frame["ticker"] == "WEGE3") & (frame["split_factor"] == 1)].reset_index(drop=True)
    own = own[own["date"] > "2022-01-01"].reset_index(drop=True)
    at = int(np.flatnonzero(own["date"] == pd.Timestamp(day))[0])
    own.loc[at, "split_factor"] = factor
    if move is not None:
        change = own["close"][at - 1] * (1 + move) / own["close"][at]
        own.loc[at:, PRICES] *= change
    return own


def test_every_listed_split_of_prices_as_traded_is_applied(
    raw: pd.DataFrame, tmp_path: Path
) -> None:
    assert listed(raw) > 20
    assert left(raw, tmp_path) == listed(raw)


def test_no_listed_split_of_adjusted_prices_is_applied(
    adjusted: pd.DataFrame, tmp_path: Path
) -> None:
    source = ParquetSource(write_parquet(adjusted, tmp_path / "quotes.parquet"))
    quotes = load_quotes(source, PipelineParams())
    (found,) = [f for f in quotes.findings if f.kind == "split_without_trace"]
    assert listed(quotes.frame) == 0
    of_the_period = adjusted[adjusted["date"] >= "2019-01-01"]
    assert (found.rows, found.action) == (listed(of_the_period), "cleared")
    assert "split_factor" in found.examples[0]


def test_a_real_split_on_a_day_of_a_crash_or_a_rally_stays(
    raw: pd.DataFrame, tmp_path: Path
) -> None:
    for move in (0.25, -0.25):  # beside the split, the price as traded moves so
        crash = with_split(raw, "2023-03-15", 2.0, (1 + move) / 2 - 1)
        assert left(crash, tmp_path) == 1


def test_a_lone_small_bonus_is_kept(raw: pd.DataFrame, tmp_path: Path) -> None:
    """A factor of 1.05 looks like an ordinary day; without other splits the source is believed."""
    for move in (-0.05, -0.02, 0.0, 0.02):
        assert left(with_split(raw, "2023-03-15", 1.05, move), tmp_path) == 1


def test_a_small_bonus_is_cleared_where_the_other_splits_are_adjusted(
    adjusted: pd.DataFrame, tmp_path: Path
) -> None:
    bonus = with_split(adjusted, "2023-03-15", 1.05, 0.0).assign(ticker="XXXX3")
    assert left(pd.concat([adjusted, bonus], ignore_index=True), tmp_path) == 0


def test_only_the_wrong_row_among_real_splits_is_cleared(raw: pd.DataFrame, tmp_path: Path) -> None:
    wrong = with_split(raw, "2023-03-15", 4.0).assign(ticker="XXXX3")
    assert left(pd.concat([raw, wrong], ignore_index=True), tmp_path) == listed(raw)


def test_a_split_on_a_session_without_a_trade_is_judged_by_the_next_one(
    raw: pd.DataFrame, tmp_path: Path
) -> None:
    split = with_split(raw, "2023-03-15", 4.0, -0.75)
    at = split.index[split["split_factor"] != 1]
    split.loc[at, "volume"] = 0
    split.loc[at, PRICES] = split["close"][at[0] - 1]  # a vendor repeats the last price
    assert left(split, tmp_path) == 1
    assert left(split.assign(**dict.fromkeys(PRICES, split["close"][0])), tmp_path) == 0


def test_a_users_split_is_applied_without_a_trace(raw: pd.DataFrame, tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    split = with_split(raw, "2023-03-15", 4.0)
    fill_lake(ParquetSource(write_parquet(split, tmp_path / "quotes.parquet")), storage)
    lake = open_source(f"{tmp_path}/lake/quotes")
    assert listed(read_quotes(lake, QuoteQuery())[0]) == 0
    storage.put(OVERRIDES, b"ticker,date,split_factor\nWEGE3,2023-03-15,4\n")
    Ingest(storage).actions()
    assert listed(read_quotes(lake, QuoteQuery())[0]) == 1


@pytest.mark.parametrize(
    ("file", "columns", "applied", "of"),
    [
        ("b3_daily", "split_coef AS split_factor, dividend", 194, 195),
        (
            "b3_daily_adjusted",
            "CASE WHEN stock_splits > 0 THEN stock_splits ELSE 1 END AS split_factor, "
            "0 AS dividend",
            4,
            683,
        ),
    ],
    ids=["as traded", "adjusted"],
)
def test_ten_years_of_a_vendors_splits_are_classified(
    shared_data: Path, file: str, columns: str, applied: int, of: int
) -> None:
    """The one that is cleared lists 0.001 without a jump; the four kept fell by their factor."""
    with connect() as connection:
        quotes = (
            f"(SELECT ticker, date, close, volume, {columns} FROM '{shared_data / file}.parquet')"
        )
        found = untraced_splits(connection, quotes)
        (total,) = connection.execute(
            f"SELECT count(*) FROM {quotes} WHERE split_factor <> 1"
        ).fetchall()[0]
    assert (total - len(found), total) == (applied, of)
