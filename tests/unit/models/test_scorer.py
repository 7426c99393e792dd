"""The scorer, which predict imports, answers as the trained model without its libraries."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from paths import ROOT
from synthetic import planted_dataset, small_params, split_of

from b3shared.core.errors import (
    ArtifactNotFoundError,
    IncompatibleFeaturesError,
    InvalidQuotesError,
)
from b3shared.core.vocabulary import CLASSES
from b3shared.models.base import Forecast, TrainingSession
from b3shared.models.decision import decide
from b3shared.models.random_forest.model import RandomForestModel
from b3shared.models.scorer import Scorer


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    data, params = planted_dataset(), small_params()
    split = split_of(data, params)
    model = RandomForestModel(params)
    model.fit(data, split.train, split.val, TrainingSession())
    folder = tmp_path_factory.mktemp("model")
    model.save(folder, data, split.test)
    return model, data, split, folder


def test_the_scorer_answers_as_the_trained_model(saved):
    model, data, split, folder = saved
    forecast = Scorer.load(folder).score(data.X[split.test])
    np.testing.assert_allclose(
        forecast.probabilities, model.forecast(data, split.test).probabilities, atol=1e-5
    )
    assert forecast.probabilities.dtype == np.float64
    assert forecast.returns is None
    one = Scorer.load(folder).score(data.X[split.test[:1]])
    np.testing.assert_allclose(one.probabilities, forecast.probabilities[:1], atol=1e-7)
    assert Scorer.load(folder).score(data.X[:0]).probabilities.shape == (0, 3)


def test_a_scorer_loaded_from_bytes_equals_one_from_a_folder(saved):
    _, data, _, folder = saved
    metadata = json.loads((folder / "model.json").read_text())
    scorer = Scorer((folder / "model.onnx").read_bytes(), metadata)
    np.testing.assert_array_equal(
        scorer.score(data.X).probabilities, Scorer.load(folder).score(data.X).probabilities
    )
    assert scorer.metadata["model_type"] == "rf"
    assert scorer.feature_names == data.feature_names


@pytest.mark.parametrize("rule", ["lift", "argmax"])
def test_the_scorer_decides_by_the_saved_rule(saved, rule):
    model, data, _, folder = saved
    metadata = json.loads((folder / "model.json").read_text()) | {"decision": rule}
    scorer = Scorer((folder / "model.onnx").read_bytes(), metadata)
    forecast = scorer.score(data.X)
    expected = decide(forecast.probabilities, model.base_rates, rule)
    np.testing.assert_array_equal(scorer.decide(forecast), expected)
    assert len(np.unique(expected)) > 1


def test_a_side_that_its_own_expected_return_contradicts_is_not_called(saved):
    scorer = Scorer.load(saved[3])
    sides = np.array([[0.6, 0.2, 0.2], [0.2, 0.2, 0.6]])
    for returns, words in (
        ([0.01, -0.01], ["buy", "sell"]),
        ([-0.01, 0.01], ["hold", "hold"]),
    ):
        codes = scorer.decide(Forecast(sides, np.array(returns), None))
        assert [CLASSES[code] for code in codes] == words


@pytest.mark.parametrize("shape", [(3, 4), (3, 6), (5,), (2, 3, 5)])
def test_another_number_of_features_is_refused_by_name(saved, shape):
    with pytest.raises(
        IncompatibleFeaturesError, match=r"axes with 5 features .*feature_0, feature_1"
    ):
        Scorer.load(saved[3]).score(np.zeros(shape, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_feature_that_is_not_finite_is_refused_by_name(saved, value):
    X = np.zeros((3, 5), np.float32)
    X[1, 2] = value
    with pytest.raises(InvalidQuotesError, match="features feature_2 hold NaN or infinity"):
        Scorer.load(saved[3]).score(X)


@pytest.mark.parametrize("missing", ["model.onnx", "model.json"])
def test_a_folder_without_a_file_is_an_error_that_names_it(saved, tmp_path, missing):
    for name in {"model.onnx", "model.json"} - {missing}:
        (tmp_path / name).write_bytes((saved[3] / name).read_bytes())
    with pytest.raises(ArtifactNotFoundError, match=f"has no {missing}"):
        Scorer.load(tmp_path)


def test_a_sequence_model_with_returns_is_served_too(saved):
    """The model takes the last step of each window: its first three features, and their mean."""
    nodes = [
        helper.make_node("Gather", ["windows", "last"], ["step"], axis=1),
        helper.make_node("Softmax", ["step"], ["probabilities"], axis=1),
        helper.make_node("ReduceMean", ["step", "axis"], ["returns"], keepdims=1),
    ]
    graph = helper.make_graph(
        nodes,
        "sequence",
        [helper.make_tensor_value_info("windows", TensorProto.FLOAT, [None, 4, 3])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 3]),
            helper.make_tensor_value_info("returns", TensorProto.FLOAT, [None, 1]),
        ],
        [
            helper.make_tensor("last", TensorProto.INT64, [], [3]),
            helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    third = [1 / 3] * 3
    calibration = {"temperature": 1.0, "grown": third, "shares": third}
    metadata = {
        "feature_names": ["a", "b", "c"],
        "calibration": calibration,
        "base_rates": third,
        "decision": "argmax",
    }
    scale = {"horizon": 4, "level": 0.9, "quantile": 2.0}
    X = np.random.default_rng(0).normal(size=(6, 4, 3)).astype(np.float32)
    scorer, volatility = (
        Scorer(model.SerializeToString(), metadata | {"return_scale": scale}),
        np.linspace(0.01, 0.06, 6),
    )
    forecast = scorer.score(X, volatility)
    expected = X[:, 3].mean(axis=1) * volatility * 2
    np.testing.assert_allclose(forecast.returns, expected, rtol=1e-5)
    np.testing.assert_allclose(forecast.intervals[:, 0], expected - 4 * volatility, rtol=1e-5)
    np.testing.assert_allclose(forecast.intervals[:, 1], expected + 4 * volatility, rtol=1e-5)
    np.testing.assert_array_equal(forecast.probabilities.argmax(axis=1), X[:, 3].argmax(axis=1))

    for silent in (
        scorer.score(X),
        Scorer(model.SerializeToString(), metadata).score(X, volatility),
    ):
        assert (silent.returns, silent.intervals) == (
            None,
            None,
        )  # without volatility, or the scale, a return has no unit
        np.testing.assert_array_equal(silent.probabilities, forecast.probabilities)
    with pytest.raises(
        InvalidQuotesError,
        match=r"volatility must have one value for each of 6 rows, got shape \(5,\)",
    ):
        scorer.score(X, volatility[:5])
    with pytest.raises(InvalidQuotesError, match="a volatility is NaN"):
        scorer.score(X, np.where(volatility > 0.05, np.nan, volatility))


def test_importing_and_scoring_loads_nothing_that_trains(saved):
    script = f"""
import sys
from pathlib import Path
import numpy as np
from b3shared.models.scorer import Scorer
scorer = Scorer.load(Path({str(saved[3])!r}))
scorer.decide(scorer.score(np.zeros((1, 5), np.float32)))
heavy = {{"sklearn", "scipy", "torch", "pandas", "joblib", "skl2onnx", "onnx"}}
heavy |= {{"matplotlib", "duckdb", "boto3"}}
print(sorted(heavy & {{name.split(".")[0] for name in sys.modules}}))
"""

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
