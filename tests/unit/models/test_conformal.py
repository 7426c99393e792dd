"""The scale of returns, and intervals that cover their level of outcomes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from b3shared.core.errors import TooLittleHistoryError
from b3shared.models.conformal import SHRINKAGE, ReturnScale, unit_of


def market(rows: int, seed: int, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make forecasts in units, volatilities, and actual returns of ``slope`` times these."""
    rng = np.random.default_rng(seed)
    predicted = rng.normal(0, 0.3, rows)
    volatility = rng.uniform(0.005, 0.06, rows)
    return (
        predicted,
        volatility,
        (slope * predicted + rng.standard_t(5, rows)) * unit_of(volatility, 2),
    )


def fitted(rows: int = 2000, seed: int = 0, slope: float = 1.0, level: float = 0.9) -> ReturnScale:
    return ReturnScale.fit(*market(rows, seed, slope), horizon=2, level=level)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.99])
def test_an_interval_covers_its_level_on_rows_of_the_same_distribution(level: float) -> None:
    scale = fitted(level=level)
    predicted, volatility, future = market(20_000, seed=1)
    low, high = scale.intervals(scale.returns(predicted, volatility), volatility).T
    assert np.mean((low <= future) & (future <= high)) == pytest.approx(level, abs=0.02)


@given(st.integers(1, 400), st.floats(0.05, 0.99), st.integers(0, 50))
def test_the_quantile_is_the_conformal_one_or_there_are_too_few_rows(
    rows: int, level: float, seed: int
) -> None:
    predicted, volatility, future = market(rows, seed)
    actual = future / (volatility * np.sqrt(2))
    try:
        scale = ReturnScale.fit(predicted, volatility, future, horizon=2, level=level)
    except TooLittleHistoryError as error:
        needed = error.details["needed"]
        assert rows < needed
        ReturnScale.fit(
            *market(needed, seed), horizon=2, level=level
        )  # as many as it asks for are enough
        with pytest.raises(TooLittleHistoryError):
            ReturnScale.fit(*market(needed - 1, seed), horizon=2, level=level)
        return
    scores = sorted(abs(actual - scale.shrinkage * predicted))
    at_or_below = sum(score <= scale.quantile + 1e-12 for score in scores)

    assert at_or_below >= np.ceil((rows + 1) * level - 1e-9)
    assert scale.quantile in [pytest.approx(score) for score in scores]


@pytest.mark.parametrize("slope", [0.3, 0.7])
def test_forecasts_that_are_too_large_are_shrunk_to_the_outcomes(slope: float) -> None:
    scale = fitted(20_000, slope=slope)
    assert scale.shrinkage == pytest.approx(slope, abs=0.06)
    predicted, volatility, future = market(20_000, seed=3, slope=slope)
    plain = ReturnScale(2, 0.9, 1.0)
    errors = [np.mean((s.returns(predicted, volatility) - future) ** 2) for s in (scale, plain)]
    assert errors[0] < errors[1]


@pytest.mark.parametrize(("slope", "bound"), [(-1.0, SHRINKAGE[0]), (3.0, SHRINKAGE[1])])
def test_shrinkage_keeps_the_order_and_never_enlarges(slope: float, bound: float) -> None:
    assert fitted(slope=slope).shrinkage == bound


def test_forecasts_of_zero_are_not_shrunk() -> None:
    _, volatility, future = market(100, 0)
    assert ReturnScale.fit(np.zeros(100), volatility, future, horizon=2, level=0.9).shrinkage == 1.0


def test_a_share_that_does_not_move_has_a_unit_above_zero() -> None:
    assert unit_of(np.array([0.0, 1e-9]), 4).tolist() == [2e-4, 2e-4]


def test_a_return_is_never_below_minus_one() -> None:
    (low, high), *_ = ReturnScale(2, 0.9, 2.0).intervals(np.array([-0.5]), np.array([0.5]))
    assert (low, high) == (-1.0, pytest.approx(-0.5 + 2 * 0.5 * np.sqrt(2)))


def test_a_return_scale_is_read_back_also_if_stored_without_shrinkage() -> None:
    scale = fitted(slope=0.5)
    assert ReturnScale.from_json(scale.to_json()) == scale
    old = {"horizon": 2, "level": 0.9, "quantile": 1.5}
    assert ReturnScale.from_json(old) == ReturnScale(2, 0.9, 1.5, 1.0)
