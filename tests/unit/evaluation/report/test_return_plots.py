"""Pictures of returns, intervals and training curves show the values of the metrics."""

import numpy as np
import pytest

from b3shared.evaluation.report import plots, return_plots

CURVES = {
    "epochs": [1, 2, 3],
    "train_loss": [3.0, 2.0, 1.0],
    "val_loss": [3.0, None, 2.5],
    "best_epoch": 3,
}


def lines(figure):
    return {line.get_label(): line for line in figure.axes[0].lines}


def test_training_curves_show_both_losses_and_the_kept_epoch():
    found = lines(return_plots.plot_training_curves(CURVES))
    assert list(found) == ["train", "validation", "kept: epoch 3"]
    np.testing.assert_array_equal(found["train"].get_ydata(), [3, 2, 1])
    np.testing.assert_array_equal(found["validation"].get_ydata(), [3, np.nan, 2.5])
    assert found["kept: epoch 3"].get_xdata() == [3, 3]


def test_return_calibration_shows_bins_in_percent_around_the_diagonal():
    bins = [
        {"rows": 5, "forecast": f, "observed": o, "ci95": [o - 0.01, o + 0.01]}
        for f, o in ((-0.02, -0.01), (0.02, 0.0))
    ]
    found = lines(return_plots.plot_return_calibration(bins))
    assert found["realised"].get_xdata() == pytest.approx([-2, 2])
    assert found["realised"].get_ydata() == pytest.approx([-1, 0])
    assert found["what was forecast"].get_ydata() == pytest.approx([-2, 2])


def test_coverage_by_month_shows_the_level_that_was_asked_for():
    figure = return_plots.plot_coverage_by_month(["2023-01", "2023-02"], [0.95, None], 0.9)
    found = lines(figure)
    assert found["month"].get_ydata() == pytest.approx([95, np.nan], nan_ok=True)
    assert found["asked for: 90%"].get_ydata() == pytest.approx([90, 90])
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["2023-01", "2023-02"]
    assert "%" in figure.axes[0].get_ylabel()


@pytest.mark.parametrize(
    "figure",
    [
        return_plots.plot_training_curves(CURVES),
        return_plots.plot_training_curves({"epochs": [1], "best_epoch": None}),
        return_plots.plot_return_calibration([]),
        return_plots.plot_return_calibration(
            [{"rows": 1, "forecast": 0.0, "observed": 0.1, "ci95": [None, None]}]
        ),
        return_plots.plot_coverage_by_month(["2023-01"], [None], 0.9),
    ],
)
def test_every_picture_is_a_png_also_of_little_data(figure):
    assert len(plots.png(figure)) > 2000
