"""Exports the forest to ONNX."""

from typing import Any

import numpy as np

from b3shared.core.arrays import FloatArray
from b3shared.core.vocabulary import CLASSES


def export_forest(estimator: Any, n_features: int) -> bytes:
    """Convert a fitted scikit-learn forest to ONNX; its classes are codes into CLASSES.

    Thresholds are float64 in scikit-learn and float32 in ONNX: skl2onnx rounds them towards minus
    infinity, so that ``x <= threshold`` holds for the same float32 x on both sides
    (:func:`threshold_probes` returns rows that show it).

    Args:
        estimator: fitted ``RandomForestClassifier`` with at least two classes.
        n_features: columns it was fitted on.

    Returns:
        An ONNX model: input "features" float32 (rows, n_features), output "probabilities" float32
        (rows, 3), uncalibrated, in the order of CLASSES; a class that the forest never saw has 0.
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
    graph.output.append(
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, len(CLASSES)])
    )
    if len(estimator.classes_) < len(CLASSES):
        forest = next(node for node in graph.node if "probabilities" in node.output)
        forest.output[list(forest.output).index("probabilities")] = "seen_classes"
        columns = np.eye(len(CLASSES), dtype=np.float32)[estimator.classes_]
        graph.initializer.append(numpy_helper.from_array(columns, "class_columns"))
        graph.node.append(
            helper.make_node("MatMul", ["seen_classes", "class_columns"], ["probabilities"])
        )
    content: bytes = model.SerializeToString()
    return content


def threshold_probes(estimator: Any, X: FloatArray, limit: int = 1000, seed: int = 0) -> FloatArray:
    """Make rows on a forest's thresholds, where a wrongly rounded export errs.

    Each is a row of ``X`` with one feature set to the float32 nearest to one of the thresholds on
    it, or to a neighbour.

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
    values = [
        np.nextafter(nearest, np.float32(-np.inf)),
        nearest,
        np.nextafter(nearest, np.float32(np.inf)),
    ]

    probes = X[rng.integers(len(X), size=3 * len(inner))].astype(np.float32)
    probes[np.arange(len(probes)), np.tile(feature[inner], 3)] = np.concatenate(values)
    return probes
