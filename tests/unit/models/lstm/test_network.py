"""The network and its losses, against plain formulas."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from b3shared.core.vocabulary import BUY, HOLD, SELL
from b3shared.models.lstm.network import (
    CLIP,
    ClassBalance,
    MultiTaskLSTM,
    Objective,
    focal_loss,
    return_loss,
)
from b3shared.params.lstm import LSTMParams

ONES = torch.ones(3)


def batch(n=50, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, generator=generator) * 3, torch.randint(
        0, 3, (n,), generator=generator
    )


def test_without_gamma_and_weights_the_loss_is_cross_entropy():
    logits, labels = batch()
    torch.testing.assert_close(
        focal_loss(logits, labels, 0.0, ONES),
        functional.cross_entropy(logits, labels, reduction="none"),
    )


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_the_focal_loss_is_its_formula_on_the_true_probability(gamma):
    logits, labels = batch()
    weights = torch.tensor([0.5, 10.0, 2.0])
    p = torch.softmax(logits.double(), 1)[torch.arange(50), labels]
    expected = weights.double()[labels] * (1 - p) ** gamma * -torch.log(p)
    torch.testing.assert_close(
        focal_loss(logits, labels, gamma, weights).double(), expected, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("weight", [0.1, 1.0, 10.0, 100.0])
def test_a_certain_and_right_row_has_a_small_loss_whatever_its_class_weight(weight):
    logits = torch.log(torch.tensor([[0.99, 0.005, 0.005]]))
    loss = focal_loss(logits, torch.tensor([0]), 2.0, torch.full((3,), weight))
    assert loss.item() == pytest.approx(weight * 0.01**2 * -np.log(0.99), rel=1e-3)
    hopeless = focal_loss(logits, torch.tensor([1]), 2.0, torch.full((3,), weight))
    assert loss.item() < 1e-6 * hopeless.item()


@pytest.mark.parametrize("gamma", [0.0, 0.3, 2.0])
def test_certain_probabilities_have_a_finite_loss_and_gradient(gamma):
    logits = torch.tensor([[200.0, -200.0, 0.0], [-200.0, 200.0, 0.0]], requires_grad=True)
    focal_loss(logits, torch.tensor([0, 0]), gamma, ONES).sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_hubers_loss_is_a_square_near_zero_and_linear_beyond_one():
    answer, actual = torch.tensor([0.5, 3.0, -3.0]), torch.zeros(3)
    assert return_loss(answer, actual, "huber").tolist() == [0.125, 2.5, 2.5]
    assert return_loss(answer, actual, "mse").tolist() == [0.25, 9.0, 9.0]


def test_the_network_scales_its_input_and_extreme_values_do_not_saturate_it():
    torch.manual_seed(0)
    network = MultiTaskLSTM(2, 8, 0.0).eval()
    x = torch.randn(4, 6, 2)
    plain = network(x)
    network.scale_by(np.array([10.0, -3.0]), np.array([4.0, 0.5]))
    moved = x * torch.tensor([4.0, 0.5]) + torch.tensor([10.0, -3.0])
    for a, b in zip(plain, network(moved), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)

    wild, bound = moved.clone(), moved.clone()
    wild[:, :, 0], bound[:, :, 0] = 1e30, 10.0 + math.sinh(CLIP) * 4.0
    for a, b in zip(network(wild), network(bound), strict=True):
        torch.testing.assert_close(a, b)


def test_scaling_is_fine_near_the_centre_and_coarse_far_away():
    network = MultiTaskLSTM(1, 1, 0.0)
    seen = []
    network.lstm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network.scale_by(np.array([2.0]), np.array([0.5]))
    network(torch.tensor([2.0, 2.05, 2.5, 52.0]).reshape(1, 4, 1))
    torch.testing.assert_close(
        seen[0].flatten(), torch.asinh(torch.tensor([0.0, 0.1, 1.0, 100.0])).clamp(max=CLIP)
    )


def test_dropout_leaves_out_in_training_only():
    torch.manual_seed(0)
    network, x = MultiTaskLSTM(2, 8, 0.9), torch.randn(4, 6, 2)
    network.train()
    assert not torch.equal(network(x)[0], network(x)[0])
    network.eval()
    assert torch.equal(network(x)[0], network(x)[0])


LABELS = np.repeat([BUY, HOLD, SELL], [100, 800, 300])


@pytest.mark.parametrize(
    ("oversample", "drawn"),
    [
        (False, (100, 800, 300)),
        (True, (400, 400, 400)),
        ("sqrt", 1200 * np.sqrt([1, 8, 3]) / np.sqrt([1, 8, 3]).sum()),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_draws_and_weights_are_those_that_the_parameters_name(oversample, drawn, weighted):
    balance = ClassBalance.from_labels(
        LABELS, LSTMParams(oversample=oversample, use_class_weights=weighted)
    )
    counts = np.array([100, 800, 300])
    np.testing.assert_allclose(balance.rates * counts, drawn)
    counted = balance.weights * drawn
    np.testing.assert_allclose(counted, [400] * 3 if weighted else drawn)
    np.testing.assert_allclose(balance.total, balance.rates * balance.weights)


@pytest.mark.parametrize("oversample", [False, True, "sqrt"])
@pytest.mark.parametrize("weighted", [False, True])
def test_an_absent_class_has_no_weight_and_leaves_that_of_the_others(oversample, weighted):
    balance = ClassBalance.from_labels(
        np.repeat([BUY, HOLD], [1, 3]),
        LSTMParams(oversample=oversample, use_class_weights=weighted),
    )
    assert np.isfinite(balance.total).all()
    assert balance.total[SELL] == 0
    assert balance.total @ np.array([1, 3, 0]) == pytest.approx(4)


@pytest.mark.parametrize("oversample", [True, "sqrt"])
def test_the_mean_loss_over_drawn_rows_equals_that_over_all_rows(oversample):
    params = LSTMParams(oversample=oversample, use_class_weights=True, focal_loss_gamma=1.0)
    balance, device = ClassBalance.from_labels(LABELS, params), torch.device("cpu")
    rng = np.random.default_rng(0)
    n, probability = len(LABELS), balance.rates[LABELS] / balance.rates[LABELS].sum()
    drawn = rng.choice(n, size=400_000, p=probability)
    labels = torch.from_numpy(LABELS)
    logits, answer, actual = torch.randn(n, 3), torch.randn(n), torch.randn(n) + 2 * labels

    rows = Objective.for_rows(params, balance, device)(logits, answer, labels, actual) / n
    draws = Objective.for_draws(params, balance, device)(
        logits[drawn], answer[drawn], labels[drawn], actual[drawn]
    ) / len(drawn)
    torch.testing.assert_close(draws, rows, rtol=0.02, atol=0)
    plain = return_loss(answer, actual, "huber").mean()
    torch.testing.assert_close(rows[1], plain)
