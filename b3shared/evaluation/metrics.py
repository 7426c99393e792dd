"""Metrics of a classifier: pure functions on arrays, short enough to check by hand.

Classes are codes into :data:`b3shared.core.vocabulary.CLASSES`; names are never taken from a
library's sorting. Functions of a confusion matrix accept a stack of them, (..., 3, 3), so that the
bootstrap uses the very same definitions.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.core.vocabulary import CLASSES

N_CLASSES = len(CLASSES)
CALIBRATION_BINS = 10
PROBABILITY_FLOOR = 1e-15
"""Smallest probability in a logarithm: an "impossible" class that occurs costs 34.5 nats."""


# -- actions against labels


def confusion_matrix(true: IntArray, predicted: IntArray) -> IntArray:
    """Count rows by true class (matrix row) and predicted class (column); always (3, 3) int64."""
    cell = np.asarray(true, np.int64) * N_CLASSES + np.asarray(predicted, np.int64)
    return np.bincount(cell, minlength=N_CLASSES**2).reshape(N_CLASSES, N_CLASSES)


def divide(numerator: npt.ArrayLike, denominator: npt.ArrayLike, empty: float = 0.0) -> FloatArray:
    """Divide elementwise; ``empty`` where the denominator is 0."""
    above = np.asarray(numerator, np.float64)
    below = np.asarray(denominator, np.float64)
    out: FloatArray = np.full(np.broadcast_shapes(above.shape, below.shape), empty)
    np.divide(above, below, out=out, where=below != 0)
    return out


def _diagonal(confusion: Array) -> FloatArray:
    return np.diagonal(np.asarray(confusion, np.float64), axis1=-2, axis2=-1)


def support(confusion: Array) -> FloatArray:
    """(..., 3) rows of each true class."""
    return np.asarray(confusion, np.float64).sum(axis=-1)


def precision(confusion: Array) -> FloatArray:
    """(..., 3) share of each class's calls that were right; 0 for a class never called."""
    return divide(_diagonal(confusion), np.asarray(confusion, np.float64).sum(axis=-2))


def recall(confusion: Array) -> FloatArray:
    """(..., 3) share of each class's rows that were called so; 0 for a class without rows."""
    return divide(_diagonal(confusion), support(confusion))


def f1(confusion: Array) -> FloatArray:
    """(..., 3) harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN); 0 if undefined."""
    confusion = np.asarray(confusion, np.float64)
    return divide(2 * _diagonal(confusion), confusion.sum(axis=-1) + confusion.sum(axis=-2))


def accuracy(confusion: Array) -> FloatArray:
    """Share of rows on the diagonal."""
    return divide(_diagonal(confusion).sum(axis=-1), support(confusion).sum(axis=-1))


def balanced_accuracy(confusion: Array) -> FloatArray:
    """Mean recall over the classes that have rows; 1/3 for three classes without skill."""
    return divide(recall(confusion).sum(axis=-1), (support(confusion) > 0).sum(axis=-1))


def macro_f1(confusion: Array) -> FloatArray:
    """Plain mean of the three F1; a class that is absent counts as 0."""
    return f1(confusion).mean(axis=-1)


def weighted_f1(confusion: Array) -> FloatArray:
    """Mean of the F1 weighted by support; high for any model that predicts the commonest class."""
    return divide(
        (f1(confusion) * support(confusion)).sum(axis=-1), support(confusion).sum(axis=-1)
    )


def mcc(confusion: Array) -> FloatArray:
    """Matthews correlation of several classes (Gorodkin 2004); 0 if a side is constant."""
    confusion = np.asarray(confusion, np.float64)
    true = confusion.sum(axis=-1)
    called = confusion.sum(axis=-2)
    rows = true.sum(axis=-1)
    covariance = _diagonal(confusion).sum(axis=-1) * rows - (true * called).sum(axis=-1)
    spread = (rows**2 - (called**2).sum(axis=-1)) * (rows**2 - (true**2).sum(axis=-1))
    return divide(covariance, np.sqrt(np.maximum(spread, 0)))


