"""A listed payout explains the move of its day first."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted_actions import PLANTED, applied, day, split, walk

from b3shared.quotes.corporate_actions.detection import detect_in
from b3shared.quotes.ingest.import_quotes import fill_lake
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.sources import open_source
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage import open_storage

PRICES = ["open", "high", "low", "close"]


def paid(frame: pd.DataFrame, part: float, listed: int = 0) -> pd.DataFrame:
    """Quotes of a share that pays part of its price, listed on its ex-date or a session beside."""
    rest = np.arange(len(frame)) >= PLANTED
    cash = round(part * float(frame["close"].iloc[PLANTED - 1]), 4)
    out = frame.copy()
    for column in PRICES:
        out[column] = np.where(
            rest, np.maximum(np.round(out[column] * (1 - part), 2), 0.01), out[column]
        )
    return out.assign(dividend=np.where(np.arange(len(frame)) == PLANTED + listed, cash, 0.0))


@pytest.mark.parametrize("factor", [4.0, 2.0, 1 / 10, 1 / 25], ids=["4", "2", "tenth", "25th"])
@pytest.mark.parametrize("part", [0.1, 0.3, 0.8], ids=str)
def test_a_split_beside_a_payout_of_the_same_day_is_found_with_its_own_factor(
    factor: float, part: float
) -> None:
    frame = split(paid(walk(3, 0.012, price=60.0), part), factor)
    assert applied(detect_in(frame)) == [("PETR4", day(frame), pytest.approx(factor))]


@pytest.mark.parametrize("listed", [-1, 0], ids=["a session early", "on its day"])
@pytest.mark.parametrize("factor", [1 / 25, 1 / 10, 4.0], ids=["25th", "tenth", "4"])
def test_an_unlisted_grouping_beside_capital_returned_has_its_own_factor(
    factor: float, listed: int
) -> None:
    """As BRPR3 on 2023-08-30: 63.05 of 76.44 returned, and 25 into 1."""
    frame = split(paid(walk(8, 0.012, price=76.0), 0.8249, listed), factor)
    assert applied(detect_in(frame)) == [("PETR4", day(frame), pytest.approx(factor))]


def test_a_small_payout_does_not_hide_a_split_of_the_day_beside_it() -> None:
    frame = split(walk(4, 0.015), 2.0)
    frame["dividend"] = np.where(np.arange(len(frame)) == PLANTED - 1, 0.2, 0.0)
    assert applied(detect_in(frame)) == [("PETR4", day(frame), 2.0)]


@pytest.mark.parametrize(
    "cash", [0.0, -5.0, float("nan"), 1e6], ids=["none", "negative", "nan", "more than the price"]
)
def test_an_impossible_payout_explains_no_split(cash: float) -> None:
    frame = split(walk(5, 0.015), 2.0)
    frame["dividend"] = np.where(np.arange(len(frame)) == PLANTED, cash, 0.0)
    assert applied(detect_in(frame)) == [("PETR4", day(frame), 2.0)]


def test_in_a_lake_a_listed_payout_of_half_the_price_is_adjusted_once(tmp_path: Path) -> None:
    frames = [
        paid(walk(seed, 0.015, ticker=f"AA{letter}X3"), 0.5) for seed, letter in enumerate("ABCDEF")
    ]
    quotes = write_parquet(pd.concat(frames, ignore_index=True), tmp_path / "quotes.parquet")
    fill_lake(open_source(quotes), open_storage(tmp_path / "store"))
    found = open_source(str(tmp_path / "store" / "lake" / "quotes")).read(QuoteQuery())
    paying = found[found["dividend"] > 0]
    assert len(paying) == len(frames)
    assert (paying["split_factor"] == 1).all()
    last = found["close"].shift(1).loc[paying.index]
    assert ((paying["close"] + paying["dividend"]) / last - 1).abs().max() < 0.1


# -- stuck prices


def stuck(frame: pd.DataFrame, factor: float, sessions: int) -> pd.DataFrame:
    """Quotes with some sessions of one wrong price that does not move."""
    out = frame.copy()
    wrong = round(float(frame["close"].iloc[PLANTED - 1]) / factor, 2)
    out.loc[PLANTED : PLANTED + sessions - 1, PRICES] = wrong
    return out


def test_a_price_that_is_stuck_at_its_right_level_hides_no_split() -> None:
    frame = split(walk(6, 0.015), 5.0)
    frame.loc[PLANTED : PLANTED + 2, PRICES] = float(frame["close"].iloc[PLANTED])
    assert applied(detect_in(frame)) == [("PETR4", day(frame), 5.0)]


def test_a_split_after_a_stuck_price_is_detected() -> None:
    frame = walk(7, 0.015)
    frame.loc[PLANTED - 3 : PLANTED - 1, PRICES] = float(frame["close"].iloc[PLANTED - 3])
    frame.loc[PLANTED:, PRICES] *= float(
        frame["close"].iloc[PLANTED - 3] / walk(7, 0.015)["close"].iloc[PLANTED - 1]
    )
    frame[PRICES] = frame[PRICES].round(2)
    assert applied(detect_in(split(frame, 2.0))) == [("PETR4", day(frame), 2.0)]
