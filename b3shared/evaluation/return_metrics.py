"""Metrics of a return forecast, of the price that it implies and of its interval.

Every metric is a function of sums over dates, as in :mod:`b3shared.evaluation.scorecard`, so that
each has its bootstrap interval; the metrics of persistence (a return of zero) are resampled with
the same draws, which makes them paired.

R2 is on returns. On price levels even persistence reaches 0.999, so it is not given.
"""

from typing import Any

import numpy as np

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.evaluation.bootstrap import Interval, Statistic, interval, mean_over_deviation, ratio
from b3shared.evaluation.metrics import CALIBRATION_BINS, divide


def _mean(column: int) -> Statistic:
    """Mean of a column over the rows that column 0 counts."""
    return lambda sums: divide(sums[..., column], sums[..., 0], empty=np.nan)


def _root_mean(column: int) -> Statistic:
    return lambda sums: np.sqrt(_mean(column)(sums))


def _excess(ours: int, theirs: int) -> Statistic:
    """Relative difference of two columns: above 0, ours is the greater."""
    return lambda sums: divide(sums[..., ours], sums[..., theirs], empty=np.nan) - 1


def _r2(sums: FloatArray) -> FloatArray:
    """R2 against the mean return of these rows, which nobody knew before: the stricter one."""
    n, squares, total, outcomes = (sums[..., k] for k in (0, 2, 3, 4))
    spread = outcomes - divide(total**2, n)
    return 1 - divide(squares, np.where(spread > 1e-12 * outcomes, spread, 0), empty=np.nan)


def _r2_over_zero(sums: FloatArray) -> FloatArray:
    """R2 against a return of zero (Gu, Kelly and Xiu 2020)."""
    return 1 - divide(sums[..., 2], sums[..., 4], empty=np.nan)


METRICS: dict[str, tuple[str, Statistic]] = {
    "return_mae": ("return_errors", _mean(1)),
    "return_mse": ("return_errors", _mean(2)),
    "return_rmse": ("return_errors", _root_mean(2)),
    "return_r2": ("return_errors", _r2),
    "return_r2_over_zero": ("return_errors", _r2_over_zero),
    "return_sign_accuracy": ("return_signs", ratio),
    "return_rank_ic": ("return_rank_ic", ratio),
    "return_icir": ("return_rank_ic", mean_over_deviation),
    "price_mae": ("price_errors", _mean(1)),
    "price_rmse": ("price_errors", _root_mean(2)),
    "price_mae_excess": ("price_errors", _excess(1, 3)),
    "price_mape": ("price_shares", _mean(1)),
    "price_mape_excess": ("price_shares", _excess(1, 2)),
    "interval_coverage": ("return_intervals", _mean(1)),
    "interval_width": ("return_intervals", _mean(2)),
    "interval_score": ("return_intervals", _mean(3)),
}
"""Metric -> the per-date columns that it needs, and its function of their sums.

``return_*`` are fractions, ``price_mae`` and ``price_rmse`` R$, ``price_mape`` a fraction of the
price that came. ``*_excess`` is that error over persistence's, less 1: 0.01 is one per cent worse.
``interval_width`` and ``interval_score`` are fractions of the price of t.
"""


def return_rows(
    predicted: FloatArray, actual: FloatArray, close: FloatArray
) -> dict[str, list[Array]]:
    """Return what each row adds to the columns, by their name.

    Args:
        predicted: (rows,) forecast total return, a fraction.
        actual: (rows,) return that followed.
        close: (rows,) price of t in R$: prices are ``close * (1 + return)``.
    """
    error = predicted - actual
    ones = np.ones(len(actual))
    outcome = close * (1 + actual)
    priced = outcome > 0  # a price that came to zero has no relative error
    signed = (predicted != 0) & (actual != 0)

    return {
        "return_errors": [ones, np.abs(error), error**2, actual, actual**2],
        "return_signs": [signed, signed & (np.sign(predicted) == np.sign(actual))],
        "price_errors": [ones, close * np.abs(error), (close * error) ** 2, close * np.abs(actual)],
        "price_shares": [
            priced,
            np.where(priced, divide(close * np.abs(error), outcome), 0.0),
            np.where(priced, divide(close * np.abs(actual), outcome), 0.0),
        ],
    }


def interval_rows(
    intervals: FloatArray, actual: FloatArray, level: float
) -> dict[str, list[Array]]:
    """Return what each row's interval adds to the columns; intervals are (rows, 2).

    The interval score is the width, plus 2 / (1 - level) times what the outcome lies outside
    (Gneiting and Raftery 2007, eq. 43): lower is better, and neither a wide interval nor a narrow
    one can cheat it.
    """
    low, high = intervals[:, 0], intervals[:, 1]
    outside = np.maximum(low - actual, 0) + np.maximum(actual - high, 0)
    width = high - low
    covered = (low <= actual) & (actual <= high)
    score = width + 2 / (1 - level) * outside

    return {"return_intervals": [np.ones(len(actual)), covered, width, score]}


def return_bins(
    predicted: FloatArray, actual: FloatArray, day: IntArray, counts: FloatArray
) -> list[dict[str, Any]]:
    """Mean forecast and mean actual return in bins of about equally many rows, by forecast.

    Empty bins are left out.

    Args:
        predicted: (rows,) forecast returns.
        actual: (rows,) return that followed.
        day: (rows,) number of each row's date.
        counts: as :func:`bootstrap.resample_counts` gives it, for the interval of the mean.
    """
    edges = np.quantile(predicted, np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1])
    number = np.searchsorted(edges, predicted, side="right")
    n_dates = counts.shape[1]
    table = []

    for b in np.unique(number):
        inside = number == b
        sums = [
            np.bincount(day[inside], weight, n_dates)
            for weight in (np.ones(inside.sum()), actual[inside])
        ]
        found: Interval = interval(np.stack(sums, axis=1), ratio, counts)
        row = {"rows": inside.sum(), "forecast": predicted[inside].mean()}
        table.append(row | {"observed": found.estimate, "ci95": found.ci95})

    return table
