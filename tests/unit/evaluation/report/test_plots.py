"""Pictures of actions: the right counts, units on the axes, and the same bytes each time."""

import subprocess
import sys

import numpy as np
import pytest

from b3shared.evaluation.report import plots, signal_plots

PNG = b"\x89PNG\r\n\x1a\n"
DATES = np.datetime64("2023-01-02") + np.arange(30)


def texts(figure):
    return [t.get_text() for axes in figure.axes for t in axes.texts]


def test_the_confusion_matrix_shows_counts_and_shares_in_class_order():
    figure = plots.plot_confusion_matrix(np.array([[3, 3, 0], [0, 85, 5], [0, 0, 4]]))
    axes = figure.axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["buy", "hold", "sell"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["buy", "hold", "sell"]
    assert texts(figure)[4] == "85\n94.4%"
    assert texts(figure)[1] == "3\n50.0%"
    assert plots.png(figure).startswith(PNG)


def test_the_plot_of_importance_shows_the_greatest_twenty_on_top():
    figure = plots.plot_feature_importance({f"f{i:02d}": i / 435 for i in range(30)})
    names = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert names == [f"f{i:02d}" for i in range(10, 30)]  # barh draws upwards
    assert "top 20 of 30" in figure.axes[0].get_xlabel()


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
        signal_plots.plot_action_samples_by_ticker(*(np.array([]),) * 4),
        plots.plot_confusion_matrix(np.zeros((3, 3), int)),
    ],
)
def test_every_plot_becomes_a_png_even_with_little_data(figure):
    assert plots.png(figure).startswith(PNG)
    assert len(plots.png(figure)) > 2000


def test_axes_name_their_units():
    close = np.ones(30)
    assert (
        signal_plots.plot_price_with_signals("A", DATES, close, np.ones(30, int))
        .axes[0]
        .get_ylabel()
        == "price (R$)"
    )
    assert "%" in plots.plot_feature_importance({"a": 1.0}).axes[0].get_xlabel()
    assert "probability" in plots.plot_reliability({}).axes[0].get_xlabel()


def test_plots_need_no_display_and_leave_no_global_state():
    code = (
        "import sys, b3shared.evaluation.report.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_same_figure_gives_the_same_bytes():
    assert plots.png(plots.plot_feature_importance({"a": 1})) == plots.png(
        plots.plot_feature_importance({"a": 1})
    )
