import subprocess
import sys

import numpy as np
import pytest

from b3shared.evaluation.report import plots

PNG = b"\x89PNG\r\n\x1a\n"
DATES = np.datetime64("2023-01-02") + np.arange(30)


def texts(figure):
    return [t.get_text() for axes in figure.axes for t in axes.texts]


def markers(axes):
    """Label of the legend -> (x of the points, colour)."""
    return {
        c.get_label(): (np.asarray(c.get_offsets()), c.get_facecolor()[0])
        for c in axes.collections
        if len(c.get_offsets())
    }


def test_confusion_matrix_shows_counts_shares_and_the_names_in_class_order():
    figure = plots.plot_confusion_matrix(np.array([[3, 3, 0], [0, 85, 5], [0, 0, 4]]))
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["buy", "hold", "sell"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["buy", "hold", "sell"]
    assert texts(figure)[4] == "85\n94.4%"
    assert texts(figure)[1] == "3\n50.0%"
    assert plots.png(figure).startswith(PNG)


def test_importance_shows_the_greatest_twenty_on_top():
    figure = plots.plot_feature_importance({f"f{i:02d}": i / 435 for i in range(30)})
    names = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert names == [f"f{i:02d}" for i in range(10, 30)]  # barh draws upwards
    assert "top 20 of 30" in figure.axes[0].get_xlabel()


def test_signals_have_the_marker_and_colour_of_their_class_at_their_dates():
    actions = np.array([0, 1, 2] * 10)
    close = np.linspace(10, 12, 30)
    figure = plots.plot_price_with_signals(
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
    labels = plots.plot_price_with_signals("PETR4", DATES, close, actions, source="labels")
    assert labels.get_suptitle() == "PETR4: price and labels"
    assert len(labels.axes[0].lines) == 1


def test_predicted_prices_stand_at_the_date_they_are_meant_for():
    close, target = np.ones(30), DATES + np.timedelta64(2, "D")
    figure = plots.plot_price_with_signals(
        "VALE3", DATES, close, np.ones(30, int), predicted_price=close, predicted_dates=target
    )
    np.testing.assert_array_equal(figure.axes[0].lines[1].get_xdata(), target)


def test_the_most_diverse_tickers_are_chosen():
    ticker = np.repeat(["A", "B", "C", "D"], 6)
    actions = np.array([1] * 6 + [0, 1, 2, 0, 1, 2] + [0, 1, 1, 1, 1, 2] + [0, 0, 0, 1, 1, 1])
    assert plots.diverse_tickers(ticker, actions, 3) == ["B", "C", "D"]
    assert plots.diverse_tickers(ticker, actions, 9) == ["B", "C", "D", "A"]


def test_at_most_five_tickers_are_drawn_each_with_its_own_rows_in_date_order():
    rng = np.random.default_rng(0)
    ticker, dates = np.repeat([f"T{i}" for i in range(7)], 30), np.tile(DATES, 7)
    close, actions = rng.uniform(5, 50, 210), rng.integers(0, 3, 210)
    order = rng.permutation(210)
    figure = plots.plot_action_samples_by_ticker(
        ticker[order], dates[order], close[order], actions[order]
    )
    assert len(figure.axes) == 5
    for axes in figure.axes:
        np.testing.assert_array_equal(
            axes.lines[0].get_ydata(), close[ticker == axes.get_title(loc="left")]
        )
    assert plots.png(figure).startswith(PNG)


@pytest.mark.parametrize(
    "figure",
    [
        plots.plot_ic_by_month(["2023-01", "2023-02", "2023-03"], [0.02, None, -0.01]),
        plots.plot_ic_by_month(["2023-01"], [None]),
        plots.plot_reliability({"buy": [], "hold": [], "sell": []}),
        plots.plot_reliability(
            {c: [{"rows": 5, "forecast": 0.3, "observed": 0.4}] for c in ("buy", "hold", "sell")}
        ),
        plots.plot_equity(DATES, {"model": np.linspace(1, 1.2, 30), "universe": np.ones(30)}),
        plots.plot_comparison(
            {"model": {"estimate": 0.1, "ci95": [None, None]}}, "title", "rank IC"
        ),
        plots.plot_action_samples_by_ticker(*(np.array([]),) * 4),
        plots.plot_confusion_matrix(np.zeros((3, 3), int)),
    ],
)
def test_every_picture_is_a_png_also_of_little_data(figure):
    assert plots.png(figure).startswith(PNG)
    assert len(plots.png(figure)) > 2000


def test_axes_name_their_units():
    close = np.ones(30)
    assert (
        plots.plot_price_with_signals("A", DATES, close, np.ones(30, int)).axes[0].get_ylabel()
        == "price (R$)"
    )
    assert "%" in plots.plot_feature_importance({"a": 1.0}).axes[0].get_xlabel()
    assert "probability" in plots.plot_reliability({}).axes[0].get_xlabel()


def test_plotting_needs_no_display_and_leaves_no_global_figures():
    code = (
        "import sys, b3shared.evaluation.report.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_same_figure_gives_the_same_bytes():
    assert plots.png(plots.plot_feature_importance({"a": 1})) == plots.png(
        plots.plot_feature_importance({"a": 1})
    )


def test_given_tickers_are_drawn_in_their_order_whatever_their_actions():
    ticker = np.repeat(["AAAA3", "BBBB3", "CCCC3"], 6)
    dates = np.tile(np.arange("2023-01-02", "2023-01-08", dtype="datetime64[D]"), 3)
    actions = np.r_[np.full(12, plots.HOLD), np.tile([plots.BUY, plots.HOLD, plots.SELL], 2)]
    drawn = plots.plot_action_samples_by_ticker(
        ticker, dates, np.ones(18), actions, tickers=["BBBB3", "AAAA3"]
    )
    assert [axes.get_title(loc="left") for axes in drawn.axes] == ["BBBB3", "AAAA3"]
