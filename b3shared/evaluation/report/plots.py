"""Plots of an evaluation: arrays in, matplotlib ``Figure`` out, :func:`png` for the bytes.

No pyplot, so no global state, no display and no leak of figures between runs. Colours are Okabe and
Ito's, which differ for colour-blind readers too; buy, hold and sell also differ by marker.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.core.vocabulary import CLASSES
from b3shared.evaluation.metrics import divide
from b3shared.evaluation.report.canvas import AutoDateLocator, Axes, ConciseDateFormatter, Figure

BLUE = "#0072B2"
ORANGE = "#E69F00"
GREY = "#8A8A8A"
INK = "#22262B"
CLASS_COLOURS = ("#009E73", GREY, "#D55E00")
"""Colours of buy, hold and sell."""


def png(figure: Figure, dpi: int = 110) -> bytes:
    """Convert a figure to PNG bytes; the same figure gives the same bytes."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def new_axes(
    width: float, height: float, title: str, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Make a figure in the report's style, sizes in inches, and its axes row by row."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    grid = figure.subplots(rows, columns, squeeze=False, **options)
    figure.suptitle(title, fontsize=11, fontweight="bold", color=INK)
    for axes in grid.flat:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8.5)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)
    return figure, list(grid.flat)


def time_axis(axes: Axes) -> None:
    """Label the x axis with dates, as short as possible."""
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def month_axis(axes: Axes, months: Sequence[str]) -> None:
    """Label the x axis with months, about twelve of them."""
    step = max(len(months) // 12, 1)
    axes.set_xticks(range(0, len(months), step), list(months)[::step], rotation=45, ha="right")
    axes.grid(axis="x", visible=False)


def plot_confusion_matrix(confusion: IntArray, title: str = "Confusion matrix") -> Figure:
    """Plot counts and shares of the actual class; rows are actual classes, columns predicted.

    Args:
        confusion: (3, 3) counts as :func:`metrics.confusion_matrix` gives them.
        title: above the figure.
    """
    confusion = np.asarray(confusion)
    share = divide(confusion, confusion.sum(axis=1, keepdims=True))

    figure, (axes,) = new_axes(4.8, 4.2, title)
    axes.grid(False)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*confusion.shape):
        text = f"{confusion[row, column]:,}\n{share[row, column]:.1%}"
        colour = "white" if share[row, column] > 0.55 else INK
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=10)
    axes.set_xticks(range(len(CLASSES)), CLASSES)
    axes.set_yticks(range(len(CLASSES)), CLASSES)
    axes.set_xlabel("predicted (rows of the part)")
    axes.set_ylabel("actual (share of this class)")
    return figure


def plot_feature_importance(
    importance: Mapping[str, float], top: int = 20, title: str = "Feature importance"
) -> Figure:
    """Plot horizontal bars of the most important features, the greatest on top.

    Args:
        importance: feature name -> weight, summing to 1 over all features.
        top: how many to show.
        title: above the figure.
    """
    ranked = sorted(importance.items(), key=lambda item: (-item[1], item[0]))[:top]
    names = [name for name, _ in ranked]
    weights = [100 * weight for _, weight in ranked]

    figure, (axes,) = new_axes(6.4, 1.2 + 0.24 * max(len(ranked), 3), title)
    axes.barh(names[::-1], weights[::-1], color=BLUE, height=0.7)
    axes.margins(y=0.02)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"share of the total importance (%), top {len(ranked)} of {len(importance)}")
    return figure


