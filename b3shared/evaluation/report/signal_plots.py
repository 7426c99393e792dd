"""Pictures of signals on prices: one ticker, or up to five of them, one below the other."""

from collections.abc import Sequence

import numpy as np

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.core.vocabulary import BUY, CLASSES, HOLD, SELL
from b3shared.evaluation.report.canvas import Axes, Figure
from b3shared.evaluation.report.plots import BLUE, CLASS_COLOURS, INK, new_axes, time_axis

MARKERS = {HOLD: ("o", 9), BUY: ("^", 30), SELL: ("v", 30)}
"""Class -> marker and its size; hold first, so that buy and sell lie on top."""
MAX_TICKERS = 5


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
        chosen = actions == action
        axes.scatter(
            dates[chosen],
            close[chosen],
            marker=marker,
            s=size,
            color=CLASS_COLOURS[action],
            linewidths=0,
            zorder=3 if action == HOLD else 4,
            label=f"{CLASSES[action]} ({np.count_nonzero(chosen)})",
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
    """Plot one ticker's price with a marker per row: buy green up, sell red down, hold grey.

    Args:
        ticker: name of the stock.
        dates: (rows,) datetime64[D], ascending.
        close: (rows,) R$.
        actions: (rows,) class codes.
        predicted_price: (rows,) R$, drawn dashed.
        predicted_dates: (rows,) the date that each predicted price is meant for; without it, the
            row's own.
        source: source of the actions, "predictions" or "labels"; part of the title.
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
    """Choose tickers with diverse actions: most classes, then most rows of the rarest class."""
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
    """Plot price and signals of up to five tickers with diverse actions, one below the other.

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
        tickers: exactly these; None to choose them.
    """
    target = dates if predicted_dates is None else predicted_dates
    chosen = diverse_tickers(ticker, actions, max_samples) if tickers is None else list(tickers)
    n_rows = max(len(chosen), 1)
    title = f"Price and {source} of {len(chosen)} tickers"

    figure, grid = new_axes(9.0, 2.5 * n_rows + 0.5, title, rows=n_rows)
    for axes, name in zip(grid, chosen, strict=False):
        rows = np.flatnonzero(ticker == name)
        rows = rows[np.argsort(dates[rows], kind="stable")]
        predicted = None if predicted_price is None else (target[rows], predicted_price[rows])
        _draw_signals(axes, name, dates[rows], close[rows], actions[rows], predicted)
    return figure
