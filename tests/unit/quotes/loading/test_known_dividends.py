"""The days of a ticker whose dividends are known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from b3shared.quotes.loading.known_dividends import known_from, known_until

NAN = np.nan


def frame(**dividends: list[float]) -> pd.DataFrame:
    """Rows of tickers with these dividends, on successive days from 2023-01-01 on."""
    parts = [
        pd.DataFrame(
            {
                "ticker": ticker,
                "date": pd.date_range("2023-01-01", periods=len(own)).astype("datetime64[s]"),
                "dividend": own,
            }
        )
        for ticker, own in sorted(dividends.items())
    ]
    return pd.concat(parts, ignore_index=True)


def day(found: "pd.Series[pd.Timestamp]", ticker: str = "PETR4") -> int | None:
    return None if pd.isna(found[ticker]) else found[ticker].day


@pytest.mark.parametrize(
    ("dividends", "since", "until"),
    [
        ([0.0, 0.0, 0.0], None, 3),
        ([0.0, 0.0, NAN], None, 2),
        ([NAN, NAN, 0.0], 3, 3),
        ([0.0, NAN, 0.0, 0.0], 3, 4),
        ([0.0, NAN, NAN, 0.5, NAN], None, 1),
        ([NAN, NAN, 0.5], None, None),
        ([NAN, 0.0, 0.5, NAN], 2, 3),
        ([NAN, 0.5, 0.0, NAN], 2, 3),
        ([NAN, NAN], None, None),
    ],
    ids=[
        "all",
        "all but the newest",
        "the newest alone",
        "with a hole",
        "an isolated payment",
        "a payment alone",
        "a payment at the end",
        "a payment at the beginning",
        "none",
    ],
)
def test_an_unbroken_run_of_known_dividends_is_told(
    dividends: list[float], since: int | None, until: int | None
) -> None:
    quotes = frame(ABEV3=[0.0], PETR4=dividends, VALE3=[0.0])
    assert day(known_until(quotes)) == until
    assert day(known_from(quotes)) == since
    assert (day(known_from(quotes), "VALE3"), day(known_until(quotes), "VALE3")) == (None, 1)


@pytest.mark.parametrize(("recent", "since"), [(2, None), (3, None), (4, 3)])
def test_a_hole_before_the_recent_rows_is_not_told(recent: int, since: int | None) -> None:
    quotes = frame(PETR4=[0.0, NAN, 0.0, 0.0, 0.0])
    assert day(known_from(quotes, recent)) == since


def test_no_quotes_have_no_known_days() -> None:
    assert known_until(frame(PETR4=[0.0]).iloc[:0]).empty


@given(st.lists(st.sampled_from([0.0, 0.5, NAN]), min_size=1, max_size=12))
def test_the_days_between_are_all_known_and_the_run_cannot_grow(dividends: list[float]) -> None:
    quotes = frame(PETR4=dividends)
    since, until = known_from(quotes)["PETR4"], known_until(quotes)["PETR4"]
    if pd.isna(until):
        assert 0.0 not in dividends
        return
    first = 0 if pd.isna(since) else since.day - 1
    assert not np.isnan(dividends[first : until.day]).any()
    assert 0.0 in dividends[first : until.day]
    assert first == 0 or np.isnan(dividends[first - 1])
    assert 0.0 not in dividends[until.day :]
    assert until.day == len(dividends) or np.isnan(dividends[until.day])
