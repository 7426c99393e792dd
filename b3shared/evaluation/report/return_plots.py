"""Plots of a return forecast, its interval and its training."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from b3shared.evaluation.report.canvas import Figure, MaxNLocator
from b3shared.evaluation.report.plots import BLUE, GREY, INK, ORANGE, month_axis, new_axes


def plot_training_curves(
    curves: Mapping[str, Any], title: str = "Training, epoch by epoch"
) -> Figure:
    """Plot the loss on train and validation by epoch, and which epoch's weights were kept.

    Args:
        curves: what :func:`learning_curves.learning_curves` returns; losses may be None.
        title: above the figure.
    """
    figure, (axes,) = new_axes(7.2, 3.6, title)
    shown = {"train_loss": ("train", ORANGE, "o"), "val_loss": ("validation", BLUE, "s")}
    for name, (label, colour, marker) in shown.items():
        if name in curves:
            axes.plot(
                curves["epochs"],
                _numbers(curves[name]),
                color=colour,
                marker=marker,
                markersize=4,
                label=label,
            )

    if curves["best_epoch"] is not None:
        best = curves["best_epoch"]
        axes.axvline(best, color=INK, linestyle="--", linewidth=1, label=f"kept: epoch {best}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    if axes.lines:
        axes.legend(fontsize=8.5, frameon=False)
    return figure


def plot_return_calibration(
    bins: Sequence[Mapping[str, Any]], title: str = "Forecast and realised return"
) -> Figure:
    """Plot the mean actual return of each bin against its mean forecast.

    On the diagonal the forecasts are right.

    Args:
        bins: what :func:`return_metrics.return_bins` returns, fractions; bounds may be None or NaN.
        title: above the figure.
    """
    figure, (axes,) = new_axes(5.6, 4.6, title)
    forecast = 100 * _numbers([b["forecast"] for b in bins])
    observed = 100 * _numbers([b["observed"] for b in bins])
    low, high = (100 * _numbers([b["ci95"][end] for b in bins]) for end in (0, 1))

    if len(bins):
        axes.plot(
            forecast[[0, -1]],
            forecast[[0, -1]],
            color=GREY,
            linestyle="--",
            linewidth=1,
            label="what was forecast",
        )
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.vlines(forecast, low, high, color=BLUE, linewidth=1.6, label="95 % interval")
    axes.plot(
        forecast, observed, color=BLUE, marker="o", markersize=5, linewidth=1.2, label="realised"
    )
    axes.set_xlabel("forecast return (%, mean of the bin)")
    axes.set_ylabel("realised return (%, mean of the bin)")
    axes.legend(fontsize=8.5, frameon=False)
    return figure


def plot_coverage_by_month(
    months: Sequence[str],
    coverage: Sequence[float | None],
    level: float,
    title: str = "Share of returns inside the interval",
) -> Figure:
    """Plot the coverage of each month beside the level that was asked for.

    Args:
        months: "2023-01", ...
        coverage: share of the month's outcomes inside their interval; None or NaN where there are
            none.
        level: the share that was asked for.
        title: above the figure.
    """
    figure, (axes,) = new_axes(7.2, 3.2, title)
    values = 100 * _numbers(coverage)
    axes.plot(
        range(len(values)),
        values,
        color=BLUE,
        marker="o",
        markersize=5,
        linewidth=1.2,
        label="month",
    )
    axes.axhline(
        100 * level, color=INK, linestyle="--", linewidth=1, label=f"asked for: {level:.0%}"
    )
    axes.margins(y=0.22)
    month_axis(axes, months)
    axes.set_ylabel("covered (%)")
    axes.legend(fontsize=8.5, frameon=False)

    return figure


def _numbers(values: Sequence[float | None]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([np.nan if value is None else value for value in values], np.float64)
