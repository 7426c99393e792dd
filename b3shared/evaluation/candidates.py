"""The rows that a backtest can trade, and the choice of positions among them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.dataset.table import Dataset
from b3shared.evaluation.metrics import divide

Entry = Literal["same_close", "next_close"]
ENTRIES: tuple[Entry, ...] = ("same_close", "next_close")


@dataclass(frozen=True)
class Candidates:
    """The rows that can be traded, on a dense grid of dates and tickers.

    Attributes:
        dates: (dates,) ascending.
        day: (rows,) number of each row's date.
        column: (rows,) number of its ticker.
        returns: (rows,) total return from the entry over the horizon, a fraction; NaN where the row
            cannot be entered.
        n_tickers: columns of the grid.
    """

    dates: Array
    day: IntArray
    column: IntArray
    returns: FloatArray
    n_tickers: int

    @classmethod
    def from_dataset(cls, data: Dataset, rows: IntArray, entry: Entry) -> "Candidates":
        """Take the rows of a part with the return that this entry would have had."""
        dates, day = np.unique(data.date[rows], return_inverse=True)
        tickers, column = np.unique(data.ticker[rows], return_inverse=True)
        returns = data.future_return[rows]
        if entry == "next_close":
            returns = next_session_return(data, rows)
        return cls(dates, day, column, returns, len(tickers))


def next_session_return(data: Dataset, rows: IntArray) -> FloatArray:
    """Return over the horizon of an entry one session after t: that of the ticker's next row.

    NaN where that row is not of the very next session, or its outcome is not known yet.
    """
    after = np.minimum(rows + 1, len(data) - 1)
    adjacent = (data.ticker[after] == data.ticker[rows]) & (
        data.session[after] == data.session[rows] + 1
    )
    return np.where(adjacent, data.future_return[after], np.nan)


def select(
    candidates: Candidates, chosen: Array, score: FloatArray, max_positions: int | None
) -> FloatArray:
    """Choose positions: (dates, tickers) equal weights that sum to 1, or to 0 without a position.

    On each date these are the highest scores among the ``chosen`` rows: at most a fifth of the
    date's tradable rows, at least one, and at most ``max_positions``. Equal scores are taken in the
    order of the tickers.
    """
    tradable = np.isfinite(candidates.returns)
    count = np.bincount(candidates.day[tradable], minlength=len(candidates.dates))
    limit = np.maximum(count // 5, 1)
    limit = limit if max_positions is None else np.minimum(limit, max_positions)

    rows = np.flatnonzero(chosen & tradable & np.isfinite(score))
    rows = rows[np.lexsort((candidates.column[rows], -score[rows], candidates.day[rows]))]

    day = candidates.day[rows]
    position = np.arange(len(rows)) - np.searchsorted(day, day)
    taken = rows[position < limit[day]]
    return equal_weights(candidates, taken)


def equal_weights(candidates: Candidates, rows: IntArray) -> FloatArray:
    """Return (dates, tickers) weights: the given rows equally, summing to 1 or to 0 by date."""
    weights = np.zeros((len(candidates.dates), candidates.n_tickers))
    weights[candidates.day[rows], candidates.column[rows]] = 1.0
    return divide(weights, weights.sum(axis=1, keepdims=True))
