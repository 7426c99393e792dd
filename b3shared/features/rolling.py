"""Moving windows along the last axis of a grid: column j depends on columns up to j alone.

A window's figure depends on the values in it and on nothing else, to the last bit: not on what came
before, nor on where the grid begins. So a new session can be computed from the newest columns, and
a part of the tickers by itself, and both equal the whole. Running sums do not have that (their
rounding errors stay for ever), so means and deviations are merged from windows of half the length,
in log2(window) passes: Chan, Golub, LeVeque (1983), "Algorithms for Computing the Sample Variance".
The mean of equal values is exactly that value, and their deviation exactly 0.
"""

from typing import Any

import bottleneck as bn
import numpy as np

from b3shared.core.arrays import FloatArray

_BLOCK = 1 << 15
"""Values worked on at once; what a core's cache holds several times."""


def move_mean(grid: FloatArray, window: int, newest: int | None = None) -> FloatArray:
    """Mean of the last ``window`` columns; NaN until there are that many, or where one of them is NaN.

    ``newest`` here and below: give the last so many columns only, at the cost of these alone.
    """
    return _moments(grid, window, newest, deviation=False)


def move_std(grid: FloatArray, window: int, newest: int | None = None) -> FloatArray:
    """Sample deviation of the last ``window`` columns; NaN until there are that many, or where one of them is NaN."""
    return _moments(grid, window, newest, deviation=True)


def move_min(grid: FloatArray, window: int, newest: int | None = None) -> FloatArray:
    """Minimum of the last ``window`` columns; NaN until there are that many."""
    return _moving(bn.move_min, grid, window, newest)


def move_max(
    grid: FloatArray, window: int, newest: int | None = None, least: int | None = None
) -> FloatArray:
    """Maximum of the last ``window`` columns; NaN until there are ``least`` (default: all of them)."""
    return _moving(bn.move_max, grid, window, newest, min_count=least or window)


def move_median(grid: FloatArray, window: int, newest: int | None = None) -> FloatArray:
    """Median of the last ``window`` columns; NaN until there are that many."""
    return _moving(bn.move_median, grid, window, newest)


def ema(grid: FloatArray, span: int) -> FloatArray:
    """Exponential mean with weight 2 / (span + 1), started at the first value (pandas ``ewm(span, adjust=False)``)."""
    out = np.full_like(grid, np.nan)
    if grid.shape[1]:
        out[:, 0] = grid[:, 0]
    for column in range(1, grid.shape[1]):
        out[:, column] = ema_step(out[:, column - 1], grid[:, column], span)
    return out


def ema_step(before: FloatArray, value: FloatArray, span: int) -> FloatArray:
    """The exponential mean after one more value."""
    alpha = 2.0 / (span + 1.0)
    out: FloatArray = (1.0 - alpha) * before + alpha * value
    return out


def _moving(
    function: Any, grid: FloatArray, window: int, newest: int | None, **options: int
) -> FloatArray:
    """A function of bottleneck's ``move_`` family that keeps no running sum, and so is exact."""
    grid, width = _needed(grid, window, newest)
    if grid.shape[1] < window:  # bottleneck refuses a window wider than the axis
        grid = np.pad(grid, ((0, 0), (window - grid.shape[1], 0)), constant_values=np.nan)
    out: FloatArray = function(grid, window, axis=1, **options)[:, grid.shape[1] - width :]
    return out


def _moments(grid: FloatArray, window: int, newest: int | None, *, deviation: bool) -> FloatArray:
    grid, width = _needed(grid, window, newest)
    lines, columns = grid.shape
    out = np.full((lines, width), np.nan)
    known = min(columns - window + 1, width)
    if known <= 0 or not lines:
        return out
    step = max(1, _BLOCK // columns)
    for begin in range(0, lines, step):
        mean, squares = _merged(grid[begin : begin + step], window, deviation=deviation)
        values = mean if squares is None else np.sqrt(squares / (window - 1))
        out[begin : begin + step, width - known :] = values[:, values.shape[1] - known :]
    return out


def _merged(
    grid: FloatArray, window: int, *, deviation: bool
) -> tuple[FloatArray, FloatArray | None]:
    """Means of every full window, and its sum of squared distances from the mean: (lines, columns - window + 1) each."""
    size, whole = 1, 0
    power: tuple[FloatArray, FloatArray | None] = (grid, np.zeros_like(grid) if deviation else None)
    done = power
    while True:
        if window & size:
            done = _merge(power, size, done, whole) if whole else power
            whole += size
        if whole == window:
            return done
        power = _merge(power, size, power, size)
        size *= 2


def _merge(
    older: tuple[FloatArray, FloatArray | None],
    a: int,
    newer: tuple[FloatArray, FloatArray | None],
    b: int,
) -> tuple[FloatArray, FloatArray | None]:
    """Windows of ``a + b`` columns of the windows of ``a`` and, right after them, of ``b``."""
    width = older[0].shape[1] - b
    first, second = older[0][:, :width], newer[0][:, newer[0].shape[1] - width :]
    difference = second - first
    mean = first + difference * (b / (a + b))
    if older[1] is None or newer[1] is None:
        return mean, None
    squares = older[1][:, :width] + newer[1][:, newer[1].shape[1] - width :]
    difference *= difference
    difference *= a * b / (a + b)
    squares += difference
    return mean, squares


def _needed(grid: FloatArray, window: int, newest: int | None) -> tuple[FloatArray, int]:
    """The columns that the wanted ones depend on, and how many are wanted."""
    columns = grid.shape[1]
    if newest is None or newest >= columns:
        return grid, columns
    return grid[:, max(0, columns - newest - window + 1) :], newest
