"""A saved LSTM answers as the trained one, and is not written if it would not."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from planted_lstm import NOBODY, covered
from small_lstm import fitted, small_params, weights

from b3shared.core.errors import (
    ArtifactNotFoundError,
    ParityError,
)
from b3shared.models.base import model_class, without_clock
from b3shared.models.lstm import export as lstm_onnx
from b3shared.models.lstm.batches import raw_forecast
from b3shared.models.lstm.export import export_network
from b3shared.models.lstm.model import LSTMModel
from b3shared.models.lstm.windows import (
    Windows,
)
from b3shared.models.scorer import Scorer
from b3shared.params.run import PipelineParams


@pytest.fixture(scope="module")
def saved(planted, tmp_path_factory):
    data, model, split = planted
    folder = tmp_path_factory.mktemp("saved") / "deep" / "folder"
    return folder, model.save(folder, data, split.test)


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
