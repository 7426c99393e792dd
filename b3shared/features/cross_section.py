"""What a date's tickers say together: a value's rank among them, and the market that they make up.

Ticker by ticker is all that the other features need; this is what they need each other for. It
works on columns of rows, a block of dates at a time, so the tickers of a large market need not be
in memory with all their features.
"""

import bottleneck as bn
import numpy as np

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.features.rolling import move_mean, move_std

MIN_CROSS_SECTION = 5
"""Tickers under which a rank among them says nothing."""

MARKET = ("market_return_5", "market_return_20", "market_volatility_20")
MARKET_SESSIONS = 20
"""Sessions of the market that the newest of these features depends on."""

_CELLS = 1 << 19
"""Size of a block of dates, in cells of dates and tickers."""


class CrossSection:
    """Rows of many tickers, by date.

    Args:
        session: (rows,) number of the row's date, 0 upwards; rows in any order, tickers in the same
            one within a date.
    """

    def __init__(self, session: IntArray) -> None:
        few = (
            session.astype(np.uint16) if len(session) and session.max() < 1 << 16 else session
        )  # sorted by its digits
        self._order = np.argsort(few, kind="stable").astype(
            np.int32 if len(session) < 1 << 31 else np.int64
        )
        self._counts = np.bincount(session)

    def rank(self, values: FloatArray) -> FloatArray:
        """Rank of each row's value within its date, in (0, 1]: average rank over the count; NaN for NaN.

        Values count as float32, which is what a model sees of them: two that differ less are equal.
        """
        with np.errstate(over="ignore"):
            single = values.astype(np.float32, copy=False)
        out = np.empty(len(values))
        ends = np.cumsum(self._counts)
        begin = row = 0
        while begin < len(self._counts):
            end = begin + max(1, _CELLS // max(1, int(self._counts[begin : begin + 256].max())))
            counts = self._counts[begin:end]
            rows = self._order[row : ends[begin + len(counts) - 1]]
            line = np.repeat(np.arange(len(counts)), counts)
            place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
            by_date = np.full((len(counts), int(counts.max())), np.nan, dtype=np.float32)
            by_date[line, place] = single[rows]
            out[rows] = _percentiles(by_date)[line, place]
            begin, row = begin + len(counts), row + len(rows)
        return out


def _percentiles(by_date: FloatArray) -> FloatArray:
    known = (~np.isnan(by_date)).sum(axis=1, keepdims=True)
    ranks: FloatArray = bn.nanrankdata(by_date, axis=1).astype(np.float64) / np.maximum(known, 1)
    return ranks


class MarketReturn:
    """Equal-weight mean daily return of the liquid rows of every date; rows may come in portions.

    The sum of a date is taken in the order in which its rows come, so portions give the same to the
    last bit.

    Args:
        dates: how many there are.
    """

    def __init__(self, dates: int) -> None:
        self._total, self._count = np.zeros(dates), np.zeros(dates, dtype=np.int64)

    def add(self, session: IntArray, daily_return: FloatArray) -> None:
        """Count rows in: the number of the date of each, and its daily return; NaN is not counted."""
        known = ~np.isnan(daily_return)
        np.add.at(self._total, session[known], daily_return[known])
        np.add.at(self._count, session[known], 1)

    @property
    def mean(self) -> FloatArray:
        """(dates,) means; NaN where no row is known."""
        return np.where(self._count > 0, self._total / np.maximum(self._count, 1), np.nan)


def market_features(mean: FloatArray, newest: int | None = None) -> dict[str, FloatArray]:
    """5- and 20-session sums and the 20-session deviation of the market's daily return, for every date (or the newest)."""
    line = mean[None, :]
    grids = (
        move_mean(line, 5, newest) * 5,
        move_mean(line, 20, newest) * 20,
        move_std(line, MARKET_SESSIONS, newest),
    )
    return {name: grid[0] for name, grid in zip(MARKET, grids, strict=True)}


def rank_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """What the ranks of features are called."""
    return tuple(f"{name}_rank" for name in names)
