"""Intervals of metrics: circular block bootstrap over dates.

Rows of one day share the day's news, and outcomes over a horizon overlap: neither rows nor days are
independent. So whole blocks of consecutive dates are drawn (Politis and Romano 1992), every row of
a date together. A metric is written as a function of sums over dates, so a resample is a weighted
sum of per-date rows: one matrix product makes all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.evaluation.metrics import divide

Statistic = Callable[[FloatArray], FloatArray]
"""Maps sums over dates (..., columns) to the metric (...)."""

N_RESAMPLES = 2000
MIN_BLOCKS = 5
"""With fewer blocks in the sample an interval means nothing: its bounds are NaN then."""
TAILS = {"ci95": 0.95, "ci99": 0.99}


@dataclass(frozen=True)
class Interval:
    """A metric and its two-sided percentile intervals; NaN bounds where there are too few dates."""

    estimate: float
    ci95: tuple[float, float]
    ci99: tuple[float, float]


def block_length(horizon: int) -> int:
    """Number of dates in a block: two horizons, at least two weeks of sessions."""
    return max(2 * horizon, 10)


def draw_dates(
    n_dates: int, length: int, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> IntArray:
    """Draw the dates of every resample, (n_resamples, n_dates): blocks from uniform starts.

    Blocks wrap round the end; the last one is cut so that every resample has ``n_dates`` dates.
    """
    length = min(length, n_dates)
    n_blocks = -(-n_dates // length)
    starts = np.random.default_rng(seed).integers(0, n_dates, size=(n_resamples, n_blocks))
    drawn = (starts[:, :, None] + np.arange(length)) % n_dates
    return drawn.reshape(n_resamples, -1)[:, :n_dates]


def resample_counts(
    n_dates: int, length: int, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> FloatArray:
    """Count how often each date is in each resample: (n_resamples, n_dates) float64.

    With fewer than 5 blocks in the sample there are no resamples: (0, n_dates), and every interval
    is NaN.
    """
    if n_dates < MIN_BLOCKS * length:
        return np.zeros((0, n_dates))

    drawn = draw_dates(n_dates, length, n_resamples, seed)
    cells = (drawn + n_dates * np.arange(n_resamples)[:, None]).ravel()
    counts = np.bincount(cells, minlength=n_resamples * n_dates)
    return counts.reshape(n_resamples, n_dates).astype(np.float64)


def interval(per_date: FloatArray, statistic: Statistic, counts: FloatArray) -> Interval:
    """Compute a metric over all dates and its percentile intervals.

    Args:
        per_date: (dates, columns) sums over each date's rows.
        statistic: the metric as a function of the columns' sums.
        counts: what :func:`resample_counts` returned for these dates.
    """
    return _percentiles(statistic(per_date.sum(axis=0)), statistic(counts @ per_date))


def paired_interval(
    per_date_a: FloatArray, per_date_b: FloatArray, statistic: Statistic, counts: FloatArray
) -> Interval:
    """Compute the difference a - b of a metric on the same dates, resampled with the same draws."""
    estimate = statistic(per_date_a.sum(axis=0)) - statistic(per_date_b.sum(axis=0))
    return _percentiles(estimate, statistic(counts @ per_date_a) - statistic(counts @ per_date_b))


def _percentiles(estimate: FloatArray, replicates: FloatArray) -> Interval:
    finite = replicates[np.isfinite(replicates)]
    bounds = {}
    for name, level in TAILS.items():
        tails = [(1 - level) / 2, (1 + level) / 2]
        low, high = np.quantile(finite, tails) if len(finite) else (np.nan, np.nan)
        bounds[name] = (float(low), float(high))
    return Interval(float(estimate), **bounds)


# -- metrics as functions of sums


def ratio(sums: FloatArray) -> FloatArray:
    """Column 1 over column 0, a mean when column 0 counts; NaN where that is 0."""
    return divide(sums[..., 1], sums[..., 0], empty=np.nan)


def mean_over_deviation(sums: FloatArray) -> FloatArray:
    """Mean / standard deviation (n - 1) of columns count, sum, sum of squares; NaN if undefined."""
    n, total, squares = (sums[..., column] for column in range(3))
    mean = divide(total, n, empty=np.nan)
    variance = divide(squares - n * mean**2, n - 1, empty=np.nan)
    deviation = np.where(variance > 1e-18, np.sqrt(np.maximum(variance, 0)), 0)
    return divide(mean, deviation, empty=np.nan)


def moments(values: FloatArray) -> FloatArray:
    """Columns count, value, square (dates, 3) of daily values (dates,), NaN where skipped."""
    known = ~np.isnan(values)
    value = np.where(known, values, 0.0)
    return np.stack([known.astype(np.float64), value, value**2], axis=1)
