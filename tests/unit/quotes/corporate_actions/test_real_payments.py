"""Payments that the exchange published, on the quotes of 2010 to 2023."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import prod
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from announced import NO_RENAMES, real_announcements

from b3shared.features.adjustment import forward_factors
from b3shared.quotes.corporate_actions.announced import announced_events
from b3shared.quotes.corporate_actions.announcements.table import Announcements
from b3shared.quotes.corporate_actions.confirmation import confirm_events
from b3shared.quotes.corporate_actions.coverage import coverage_of
from b3shared.quotes.corporate_actions.papers import read_papers
from b3shared.quotes.corporate_actions.table import with_actions

CENT = 0.0051
SPLITS = {
    "EGIE3": {"2018-12-12": 1.25},
    "GGBR4": {"2023-03-22": 1.05},
    "PSSA3": {"2021-10-21": 2.0},
    "RADL3": {"2020-09-21": 5.0, "2023-05-22": 1.04},
    "SBSP3": {"2013-04-23": 3.0},
    "WEGE3": {"2014-04-24": 1.3, "2015-04-01": 2.0, "2018-04-25": 1.3, "2021-04-28": 2.0},
}
TEN = ["BBAS3", "CYRE3", "EGIE3", "GGBR4", "PETR4", "PSSA3", "RADL3", "SBSP3", "VALE3", "WEGE3"]


@dataclass(frozen=True)
class Real:
    """The quotes, the payments, and what a lake of the quotes makes of them."""

    quotes: pd.DataFrame
    payments: pd.DataFrame
    events: pd.DataFrame
    coverage: pd.DataFrame
    folder: Path


@pytest.fixture(scope="module")
def announcements(shared_data: Path) -> Announcements:
    return real_announcements(shared_data / "company")


@pytest.fixture(scope="module")
def real(shared_data: Path, announcements: Announcements) -> Real:
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE VIEW quotes AS SELECT ticker, date, open, high, low, close, volume, type, "
            f"split_coef AS split_factor FROM '{shared_data}/b3_daily.parquet'"
        )
        quotes = connection.execute("FROM quotes ORDER BY ticker, date").df()
        papers = read_papers(connection, "quotes", NO_RENAMES, announcements.companies)
        sessions = np.unique(quotes["date"].to_numpy().astype("datetime64[D]"))
        announced = announced_events(announcements, papers, sessions)
        events = confirm_events(connection, "quotes", announced.events).events
        paid = connection.execute(f"FROM '{shared_data}/company/cash_dividends.parquet'").df()
    coverage = coverage_of(announcements, papers, NO_RENAMES)
    quotes = quotes.assign(dividend=np.nan, date=quotes["date"].astype("datetime64[s]"))

    return Real(quotes, paid, events, coverage, shared_data)


def quoted(real: Real) -> pd.DataFrame:
    """The payments whose ticker has a quote on the last session with the right."""
    own = real.quotes[["ticker", "date", "close"]].rename(columns={"date": "last_cum"})
    own["last_cum"] = own["last_cum"].astype(real.payments["last_cum"].dtype)
    return real.payments.merge(own, on=["ticker", "last_cum"])


def test_every_payment_is_placed_on_the_next_session_of_the_exchange(real: Real) -> None:
    """4,616 of the 14,629 payments are of a ticker and day of these quotes."""
    payments = quoted(real)
    assert (len(real.payments), len(payments)) == (14_629, 4_616)

    market = sorted({day.date() for day in real.quotes["date"]})
    following = dict(pairwise(market))
    following[market[-1]] = pd.Timestamp("2024-01-02").date()  # the year's first session
    expected: dict[tuple[str, object], float] = defaultdict(float)
    for ticker, day, value in zip(
        payments["ticker"], payments["last_cum"], payments["value"], strict=True
    ):
        expected[ticker, following[day.date()]] += value

    found: dict[tuple[str, object], float] = defaultdict(float)
    for ticker, day, amount in zip(
        real.events["ticker"], real.events["date"], real.events["dividend"], strict=True
    ):
        found[ticker, day.date()] += amount
    assert {key: found[key] for key in expected} == pytest.approx(dict(expected))


def test_the_reader_gives_each_payment_to_the_row_of_its_ex_date(real: Real) -> None:
    """The quotes' own dividends are left out; 8 payments of SANB11 are above its price."""
    read = with_actions(real.quotes, real.events, real.coverage)
    refused = real.events[real.events["state"] == "contradicted"]
    assert Counter(refused["ticker"]) == {"SANB11": 8}  # its prices are adjusted by the vendor

    standing = real.events[(real.events["state"] != "contradicted") & real.events["date"].notna()]
    expected: dict[int, float] = defaultdict(float)
    rows_of = {t: own["date"].tolist() for t, own in real.quotes.groupby("ticker")}
    first_row = dict(zip(*np.unique(real.quotes["ticker"], return_index=True), strict=True))
    for ticker, day, amount in zip(
        standing["ticker"], standing["date"], standing["dividend"], strict=True
    ):
        days = rows_of[ticker]
        if days[0] <= day <= days[-1]:
            place = int(np.searchsorted(days, day))
            expected[int(first_row[ticker]) + place] += amount
    oracle = np.zeros(len(read))
    oracle[list(expected)] = list(expected.values())
    own = read["dividend"].to_numpy()
    known = read["ticker"].isin(real.coverage["ticker"]).to_numpy()

    # the days of the refused payments are not known, nor are those of rights
    doubtful = real.events[
        (real.events["state"] == "contradicted") | (real.events["kind"] == "right")
    ]
    for ticker, day in zip(doubtful["ticker"], doubtful["date"], strict=True):
        days = rows_of[ticker]
        if days[0] <= day <= days[-1]:
            oracle[int(first_row[ticker]) + int(np.searchsorted(days, day))] = np.nan
    np.testing.assert_allclose(own[known], oracle[known], atol=1e-9)
    assert np.isnan(own[~known]).all()


