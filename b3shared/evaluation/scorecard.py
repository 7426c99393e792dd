"""All metrics of one forecaster on one part, with the per-date sums behind their intervals."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.evaluation import metrics as m
from b3shared.evaluation import return_metrics as r
from b3shared.evaluation.bootstrap import (
    Interval,
    Statistic,
    interval,
    mean_over_deviation,
    moments,
    ratio,
)
from b3shared.evaluation.ranking import Daily, daily_rank_ic, quintile_spread


@dataclass(frozen=True)
class Outcome:
    """The actual outcomes in the rows of a part.

    Attributes:
        date: (rows,) datetime64[D].
        label: (rows,) int8 class codes, all known.
        future_return: (rows,) float64 total return over the horizon, a fraction.
        close: (rows,) float64 traded close of t in R$.
        prior: (3,) class shares of the train part: the forecast that skill is measured against.
        level: share of outcomes that an interval of the return was asked to cover.
    """

    date: Array
    label: IntArray
    future_return: FloatArray
    close: FloatArray
    prior: FloatArray
    level: float

    def __len__(self) -> int:
        return len(self.date)


def _on_confusion(metric: Statistic) -> Statistic:
    return lambda sums: metric(sums.reshape(*sums.shape[:-1], m.N_CLASSES, m.N_CLASSES))


def _skill(sums: FloatArray) -> FloatArray:
    """Skill from columns loss and loss of the prior."""
    return 1 - m.divide(sums[..., 0], sums[..., 1], empty=np.nan)


def _calibration_error(sums: FloatArray) -> FloatArray:
    """Calibration error from columns rows, then forecast minus observed per class and bin.

    The bins are those of the whole part.
    """
    return m.divide(np.abs(sums[..., 1:]).sum(axis=-1), m.N_CLASSES * sums[..., 0], empty=np.nan)


METRICS: dict[str, tuple[str, Statistic]] = {
    "accuracy": ("confusion", _on_confusion(m.accuracy)),
    "balanced_accuracy": ("confusion", _on_confusion(m.balanced_accuracy)),
    "macro_f1": ("confusion", _on_confusion(m.macro_f1)),
    "weighted_f1": ("confusion", _on_confusion(m.weighted_f1)),
    "mcc": ("confusion", _on_confusion(m.mcc)),
    "directional_accuracy": ("direction", ratio),
    "log_loss": ("log_loss", ratio),
    "log_loss_skill": ("skill", _skill),
    "brier": ("brier", ratio),
    "ece": ("calibration", _calibration_error),
    "rank_ic": ("rank_ic", ratio),
    "icir": ("rank_ic", mean_over_deviation),
    "quintile_spread": ("spread", ratio),
} | r.METRICS
"""Metric -> the per-date columns that it needs, and its function of their sums.