def plot_reliability(
    bins: Mapping[str, Sequence[Mapping[str, float]]], title: str = "Reliability"
) -> Figure:
    """Plot the observed share of each class against its forecast probability.

    On the diagonal the probabilities are right.

    Args:
        bins: what :func:`metrics.reliability_bins` returns.
        title: above the figure.
    """
    figure, (axes,) = new_axes(5.2, 4.6, title)
    points = [
        b[side]
        for classwise in bins.values()
        for b in classwise
        for side in ("forecast", "observed")
    ]
    low = max(min(points, default=0) - 0.03, 0)
    high = min(max(points, default=1) + 0.03, 1)
    axes.plot(
        [low, high],
        [low, high],
        color=GREY,
        linestyle="--",
        linewidth=1,
        label="perfectly calibrated",
    )
    for name, colour, marker in zip(CLASSES, CLASS_COLOURS, "^ov", strict=True):
        classwise = bins.get(name, [])
        forecast = [b["forecast"] for b in classwise]
        observed = [b["observed"] for b in classwise]
        axes.plot(
            forecast, observed, color=colour, marker=marker, markersize=5, linewidth=1.3, label=name
        )
    axes.set_xlabel("forecast probability (mean of the bin)")
    axes.set_ylabel("observed share of the class")
    axes.legend(fontsize=8.5, frameon=False)

    return figure


def plot_ic_by_month(
    months: Sequence[str], ic: Sequence[float | None], title: str = "Daily rank IC, mean by month"
) -> Figure:
    """Plot bars of the monthly mean of the daily rank IC, and their mean as a line.

    Args:
        months: "2023-01", ...
        ic: mean of the month's daily rank ICs; None or NaN where no date counted.
        title: above the figure.
    """
    values = np.array([np.nan if v is None else v for v in ic], np.float64)
    known = values[~np.isnan(values)]

    figure, (axes,) = new_axes(7.2, 3.2, title)
    axes.bar(
        range(len(values)),
        np.nan_to_num(values),
        color=[BLUE if v >= 0 else ORANGE for v in np.nan_to_num(values)],
    )
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.margins(y=0.22)
    if len(known):
        axes.axhline(
            known.mean(),
            color=INK,
            linestyle="--",
            linewidth=1,
            label=f"mean of the months {known.mean():+.3f}",
        )
        axes.legend(fontsize=8.5, frameon=False, loc="upper left")
    month_axis(axes, months)
    axes.set_ylabel("rank IC (Spearman, -1 to 1)")
    return figure


def plot_equity(
    dates: Array, curves: Mapping[str, FloatArray], title: str = "Value of 1 invested, after costs"
) -> Figure:
    """Plot equity curves of strategies on the same dates.

    Args:
        dates: (dates,) datetime64[D].
        curves: name -> (dates,) value of 1 invested at the first date.
        title: above the figure.
    """
    figure, (axes,) = new_axes(7.2, 3.6, title)
    styles = [
        (BLUE, "-"),
        (ORANGE, "-"),
        (INK, "--"),
        ("#CC79A7", "-"),
        ("#009E73", "-"),
        ("#56B4E9", ":"),
    ]
    for number, (name, values) in enumerate(curves.items()):
        colour, line = styles[number % len(styles)]
        axes.plot(dates, values, color=colour, linestyle=line, linewidth=1.4, label=name)
    axes.axhline(1, color=GREY, linewidth=0.8)
    time_axis(axes)
    axes.set_ylabel("value (1 = start)")
    axes.legend(fontsize=8.5, frameon=False)

    return figure


def plot_comparison(
    intervals: Mapping[str, Mapping[str, Any]], title: str, label: str, reference: float = 0.0
) -> Figure:
    """Plot one point and 95 % interval per forecaster, the first on top; a line marks no skill.

    Args:
        intervals: name -> {"estimate": x, "ci95": [low, high]}; bounds may be None or NaN.
        title: above the figure.
        label: of the axis, with its unit.
        reference: where the line of no skill stands.
    """
    figure, (axes,) = new_axes(6.4, 1.3 + 0.34 * max(len(intervals), 2), title)
    for row, found in enumerate(intervals.values()):
        colour = BLUE if row == 0 else GREY
        low, high = (np.nan if bound is None else bound for bound in found["ci95"])
        axes.plot([low, high], [row, row], color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot([found["estimate"]], [row], marker="o", color=colour, markersize=6)

    axes.axvline(reference, color=INK, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(intervals)), list(intervals))
    axes.set_ylim(len(intervals) - 0.5, -0.5)
    axes.set_xlabel(label)
    return figure
