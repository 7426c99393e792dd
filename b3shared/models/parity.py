"""Export to ONNX, and the proof that the export answers as the trained model does."""

from typing import Any

import numpy as np

from b3shared.dataset.table import CLASSES, FloatArray
from b3shared.core.errors import ParityError
from b3shared.models.scorer import open_session

TOLERANCE = 1e-5
"""Greatest difference of a probability between the trained model and its export."""


def export_forest(estimator: Any, n_features: int) -> bytes:
    """Convert a fitted scikit-learn forest whose classes are codes into :data:`b3shared.dataset.table.CLASSES`.

    Thresholds are float64 in scikit-learn and float32 in ONNX: skl2onnx rounds them towards minus infinity, so that
    ``x <= threshold`` holds for the same float32 x on both sides (:func:`threshold_probes` are the rows that tell).

    Args:
        estimator: fitted ``RandomForestClassifier`` with at least two classes.
        n_features: columns it was fitted on.

    Returns:
        An ONNX model: input "features" float32 (rows, n_features), output "probabilities" float32 (rows, 3), uncalibrated,
        in the order of CLASSES; a class that the forest never saw has 0.
    """
    # imported here: the LSTM's image checks parity without skl2onnx
    from onnx import TensorProto, helper, numpy_helper
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    model = convert_sklearn(
        estimator,
        name="forest",  # the default name is random: equal forests shall have equal bytes
        initial_types=[("features", FloatTensorType([None, n_features]))],
        options={id(estimator): {"zipmap": False}},
    )
    graph = model.graph
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, len(CLASSES)]))
    if len(estimator.classes_) < len(CLASSES):
        forest = next(node for node in graph.node if "probabilities" in node.output)
        forest.output[list(forest.output).index("probabilities")] = "seen_classes"
        columns = np.eye(len(CLASSES), dtype=np.float32)[estimator.classes_]
        graph.initializer.append(numpy_helper.from_array(columns, "class_columns"))
        graph.node.append(helper.make_node("MatMul", ["seen_classes", "class_columns"], ["probabilities"]))
    content: bytes = model.SerializeToString()
    return content


def threshold_probes(estimator: Any, X: FloatArray, limit: int = 1000, seed: int = 0) -> FloatArray:
    """Rows that lie on the thresholds of a forest, where a wrongly rounded export would take the other branch.

    Each is a row of ``X`` with one feature set to the float32 nearest to one of the thresholds on it, or to a neighbour.

    Args:
        estimator: fitted forest.
        X: (rows, features) float32, at least one row.
        limit: at most so many rows.
        seed: of the choice of thresholds and rows.

    Returns:
        (<= limit, features) float32.
    """
    trees = [tree.tree_ for tree in estimator.estimators_]
    feature = np.concatenate([tree.feature for tree in trees])
    threshold = np.concatenate([tree.threshold for tree in trees])
    inner = np.flatnonzero(feature >= 0)
    rng = np.random.default_rng(seed)
    inner = rng.choice(inner, size=min(limit // 3, len(inner)), replace=False)
    nearest = threshold[inner].astype(np.float32)
    values = [np.nextafter(nearest, np.float32(-np.inf)), nearest, np.nextafter(nearest, np.float32(np.inf))]
    probes = X[rng.integers(len(X), size=3 * len(inner))].astype(np.float32)
    probes[np.arange(len(probes)), np.tile(feature[inner], 3)] = np.concatenate(values)
    return probes


def assert_parity(onnx: bytes, X: FloatArray, expected: FloatArray, tolerance: float = TOLERANCE) -> dict[str, float]:
    """Score ``X`` with an exported model and compare its raw probabilities with those of the trained one.

    Args:
        onnx: the exported model.
        X: its input, float32.
        expected: (rows, 3) raw probabilities of the trained model for the same rows.
        tolerance: greatest difference allowed.

    Returns:
        As :func:`assert_close`.

    Raises:
        ParityError: As :func:`assert_close`.
    """
    session = open_session(onnx)
    (answer,) = session.run(["probabilities"], {session.get_inputs()[0].name: np.ascontiguousarray(X, dtype=np.float32)})
    return assert_close(answer, expected, tolerance)


def assert_close(
    answer: FloatArray, expected: FloatArray, tolerance: float = TOLERANCE, what: str = "probability"
) -> dict[str, float]:
    """Compare what two forms of a model say of the same rows.

    Args:
        answer: (rows, columns) of the exported model.
        expected: likewise of the trained one.
        tolerance: greatest difference allowed.
        what: is compared, for the message.

    Returns:
        JSON-able: ``rows``, ``max_difference`` and ``argmax_agreement`` (share of rows with the same most probable class).

    Raises:
        ParityError: No rows, unequal shapes, or a difference above the tolerance or NaN.
    """
    if answer.shape != expected.shape or not len(expected):
        raise ParityError(f"shapes {answer.shape} and {expected.shape}: equal ones with at least one row are needed")
    difference = float(np.abs(np.asarray(answer, dtype=np.float64) - expected).max())
    agreement = float(np.mean(np.argmax(answer, axis=1) == np.argmax(expected, axis=1)))
    if not difference <= tolerance:
        raise ParityError(
            f"the exported model differs by up to {difference:.3g} in {what}, {tolerance:.3g} is allowed; "
            f"the most probable class agrees in {agreement:.2%} of {len(expected)} rows",
            max_difference=difference,
            argmax_agreement=agreement,
        )
    return {"rows": len(expected), "max_difference": difference, "argmax_agreement": agreement}
