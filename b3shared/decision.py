"""From probabilities to the action: one rule for evaluation, the Python API and the served prediction."""

from typing import Literal

import numpy as np

from b3shared.dataset import FloatArray, IntArray

Decision = Literal["lift", "argmax"]


def decide(probabilities: FloatArray, base_rates: FloatArray, decision: Decision) -> IntArray:
    """Choose one class per row.

    ``argmax`` takes the most probable class. With daily returns that is nearly always the commonest one, whatever the
    features say. ``lift`` takes the class whose probability exceeds its base rate by the greatest factor: Bayes' rule
    when missing a buy, a sell and a hold cost the same in total, that is, the maximiser of expected balanced accuracy.

    Args:
        probabilities: (rows, classes), rows sum to 1.
        base_rates: (classes,), positive; the classes' shares in the rows that the model was trained on.
        decision: which rule.

    Returns:
        (rows,) int8 class codes.
    """
    score = probabilities / base_rates if decision == "lift" else probabilities
    return np.argmax(score, axis=1).astype(np.int8)
