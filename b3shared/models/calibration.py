"""Calibrates a model's raw class probabilities.

NumPy only, because predict applies it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.core.errors import TooLittleHistoryError
from b3shared.core.vocabulary import CLASSES

FLOOR = 1e-6
"""Least probability and class share: logarithms stay finite, an unseen class possible."""

TEMPERATURES = (0.05, 20.0)
"""Bounds of the temperature.

At the upper one the result is nearly the class shares, whatever the model predicts.
"""


@dataclass(frozen=True)
class Calibration:
    """Tempers a model's evidence beyond its own prior, and gives it the true class shares.

    With p the raw probabilities, g the prior that the model was grown with and s the class shares
    of its training rows::

        calibrated = softmax(log(p / g) / temperature + log(s))

    g differs from s where class weights make rare classes count more while growing. Dividing by it
    and multiplying by s is the prior correction of Saerens, Latinne and Decaestecker (2002). The
    temperature is that of Guo et al. (2017), applied to the evidence p / g alone, so that an unsure
    model falls back to the class shares rather than to one third each, and so that the class of
    greatest lift (calibrated / s) does not depend on the temperature.

    Attributes:
        temperature: above 1 the model was too sure of itself, below 1 not sure enough.
        grown: (classes,) prior of the raw probabilities.
        shares: (classes,) class shares of the training rows, at least :data:`FLOOR`.
    """

    temperature: float
    grown: tuple[float, ...]
    shares: tuple[float, ...]

    @classmethod
    def from_labels(cls, labels: IntArray, *, balanced: bool) -> Self:
        """Make the prior correction alone (temperature 1) from the labels of the training.

        Args:
            labels: (rows,) codes into :data:`b3shared.core.vocabulary.CLASSES`.
            balanced: whether class weights gave every class present the same weight.
        """
        counts = np.bincount(labels, minlength=len(CLASSES))
        return cls.from_weights(
            labels, 1 / np.maximum(counts, 1) if balanced else np.ones(len(CLASSES))
        )

    @classmethod
    def from_weights(cls, labels: IntArray, weights: FloatArray) -> Self:
        """Make the prior correction of a model whose rows were weighted by class.

        Args:
            labels: (rows,) codes into :data:`b3shared.core.vocabulary.CLASSES`.
            weights: (classes,) what a row of each class counted, in any unit.
        """
        counts = np.bincount(labels, minlength=len(CLASSES))
        shares = counts / counts.sum()
        counted = counts * weights
        # a class without rows: its raw probability is 0, so against any sizeable prior the evidence
        # speaks against it
        grown = np.where(counts > 0, counted / counted.sum(), 1 / len(CLASSES))
        return cls(1.0, tuple(grown.tolist()), tuple(np.maximum(shares, FLOOR).tolist()))

    def apply(self, probabilities: FloatArray) -> FloatArray:
        """Calibrate raw probabilities.

        Args:
            probabilities: (rows, classes); values under :data:`FLOOR` count as it.

        Returns:
            (rows, classes) float64, positive, rows sum to 1.
        """
        return _softmax(self._evidence(probabilities) / self.temperature + np.log(self.shares))

    def fit(self, probabilities: FloatArray, labels: IntArray) -> Self:
        """Copy with the temperature of least log loss on rows that the model has not seen.

        It lies within :data:`TEMPERATURES`.

        The log loss is convex in b = 1 / temperature; its derivative is mean over rows of
        E[evidence] - evidence of the true class, so bisection on the sign of it finds the one
        minimum.

        Args:
            probabilities: (rows, classes), raw.
            labels: (rows,) codes of the actual classes.

        Raises:
            TooLittleHistoryError: There are no rows.
        """
        if not len(labels):
            raise TooLittleHistoryError(
                "no rows to calibrate on: at least one validation row is needed"
            )
        evidence = self._evidence(probabilities)
        prior = np.log(self.shares)
        true = evidence[np.arange(len(labels)), labels].mean()
        low, high = (1 / t for t in reversed(TEMPERATURES))

        for _ in range(60):
            b = np.sqrt(low * high)
            expected = (_softmax(evidence * b + prior) * evidence).sum(axis=1).mean()
            low, high = (low, b) if expected > true else (b, high)
        return replace(self, temperature=float(1 / np.sqrt(low * high)))

    def with_priors_of(self, other: "Calibration") -> Self:
        """Copy with the same temperature and both priors of another calibration."""
        return replace(self, grown=other.grown, shares=other.shares)

    def to_json(self) -> dict[str, Any]:
        """Return JSON types, for :meth:`from_json`."""
        return {
            "temperature": self.temperature,
            "grown": list(self.grown),
            "shares": list(self.shares),
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` returned."""
        return cls(float(stored["temperature"]), tuple(stored["grown"]), tuple(stored["shares"]))

    def _evidence(self, probabilities: FloatArray) -> FloatArray:
        raw = np.maximum(np.asarray(probabilities, dtype=np.float64), FLOOR)
        evidence: FloatArray = np.log(raw) - np.log(self.grown)
        return evidence


def _softmax(logits: FloatArray) -> FloatArray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: FloatArray = shifted / shifted.sum(axis=1, keepdims=True)
    return probabilities
