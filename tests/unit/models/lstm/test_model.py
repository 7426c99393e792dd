"""The LSTM finds a planted signal, is calibrated, and is saved as it was trained."""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from small_lstm import Kept, fitted, in_slices, running_out, small_dataset, small_params, weights
from synthetic import log_loss, split_of

from b3shared.core.errors import (
    ArtifactNotFoundError,
    IncompatibleFeaturesError,
    InvalidParameterError,
    InvalidQuotesError,
    ParityError,
    SingleClassError,
    TooLittleHistoryError,
    TooManySlicesError,
)
from b3shared.core.vocabulary import BUY, HOLD, SELL, UNLABELLED
from b3shared.models.base import TrainingSession, Unfinished, model_class, without_clock
from b3shared.models.lstm import export as lstm_onnx
from b3shared.models.lstm.batches import raw_forecast
from b3shared.models.lstm.export import export_network
from b3shared.models.lstm.model import LSTMModel
from b3shared.models.lstm.windows import (
    Examples,
    Windows,
    center_and_spread,
    complete,
    stop_and_calibrate,
)
from b3shared.models.scorer import Scorer
from b3shared.params.lstm import LSTMParams
from b3shared.params.run import PipelineParams

NOBODY = TrainingSession()


@pytest.fixture(scope="module")
def planted():
    data = small_dataset(n_dates=250, n_tickers=8)
    return data, *fitted(data, small_params(epochs=8))


@pytest.fixture(scope="module")
def saved(planted, tmp_path_factory):
    data, model, split = planted
    folder = tmp_path_factory.mktemp("saved") / "deep" / "folder"
    return folder, model.save(folder, data, split.test)


def covered(model, data, rows):
    return rows[model.covers(data, rows)]


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


def test_the_saved_model_is_the_trained_one(planted, saved):
    data, model, split = planted
    again = model_class("lstm").load(saved[0], model.params)
    rows = covered(model, data, split.test)
    for one, other in zip(
        dataclasses.astuple(again.forecast(data, rows)),
        dataclasses.astuple(model.forecast(data, rows)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)

    assert again.importance() == model.importance()
    assert (again.chosen, again.summary, again.feature_names) == (
        model.chosen,
        without_clock(model.summary),
        model.feature_names,
    )

    np.testing.assert_array_equal(
        weights(again.refit(data, split.train, NOBODY).network),
        weights(model.refit(data, split.train, NOBODY).network),
    )


def test_the_native_file_is_a_state_dict_that_runs_no_code(planted, saved):
    stored = torch.load(saved[1][0], weights_only=True)
    assert saved[1][0].name == "b3_lstm_mtl.pt"
    assert {name: tuple(t.shape) for name, t in stored.items()} == {
        name: tuple(t.shape) for name, t in planted[1].network.state_dict().items()
    }


def test_model_json_holds_what_serving_and_auditing_need(planted, saved):
    _, model, split = planted
    described = json.loads(saved[1][2].read_text())

    assert described["model_type"] == "lstm"
    assert (described["lookback"], described["max_gap"]) == (4, 5)
    assert described["return_scale"] == model.scale.to_json()
    assert described["return_scale"]["horizon"] == 2
    assert described["importance"] == model.importance()
    assert described["parity"]["rows"] == len(split.test)
    assert described["parity"]["max_difference"] <= 1e-5
    assert described["parity"]["max_difference_returns"] <= 1e-5
    assert len(described["summary"]["history"]) == described["chosen"]["epochs"]
    assert described["chosen"].keys() == {"units", "learning_rate", "epochs", "best_epoch"}
    assert PipelineParams.from_values(described["params"]) == model.params


@pytest.mark.parametrize("batch", [1, 256])
def test_the_export_answers_batches_of_any_size_as_the_network_does(planted, saved, batch):
    data, model, _ = planted
    rows = covered(model, data, np.arange(len(data)))[:batch]
    X = np.stack([data.X[row - 3 : row + 1] for row in rows])
    session = onnxruntime.InferenceSession(saved[1][1].read_bytes())
    assert [value.name for value in session.get_inputs()] == ["features"]
    probabilities, returns = session.run(["probabilities", "returns"], {"features": X})
    assert (probabilities.shape, returns.shape) == ((batch, 3), (batch,))
    expected = raw_forecast(model.network, Windows(data.X, 4), rows)
    np.testing.assert_allclose(probabilities, expected[0], atol=1e-5)
    np.testing.assert_allclose(returns, expected[1], atol=1e-5)


def test_the_scorer_serves_what_the_model_forecasts(planted, saved):
    data, model, split = planted
    rows = covered(model, data, split.test)
    served = Scorer.load(saved[0]).score(
        np.stack([data.X[row - 3 : row + 1] for row in rows]), data.volatility[rows]
    )
    expected = model.forecast(data, rows)
    np.testing.assert_allclose(served.probabilities, expected.probabilities, atol=1e-5)
    np.testing.assert_allclose(served.returns, expected.returns, atol=1e-5)
    np.testing.assert_allclose(served.intervals, expected.intervals, atol=1e-5)


def test_equal_networks_have_equal_bytes_and_tell_nothing_of_this_machine(planted, saved):
    _, model, _ = planted
    content = saved[1][1].read_bytes()
    assert export_network(model.network, 4) == content
    assert str(Path.cwd()).encode() not in content
    assert b"b3shared" not in content


def test_an_export_that_differs_is_not_written(planted, tmp_path, monkeypatch):
    data, model, split = planted
    other, _ = fitted(data, small_params(epochs=1))
    content = export_network(other.network, 4)
    monkeypatch.setattr("b3shared.models.lstm.model.export_network", lambda *_: content)
    with pytest.raises(ParityError, match="allowed is 1e-05"):
        model.save(tmp_path / "model", data, split.test)
    assert not (tmp_path / "model").exists()
    assert lstm_onnx.TOLERANCE == 1e-5


def test_a_save_without_rows_to_check_writes_nothing(planted, tmp_path):
    data, model, _ = planted
    with pytest.raises(ParityError, match="at least one row"):
        model.save(tmp_path / "model", data, np.array([0, 1, 2]))
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("missing", ["b3_lstm_mtl.pt", "model.json"])
def test_loading_from_a_folder_without_a_file_names_it(planted, saved, tmp_path, missing):
    for path in saved[1]:
        if path.name != missing:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ArtifactNotFoundError, match=f"has no {missing}"):
        LSTMModel.load(tmp_path, planted[1].params)


