"""The LSTM finds a planted signal, is calibrated, and is saved as it was trained."""

import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from planted_lstm import NOBODY, covered
from small_lstm import Kept, fitted, in_slices, running_out, small_dataset, small_params, weights
from synthetic import log_loss, split_of

from b3shared.core.errors import (
    IncompatibleFeaturesError,
    InvalidParameterError,
    TooLittleHistoryError,
    TooManySlicesError,
)
from b3shared.core.vocabulary import HOLD, SELL
from b3shared.models.base import TrainingSession, Unfinished
from b3shared.models.lstm.batches import raw_forecast
from b3shared.models.lstm.model import LSTMModel
from b3shared.models.lstm.windows import (
    Examples,
    Windows,
    center_and_spread,
    complete,
    stop_and_calibrate,
)
from b3shared.params.lstm import LSTMParams


def gain(data, model, split) -> float:
    """By how much the log loss is below that of the class shares of the training rows."""
    rows = covered(model, data, split.test)
    prior = np.tile(model.base_rates, (len(rows), 1))
    return log_loss(prior, data.label[rows]) - log_loss(
        model.forecast(data, rows).probabilities, data.label[rows]
    )


def test_a_planted_signal_is_found_in_both_tasks(planted):
    data, model, split = planted
    assert gain(data, model, split) > 0.1
    rows = covered(model, data, split.test)
    forecast = model.forecast(data, rows)
    actual = data.future_return[rows]
    assert np.corrcoef(forecast.returns, actual)[0, 1] > 0.5
    assert np.abs(forecast.returns - actual).mean() < 0.9 * np.abs(actual).mean()

    importance = model.importance()
    assert max(importance, key=importance.get) == "feature_0"
    assert importance["feature_0"] > 0.7
    assert sum(importance.values()) == pytest.approx(1)
    assert min(importance.values()) >= 0


def test_nothing_is_learned_from_random_labels():
    gains = []
    for seed in range(3):
        data = small_dataset(signal=0.0, seed=seed, n_dates=250)
        gains.append(gain(data, *fitted(data, small_params(epochs=6))))
    assert max(gains) < 0.01


def test_intervals_cover_their_level_and_are_no_wider_than_needed(planted):
    data, model, split = planted
    rows = covered(model, data, split.test)
    forecast = model.forecast(data, rows)
    low, high = forecast.intervals.T
    actual = data.future_return[rows]
    assert np.mean((low <= actual) & (actual <= high)) == pytest.approx(0.9, abs=0.05)

    unit = data.volatility[rows] * np.sqrt(model.params.horizon)
    oracle = np.quantile(
        np.abs(actual - forecast.returns) / unit, 0.9
    )  # of who knows the outcomes beforehand
    np.testing.assert_allclose((high - forecast.returns) / unit, oracle, rtol=0.15)
    np.testing.assert_allclose((forecast.returns - low) / unit, oracle, rtol=0.15)


@pytest.mark.parametrize(
    "changes",
    [{"oversample": True}, {"oversample": "sqrt"}, {"use_class_weights": True}, {}],
    ids=str,
)
def test_probabilities_match_the_true_shares_of_unequal_classes(changes):
    shares = (0.08, 0.8, 0.12)
    data = small_dataset(n_dates=250, n_tickers=12, shares=shares)
    model, split = fitted(data, small_params(epochs=4, **changes))
    rows = covered(model, data, split.test)
    np.testing.assert_allclose(
        model.forecast(data, rows).probabilities.mean(axis=0), shares, atol=0.06
    )
    raw, _ = raw_forecast(model.network, Windows(data.X, 4), rows)
    assert (abs(raw.mean(axis=0)[HOLD] - shares[HOLD]) > 0.1) == bool(changes), (
        "the correction has work to do"
    )


def test_oversampling_leaves_the_forecast_returns_unbiased():
    """Falls are rare and drawn more often: without undoing, every forecast would be too low."""
    data = small_dataset(n_dates=250, n_tickers=12, shares=(0.5, 0.45, 0.05))
    errors = {}
    for oversample in (False, True):
        model, split = fitted(
            data,
            small_params(
                epochs=6, oversample=oversample, loss_return="mse", loss_weight_return=1.0
            ),
        )
        rows = covered(model, data, split.test)
        errors[oversample] = (
            np.mean(model.forecast(data, rows).returns - data.future_return[rows]) / 0.0283
        )

    assert abs(errors[True] - errors[False]) < 0.25


