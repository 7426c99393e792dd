"""Windows of the newest rows of every ticker, as training makes them of a row: eligible rows only, gaps counted."""

from typing import TYPE_CHECKING

import numpy as np

from b3shared.dataset.table import FloatArray, IntArray

if TYPE_CHECKING:
    from b3shared.features.build import Features

NO_ROW = -1
"""Session number of a slot that has no row."""


def newest_windows(features: "Features", lookback: int) -> tuple[FloatArray, IntArray]:
    """The newest rows of every ticker, one window each.

    The last slot is the ticker's newest row, eligible or not: an answer is about that session or there is none. The
    slots before it are the newest eligible rows (:attr:`b3shared.features.build.Features.eligible`), without those between.

    Args:
        features: of quotes sorted by ticker and date.
        lookback: slots.

    Returns:
        (tickers, lookback, features) float32 in the order of the panel's tickers, NaN where there is no row, where a
        value of the newest row is not known, or where that row does not count; and (tickers, lookback) int32, the number
        of each slot's session in the calendar of the quotes, -1 where there is no row.
    """
    panel = features.shared.panel
    newest = panel.newest
    kept = features.eligible
    kept[newest] = True
    rows = np.flatnonzero(kept)
    line = panel.code[rows]
    slot = np.arange(len(rows)) - np.cumsum(np.bincount(line))[line] + lookback
    rows, line, slot = (values[slot >= 0] for values in (rows, line, slot))
    windows = np.full((len(newest), lookback, features.X.shape[1]), np.nan, dtype=np.float32)
    windows[line, slot] = features.X[rows]
    windows[~features.counted[newest], -1] = np.nan
    sessions = np.full((len(newest), lookback), NO_ROW, dtype=np.int32)
    sessions[line, slot] = panel.session[rows]
    return windows, sessions


def longest_gap(sessions: IntArray) -> IntArray:
    """(...) sessions of the market from one slot to the next, the longest of each window of (..., lookback) numbers."""
    if sessions.shape[-1] < 2:
        return np.zeros(sessions.shape[:-1], dtype=np.int32)
    gap: IntArray = np.diff(sessions, axis=-1).max(axis=-1)
    return gap