def test_closes_on_the_last_session_with_the_right_equal_the_published_ones(real: Real) -> None:
    """3,410 of 4,011 are equal; of tickers whose prices are raw, 2,427 of 2,497.

    The others are of prices that the vendor rescaled in part.
    """
    days = quoted(real).query("close_cum > 0")
    days = days.drop_duplicates(["ticker", "last_cum", "close_cum"])
    basis = pd.read_csv(real.folder / "b3_daily_tickers.csv").set_index("ticker")["price_basis"]
    kind = days["ticker"].map(basis)
    equal = (days["close"] - days["close_cum"]).abs() < CENT
    counts = {k: (int(own.sum()), len(own)) for k, own in equal.groupby(kind)}

    assert counts == {
        "mostly raw": (882, 1148),
        "not raw": (56, 309),
        "raw": (2427, 2497),
        "unchecked": (45, 57),
    }
    odd = days[~equal & kind.isin(["raw", "mostly raw"])]
    ratio = odd["close"] / odd["close_cum"]
    assert odd["ticker"].nunique() == 25
    far = odd[~ratio.between(0.9, 1.11)]
    assert far["ticker"].tolist() == ["CMIG4"] * 2


def ten(real: Real) -> pd.DataFrame:
    chosen = real.quotes["ticker"].isin(TEN) & real.quotes["date"].dt.year.ge(2011)
    read = with_actions(real.quotes[chosen], real.events, real.coverage)
    return read.sort_values(["ticker", "date"], ignore_index=True)


def by_hand(ticker: str, rows: pd.DataFrame, payments: pd.DataFrame) -> float:
    """Growth of one share from 2011 to 2023, with every payment reinvested at its day's close."""
    paid = payments[payments["ticker"] == ticker].groupby("last_cum")["value"].sum()
    splits = SPLITS.get(ticker, {})
    days = rows["date"].tolist()
    close = rows["close"].tolist()
    shares = 1.0

    for before, at in zip(range(len(days) - 1), range(1, len(days)), strict=True):
        cash = paid[(paid.index >= days[before]) & (paid.index < days[at])].sum()
        factor = splits.get(str(days[at].date()), 1.0)
        shares = shares * factor + shares * cash / close[at]
    return float(shares * close[-1] / close[0])


