"""Pictures of actions and forecast prices along the price of a few tickers."""

import numpy as np
import pytest

from b3shared.core.vocabulary import BUY, HOLD, SELL
from b3shared.evaluation.report import signal_plots
from b3shared.evaluation.report.plots import png

PNG = b"\x89PNG\r\n\x1a\n"
DATES = np.datetime64("2023-01-02") + np.arange(30)


def markers(axes):
    """Label of the legend -> (x of the points, colour)."""
    return {
        c.get_label(): (np.asarray(c.get_offsets()), c.get_facecolor()[0])
        for c in axes.collections
        if len(c.get_offsets())
    }


def test_signals_have_the_marker_and_colour_of_their_class_at_their_dates():
    actions = np.array([0, 1, 2] * 10)
    close = np.linspace(10, 12, 30)
    figure = signal_plots.plot_price_with_signals(
        "PETR4", DATES, close, actions, predicted_price=close * 1.01
    )
    axes = figure.axes[0]
    found = markers(axes)

    assert {label: len(points) for label, (points, _) in found.items()} == {
        "buy (10)": 10,
        "hold (10)": 10,
        "sell (10)": 10,
    }
    assert found["buy (10)"][0][:, 1] == pytest.approx(close[::3])
    assert found["sell (10)"][0][:, 1] == pytest.approx(close[2::3])
    buy, sell = found["buy (10)"][1], found["sell (10)"][1]
    assert buy[1] > buy[0]  # green
    assert sell[0] > sell[1]  # red
    tips = {
        c.get_label()[:4].strip(): np.unique(c.get_paths()[0].vertices, axis=0)[:, 1]
        for c in axes.collections
    }
    assert sorted(tips["buy"]) == pytest.approx([-0.5, -0.5, 0.5])  # points up
    assert sorted(tips["sell"]) == pytest.approx([-0.5, 0.5, 0.5])  # points down
    assert [line.get_linestyle() for line in axes.lines] == ["-", "--"]
    assert figure.get_suptitle() == "PETR4: price and predictions"
    labels = signal_plots.plot_price_with_signals("PETR4", DATES, close, actions, source="labels")
    assert labels.get_suptitle() == "PETR4: price and labels"
    assert len(labels.axes[0].lines) == 1


def test_predicted_prices_are_drawn_at_the_date_they_are_of():
    close = np.ones(30)
    target = DATES + np.timedelta64(2, "D")
    figure = signal_plots.plot_price_with_signals(
        "VALE3", DATES, close, np.ones(30, int), predicted_price=close, predicted_dates=target
    )
    np.testing.assert_array_equal(figure.axes[0].lines[1].get_xdata(), target)


def test_the_most_diverse_tickers_are_chosen():
    ticker = np.repeat(["A", "B", "C", "D"], 6)
    actions = np.array([1] * 6 + [0, 1, 2, 0, 1, 2] + [0, 1, 1, 1, 1, 2] + [0, 0, 0, 1, 1, 1])
    assert signal_plots.diverse_tickers(ticker, actions, 3) == ["B", "C", "D"]
    assert signal_plots.diverse_tickers(ticker, actions, 9) == ["B", "C", "D", "A"]


def test_at_most_five_tickers_are_drawn_each_with_its_own_rows_in_date_order():
    rng = np.random.default_rng(0)
    ticker = np.repeat([f"T{i}" for i in range(7)], 30)
    dates = np.tile(DATES, 7)
    close = rng.uniform(5, 50, 210)
    actions = rng.integers(0, 3, 210)
    order = rng.permutation(210)
    figure = signal_plots.plot_action_samples_by_ticker(
        ticker[order], dates[order], close[order], actions[order]
    )

    assert len(figure.axes) == 5
    for axes in figure.axes:
        np.testing.assert_array_equal(
            axes.lines[0].get_ydata(), close[ticker == axes.get_title(loc="left")]
        )
    assert png(figure).startswith(PNG)


def test_given_tickers_are_drawn_in_their_order_whatever_their_actions():
    ticker = np.repeat(["AAAA3", "BBBB3", "CCCC3"], 6)
    dates = np.tile(np.arange("2023-01-02", "2023-01-08", dtype="datetime64[D]"), 3)
    actions = np.r_[np.full(12, HOLD), np.tile([BUY, HOLD, SELL], 2)]
    drawn = signal_plots.plot_action_samples_by_ticker(
        ticker, dates, np.ones(18), actions, tickers=["BBBB3", "AAAA3"]
    )
    assert [axes.get_title(loc="left") for axes in drawn.axes] == ["BBBB3", "AAAA3"]