def per_class(confusion: Array) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and support of one (3, 3) matrix, by class name."""
    columns = {"precision": precision(confusion), "recall": recall(confusion), "f1": f1(confusion)}
    return {
        name: {figure: float(values[code]) for figure, values in columns.items()}
        | {"support": int(support(confusion)[code])}
        for code, name in enumerate(CLASSES)
    }


# -- probabilities against labels


def row_log_loss(probabilities: FloatArray, true: IntArray) -> FloatArray:
    """(rows,) -ln of the probability given to the actual class."""
    columns = np.asarray(true, np.int64)[:, None]
    given = np.take_along_axis(probabilities, columns, axis=1)[:, 0]
    return -np.log(np.clip(np.asarray(given, np.float64), PROBABILITY_FLOOR, 1.0))


def row_brier(probabilities: FloatArray, true: IntArray) -> FloatArray:
    """(rows,) squared distance to the outcome summed over the classes (Brier 1950), in [0, 2]."""
    return np.asarray(((probabilities - np.eye(N_CLASSES)[true]) ** 2).sum(axis=1))


def log_loss(probabilities: FloatArray, true: IntArray) -> float:
    """Mean negative log likelihood in nats; equal shares give ln 3 = 1.0986."""
    return float(row_log_loss(probabilities, true).mean())


def brier(probabilities: FloatArray, true: IntArray) -> float:
    """Mean multi-class Brier score, in [0, 2]; lower is better."""
    return float(row_brier(probabilities, true).mean())


def class_shares(labels: IntArray) -> FloatArray:
    """(3,) share of each class in the labels: the forecast of the class prior."""
    return divide(np.bincount(labels, minlength=N_CLASSES), len(labels))


def bin_edges(probabilities: FloatArray, bins: int = CALIBRATION_BINS) -> FloatArray:
    """(3, bins - 1) inner edges of bins that hold about equally many rows, per class.

    Equal width would put all of a weak forecaster's probabilities, which lie between 0.25 and 0.5,
    into two bins.
    """
    return np.quantile(probabilities, np.linspace(0, 1, bins + 1)[1:-1], axis=0).T


def bin_numbers(probabilities: FloatArray, edges: FloatArray) -> IntArray:
    """(rows, 3) bin of each probability.

    Equal probabilities share a bin, so the order of the rows cannot matter.
    """
    columns = [
        np.searchsorted(edges[c], probabilities[:, c], side="right") for c in range(N_CLASSES)
    ]
    return np.stack(columns, axis=1)


def reliability_bins(
    probabilities: FloatArray, true: IntArray, bins: int = CALIBRATION_BINS
) -> dict[str, list[dict[str, float]]]:
    """By class name the non-empty bins: rows, mean forecast probability, observed share."""
    number = bin_numbers(probabilities, bin_edges(probabilities, bins))
    table: dict[str, list[dict[str, float]]] = {}

    for code, name in enumerate(CLASSES):
        rows = np.bincount(number[:, code], minlength=bins)
        forecast = divide(np.bincount(number[:, code], probabilities[:, code], bins), rows)
        observed = divide(np.bincount(number[:, code], true == code, bins), rows)
        table[name] = [
            {"rows": int(rows[b]), "forecast": float(forecast[b]), "observed": float(observed[b])}
            for b in np.flatnonzero(rows)
        ]
    return table


def expected_calibration_error(
    probabilities: FloatArray, true: IntArray, bins: int = CALIBRATION_BINS
) -> float:
    """Class-wise calibration error with equally filled bins.

    The adaptive calibration error of Nixon et al. (2019). Per class, the mean over the rows of
    |mean forecast - observed share| of the row's bin; then the mean over the three classes.
    Sampling noise alone keeps it above 0, by about sqrt(bins / rows) / 3.
    """
    table = reliability_bins(probabilities, true, bins)

    gaps = [
        abs(b["forecast"] - b["observed"]) * b["rows"]
        for classwise in table.values()
        for b in classwise
    ]
    return float(sum(gaps) / (len(true) * N_CLASSES))


# -- actions against returns


def directional_accuracy(actions: IntArray, returns: FloatArray) -> float:
    """Share of buys and sells whose return has that sign (a zero return is a miss); NaN without."""
    called, right = direction_hits(actions, returns)
    return float(divide(right.sum(), called.sum(), empty=np.nan))


def direction_hits(actions: IntArray, returns: FloatArray) -> tuple[Array, Array]:
    """(rows,) bool, twice: the action is buy or sell; and the return then had its sign."""
    side = 1 - np.asarray(actions, np.int64)  # buy +1, hold 0, sell -1
    return side != 0, (side * returns) > 0


def to_json(value: Any) -> Any:
    """Convert to JSON types: NaN and infinities become None, dates ISO text."""
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [to_json(v) for v in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value if value is None else str(value)
