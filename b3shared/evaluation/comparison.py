"""The model against the baselines on the same rows: paired by date, resampled with the same draws."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.dataset.table import Dataset
from b3shared.evaluation.baselines import Baseline
from b3shared.evaluation.bootstrap import Interval, paired_interval
from b3shared.evaluation.scorecard import FIGURES, Scorecard
from b3shared.models.conformal import ReturnScale
from b3shared.params.run import PipelineParams

LOSSES = ("price_mape", "return_mae", "interval_score")
"""Figures of a return forecast that are compared with persistence's; lower is better."""


def differences(
    model: Scorecard, baselines: Mapping[str, Scorecard], counts: FloatArray, *, rule: bool
) -> dict[str, Interval]:
    """A gain is in the model's favour when it is above 0: a loss that is lower, a rank IC or F1 that is higher.

    Args:
        model: of the test part.
        baselines: by name, of the same part.
        counts: as :func:`bootstrap.resample_counts` gives it.
        rule: the label is the reference project's rule: compare macro F1 with today's rule as well.
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
    stays = baselines["persistence"]
    shared = [
        name
        for name in LOSSES
        if FIGURES[name][0] in model.per_date and FIGURES[name][0] in stays.per_date
    ]
    found |= {f"{name}_gain_over_persistence": gain(name, model, stays, counts) for name in shared}
    if rule:
        found["macro_f1_gain_over_reference_rule"] = gain(
            "macro_f1", model, baselines["reference_rule"], counts
        )
    return found


def gain(figure: str, model: Scorecard, other: Scorecard, counts: FloatArray) -> Interval:
    """By how much the model is better in one figure, with its paired interval."""
    columns, statistic = FIGURES[figure]
    ours, theirs = model.per_date[columns], other.per_date[columns]
    lower_is_better = figure == "log_loss" or figure in LOSSES
    return paired_interval(
        *((theirs, ours) if lower_is_better else (ours, theirs)), statistic, counts
    )


def calibration_rows(data: Dataset, val: IntArray, training: Mapping[str, Any]) -> IntArray:
    """The validation rows that the model's own intervals were set on: the newest, as many as its summary says.

    All of them where it does not say; rows of one date are never parted.
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
    """The baselines, with an interval around persistence's zero of the same kind as the model's.

    Split conformal, scaled by volatility: only its quantile is fitted, on outcomes of the rows
    ``fitted``.

    Raises:
        TooLittleHistoryError: Too few rows to fit it on.
    """
    zeros, level = np.zeros(len(fitted)), params.interval_level
    scale = ReturnScale.fit(
        zeros,
        data.volatility[fitted],
        data.future_return[fitted],
        horizon=params.horizon,
        level=level,
    )
    intervals = scale.intervals(np.zeros(len(rows)), data.volatility[rows])
    return [
        replace(b, intervals=intervals) if b.name == "persistence" else b for b in baselines
    ], scale
