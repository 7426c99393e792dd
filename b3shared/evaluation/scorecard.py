"""All figures of one forecaster on one part, and the per-date sums that give each of them its interval."""

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
    """What happened in the rows of a part.

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


def _on_confusion(figure: Statistic) -> Statistic:
    return lambda sums: figure(sums.reshape(*sums.shape[:-1], m.N_CLASSES, m.N_CLASSES))


def _skill(sums: FloatArray) -> FloatArray:
    """Columns: loss, loss of the prior."""
    return 1 - m.divide(sums[..., 0], sums[..., 1], empty=np.nan)


def _calibration_error(sums: FloatArray) -> FloatArray:
    """Columns: rows, then forecast minus observed per class and bin; the bins are those of the whole part."""
    return m.divide(np.abs(sums[..., 1:]).sum(axis=-1), m.N_CLASSES * sums[..., 0], empty=np.nan)


FIGURES: dict[str, tuple[str, Statistic]] = {
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
} | r.FIGURES
"""Figure -> the per-date columns that it needs and how it follows from their sums: the one definition of both the
figure and its interval."""


@dataclass(frozen=True)
class Scorecard:
    """One forecaster on one part.

    Attributes:
        dates: (dates,) distinct dates, ascending.
        per_date: columns name -> (dates, k) sums over each date's rows, the input of the bootstrap.
        rank_ic: daily rank IC, None without a score.
        spread: daily quintile spread, None without a score.
        extra: figures that have no interval.
    """

    dates: Array
    per_date: dict[str, FloatArray]
    rank_ic: Daily | None = None
    spread: Daily | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        outcome: Outcome,
        actions: IntArray,
        probabilities: FloatArray | None = None,
        score: FloatArray | None = None,
        returns: FloatArray | None = None,
        intervals: FloatArray | None = None,
    ) -> "Scorecard":
        """Score what a forecaster said of each row; what it does not say (None) leaves its figures out."""
        dates, day = np.unique(outcome.date, return_inverse=True)
        per_date, extra = (
            _action_sums(outcome, actions, day, len(dates)),
            _action_figures(outcome, actions),
        )
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

    def figures(self) -> dict[str, Any]:
        """Every figure by name; those that the forecaster does not allow are absent."""
        named = {
            name: float(statistic(self.per_date[columns].sum(axis=0)))
            for name, (columns, statistic) in FIGURES.items()
            if columns in self.per_date
        }
        return named | self.extra

    def intervals(self, counts: FloatArray) -> dict[str, Interval]:
        """Every figure with its bootstrap intervals; ``counts`` as :func:`bootstrap.resample_counts` gives it."""
        return {
            name: interval(self.per_date[columns], statistic, counts)
            for name, (columns, statistic) in FIGURES.items()
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


def _action_figures(outcome: Outcome, actions: IntArray) -> dict[str, Any]:
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
    ones, loss = np.ones(len(outcome)), m.row_log_loss(p, outcome.label)
    prior_loss = m.row_log_loss(np.broadcast_to(outcome.prior, p.shape), outcome.label)
    return {
        "log_loss": _by_day(day, n_dates, [ones, loss]),
        "skill": _by_day(day, n_dates, [loss, prior_loss]),
        "brier": _by_day(day, n_dates, [ones, m.row_brier(p, outcome.label)]),
        "calibration": np.hstack(
            [_by_day(day, n_dates, [ones]), _calibration_gaps(outcome, p, day, n_dates)]
        ),
    }


def _calibration_gaps(outcome: Outcome, p: FloatArray, day: IntArray, n_dates: int) -> FloatArray:
    """(dates, 3 * bins) forecast minus outcome summed per date, class and bin."""
    number, gap = m.bin_numbers(p, m.bin_edges(p)), p - np.eye(m.N_CLASSES)[outcome.label]
    size = n_dates * m.CALIBRATION_BINS
    sums = [
        np.bincount(day * m.CALIBRATION_BINS + number[:, c], gap[:, c], size).reshape(
            n_dates, m.CALIBRATION_BINS
        )
        for c in range(m.N_CLASSES)
    ]
    return np.hstack(sums)


def interval_json(found: Mapping[str, Interval]) -> dict[str, dict[str, Any]]:
    """Intervals as JSON types: name -> estimate, ci95 and ci99 as [low, high]."""
    return {
        k: {"estimate": i.estimate, "ci95": list(i.ci95), "ci99": list(i.ci99)}
        for k, i in found.items()
    }
