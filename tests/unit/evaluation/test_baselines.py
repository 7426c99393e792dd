"""Baselines follow their rules and see no outcome of the test rows."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from b3shared.core.vocabulary import BUY, HOLD, SELL
from b3shared.evaluation.baselines import actions_of, all_baselines
from b3shared.params.run import PipelineParams

PARAMS = PipelineParams()
NAMES = [
    "majority",
    "persistence",
    "yesterdays_label",
    "reversal",
    "momentum",
    "reference_rule",
    "logistic_regression",
]


@pytest.fixture(scope="module")
def market(make_market):
    return make_market(signal=0.5)


@pytest.fixture(scope="module")
def parts(market, split):
    return split(market)


@pytest.fixture(scope="module")
def found(market, parts):
    return {b.name: b for b in all_baselines(market, parts["train"], parts["test"], PARAMS)}


def test_every_promised_baseline_answers_for_every_row(found, parts):
    assert list(found) == NAMES
    for baseline in found.values():
        assert baseline.actions.shape == parts["test"].shape
        assert set(np.unique(baseline.actions)) <= {BUY, HOLD, SELL}
        assert baseline.description
        if baseline.probabilities is not None:
            assert baseline.probabilities.sum(axis=1) == pytest.approx(np.ones(len(parts["test"])))


def test_no_baseline_depends_on_the_outcomes_of_the_test_rows(market, parts, found):
    rows = parts["test"]
    label, future = market.label.copy(), market.future_return.copy()
    label[rows], future[rows] = (2 - label[rows]), 9.0
    changed = replace(market, label=label, future_return=future)
    for after in all_baselines(changed, parts["train"], rows, PARAMS):
        before = found[after.name]
        for field in ("actions", "probabilities", "score", "returns"):
            np.testing.assert_array_equal(getattr(after, field), getattr(before, field))


def test_fitted_baselines_depend_on_the_train_labels(market, parts):
    label = market.label.copy()
    label[parts["train"]] = np.where(np.arange(len(parts["train"])) % 4 == 0, BUY, SELL)
    changed = {
        b.name: b
        for b in all_baselines(replace(market, label=label), parts["train"], parts["test"], PARAMS)
    }

    assert (changed["majority"].actions == SELL).all()
    assert changed["majority"].probabilities[0] == pytest.approx([0.25, 0, 0.75], abs=1e-3)
    assert (changed["logistic_regression"].probabilities[:, HOLD] == 0).all()
    actions, (buy, _, sell) = (
        changed["logistic_regression"].actions,
        changed["logistic_regression"].probabilities.T,
    )
    proposed = np.where(
        buy / 0.25 > sell / 0.75, BUY, SELL
    )  # hold is the word for a proposal that fails the check
    agrees = np.where(proposed == BUY, buy > sell, sell > buy)
    assert (actions == np.where(agrees, proposed, HOLD)).all()
    assert 0 < agrees.mean() < 1


def test_majority_gives_the_train_class_shares(market, parts, found):
    shares = np.bincount(market.label[parts["train"]], minlength=3) / len(parts["train"])
    assert found["majority"].probabilities[7] == pytest.approx(shares)
    assert (found["majority"].actions == np.argmax(shares)).all()


def test_persistence_holds_and_forecasts_a_return_of_zero(found):
    assert (found["persistence"].actions == HOLD).all()
    assert (found["persistence"].returns == 0).all()


def test_the_last_known_label_is_repeated_or_else_the_majority(market, parts):
    known = np.full(len(market), SELL, np.int8)
    known[parts["test"][:3]] = -1
    baselines = all_baselines(
        replace(market, known_label=known), parts["train"], parts["test"], PARAMS
    )
    found = {b.name: b.actions for b in baselines}
    assert (found["yesterdays_label"][3:] == SELL).all()
    assert (found["yesterdays_label"][:3] == found["majority"][:3]).all()


def test_reversal_and_momentum_equal_a_hand_computation(market, parts):
    rows = parts["test"][:4]
    five, twenty, volatility = (
        market.return_5.copy(),
        market.return_20.copy(),
        market.volatility.copy(),
    )
    volatility[rows] = 0.02
    five[rows] = [0.0230, -0.0230, 0.0215, np.nan]  # the band is 0.5 * 0.02 * sqrt(5) = 0.02236
    twenty[rows] = [0.0460, -0.0460, 0.0440, np.nan]  # 0.5 * 0.02 * sqrt(20) = 0.04472
    changed = replace(market, return_5=five, return_20=twenty, volatility=volatility)
    found = {b.name: b for b in all_baselines(changed, parts["train"], rows, PARAMS)}

    assert found["reversal"].actions.tolist() == [SELL, BUY, HOLD, HOLD]
    assert found["momentum"].actions.tolist() == [BUY, SELL, HOLD, HOLD]
    np.testing.assert_array_equal(found["reversal"].score, -five[rows])
    np.testing.assert_array_equal(found["momentum"].score, twenty[rows])


def test_the_reference_rule_is_passed_through(market, parts, found):
    np.testing.assert_array_equal(found["reference_rule"].actions, market.rule[parts["test"]])


def test_logistic_regression_is_standardised_on_train_and_finds_a_planted_signal(
    market, parts, found
):
    train, rows = parts["train"], parts["test"]
    X = market.X.astype(np.float64)
    mean, deviation = X[train].mean(axis=0), X[train].std(axis=0)
    oracle = LogisticRegression(max_iter=1000, tol=1e-8).fit(
        (X[train] - mean) / deviation, market.label[train]
    )
    expected = oracle.predict_proba((X[rows] - mean) / deviation)
    assert found["logistic_regression"].probabilities == pytest.approx(expected, abs=2e-3)
    score = found["logistic_regression"].score
    assert score == pytest.approx(expected[:, BUY] - expected[:, SELL], abs=4e-3)
    assert np.corrcoef(score, market.future_return[rows])[0, 1] > 0.2


def test_one_class_in_train_does_not_crash_and_is_always_forecast(market, parts):
    label = market.label.copy()
    label[parts["train"]] = HOLD
    for baseline in all_baselines(
        replace(market, label=label), parts["train"], parts["test"], PARAMS
    ):
        if baseline.probabilities is not None:
            assert (baseline.probabilities == [0, 1, 0]).all()
            assert (baseline.actions == HOLD).all()


def test_a_class_that_train_never_had_is_never_called():
    p, base = np.array([[1e-6, 0.4, 0.6 - 1e-6]]), np.array([0, 0.5, 0.5])
    assert actions_of(p, base, PipelineParams(decision="lift")).tolist() == [SELL]
    assert actions_of(p, base, PipelineParams(decision="argmax")).tolist() == [SELL]
