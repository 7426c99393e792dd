"""Measures how well a score ranks the stocks of a day: daily rank IC and quintile spread."""

from dataclasses import dataclass

import numpy as np

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.core.vocabulary import BUY, SELL
from b3shared.evaluation.metrics import divide

MIN_ROWS = 5
"""A date with fewer rows is skipped (and counted): it says next to nothing about order."""


@dataclass(frozen=True)
class Daily:
    """One value per date.

    Attributes:
        dates: (dates,) distinct dates, ascending.
        values: (dates,) float64; NaN for a date that was skipped.
    """

    dates: Array
    values: FloatArray

    @property
    def used(self) -> FloatArray:
        """The values of the dates that were not skipped."""
        return self.values[~np.isnan(self.values)]

    @property
    def skipped(self) -> int:
        """Number of dates without a value."""
        return len(self.values) - len(self.used)

    @property
    def mean(self) -> float:
        """Mean over the dates; NaN without any."""
        return float(self.used.mean()) if len(self.used) else float("nan")

    @property
    def ratio(self) -> float:
        """Mean over standard deviation (n - 1), the ICIR of daily ICs; NaN if undefined."""
        deviation = float(self.used.std(ddof=1)) if len(self.used) > 1 else 0.0
        return self.mean / deviation if deviation > 0 else float("nan")


def buy_minus_sell(probabilities: FloatArray) -> FloatArray:
    """(rows,) the score that ranks the stocks: P(buy) - P(sell)."""
    return np.asarray(probabilities[:, BUY] - probabilities[:, SELL])


def _daily_ranks(values: FloatArray, day: IntArray, n_dates: int) -> FloatArray:
    """Rank 1, 2, ... within each day; equal values share the average rank."""
    if not len(values):
        return np.empty(0)

    order = np.lexsort((values, day))
    sorted_values = values[order]
    sorted_day = day[order]
    first = np.r_[
        True, (sorted_values[1:] != sorted_values[:-1]) | (sorted_day[1:] != sorted_day[:-1])
    ]

    start = np.flatnonzero(first)
    size = np.diff(np.r_[start, len(values)])
    day_start = np.searchsorted(sorted_day, np.arange(n_dates))
    average = start - day_start[sorted_day[start]] + (size + 1) / 2
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(average, size)
    return ranks


def _finite(
    score: FloatArray, returns: FloatArray, dates: Array
) -> tuple[Array, FloatArray, FloatArray, IntArray, IntArray]:
    """Distinct dates; score, return and date number of the finite rows; their number by date."""
    days, day = np.unique(dates, return_inverse=True)
    known = np.isfinite(score) & np.isfinite(returns)
    return (
        days,
        score[known],
        returns[known],
        day[known],
        np.bincount(day[known], minlength=len(days)),
    )


def daily_rank_ic(score: FloatArray, returns: FloatArray, dates: Array) -> Daily:
    """Spearman correlation of score and return over each date's rows; average ranks for ties.

    Rows where either is not finite are left out; a date with fewer than 5 rows left, or with a
    constant side, is skipped.

    Args:
        score: (rows,) ranks the rows, in any unit.
        returns: (rows,) the returns that followed, fractions.
        dates: (rows,) datetime64[D], in any order.
    """
    days, score, returns, day, rows = _finite(score, returns, dates)

    middle = (rows + 1) / 2
    a = _daily_ranks(score, day, len(days)) - middle[day]
    b = _daily_ranks(returns, day, len(days)) - middle[day]
    covariance, spread_a, spread_b = (np.bincount(day, x, len(days)) for x in (a * b, a * a, b * b))
    ic = divide(covariance, np.sqrt(spread_a * spread_b), empty=np.nan)
    return Daily(days, np.where(rows >= MIN_ROWS, np.clip(ic, -1, 1), np.nan))


def quintile_spread(score: FloatArray, returns: FloatArray, dates: Array) -> Daily:
    """Mean return of each date's top fifth by score minus that of its bottom fifth, a fraction.

    A row is in the top fifth when (rank - 1/2) / rows >= 0.8, ranks averaged over ties; the bottom
    is its mirror image. Dates with fewer than 5 rows, or where ties leave one side empty, are
    skipped.
    """
    days, score, returns, day, rows = _finite(score, returns, dates)
    fifths = 5 * (_daily_ranks(score, day, len(days)) - 0.5)
    top = fifths >= 4 * rows[day]
    bottom = fifths <= rows[day]
    means = [
        divide(
            np.bincount(day[side], returns[side], len(days)),
            np.bincount(day[side], minlength=len(days)),
            np.nan,
        )
        for side in (top, bottom)
    ]

    return Daily(days, np.where(rows >= MIN_ROWS, means[0] - means[1], np.nan))