def _one_class(data):
    data.label[data.label != UNLABELLED] = BUY


def _no_value(data):
    data.X[10, 3] = np.nan


def _no_return(data):
    data.future_return[10] = np.nan


@pytest.mark.parametrize(
    ("spoil", "params", "error", "says"),
    [
        (_one_class, {}, SingleClassError, "needs two classes at least, got .* labels 'buy'"),
        (_no_value, {}, InvalidQuotesError, "features feature_3 hold NaN"),
        (_no_return, {}, InvalidQuotesError, "1 of the .* rows have no finite return"),
        (
            lambda _: None,
            {"lookback": 100},
            TooLittleHistoryError,
            "none of the .* training rows ends a window of lookback = 100",
        ),
        (
            lambda _: None,
            {"interval_level": 0.999},
            TooLittleHistoryError,
            "level 0.999 needs at least 9",
        ),
    ],
)
def test_rows_that_cannot_be_trained_on_are_refused_by_name_before_any_training(
    spoil, params, error, says
):
    data, told = small_dataset(), []
    spoil(data)
    with pytest.raises(error, match=says) as caught:
        fitted(data, small_params(**params), TrainingSession(told.append))
    assert not told
    if error is TooLittleHistoryError:
        assert caught.value.details["needed"] > 0


def test_too_few_validation_dates_for_two_parts_are_refused():
    data = small_dataset()
    split = split_of(data, small_params())
    few = split.val[np.isin(data.date[split.val], np.unique(data.date[split.val])[:4])]
    with pytest.raises(
        TooLittleHistoryError, match="a horizon of 2 needs at least 6 validation dates, got 4"
    ):
        LSTMModel(small_params()).fit(data, split.train, few, NOBODY)
    six = split.val[np.isin(data.date[split.val], np.unique(data.date[split.val])[:6])]
    LSTMModel(small_params(interval_level=0.5)).fit(data, split.train, six, NOBODY)


def test_rows_without_a_label_are_refused():
    data = small_dataset()
    split, rows = split_of(data, small_params()), np.arange(len(data))
    for train, val in ((rows, split.val), (split.train, rows)):
        with pytest.raises(InvalidQuotesError, match="12 of the 702 rows have no label yet"):
            LSTMModel(small_params()).fit(data, train, val, NOBODY)


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
