"""Public plotting utilities: arrays in, matplotlib ``Figure`` out, :func:`png` for the bytes.

No pyplot, so no global state, no display and no leak of figures between runs. Colours are Okabe and
Ito's, which differ for colour-blind readers too; buy, hold and sell also differ by marker.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import numpy as np

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.core.vocabulary import BUY, CLASSES, HOLD, SELL
from b3shared.evaluation.metrics import divide
from b3shared.evaluation.report.canvas import AutoDateLocator, Axes, ConciseDateFormatter, Figure

BLUE, ORANGE, GREY, INK = "#0072B2", "#E69F00", "#8A8A8A", "#22262B"
CLASS_COLOURS = ("#009E73", GREY, "#D55E00")
"""Of buy, hold and sell."""
MARKERS = {HOLD: ("o", 9), BUY: ("^", 30), SELL: ("v", 30)}
"""Class -> marker and its size; hold first, so that calls lie on top."""
MAX_TICKERS = 5


def png(figure: Figure, dpi: int = 110) -> bytes:
    """The figure as PNG bytes; the same figure gives the same bytes."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def new_axes(
    width: float, height: float, title: str, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of the house's style, inches wide and high, and its axes row by row."""
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
    """Dates along the bottom, as short as they can be told."""
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def month_axis(axes: Axes, months: Sequence[str]) -> None:
    """Months along the bottom, at most some twelve of them named."""
    step = max(len(months) // 12, 1)
    axes.set_xticks(range(0, len(months), step), list(months)[::step], rotation=45, ha="right")
    axes.grid(axis="x", visible=False)


def plot_confusion_matrix(confusion: IntArray, title: str = "Confusion matrix") -> Figure:
    """Counts and, below them, the share of the true class; rows are actual classes, columns predicted ones.

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
    """Horizontal bars of the most important features, the greatest on top.

    Args:
        importance: feature name -> weight, summing to 1 over all features.
        top: how many to show.
        title: above the figure.
    """
    ranked = sorted(importance.items(), key=lambda item: (-item[1], item[0]))[:top]
    names, weights = [name for name, _ in ranked], [100 * weight for _, weight in ranked]
    figure, (axes,) = new_axes(6.4, 1.2 + 0.24 * max(len(ranked), 3), title)
    axes.barh(names[::-1], weights[::-1], color=BLUE, height=0.7)
    axes.margins(y=0.02)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"share of the total importance (%), top {len(ranked)} of {len(importance)}")
    return figure


def plot_reliability(
    bins: Mapping[str, Sequence[Mapping[str, float]]], title: str = "Reliability"
) -> Figure:
    """Observed share of each class against its forecast probability; on the diagonal, forecasts mean what they say.

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
    low, high = (max(min(points) - 0.03, 0), min(max(points) + 0.03, 1)) if points else (0, 1)
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
        forecast, observed = [b["forecast"] for b in classwise], [b["observed"] for b in classwise]
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
    """Bars of the monthly mean of the daily rank IC, and their mean as a line.

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
    """Equity curves of strategies on the same dates.

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
    """One point and 95 % interval per forecaster, the first on top, with a line at what no skill earns.

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


def _draw_signals(
    axes: Axes,
    ticker: str,
    dates: Array,
    close: FloatArray,
    actions: IntArray,
    predicted: tuple[Array, FloatArray] | None,
) -> None:
    axes.plot(dates, close, color=INK, linewidth=1, label="close", zorder=1)
    if predicted is not None:
        axes.plot(
            *predicted, color=BLUE, linestyle="--", linewidth=1, label="predicted price", zorder=2
        )
    for action, (marker, size) in MARKERS.items():
        called = actions == action
        axes.scatter(
            dates[called],
            close[called],
            marker=marker,
            s=size,
            color=CLASS_COLOURS[action],
            linewidths=0,
            zorder=3 if action == HOLD else 4,
            label=f"{CLASSES[action]} ({np.count_nonzero(called)})",
        )
    axes.set_title(ticker, fontsize=10, loc="left")
    axes.set_ylabel("price (R$)")
    time_axis(axes)
    axes.legend(fontsize=7.5, frameon=False, ncols=5, loc="upper left")
    axes.margins(y=0.18)


def plot_price_with_signals(
    ticker: str,
    dates: Array,
    close: FloatArray,
    actions: IntArray,
    *,
    predicted_price: FloatArray | None = None,
    predicted_dates: Array | None = None,
    source: str = "predictions",
) -> Figure:
    """One ticker's price with a marker per row: buy green up, sell red down, hold small grey.

    Args:
        ticker: name of the stock.
        dates: (rows,) datetime64[D], ascending.
        close: (rows,) R$.
        actions: (rows,) class codes.
        predicted_price: (rows,) R$, drawn dashed.
        predicted_dates: (rows,) the date that each predicted price is meant for; without it, the
            row's own.
        source: what the markers are, "predictions" or "labels"; it goes into the title.
    """
    figure, (axes,) = new_axes(9.0, 3.6, f"{ticker}: price and {source}")
    target = dates if predicted_dates is None else predicted_dates
    predicted = None if predicted_price is None else (target, predicted_price)
    _draw_signals(
        axes, ticker, np.asarray(dates), np.asarray(close), np.asarray(actions), predicted
    )
    axes.set_title("")
    return figure


def diverse_tickers(ticker: Array, actions: IntArray, limit: int = MAX_TICKERS) -> list[str]:
    """Tickers that show the most different actions: by number of classes, then by how often the rarest one occurs."""
    names, number = np.unique(ticker, return_inverse=True)
    counts = np.zeros((len(names), len(CLASSES)), np.int64)
    np.add.at(counts, (number, np.asarray(actions, np.int64)), 1)
    classes = (counts > 0).sum(axis=1)
    rarest = np.where(counts > 0, counts, counts.max(initial=0) + 1).min(axis=1)
    order = np.lexsort((names, -rarest, -classes))[:limit]
    return [str(names[i]) for i in order]


def plot_action_samples_by_ticker(
    ticker: Array,
    dates: Array,
    close: FloatArray,
    actions: IntArray,
    *,
    predicted_price: FloatArray | None = None,
    predicted_dates: Array | None = None,
    source: str = "predictions",
    max_samples: int = MAX_TICKERS,
    tickers: Sequence[str] | None = None,
) -> Figure:
    """Price with signals of up to five tickers that show diverse actions, one below the other.

    Args:
        ticker: (rows,) str.
        dates: (rows,) datetime64[D].
        close: (rows,) R$.
        actions: (rows,) class codes.
        predicted_price: (rows,) R$, drawn dashed.
        predicted_dates: (rows,) the date that each predicted price is meant for; without it, the
            row's own.
        source: "predictions" or "labels".
        max_samples: at most so many tickers.
        tickers: these, whatever their actions are.
    """
    target = dates if predicted_dates is None else predicted_dates
    chosen = diverse_tickers(ticker, actions, max_samples) if tickers is None else list(tickers)
    height = 2.5 * max(len(chosen), 1) + 0.5
    figure, grid = new_axes(
        9.0, height, f"Price and {source} of {len(chosen)} tickers", rows=max(len(chosen), 1)
    )
    for axes, name in zip(grid, chosen, strict=False):
        rows = np.flatnonzero(ticker == name)
        rows = rows[np.argsort(dates[rows], kind="stable")]
        predicted = None if predicted_price is None else (target[rows], predicted_price[rows])
        _draw_signals(axes, name, dates[rows], close[rows], actions[rows], predicted)
    return figure
