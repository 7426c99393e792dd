"""Compares the model with the baselines on the same rows, paired by date."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.dataset.table import Dataset
from b3shared.evaluation.baselines import Baseline
from b3shared.evaluation.bootstrap import Interval, paired_interval
from b3shared.evaluation.scorecard import METRICS, Scorecard
from b3shared.models.conformal import ReturnScale
from b3shared.params.run import PipelineParams

LOSSES = ("price_mape", "return_mae", "interval_score")
"""Metrics of a return forecast that are compared with persistence's; lower is better."""


def differences(
    model: Scorecard, baselines: Mapping[str, Scorecard], counts: FloatArray, *, rule: bool
) -> dict[str, Interval]:
    """Gains of the model over the baselines by name; above 0, the model is better.

    Args:
        model: metrics of the test part.
        baselines: metrics of the same part, by name.
        counts: as :func:`bootstrap.resample_counts` gives it.
        rule: whether the label is the reference project's rule: macro F1 is compared with today's
            rule then.
    """
    losses = {
        "prior": baselines["majority"],
        "logistic_regression": baselines["logistic_regression"],
    }
    found = {
        f"log_loss_gain_over_{name}": gain("log_loss", model, card, counts)
        for name, card in losses.items()
    }

    ranked = {name: card for name, card in baselines.items() if "rank_ic" in card.per_date}
    found |= {
        f"rank_ic_gain_over_{name}": gain("rank_ic", model, card, counts)
        for name, card in ranked.items()
    }

    persistence = baselines["persistence"]
    shared = [
        name
        for name in LOSSES
        if METRICS[name][0] in model.per_date and METRICS[name][0] in persistence.per_date
    ]
    found |= {
        f"{name}_gain_over_persistence": gain(name, model, persistence, counts) for name in shared
    }

    if rule:
        found["macro_f1_gain_over_reference_rule"] = gain(
            "macro_f1", model, baselines["reference_rule"], counts
        )
    return found


def gain(metric: str, model: Scorecard, other: Scorecard, counts: FloatArray) -> Interval:
    """Compute by how much the model is better in one metric, with its paired interval."""
    columns, statistic = METRICS[metric]
    ours = model.per_date[columns]
    theirs = other.per_date[columns]
    lower_is_better = metric == "log_loss" or metric in LOSSES
    better, worse = (theirs, ours) if lower_is_better else (ours, theirs)
    return paired_interval(better, worse, statistic, counts)


def calibration_rows(data: Dataset, val: IntArray, training: Mapping[str, Any]) -> IntArray:
    """The validation rows that the model's own intervals were fitted on.

    These are the newest, as many as the summary of its training gives, else all of them; rows of
    one date are never parted.
    """
    n = training.get("rows", {}).get("calibrate", len(val))
    first = np.sort(data.date[val])[-min(max(n, 1), len(val))]
    newest: IntArray = val[data.date[val] >= first]
    return newest


def with_persistence_interval(
    baselines: list[Baseline],
    data: Dataset,
    fitted: IntArray,
    rows: IntArray,
    params: PipelineParams,
) -> tuple[list[Baseline], ReturnScale]:
    """Add an interval to persistence: around zero, of the same kind as the model's.

    It is split conformal, scaled by volatility: only its quantile is fitted, on the outcomes of the
    rows ``fitted``.

    Raises:
        TooLittleHistoryError: Too few rows to fit it on.
    """
    scale = ReturnScale.fit(
        np.zeros(len(fitted)),
        data.volatility[fitted],
        data.future_return[fitted],
        horizon=params.horizon,
        level=params.interval_level,
    )
    intervals = scale.intervals(np.zeros(len(rows)), data.volatility[rows])
    extended = [
        replace(baseline, intervals=intervals) if baseline.name == "persistence" else baseline
        for baseline in baselines
    ]

    return extended, scale
