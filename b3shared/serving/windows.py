"""Windows of the newest rows of every ticker, as training makes them of a row: eligible rows only, gaps counted."""

import numpy as np

from b3shared.core.arrays import IntArray

NO_ROW = -1
"""Session number of a slot that has no row."""


def longest_gap(sessions: IntArray) -> IntArray:
    """(...) sessions of the market from one slot to the next, the longest of each window of (..., lookback) numbers."""
    if sessions.shape[-1] < 2:
        return np.zeros(sessions.shape[:-1], dtype=np.int32)
    gap: IntArray = np.diff(sessions, axis=-1).max(axis=-1)
    return gap
