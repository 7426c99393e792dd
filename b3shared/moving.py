"""Moving windows along the last axis of a grid: column j depends on columns up to j alone."""

import bottleneck as bn
import numpy as np

from b3shared.dataset import FloatArray


def move_mean(grid: FloatArray, window: int) -> FloatArray:
    """Mean of the last ``window`` columns; NaN until there are that many."""
    return moving(bn.move_mean, grid, window)


def move_std(grid: FloatArray, window: int) -> FloatArray:
    """Sample deviation of the last ``window`` columns; NaN until there are that many."""
    return moving(bn.move_std, grid, window, ddof=1)


def move_min(grid: FloatArray, window: int) -> FloatArray:
    """Minimum of the last ``window`` columns; NaN until there are that many."""
    return moving(bn.move_min, grid, window)


def move_max(grid: FloatArray, window: int, least: int | None = None) -> FloatArray:
    """Maximum of the last ``window`` columns; NaN until there are ``least`` (default: all of them)."""
    return moving(bn.move_max, grid, window, min_count=least or window)


def moving(function: object, grid: FloatArray, window: int, **options: int) -> FloatArray:
    """A function of bottleneck's ``move_`` family over the last ``window`` columns; NaN until there are enough."""
    width = grid.shape[1]
    if width < window:  # bottleneck refuses a window wider than the axis
        grid = np.pad(grid, ((0, 0), (0, window - width)), constant_values=np.nan)
    out: FloatArray = function(grid, window, axis=1, **options)[:, :width]  # type: ignore[operator]
    return out


def exact_zero(mean: FloatArray, values: FloatArray, window: int) -> FloatArray:
    """The moving mean of non-negative values, exactly 0 where all of them are: a running sum leaves a residue."""
    return np.where(move_max(values, window) == 0, 0.0, mean)


def ema(grid: FloatArray, span: int) -> FloatArray:
    """Exponential mean with weight 2 / (span + 1), started at the first value (pandas ``ewm(span, adjust=False)``)."""
    alpha = 2.0 / (span + 1.0)
    out = np.full_like(grid, np.nan)
    if grid.shape[1]:
        out[:, 0] = grid[:, 0]
    for column in range(1, grid.shape[1]):
        out[:, column] = (1.0 - alpha) * out[:, column - 1] + alpha * grid[:, column]
    return out
