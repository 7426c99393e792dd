"""Rolling windows along the last axis of a grid: column j depends on columns up to j alone.

A value depends on the values in its window and on nothing else, to the last bit: not on what came
before, nor on where the grid begins. So a part of the tickers, or a part of the history, gives the
same as the whole. Running sums do not have that (their rounding errors stay for ever), so means and
deviations are merged from windows of half the length, in log2(window) passes: Chan, Golub, LeVeque
(1983), "Algorithms for Computing the Sample Variance". The mean of equal values is exactly that
value, and their deviation exactly 0.
"""

from typing import Any

import bottleneck as bn
import numpy as np

from b3shared.core.arrays import FloatArray

_BLOCK = 1 << 15
"""Values worked on at once; a core's cache holds several times as many."""

_Moments = tuple[FloatArray, FloatArray | None]
"""Means of windows, and sums of squared distances from them where deviations are wanted."""


def rolling_mean(grid: FloatArray, window: int) -> FloatArray:
    """Return the mean of the last ``window`` columns; NaN where there are fewer or one is NaN."""
    return _moments(grid, window, deviation=False)


def rolling_std(grid: FloatArray, window: int) -> FloatArray:
    """Return the sample deviation of the last ``window`` columns; NaN as in the mean."""
    return _moments(grid, window, deviation=True)


def rolling_min(grid: FloatArray, window: int) -> FloatArray:
    """Return the minimum of the last ``window`` columns; NaN where there are fewer."""
    return _exact(bn.move_min, grid, window)


def rolling_max(grid: FloatArray, window: int, least: int | None = None) -> FloatArray:
    """Return the maximum of the last ``window`` columns.

    NaN where fewer than ``least`` (default: all of them) are known.
    """
    return _exact(bn.move_max, grid, window, min_count=least or window)


def rolling_median(grid: FloatArray, window: int) -> FloatArray:
    """Return the median of the last ``window`` columns; NaN where there are fewer."""
    return _exact(bn.move_median, grid, window)


def ema(grid: FloatArray, span: int) -> FloatArray:
    """Return the exponential mean with weight 2 / (span + 1), started at the first value.

    It equals pandas ``ewm(span, adjust=False)``.
    """
    alpha = 2.0 / (span + 1.0)
    out = np.full_like(grid, np.nan)
    if grid.shape[1]:
        out[:, 0] = grid[:, 0]
    for column in range(1, grid.shape[1]):
        out[:, column] = (1.0 - alpha) * out[:, column - 1] + alpha * grid[:, column]
    return out


def _exact(function: Any, grid: FloatArray, window: int, **options: int) -> FloatArray:
    """Apply a function of bottleneck's that keeps no running sum, and so is exact."""
    width = grid.shape[1]
    if width < window:  # bottleneck refuses a window wider than the axis
        grid = np.pad(grid, ((0, 0), (window - width, 0)), constant_values=np.nan)
    out: FloatArray = function(grid, window, axis=1, **options)[:, grid.shape[1] - width :]
    return out


def _moments(grid: FloatArray, window: int, *, deviation: bool) -> FloatArray:
    """Rolling mean, or sample deviation, some lines at a time."""
    lines, columns = grid.shape
    out = np.full((lines, columns), np.nan)
    if columns < window or not lines:
        return out

    step = max(1, _BLOCK // columns)
    for begin in range(0, lines, step):
        mean, squares = _merged(grid[begin : begin + step], window, deviation=deviation)
        values = mean if squares is None else np.sqrt(squares / (window - 1))
        out[begin : begin + step, window - 1 :] = values
    return out


def _merged(grid: FloatArray, window: int, *, deviation: bool) -> _Moments:
    """Moments of every full window, (lines, columns - window + 1) each."""
    size = 1
    done = 0
    power: _Moments = (grid, np.zeros_like(grid) if deviation else None)
    merged = power
    while True:
        if window & size:
            merged = _merge(power, size, merged, done) if done else power
            done += size
        if done == window:
            return merged
        power = _merge(power, size, power, size)
        size *= 2


def _merge(older: _Moments, a: int, newer: _Moments, b: int) -> _Moments:
    """Moments of windows of ``a + b`` columns, of ``a`` columns and the ``b`` right after them."""
    width = older[0].shape[1] - b
    first = older[0][:, :width]
    second = newer[0][:, newer[0].shape[1] - width :]
    difference = second - first
    mean = first + difference * (b / (a + b))
    if older[1] is None or newer[1] is None:
        return mean, None

    squares = older[1][:, :width] + newer[1][:, newer[1].shape[1] - width :]
    difference *= difference
    difference *= a * b / (a + b)
    squares += difference
    return mean, squares