This is the one definition of both the metric and its interval.
"""


@dataclass(frozen=True)
class Scorecard:
    """The metrics of one forecaster on one part.

    Attributes:
        dates: (dates,) distinct dates, ascending.
        per_date: columns name -> (dates, k) sums over each date's rows, the input of the bootstrap.
        rank_ic: daily rank IC, None without a score.
        spread: daily quintile spread, None without a score.
        extra: metrics without an interval.
    """

    dates: Array
    per_date: dict[str, FloatArray]
    rank_ic: Daily | None = None
    spread: Daily | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_forecast(
        cls,
        outcome: Outcome,
        actions: IntArray,
        probabilities: FloatArray | None = None,
        score: FloatArray | None = None,
        returns: FloatArray | None = None,
        intervals: FloatArray | None = None,
    ) -> "Scorecard":
        """Score a forecast of each row; what it lacks (None) leaves the metrics of that out."""
        dates, day = np.unique(outcome.date, return_inverse=True)
        per_date = _action_sums(outcome, actions, day, len(dates))
        extra = _action_metrics(outcome, actions)

        if probabilities is not None:
            per_date |= _probability_sums(outcome, probabilities, day, len(dates))
            extra["prior_log_loss"] = float(per_date["skill"][:, 1].sum() / len(outcome))

        ic = spread = None
        if score is not None:
            ic = daily_rank_ic(score, outcome.future_return, outcome.date)
            spread = quintile_spread(score, outcome.future_return, outcome.date)
            per_date |= {"rank_ic": moments(ic.values), "spread": moments(spread.values)}
            extra |= {"rank_ic_dates": len(ic.used), "rank_ic_dates_skipped": ic.skipped}

        if returns is not None:
            rows = r.return_rows(returns, outcome.future_return, outcome.close)
            per_date |= {name: _by_day(day, len(dates), columns) for name, columns in rows.items()}
            per_date["return_rank_ic"] = moments(
                daily_rank_ic(returns, outcome.future_return, outcome.date).values
            )

        if intervals is not None:
            rows = r.interval_rows(intervals, outcome.future_return, outcome.level)
            per_date |= {name: _by_day(day, len(dates), columns) for name, columns in rows.items()}

        return cls(dates, per_date, ic, spread, extra)

    def metrics(self) -> dict[str, Any]:
        """Every metric by name; those that the forecast does not allow are absent."""
        named = {
            name: float(statistic(self.per_date[columns].sum(axis=0)))
            for name, (columns, statistic) in METRICS.items()
            if columns in self.per_date
        }
        return named | self.extra

    def intervals(self, counts: FloatArray) -> dict[str, Interval]:
        """Every metric with its intervals; ``counts`` is of :func:`bootstrap.resample_counts`."""
        return {
            name: interval(self.per_date[columns], statistic, counts)
            for name, (columns, statistic) in METRICS.items()
            if columns in self.per_date
        }


def _by_day(day: IntArray, n_dates: int, columns: list[Array]) -> FloatArray:
    return np.stack([np.bincount(day, column, n_dates) for column in columns], axis=1)


def _action_sums(
    outcome: Outcome, actions: IntArray, day: IntArray, n_dates: int
) -> dict[str, FloatArray]:
    cells = m.N_CLASSES**2
    cell = m.N_CLASSES * np.asarray(outcome.label, np.int64) + np.asarray(actions, np.int64)
    confusion = np.bincount(day * cells + cell, minlength=n_dates * cells).reshape(n_dates, cells)
    called, right = m.direction_hits(actions, outcome.future_return)
    return {
        "confusion": confusion.astype(np.float64),
        "direction": _by_day(day, n_dates, [called, right]),
    }


def _action_metrics(outcome: Outcome, actions: IntArray) -> dict[str, Any]:
    confusion = m.confusion_matrix(outcome.label, actions)
    return {
        "rows": len(outcome),
        "dates": len(np.unique(outcome.date)),
        "confusion_matrix": confusion,
        "per_class": m.per_class(confusion),
        "calls": int(confusion[:, [0, 2]].sum()),
    }


def _probability_sums(
    outcome: Outcome, p: FloatArray, day: IntArray, n_dates: int
) -> dict[str, FloatArray]:
    ones = np.ones(len(outcome))
    loss = m.row_log_loss(p, outcome.label)
    prior_loss = m.row_log_loss(np.broadcast_to(outcome.prior, p.shape), outcome.label)
    rows = _by_day(day, n_dates, [ones])

    return {
        "log_loss": _by_day(day, n_dates, [ones, loss]),
        "skill": _by_day(day, n_dates, [loss, prior_loss]),
        "brier": _by_day(day, n_dates, [ones, m.row_brier(p, outcome.label)]),
        "calibration": np.hstack([rows, _calibration_gaps(outcome, p, day, n_dates)]),
    }


def _calibration_gaps(outcome: Outcome, p: FloatArray, day: IntArray, n_dates: int) -> FloatArray:
    """(dates, 3 * bins) sums of forecast minus outcome by date, class and bin."""
    bins = m.CALIBRATION_BINS
    number = m.bin_numbers(p, m.bin_edges(p))
    gap = p - np.eye(m.N_CLASSES)[outcome.label]
    sums = [
        np.bincount(day * bins + number[:, c], gap[:, c], n_dates * bins)
        for c in range(m.N_CLASSES)
    ]
    return np.hstack([column.reshape(n_dates, bins) for column in sums])


def interval_json(found: Mapping[str, Interval]) -> dict[str, dict[str, Any]]:
    """Convert intervals to JSON types: name -> estimate, ci95 and ci99 as [low, high]."""
    return {
        k: {"estimate": i.estimate, "ci95": list(i.ci95), "ci99": list(i.ci99)}
        for k, i in found.items()
    }
