"""Cross-sectional features: ranks within a date, and market aggregates.

Both work on one column of rows at a time, ranks in blocks of dates, so the tickers of a large
market need not be in memory with all their features.
"""

import bottleneck as bn
import numpy as np

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.features.rolling import rolling_mean, rolling_std

MIN_CROSS_SECTION = 5
"""Fewest tickers that are ranked against each other."""

MARKET = ("market_return_5", "market_return_20", "market_volatility_20")
"""Names of the features of the market."""

_CELLS = 1 << 19
"""Size of a block of dates, in cells of dates and tickers."""


class CrossSection:
    """Groups the rows of many tickers by date, to rank them.

    Args:
        session: (rows,) number of the row's date, 0 upwards; rows in any order, tickers in the same
            one within a date.
    """

    def __init__(self, session: IntArray) -> None:
        # NumPy sorts numbers of 16 bits by their digits, which is several times as fast.
        short = len(session) and session.max() < 1 << 16
        order = np.argsort(session.astype(np.uint16) if short else session, kind="stable")
        self._order = order.astype(np.int32 if len(session) < 1 << 31 else np.int64)
        self._counts = np.bincount(session)

    def rank(self, values: FloatArray) -> FloatArray:
        """Return (rows,) float64: average rank within the date over its count, in (0, 1].

        NaN has no rank and stays NaN. Values are compared as float32, as models see them.
        """
        with np.errstate(over="ignore"):
            single = values.astype(np.float32, copy=False)

        out = np.empty(len(values))
        ends = np.cumsum(self._counts)
        begin = 0
        row = 0
        while begin < len(self._counts):
            end = begin + max(1, _CELLS // max(1, int(self._counts[begin : begin + 256].max())))
            counts = self._counts[begin:end]
            rows = self._order[row : ends[begin + len(counts) - 1]]

            line = np.repeat(np.arange(len(counts)), counts)
            place = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
            by_date = np.full((len(counts), int(counts.max())), np.nan, dtype=np.float32)
            by_date[line, place] = single[rows]
            out[rows] = _percentiles(by_date)[line, place]

            begin += len(counts)
            row += len(rows)
        return out


def _percentiles(by_date: FloatArray) -> FloatArray:
    known = (~np.isnan(by_date)).sum(axis=1, keepdims=True)
    ranks: FloatArray = bn.nanrankdata(by_date, axis=1).astype(np.float64) / np.maximum(known, 1)
    return ranks


class MarketReturn:
    """Equal-weight mean daily return of each date's rows, which may be added in portions.

    A date's sum is taken in the order in which its rows are added, so portions give the same to the
    last bit.

    Args:
        dates: number of dates.
    """

    def __init__(self, dates: int) -> None:
        self._total = np.zeros(dates)
        self._count = np.zeros(dates, dtype=np.int64)

    def add(self, session: IntArray, daily_return: FloatArray) -> None:
        """Add rows: (rows,) number of each one's date and daily return; NaN is not counted."""
        known = ~np.isnan(daily_return)
        np.add.at(self._total, session[known], daily_return[known])
        np.add.at(self._count, session[known], 1)

    @property
    def mean(self) -> FloatArray:
        """(dates,) means; NaN where no row is known."""
        return np.where(self._count > 0, self._total / np.maximum(self._count, 1), np.nan)


def market_features(daily_return: FloatArray) -> dict[str, FloatArray]:
    """Compute the features of the market for every date.

    Args:
        daily_return: (dates,) float64, see :attr:`MarketReturn.mean`.

    Returns:
        (dates,) float64 each, by name: 5- and 20-session sums and the 20-session sample deviation.
    """
    line = daily_return[None, :]
    grids = (rolling_mean(line, 5) * 5, rolling_mean(line, 20) * 20, rolling_std(line, 20))
    return {name: grid[0] for name, grid in zip(MARKET, grids, strict=True)}


def rank_name(feature: str) -> str:
    """Return the name of a feature's rank."""
    return f"{feature}_rank"
