"""Rows of many tickers as one grid: a moving window is one array operation and crosses no ticker and no long hole."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from b3shared.core.arrays import Array
from b3shared.core.vocabulary import MAX_GAP
from b3shared.quotes.calendar import session_numbers


class Panel:
    """Quotes sorted by ticker and date, seen as grids of (lines, sessions).

    A line is an unbroken stretch of one ticker's rows: a hole of more than ``max_gap`` sessions of
    the exchange begins a new one. Lines stand left-aligned, padded on the right: column j is the
    stretch's own j-th traded session, not a calendar day. A window over the last axis therefore
    never crosses a ticker nor such a hole, and what stands in column j depends on columns up to j
    alone.

    Args:
        frame: quotes sorted by ticker and date.
        max_gap: sessions of the exchange from a row to the next one of its line, at most.

    Attributes:
        tickers: (tickers,) names in the order of the rows; ``code``: (rows,) number of each row's
            ticker among them.
        newest: (tickers,) newest row of each.
        line, position: (rows,) place of each row in a grid of ``shape``.
        date: (rows,) datetime64[D]; ``session``: (rows,) its number in ``calendar``, the sorted
            dates of all rows.
    """

    def __init__(self, frame: pd.DataFrame, max_gap: int = MAX_GAP) -> None:
        self.frame = frame
        self.code, self.tickers = pd.factorize(frame["ticker"].to_numpy())
        first = np.ones(len(frame), dtype=bool)
        first[1:] = self.code[1:] != self.code[:-1]
        if np.count_nonzero(first) != len(self.tickers):
            raise ValueError("rows are not sorted by ticker")
        self.newest = np.flatnonzero(np.roll(first, -1))

        self.date = frame["date"].to_numpy().astype("datetime64[D]")
        if np.any(~first[1:] & (self.date[1:] <= self.date[:-1])):
            raise ValueError("rows are not sorted by date within a ticker, or a date occurs twice")
        self.calendar, self.session = np.unique(self.date, return_inverse=True)

        begins = first.copy()
        number = session_numbers(self.calendar)[self.session]
        begins[1:] |= np.diff(number) > max_gap
        starts = np.flatnonzero(begins)
        self.line = np.cumsum(begins) - 1
        self.position = np.arange(len(frame)) - starts[self.line]
        self.shape = (len(starts), int(self.position.max()) + 1 if len(frame) else 0)

    def grid(self, values: Array | str, fill: Any = np.nan) -> npt.NDArray[Any]:
        """Per-row values (or a column's name) as a (lines, sessions) grid; float64 unless ``fill`` says otherwise."""
        if isinstance(values, str):
            values = self.frame[values].to_numpy(dtype=np.float64, na_value=np.nan)
        kind = np.float64 if isinstance(fill, float) else values.dtype
        out = np.full(self.shape, fill, dtype=kind)
        out[self.line, self.position] = values
        return out

    def rows(self, grid: Array) -> npt.NDArray[Any]:
        """A grid back as per-row values."""
        out: npt.NDArray[Any] = grid[self.line, self.position]
        return out


def lag(grid: Array, sessions: int, fill: Any = np.nan) -> npt.NDArray[Any]:
    """The grid moved right: column j holds what stood ``sessions`` columns before (after, when negative)."""
    out = np.full_like(grid, fill)
    if sessions >= grid.shape[1] or -sessions >= grid.shape[1]:
        return out
    if sessions >= 0:
        out[:, sessions:] = grid[:, : grid.shape[1] - sessions]
    else:
        out[:, :sessions] = grid[:, -sessions:]
    return out
