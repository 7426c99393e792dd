"""Measures the gaps in windows of rows."""

import numpy as np

from b3shared.core.arrays import IntArray

NO_ROW = -1
"""The session number of a slot that has no row."""


def longest_gap(sessions: IntArray) -> IntArray:
    """Return the longest distance in sessions between neighbouring slots of each window.

    Args:
        sessions: (..., lookback) session numbers.

    Returns:
        (...) sessions; 0 for windows of one slot.
    """
    if sessions.shape[-1] < 2:
        return np.zeros(sessions.shape[:-1], dtype=np.int32)
    gap: IntArray = np.diff(sessions, axis=-1).max(axis=-1)
    return gap
