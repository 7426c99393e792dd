"""The exported forest answers as the trained one, also exactly on its thresholds."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from sklearn.ensemble import RandomForestClassifier

from b3shared.core.errors import ParityError
from b3shared.models.parity import assert_close, assert_parity
from b3shared.models.random_forest.export import export_forest, threshold_probes


def forest(
    classes=(0, 1, 2), scale=1.0, trees=20, seed=0
) -> tuple[RandomForestClassifier, np.ndarray, np.ndarray]:
    """Make a forest, rows (a continuous column, one of few values) and its raw probabilities."""
    rng = np.random.default_rng(seed)
    X = (rng.normal(size=(1500, 4)) * scale).astype(np.float32)
    X[:, 1] = np.round(X[:, 1] / scale, 1) * scale
    y = np.digitize(X[:, 0] / scale + rng.normal(size=1500), [-0.5, 0.5])[:, None] % len(classes)
    estimator = RandomForestClassifier(trees, max_depth=7, random_state=seed).fit(
        X, np.array(classes, np.int8)[y.ravel()]
    )
    return estimator, X, raw(estimator, X)


def raw(estimator, X) -> np.ndarray:
    out = np.zeros((len(X), 3))
    out[:, estimator.classes_] = estimator.predict_proba(X)
    return out


@pytest.mark.parametrize("classes", [(0, 1, 2), (0, 2), (1, 2), (0, 1)])
def test_the_export_answers_three_columns_equal_to_the_trained_forest(classes):
    estimator, X, expected = forest(classes)
    content = export_forest(estimator, 4)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    parity = assert_parity(content, X, expected)
    assert parity["rows"] == 1500
    assert parity["max_difference"] <= 1e-6
    assert parity["argmax_agreement"] > 0.999


def test_the_export_takes_features_and_returns_probabilities():
    estimator, _, _ = forest()
    graph = onnx.load_from_string(export_forest(estimator, 4)).graph
    assert [value.name for value in graph.input] == ["features"]
    assert [value.name for value in graph.output] == ["probabilities"]


def test_equal_forests_have_equal_bytes():
    assert export_forest(forest()[0], 4) == export_forest(forest()[0], 4)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e9, 1e30])
def test_rows_exactly_on_thresholds_take_the_same_branch(scale):
    estimator, X, _ = forest(scale=scale)
    probes = threshold_probes(estimator, X, limit=9000)
    assert_parity(export_forest(estimator, 4), probes, raw(estimator, probes))


def test_the_probes_lie_on_both_sides_of_thresholds_that_float32_rounds_up_and_down():
    estimator, X, _ = forest()
    thresholds = np.concatenate(
        [t.tree_.threshold[t.tree_.feature == 0] for t in estimator.estimators_]
    )
    rounded = thresholds.astype(np.float32)
    assert {-1, 0, 1} == set(np.sign(rounded - thresholds).astype(int)), (
        "the forest has all three kinds"
    )

    probes = threshold_probes(estimator, X, limit=10**6)[:, 0]
    for neighbour in (
        np.nextafter(rounded, np.float32(-9)),
        rounded,
        np.nextafter(rounded, np.float32(9)),
    ):
        assert np.isin(neighbour, probes).all()


def test_the_probes_would_catch_thresholds_rounded_to_the_nearest():
    estimator, X, _ = forest()
    model = onnx.load_from_string(export_forest(estimator, 4))
    node = next(n for n in model.graph.node if n.op_type == "TreeEnsembleClassifier")
    values = next(a for a in node.attribute if a.name == "nodes_values")
    nearest = np.concatenate(
        [np.where(t.tree_.feature >= 0, t.tree_.threshold, 0) for t in estimator.estimators_]
    )
    # skl2onnx numbers the nodes of a tree as scikit-learn does, so only the rounding differs
    np.testing.assert_allclose(np.array(values.floats), nearest, rtol=1e-6, atol=1e-30)
    values.floats[:] = nearest.astype(np.float32).tolist()
    naive = model.SerializeToString()
    probes = threshold_probes(estimator, X, limit=9000)

    with pytest.raises(ParityError, match="differs by up to"):
        assert_parity(naive, probes, raw(estimator, probes))


def test_a_tampered_export_is_refused_with_the_difference():
    estimator, X, expected = forest((0, 1))
    model = onnx.load_from_string(export_forest(estimator, 4))
    columns = numpy_helper.to_array(model.graph.initializer[0]).copy()
    columns[0] *= 0.9
    model.graph.initializer[0].CopyFrom(
        numpy_helper.from_array(columns, model.graph.initializer[0].name)
    )

    with pytest.raises(ParityError, match="allowed is 1e-05") as caught:
        assert_parity(model.SerializeToString(), X, expected)
    assert caught.value.details["max_difference"] == pytest.approx(
        0.1 * expected[:, 0].max(), rel=1e-4
    )


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (np.full((2, 2), 0.5), "one shape of at least one row"),
        (np.array([[0.2, 0.3, np.nan], [0.2, 0.3, 0.5]]), "differs by up to nan"),
        (np.array([[0.2, 0.3, 0.5], [0.5, 0.3, 0.2]]), "agrees in 50.00% of 2 rows"),
    ],
)
def test_outputs_that_are_not_close_are_an_error(answer, says):
    with pytest.raises(ParityError, match=says):
        assert_close(answer, np.array([[0.2, 0.3, 0.5], [0.2, 0.3, 0.5]]))


def test_parity_cannot_be_checked_without_rows():
    with pytest.raises(ParityError, match="at least one row"):
        assert_close(np.empty((0, 3)), np.empty((0, 3)))
