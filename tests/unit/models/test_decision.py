"""The action: a rule proposes a class, and a side that its own forecast contradicts is a hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from b3shared.core.vocabulary import BUY, CLASSES, HOLD, SELL
from b3shared.models.decision import Decision, decide

RULES: tuple[Decision, ...] = ("lift", "argmax")
BASE = np.array([0.31, 0.41, 0.28])
SHARES = st.lists(st.integers(1, 20), min_size=3, max_size=3).map(
    lambda parts: np.array(parts) / sum(parts)
)
RETURNS = st.none() | st.sampled_from([0.0, -0.0, 1e-9, -1e-9, 0.02, -0.02])


def called(row: list[float], decision: Decision = "lift", expected: float | None = None) -> str:
    """The action for one row of probabilities and an expected return."""
    returns = None if expected is None else np.array([expected])
    (code,) = decide(np.array([row]), BASE, decision, returns)
    return CLASSES[code]


def by_hand(
    shares: np.ndarray, base: np.ndarray, decision: Decision, expected: float | None
) -> int:
    """The rule for one row, in plain Python."""
    scores = [p / b if decision == "lift" else p for p, b in zip(shares, base, strict=True)]
    proposed = scores.index(max(scores))
    if proposed == BUY and shares[BUY] > shares[SELL] and (expected is None or expected > 0):
        return BUY
    if proposed == SELL and shares[SELL] > shares[BUY] and (expected is None or expected < 0):
        return SELL
    return HOLD


def test_a_side_that_is_less_probable_than_the_other_is_a_hold() -> None:
    assert (
        called([0.308, 0.395, 0.297]) == "hold"
    )  # sell has the greatest lift, buy the greater probability
    assert called([0.290, 0.400, 0.310]) == "sell"
    assert called([0.337, 0.416, 0.247]) == "buy"


def test_a_side_that_the_expected_return_contradicts_is_a_hold() -> None:
    assert called([0.337, 0.416, 0.247], expected=+0.002) == "buy"
    assert called([0.337, 0.416, 0.247], expected=-0.0005) == "hold"
    assert called([0.250, 0.400, 0.350], expected=-0.002) == "sell"
    assert called([0.250, 0.400, 0.350], expected=+0.0001) == "hold"


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_an_expected_return_of_zero_supports_neither_side(zero: float) -> None:
    assert called([0.5, 0.3, 0.2], expected=zero) == "hold"
    assert called([0.2, 0.3, 0.5], expected=zero) == "hold"


def test_sides_that_are_equally_probable_are_a_hold() -> None:
    assert called([0.4, 0.2, 0.4], "argmax") == "hold"
    assert called([0.4, 0.2, 0.4], "lift") == "hold"


def test_the_most_probable_class_is_checked_against_the_return_too() -> None:
    assert called([0.5, 0.3, 0.2], "argmax") == "buy"
    assert called([0.5, 0.3, 0.2], "argmax", expected=-0.01) == "hold"


@given(shares=SHARES, base=SHARES, rule=st.sampled_from(RULES), expected=RETURNS)
def test_each_row_is_decided_as_by_the_rule_in_plain_python(
    shares: np.ndarray, base: np.ndarray, rule: Decision, expected: float | None
) -> None:
    returns = None if expected is None else np.array([expected])
    codes = decide(shares[None], base, rule, returns)
    assert codes.dtype == np.int8
    assert codes.tolist() == [by_hand(shares, base, rule, expected)]


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(0, 200), rule=st.sampled_from(RULES))
def test_no_called_side_contradicts_its_figures(seed: int, rows: int, rule: Decision) -> None:
    rng = np.random.default_rng(seed)
    p, returns = rng.dirichlet([3, 4, 3], rows), rng.normal(0, 0.01, rows)
    codes = decide(p, BASE, rule, returns)
    assert codes.shape == (rows,)
    buy, sell = codes == BUY, codes == SELL
    assert (p[buy, BUY] > p[buy, SELL]).all()
    assert (p[sell, SELL] > p[sell, BUY]).all()
    assert (returns[buy] > 0).all()
    assert (returns[sell] < 0).all()
