"""Rows of many tickers as one grid, so that a moving window is one array operation and never crosses a ticker."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from b3shared.dataset import Array


class Panel:
    """Quotes sorted by ticker and date, seen as grids of (tickers, sessions of the ticker).

    Every ticker's rows stand left-aligned in one line, padded on the right: column j is the ticker's own j-th traded
    session, not a calendar day. A window over the last axis therefore holds rows of one ticker only, and what stands
    in column j depends on columns up to j alone.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        ticker = frame["ticker"].to_numpy()
        codes, self.tickers = pd.factorize(ticker)
        self.frame = frame
        self.line = codes
        starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]]) if len(codes) else np.array([], dtype=int)
        if len(starts) != len(self.tickers):
            raise ValueError("rows are not sorted by ticker")
        self.position = np.arange(len(codes)) - starts[codes]
        self.date = frame["date"].to_numpy().astype("datetime64[D]")
        same = np.r_[False, codes[1:] == codes[:-1]]
        if np.any(same[1:] & (self.date[1:] <= self.date[:-1])):
            raise ValueError("rows are not sorted by date within a ticker, or a date occurs twice")
        self.calendar, self.session = np.unique(self.date, return_inverse=True)
        self.shape = (len(self.tickers), int(self.position.max()) + 1 if len(codes) else 0)

    def grid(self, values: Array | str, fill: Any = np.nan) -> npt.NDArray[Any]:
        """Per-row values (or a column's name) as a (tickers, sessions) grid; float64 unless ``fill`` says otherwise."""
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
