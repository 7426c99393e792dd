"""Calibration: a known distortion is undone, the prior is corrected, nothing becomes NaN."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from synthetic import log_loss

from b3shared.core.errors import TooLittleHistoryError
from b3shared.models.calibration import TEMPERATURES, Calibration

UNIFORM = (1 / 3, 1 / 3, 1 / 3)


def outcomes(rows: int = 4000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """True class probabilities and labels drawn from them."""
    rng = np.random.default_rng(seed)
    truth = rng.dirichlet([2.0, 3.0, 2.0], size=rows)
    labels = (rng.random(rows)[:, None] > truth.cumsum(axis=1)).sum(axis=1)
    return truth, labels


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("distortion", [0.3, 1.0, 2.0])
def test_calibration_corrects_overconfident_and_underconfident_models(distortion):
    truth, labels = outcomes()
    raw = softmax(np.log(truth) * distortion)
    fitted = Calibration(1.0, UNIFORM, UNIFORM).fit(raw, labels)
    assert fitted.temperature == pytest.approx(distortion, rel=0.1)
    assert np.abs(fitted.apply(raw) - truth).max() < 0.05


def test_the_temperature_is_the_minimum_of_the_log_loss():
    truth, labels = outcomes(500)
    raw = softmax(np.log(truth) * 1.7)
    start = Calibration(1.0, (0.2, 0.5, 0.3), (0.1, 0.6, 0.3))

    def loss(log_t: float) -> float:
        return log_loss(Calibration(np.exp(log_t), start.grown, start.shares).apply(raw), labels)

    best = minimize_scalar(
        loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-9}
    )
    assert np.log(start.fit(raw, labels).temperature) == pytest.approx(best.x, abs=1e-4)


def test_a_model_that_is_always_wrong_is_calibrated_to_the_class_shares():
    raw = np.tile([0.98, 0.01, 0.01], (50, 1))
    calibration = Calibration(1.0, UNIFORM, (0.2, 0.5, 0.3)).fit(raw, np.full(50, 2))
    assert calibration.temperature == pytest.approx(TEMPERATURES[1])
    np.testing.assert_allclose(calibration.apply(raw)[0], [0.2, 0.5, 0.3], atol=0.05)


def test_a_model_that_is_always_right_gets_the_lowest_temperature():
    raw = np.tile([0.5, 0.3, 0.2], (50, 1))
    assert Calibration(1.0, UNIFORM, UNIFORM).fit(
        raw, np.zeros(50, int)
    ).temperature == pytest.approx(TEMPERATURES[0])


def test_probabilities_of_a_balanced_training_are_corrected_to_the_true_shares():
    # Saerens et al.: multiply by the ratio of the priors and normalise
    labels = np.repeat([0, 1, 2], [10, 70, 20])
    calibration = Calibration.from_labels(labels, balanced=True)
    raw = np.random.default_rng(0).dirichlet([1, 1, 1], size=100)
    by_hand = raw * np.array([0.1, 0.7, 0.2]) * 3
    np.testing.assert_allclose(
        calibration.apply(raw), by_hand / by_hand.sum(axis=1, keepdims=True), rtol=1e-4
    )


def test_without_class_weights_and_temperature_nothing_changes():
    calibration = Calibration.from_labels(np.repeat([0, 1, 2], [10, 70, 20]), balanced=False)
    raw = np.random.default_rng(0).dirichlet([1, 1, 1], size=100)
    np.testing.assert_allclose(calibration.apply(raw), raw, atol=1e-5)


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_a_class_absent_from_training_stays_near_zero(balanced, temperature):
    prior = Calibration.from_labels(np.repeat([0, 2], [30, 70]), balanced=balanced)
    calibration = Calibration(temperature, prior.grown, prior.shares)
    probabilities = calibration.apply(np.array([[0.4, 0.0, 0.6], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]))
    assert (probabilities[:, 1] < 1e-5).all()
    lift = probabilities / calibration.shares
    assert (lift.argmax(axis=1) != 1).all(), "and is never the class of greatest lift"


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=20),
    st.lists(st.integers(0, 2), min_size=1, max_size=50),
    st.booleans(),
    st.floats(*TEMPERATURES),
)
def test_rows_are_positive_and_sum_to_one_whatever_goes_in(raw, labels, balanced, temperature):
    prior = Calibration.from_labels(np.array(labels), balanced=balanced)
    probabilities = Calibration(temperature, prior.grown, prior.shares).apply(np.array(raw))
    assert np.isfinite(probabilities).all()
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


@given(st.floats(0.2, 5.0))
def test_the_class_of_greatest_lift_does_not_depend_on_the_temperature(temperature):
    raw = np.random.default_rng(1).dirichlet([5, 5, 5], size=50)
    prior = Calibration.from_labels(np.repeat([0, 1, 2], [10, 70, 20]), balanced=True)
    tempered = Calibration(temperature, prior.grown, prior.shares)
    np.testing.assert_array_equal(
        np.argmax(tempered.apply(raw) / tempered.shares, axis=1),
        np.argmax(prior.apply(raw) / prior.shares, axis=1),
    )


def test_calibration_survives_json_and_keeps_its_temperature_with_new_priors():
    calibration = Calibration(1.3, (0.2, 0.5, 0.3), (0.1, 0.6, 0.3))
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration
    moved = calibration.with_priors_of(Calibration(9.0, UNIFORM, (0.3, 0.3, 0.4)))
    assert moved == Calibration(1.3, UNIFORM, (0.3, 0.3, 0.4))


def test_no_rows_to_calibrate_on_is_an_error():
    with pytest.raises(TooLittleHistoryError, match="at least one validation row"):
        Calibration(1.0, UNIFORM, UNIFORM).fit(np.empty((0, 3)), np.empty(0, int))