def test_the_parts_of_a_training_are_separate_in_time_and_counted(planted):
    data, model, split = planted
    later = Examples.from_rows(data, covered(model, data, split.val), 4, 2)
    stop, calibrate = stop_and_calibrate(data, later, model.params.horizon)
    assert data.label_end[stop.rows].max() < data.date[calibrate.rows].min()
    assert len(np.unique(data.date[later.rows])) // 2 <= len(np.unique(data.date[calibrate.rows]))
    told = model.summary["rows"]
    assert (told["stop"], told["calibrate"]) == (len(stop), len(calibrate))
    assert told["purged"] == len(later) - len(stop) - len(calibrate) > 0
    assert told["without_window"] == 8 * 3, "the first three rows of each of eight tickers"
    assert told["train"] + told["without_window"] == len(split.train)


def test_scaler_and_medians_are_of_the_training_windows_alone(planted):
    data, model, split = planted
    rows = covered(model, data, split.train)
    mean, deviation = center_and_spread(data.X, Windows(data.X, 4).rows_of(rows))
    np.testing.assert_allclose(model.network.center.cpu(), mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.network.spread.cpu(), deviation, rtol=1e-5)
    np.testing.assert_allclose(model.medians, np.median(data.X[rows], axis=0))
    changed = dataclasses.replace(data, X=data.X.copy())
    changed.X[np.setdiff1d(np.arange(len(data)), split.train)] *= 1000
    other, _ = fitted(changed, small_params(epochs=1))
    np.testing.assert_array_equal(other.network.center.cpu(), model.network.center.cpu())


def test_the_same_random_state_gives_the_same_model():
    data = small_dataset()
    one, same, other = (fitted(data, small_params(random_state=seed))[0] for seed in (42, 42, 7))
    np.testing.assert_array_equal(weights(one.network), weights(same.network))
    assert (one.calibration, one.scale, one.importance()) == (
        same.calibration,
        same.scale,
        same.importance(),
    )
    assert np.abs(weights(one.network) - weights(other.network)).max() > 1e-3


def test_a_fit_and_a_refit_in_slices_are_those_of_a_straight_run():
    data, params = small_dataset(), small_params(max_slices=200)
    straight, split = fitted(data, params)
    told = []

    def fit(session):
        model = LSTMModel(params)
        model.fit(data, split.train, split.val, session)
        return model

    sliced, number = in_slices(fit, 11, progress=told.append)
    assert number >= 3
    assert sliced.summary["slices"] == number
    np.testing.assert_array_equal(weights(sliced.network), weights(straight.network))
    assert (sliced.calibration, sliced.scale, sliced.importance()) == (
        straight.calibration,
        straight.scale,
        straight.importance(),
    )
    assert {"train", "calibrate", "importance"} == {words["phase"] for words in told}
    again, number = in_slices(lambda session: sliced.refit(data, data.labelled, session), 11)
    assert number >= 2
    np.testing.assert_array_equal(
        weights(again.network), weights(straight.refit(data, data.labelled, NOBODY).network)
    )


def test_a_refit_replays_the_best_epochs_and_keeps_what_validation_set(planted):
    data, model, _ = planted
    before = weights(model.network)
    again = model.refit(data, data.labelled, NOBODY)
    assert again.chosen == model.chosen
    rates = [epoch["learning_rate"] for epoch in model.summary["history"]]
    assert [epoch["learning_rate"] for epoch in again.summary["history"]] == rates[
        : model.chosen["best_epoch"]
    ]
    assert again.calibration.temperature == model.calibration.temperature
    assert (again.scale, again.importance()) == (model.scale, model.importance())

    rows = covered(model, data, data.labelled)
    np.testing.assert_allclose(again.base_rates, np.bincount(data.label[rows]) / len(rows))
    assert again.summary["rows"] == {"train": len(rows), "without_window": 24}
    np.testing.assert_array_equal(weights(model.network), before)
    twice = again.refit(data, data.labelled, NOBODY)
    np.testing.assert_array_equal(weights(twice.network), weights(again.network))


def gapped() -> tuple:
    """The small market, in which every ticker was suspended twice for three sessions."""
    data = small_dataset()
    data = data.take(~np.isin(data.session, [30, 31, 32, 70, 71, 72]))
    return data, split_of(data, small_params())


