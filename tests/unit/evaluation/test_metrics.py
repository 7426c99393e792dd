"""Metrics of actions against scikit-learn and hand computations."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from b3shared.core.vocabulary import BUY, CLASSES, HOLD, SELL
from b3shared.evaluation import metrics as m

LABELS = [BUY, HOLD, SELL]
codes = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60)


def random_calls(seed=0, rows=400):
    rng = np.random.default_rng(seed)
    true, predicted = rng.choice(3, rows, p=[0.2, 0.5, 0.3]), rng.choice(3, rows, p=[0.5, 0.2, 0.3])
    return true, predicted, rng.dirichlet([2, 3, 2], rows)


def test_ninety_holds_are_reported_under_hold():
    true = np.array([HOLD] * 90 + [BUY] * 6 + [SELL] * 4)
    predicted = np.array([HOLD] * 85 + [SELL] * 5 + [BUY] * 3 + [HOLD] * 3 + [SELL] * 4)
    confusion = m.confusion_matrix(true, predicted)

    assert confusion.tolist() == [[3, 3, 0], [0, 85, 5], [0, 0, 4]]
    found = m.per_class(confusion)
    assert list(found) == ["buy", "hold", "sell"] == list(CLASSES)
    assert {name: values["support"] for name, values in found.items()} == {
        "buy": 6,
        "hold": 90,
        "sell": 4,
    }
    assert found["hold"]["precision"] == pytest.approx(85 / 88)
    assert found["hold"]["recall"] == pytest.approx(85 / 90)
    assert found["sell"] == pytest.approx(
        {"precision": 4 / 9, "recall": 1.0, "f1": 8 / 13, "support": 4}
    )
    assert found["buy"]["recall"] == 0.5


@given(codes)
def test_metrics_of_actions_equal_those_of_scikit_learn(pairs):
    true, predicted = np.array(pairs).T
    confusion = m.confusion_matrix(true, predicted)
    options = {"labels": LABELS, "zero_division": 0}

    assert confusion.tolist() == sk.confusion_matrix(true, predicted, labels=LABELS).tolist()
    assert m.accuracy(confusion) == pytest.approx(sk.accuracy_score(true, predicted))
    assert m.macro_f1(confusion) == pytest.approx(
        sk.f1_score(true, predicted, average="macro", **options)
    )
    assert m.weighted_f1(confusion) == pytest.approx(
        sk.f1_score(true, predicted, average="weighted", **options)
    )
    assert m.precision(confusion) == pytest.approx(
        sk.precision_score(true, predicted, average=None, **options)
    )
    assert m.recall(confusion) == pytest.approx(
        sk.recall_score(true, predicted, average=None, **options)
    )
    shares = [np.mean(predicted[true == c] == c) for c in set(true)]
    assert m.balanced_accuracy(confusion) == pytest.approx(np.mean(shares))


@pytest.mark.filterwarnings("ignore:A single label")
@given(codes)
def test_mcc_equals_scikit_learn_and_stays_between_minus_one_and_one(pairs):
    true, predicted = np.array(pairs).T
    found = float(m.mcc(m.confusion_matrix(true, predicted)))
    assert -1 - 1e-12 <= found <= 1 + 1e-12
    assert found == pytest.approx(sk.matthews_corrcoef(true, predicted), abs=1e-12)


def test_a_stack_of_confusion_matrices_gives_a_stack_of_metrics():
    stack = np.array([m.confusion_matrix(*random_calls(seed)[:2]) for seed in range(5)])
    for figure in (m.accuracy, m.balanced_accuracy, m.macro_f1, m.weighted_f1, m.mcc):
        assert figure(stack) == pytest.approx([float(figure(one)) for one in stack])


@pytest.mark.parametrize("classes", [[HOLD], [BUY, SELL], [BUY, HOLD]])
def test_absent_classes_do_not_crash_and_count_as_nothing(classes):
    true = np.array(classes * 5)
    confusion = m.confusion_matrix(true, true)
    assert confusion.shape == (3, 3)
    assert float(m.accuracy(confusion)) == 1.0
    assert float(m.balanced_accuracy(confusion)) == 1.0
    assert float(m.macro_f1(confusion)) == pytest.approx(len(classes) / 3)
    assert [m.per_class(confusion)[name]["support"] for name in CLASSES] == [
        5 * (c in classes) for c in LABELS
    ]


def test_perfect_calls_are_all_right_and_inverted_ones_all_wrong():
    true = np.array([BUY, SELL] * 20 + [HOLD] * 10)
    assert float(m.mcc(m.confusion_matrix(true, true))) == pytest.approx(1)
    inverted = np.where(true == BUY, SELL, np.where(true == SELL, BUY, HOLD))
    assert float(m.accuracy(m.confusion_matrix(true, inverted))) == pytest.approx(0.2)
    returns = np.where(true == BUY, 0.01, np.where(true == SELL, -0.01, 0.0))
    assert m.directional_accuracy(true, returns) == 1.0
    assert m.directional_accuracy(inverted, returns) == 0.0


def test_log_loss_and_brier_equal_scikit_learn():
    true, _, p = random_calls()
    assert m.log_loss(p, true) == pytest.approx(sk.log_loss(true, p, labels=LABELS))
    assert m.brier(p, true) == pytest.approx(
        sum(np.mean((p[:, c] - (true == c)) ** 2) for c in LABELS)
    )


def test_uniform_probabilities_cost_ln_three_and_certain_errors_stay_finite():
    true = np.array([0, 1, 2])
    assert m.log_loss(np.full((3, 3), 1 / 3), true) == pytest.approx(np.log(3))
    assert m.brier(np.eye(3), true) == 0
    wrong = np.eye(3)[[1, 2, 0]]
    assert m.log_loss(wrong, true) == pytest.approx(-np.log(m.PROBABILITY_FLOOR))
    assert m.brier(wrong, true) == 2


def test_class_shares_are_in_the_order_of_the_classes():
    assert m.class_shares(np.array([0, 1, 1, 2, 2, 2, 2, 2])) == pytest.approx(
        [1 / 8, 2 / 8, 5 / 8]
    )


def test_calibration_error_equals_a_hand_computation():
    p = np.array([[0.2, 0.5, 0.3]] * 10)  # one bin per class, as all forecasts are equal
    true = np.array([BUY] * 4 + [HOLD] * 3 + [SELL] * 3)
    assert m.expected_calibration_error(p, true) == pytest.approx((0.2 + 0.2 + 0.0) / 3)
    bins = m.reliability_bins(p, true)
    assert bins["buy"] == [
        {"rows": 10, "forecast": pytest.approx(0.2), "observed": pytest.approx(0.4)}
    ]
    assert list(bins) == list(CLASSES)


def test_calibration_bins_equal_a_loop():
    true, _, p = random_calls(rows=997)
    total = 0.0
    for c in LABELS:
        edges = np.quantile(p[:, c], np.arange(1, 10) / 10)
        number = np.array([sum(value >= edge for edge in edges) for value in p[:, c]])
        for b in range(10):
            inside = number == b
            total += abs(p[inside, c].mean() - (true[inside] == c).mean()) * inside.sum()
    assert m.expected_calibration_error(p, true) == pytest.approx(total / (3 * 997))


def test_calibration_is_good_for_true_probabilities_and_bad_for_overconfident_ones():
    rng = np.random.default_rng(1)
    p = rng.dirichlet([2, 3, 2], 20_000)
    true = (rng.random((20_000, 1)) > p.cumsum(axis=1)[:, :2]).sum(axis=1)
    sharper = p**3 / (p**3).sum(axis=1, keepdims=True)
    assert m.expected_calibration_error(p, true) < 0.015
    assert m.expected_calibration_error(sharper, true) > 0.1


@given(st.permutations(range(30)))
def test_the_order_of_the_rows_does_not_matter(order):
    true, predicted, p = random_calls(rows=30)
    p = p.round(1)  # ties
    order = np.array(order)
    assert m.expected_calibration_error(p[order], true[order]) == pytest.approx(
        m.expected_calibration_error(p, true)
    )
    assert m.log_loss(p[order], true[order]) == pytest.approx(m.log_loss(p, true))
    assert (
        m.confusion_matrix(true[order], predicted[order]) == m.confusion_matrix(true, predicted)
    ).all()


def test_direction_counts_calls_only_and_a_zero_return_is_a_miss():
    actions = np.array([BUY, BUY, SELL, SELL, HOLD, BUY])
    returns = np.array([0.1, -0.1, -0.2, 0.2, 0.5, 0.0])
    assert m.directional_accuracy(actions, returns) == pytest.approx(2 / 5)
    assert np.isnan(m.directional_accuracy(np.array([HOLD, HOLD]), np.array([0.1, -0.1])))


def test_json_has_plain_types_and_no_nan():
    value = {
        "a": np.float32(1.5),
        "b": np.nan,
        "c": np.array([[1, 2]]),
        "d": np.datetime64("2023-01-02"),
        "e": (np.inf, True, np.bool_(False), None, "x"),
        "f": np.int8(3),
    }
    found = m.to_json(value)

    assert found == {
        "a": 1.5,
        "b": None,
        "c": [[1, 2]],
        "d": "2023-01-02",
        "e": [None, True, False, None, "x"],
        "f": 3,
    }
    assert json.loads(json.dumps(found, allow_nan=False)) == found
