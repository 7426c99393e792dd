"""Chooses and draws the pictures of an evaluation."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.dataset.table import Dataset
from b3shared.evaluation.backtest import Backtest
from b3shared.evaluation.relative_return import Benchmarks
from b3shared.evaluation.report import plots, return_plots, signal_plots
from b3shared.evaluation.report.canvas import Figure
from b3shared.evaluation.report.titles import title_of

SAMPLE_SESSIONS = 126
"""Sessions of the newest half year: more markers than that hide each other."""


def draw_pictures(
    data: Dataset,
    rows: IntArray,
    actions: IntArray,
    returns: FloatArray | None,
    metrics: Mapping[str, Any],
    backtests: Mapping[str, Mapping[str, Mapping[Any, Backtest]]],
    benchmarks: Mapping[Any, Benchmarks],
) -> dict[str, bytes]:
    """Draw the test part's pictures: PNG bytes by name.

    Args:
        data: the whole table.
        rows: indices of the test rows.
        actions: (rows,) actions of the model.
        returns: (rows,) forecast returns, None when the model has none.
        metrics: finished, JSON types.
        backtests: strategy -> variant -> entry -> backtest.
        benchmarks: entry -> CDI and market.
    """
    newest = data.date[rows] >= np.unique(data.date[rows])[-SAMPLE_SESSIONS:][0]
    shown = rows[newest]
    predicted = actions[newest]
    expected = None if returns is None else returns[newest]
    # the same tickers in both pictures, so that they compare
    tickers = signal_plots.diverse_tickers(data.ticker[shown], predicted)

    months = metrics["months"]
    test = metrics["model"]["test"]
    ranked = {"model": metrics["intervals"]["rank_ic"]}
    ranked |= {
        title_of(name): baseline["intervals"]["rank_ic"]
        for name, baseline in metrics["baselines"].items()
        if "rank_ic" in baseline["intervals"]
    }

    found = {
        "rank_ic_comparison": plots.plot_comparison(
            ranked,
            "Who orders the stocks of a day best?",
            "mean daily rank IC (Spearman), with 95 % interval",
        ),
        "confusion_matrix": plots.plot_confusion_matrix(
            test["confusion_matrix"], "Confusion matrix, test part"
        ),
        "reliability": plots.plot_reliability(metrics["reliability"], "Reliability, test part"),
        "ic_by_month": plots.plot_ic_by_month(
            [m["month"] for m in months], [m["rank_ic"] for m in months]
        ),
        "equity": _equity(backtests, benchmarks),
        "action_samples_predictions": _samples(
            data, shown, predicted, expected, "predictions", tickers
        ),
        "action_samples_labels": _samples(data, shown, data.label[shown], None, "labels", tickers),
    }

    if metrics["importance"]:
        found["feature_importance"] = plots.plot_feature_importance(metrics["importance"])
    found |= _of_returns(metrics)
    return {name: plots.png(figure) for name, figure in found.items()}


def _of_returns(metrics: Mapping[str, Any]) -> dict[str, Figure]:
    """Draw the pictures that only a model with returns, intervals or epochs has."""
    found: dict[str, Figure] = {}
    if metrics["training"]:
        found["training_curves"] = return_plots.plot_training_curves(metrics["training"])
    if metrics["return_bins"]:
        found["return_calibration"] = return_plots.plot_return_calibration(metrics["return_bins"])
    if metrics["return_interval"]:
        months = metrics["months"]
        level = metrics["return_interval"]["level"]
        coverage = [m["interval_coverage"] for m in months]
        found["coverage_by_month"] = return_plots.plot_coverage_by_month(
            [m["month"] for m in months], coverage, level
        )

    return found


def _equity(
    backtests: Mapping[str, Mapping[str, Mapping[Any, Backtest]]],
    benchmarks: Mapping[Any, Benchmarks],
) -> Figure:
    model = backtests["model"]
    entry = "next_close"
    curves = {
        "model, long only": model["long_only"][entry],
        "model, long-short": model["long_short"][entry],
        "all stocks equally": backtests["universe"]["long_only"][entry],
    }
    curves |= benchmarks[entry].curves()
    dates = curves["all stocks equally"].dates

    return plots.plot_equity(
        dates,
        {name: backtest.equity[: len(dates)] for name, backtest in curves.items()},
        "Value of 1 invested, after costs, entered one session later",
    )


def _samples(
    data: Dataset,
    rows: IntArray,
    actions: IntArray,
    returns: FloatArray | None,
    source: str,
    tickers: list[str],
) -> Figure:
    close = data.close[rows]
    return signal_plots.plot_action_samples_by_ticker(
        data.ticker[rows],
        data.date[rows],
        close,
        np.asarray(actions),
        predicted_price=None if returns is None else close * (1 + returns),
        predicted_dates=data.label_end[rows],
        source=source,
        tickers=tickers,
    )