BASE = {
    "epochs": 6,
    "learning_rate": 0.05,
    "lr_scheduler_patience": 0,
    "early_stopping_patience": 3,
}


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 2},
        {"batch_size": 32},
        {"learning_rate": 0.002},
        {"lr": 0.002},
        {"units": 9},
        {"dropout": 0.0},
        {"loss_weight_action": 2.0},
        {"loss_weight_return": 1.0},
        {"loss_return": "mse"},
        {"focal_loss_gamma": 2.0},
        {"use_class_weights": True},
        {"oversample": True},
        {"oversample": "sqrt"},
        {"early_stopping_patience": 1},
        {"early_stopping_min_delta": 1.0},
        {"gradient_clip_norm": 0.01},
        {"weight_decay": 0.1},
        {"lr_scheduler_patience": 2},
        {"lr_scheduler_factor": 0.1},
        {"lr_scheduler_min_lr": 0.04},
        {"max_gap": 2},
        {"interval_level": 0.5},
        {"lookback": 5},
        {"horizon": 3},
        {"random_state": 1},
    ],
    ids=str,
)
def test_every_parameter_changes_the_training(change):
    data, split = gapped()
    outcome = []
    for values in (BASE, BASE | change):
        model = LSTMModel(small_params(**values))
        model.fit(data, split.train, split.val, NOBODY)
        forecast = model.forecast(data, covered(model, data, split.test))
        history = [
            {k: v for k, v in epoch.items() if k != "seconds"} for epoch in model.summary["history"]
        ]
        outcome.append(
            (
                history,
                forecast.probabilities.tolist(),
                forecast.intervals.tolist(),
                model.summary["rows"],
            )
        )

    assert outcome[0] != outcome[1]


def test_every_parameter_is_in_a_test_of_its_effect():
    parametrised = test_every_parameter_changes_the_training.pytestmark[0].args[1]
    elsewhere = {"price_col", "max_slices"}
    assert (
        LSTMParams.model_fields.keys()
        <= {name for change in parametrised for name in change} | elsewhere
    )


def test_the_remaining_parameters_are_honoured_or_refused(tmp_path):
    with pytest.raises(InvalidParameterError, match="price_col"):
        small_params(price_col="open")
    data, checkpoint = small_dataset(), Kept()
    with pytest.raises(Unfinished):
        fitted(
            data,
            small_params(max_slices=1),
            TrainingSession(checkpoint=checkpoint, seconds_left=running_out(3)),
        )
    with pytest.raises(TooManySlicesError):
        fitted(data, small_params(max_slices=1), TrainingSession(checkpoint=checkpoint))

    model, split = fitted(data, small_params(epochs=1, model_name="mine.pt", decision="argmax"))
    paths = model.save(tmp_path, data, split.test)
    assert [path.name for path in paths] == ["mine.pt", "model.onnx", "model.json"]
    assert json.loads(paths[2].read_text())["decision"] == "argmax"


def test_other_features_or_rows_without_a_window_are_refused(planted):
    data, model, split = planted
    with pytest.raises(
        IncompatibleFeaturesError, match="those of the training, feature_0, feature_1"
    ):
        model.forecast(small_dataset(n_features=4), split.test[:5])
    with pytest.raises(TooLittleHistoryError, match="2 of the 3 rows end no window of 4 rows"):
        model.forecast(data, np.array([1, 2, 3]))
    assert model.covers(data, np.array([1, 2, 3])).tolist() == [False, False, True]


def test_a_class_absent_from_training_is_nearly_impossible(tmp_path):
    data = small_dataset()
    data.label[data.label == SELL] = HOLD
    for changes in ({}, {"oversample": True, "use_class_weights": True}):
        model, split = fitted(data, small_params(epochs=6, **changes))
        rows = covered(model, data, split.test)
        assert (model.forecast(data, rows).probabilities[:, SELL] < 1e-3).all()
        model.save(tmp_path, data, rows)


def test_the_model_trains_from_a_memory_map(tmp_path):
    data = small_dataset()
    data.save(tmp_path)
    mapped, _ = fitted(type(data).load(tmp_path), small_params())
    np.testing.assert_array_equal(
        weights(mapped.network), weights(fitted(data, small_params())[0].network)
    )


def test_importances_are_equal_where_no_feature_helps():
    data = small_dataset()
    data.X[:] = 0
    model, _ = fitted(data, small_params(epochs=1))
    assert set(model.importance().values()) == {0.2}


def test_listing_the_models_imports_no_torch():
    modules = "b3shared.models.base, b3shared.models.scorer, b3shared.models.lstm.windows"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        == "False\n"
    )


def test_the_model_covers_the_rows_that_end_a_complete_window():
    data = small_dataset()
    rows = np.arange(len(data))
    np.testing.assert_array_equal(
        LSTMModel(small_params()).covers(data, rows), complete(data, rows, 4, 5)
    )
    assert math.isinf(NOBODY.seconds_left())