@pytest.fixture(scope="module")
def growths(real: Real) -> dict[str, tuple[float, float]]:
    """Ticker -> (growth by the product's factors, the same by hand)."""
    read = ten(real)
    value = read["close"] * forward_factors(read)[0]
    out = {}
    for ticker, own in value.groupby(read["ticker"]):
        hand = by_hand(str(ticker), read.loc[own.index], real.payments)
        out[str(ticker)] = (float(own.iloc[-1] / own.iloc[0]), hand)
    return out


def test_total_return_of_ten_tickers_is_that_of_compounding_by_hand(
    growths: dict[str, tuple[float, float]],
) -> None:
    assert list(growths) == TEN
    for ticker, (product, hand) in growths.items():
        assert product == pytest.approx(hand, rel=1e-9), ticker


VENDOR = {
    # growth of its adjusted close over ours, payments that it lists on the ex-date, on the last
    # session with the right, divided by some of the later splits, and otherwise or not at all
    "BBAS3": (0.973, 0, 0, 96, 6),
    "CYRE3": (1.027, 0, 16, 0, 1),
    "EGIE3": (1.392, 0, 30, 8, 2),
    "GGBR4": (1.133, 0, 47, 0, 1),
    "PETR4": (1.029, 0, 28, 0, 3),
    "PSSA3": (1.987, 0, 30, 9, 2),
    "RADL3": (1.003, 0, 15, 38, 2),
    "SBSP3": (1.179, 0, 10, 1, 1),
    "VALE3": (1.024, 0, 27, 0, 1),
    "WEGE3": (1.118, 0, 16, 60, 2),
}


def test_the_difference_to_the_vendor_s_adjusted_close_is_that_of_its_dividends(
    real: Real, growths: dict[str, tuple[float, float]]
) -> None:
    """No payment of the ten stands on its ex-date as declared.

    Where the vendor's amounts are as declared, its adjusted close compounds its own columns and
    differs by little (PETR4, VALE3, CYRE3): it reinvests at the price less the payment. Where it
    divides by later splits, even by one of 2024 (BBAS3), it does not follow from its own columns.
    """
    source = f"{real.folder}/b3_daily.parquet"
    vendor = duckdb.execute(
        f"SELECT ticker, date, adjusted_close, dividend AS listed FROM '{source}'"
    )
    table = vendor.df()
    table["date"] = table["date"].astype("datetime64[s]")
    read = ten(real).merge(table, on=["ticker", "date"])
    found = {}
    for ticker, rows in read.groupby("ticker"):
        adjusted = rows["adjusted_close"].to_numpy()
        ratio = adjusted[-1] / adjusted[0] / growths[str(ticker)][0]
        found[str(ticker)] = (round(ratio, 3), *placed_by_vendor(str(ticker), rows))

    assert found == VENDOR


def placed_by_vendor(ticker: str, rows: pd.DataFrame) -> tuple[int, int, int, int]:
    """Count payments as declared on the ex-date and on the last session; divided; otherwise."""
    after = {"BBAS3": {"2024-04-16": 2.0}}
    splits = SPLITS.get(ticker, {}) | after.get(ticker, {})
    own = rows["dividend"].to_numpy()
    listed = rows["listed"].to_numpy()
    days = rows["date"].dt.date.astype(str).tolist()
    counts = [0, 0, 0, 0]
    for at in np.flatnonzero(own > 0):
        later = [factor for day, factor in splits.items() if day > days[at]]
        some = [prod(chosen) for n in range(1, len(later) + 1) for chosen in combinations(later, n)]
        place = 0 if listed[at] > 0 else 1
        amount = listed[at] or listed[at - 1]
        if abs(amount / own[at] - 1) < 0.02:
            counts[place] += 1
        elif any(abs(amount * factor / own[at] - 1) < 0.03 for factor in some):
            counts[2] += 1
        else:
            counts[3] += 1

    return tuple(counts)  # type: ignore[return-value]
