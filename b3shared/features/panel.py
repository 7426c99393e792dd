"""Arranges the rows of many tickers as a grid, so that rolling windows never cross tickers."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from b3shared.core.arrays import Array
from b3shared.core.vocabulary import MAX_GAP
from b3shared.quotes.calendar import session_numbers


class Panel:
    """Places of quotes, sorted by ticker and date, in grids of (lines, sessions).

    A line is an unbroken stretch of one ticker's rows: a hole of more than ``max_gap`` sessions of
    the exchange begins a new one. Lines stand left-aligned, padded on the right: column j is the
    stretch's own j-th traded session, not a calendar day. A window over the last axis therefore
    never crosses a ticker nor such a hole, and depends on no later session.

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
        """Arrange per-row values, or the column of that name, as a (lines, sessions) grid.

        With a ``fill`` that is a float the grid is float64, else of the type of the values.
        """
        if isinstance(values, str):
            values = self.frame[values].to_numpy(dtype=np.float64, na_value=np.nan)
        kind = np.float64 if isinstance(fill, float) else values.dtype
        out = np.full(self.shape, fill, dtype=kind)
        out[self.line, self.position] = values
        return out

    def rows(self, grid: Array) -> npt.NDArray[Any]:
        """Return the (rows,) values of a grid."""
        out: npt.NDArray[Any] = grid[self.line, self.position]
        return out


def lag(grid: Array, sessions: int, fill: Any = np.nan) -> npt.NDArray[Any]:
    """Shift a grid right: column j holds what was in column j - ``sessions``, else ``fill``."""
    out = np.full_like(grid, fill)
    if sessions >= grid.shape[1] or -sessions >= grid.shape[1]:
        return out
    if sessions >= 0:
        out[:, sessions:] = grid[:, : grid.shape[1] - sessions]
    else:
        out[:, :sessions] = grid[:, -sessions:]
    return out
