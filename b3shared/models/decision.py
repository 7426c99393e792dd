"""Chooses the action from probabilities: one rule for evaluation, Python API and serving."""

from typing import Literal

import numpy as np

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.core.vocabulary import BUY, HOLD, SELL

Decision = Literal["lift", "argmax"]


def propose(probabilities: FloatArray, base_rates: FloatArray, decision: Decision) -> IntArray:
    """Return the class that a rule alone chooses, per row; arguments as :func:`decide`."""
    score = probabilities / base_rates if decision == "lift" else probabilities
    return np.argmax(score, axis=1).astype(np.int8)


def decide(
    probabilities: FloatArray,
    base_rates: FloatArray,
    decision: Decision,
    returns: FloatArray | None = None,
) -> IntArray:
    """Choose one class per row; a side only where the forecast's own figures do not contradict it.

    A rule proposes. ``argmax`` takes the most probable class. With daily returns that is nearly
    always the commonest one, whatever the features say. ``lift`` takes the class whose probability
    exceeds its base rate by the greatest factor: Bayes' rule when missing a buy, a sell and a hold
    cost the same in total, that is, the maximiser of expected balanced accuracy.

    Then the proposal is checked. Buy stays only where P(buy) > P(sell), sell only where
    P(sell) > P(buy). Where a return is expected, its sign must be the side's too. Otherwise the
    action is hold, also where the probabilities are equal or the return is 0.

    Args:
        probabilities: (rows, classes), rows sum to 1.
        base_rates: (classes,), positive; the classes' shares in the training rows.
        decision: which rule proposes.
        returns: (rows,) expected returns, fractions; None where the model expects none.

    Returns:
        (rows,) int8 class codes.
    """
    proposed = propose(probabilities, base_rates, decision)
    direction = 1 - proposed  # buy +1, hold 0, sell -1

    agrees = direction == np.sign(probabilities[:, BUY] - probabilities[:, SELL])
    if returns is not None:
        agrees &= direction == np.sign(returns)
    return np.where(agrees, proposed, HOLD).astype(np.int8)
