"""The training loop keeps the best weights, and interruptions do not change them."""

import copy

import numpy as np
import pytest
import torch
from small_lstm import in_slices, small_dataset, small_params, weights
from small_training import DATA, ran, training

from b3shared.core.errors import InvalidParameterError
from b3shared.models.base import TrainingSession
from b3shared.models.lstm.batches import outputs


def test_the_history_equals_a_plain_evaluation_of_the_weights():
    made = ran(params=small_params(epochs=1, focal_loss_gamma=1.0, loss_return="mse"))
    stop = made.task.stop
    logits, answer = outputs(made.network, stop.windows, stop.rows)
    p = torch.softmax(logits.double(), 1).numpy()[np.arange(len(stop)), stop.labels]
    (epoch,) = made.state.history

    assert epoch["val_action"] == pytest.approx(np.mean((1 - p) * -np.log(p)), rel=1e-5)
    assert epoch["val_log_loss"] == pytest.approx(-np.log(p).mean(), rel=1e-5)
    assert epoch["val_return"] == pytest.approx(
        np.mean((answer.numpy() - stop.returns) ** 2), rel=1e-5
    )
    assert epoch["val_loss"] == pytest.approx(
        epoch["val_action"] + 0.3 * epoch["val_return"], rel=1e-6
    )
    assert epoch["learning_rate"] == 0.01


@pytest.mark.parametrize("oversample", [False, True, "sqrt"])
def test_the_training_loop_equals_a_plain_torch_loop_step_by_step(oversample):
    params = small_params(epochs=2, dropout=0.0, oversample=oversample, focal_loss_gamma=0.0)
    made = training(params=params)
    plain, learn = copy.deepcopy(made.network), made.task.train
    orders = [made._order()]
    made.state.epoch = 1
    orders.append(made._order())
    made.state.epoch = 0
    made.run()
    optimizer = torch.optim.Adam(plain.parameters(), lr=0.01, weight_decay=params.lstm.weight_decay)
    undo = torch.tensor(1 / made.balance.rates, dtype=torch.float32)
    for order in orders:
        for at in range(0, len(order), 64):
            part = order[at : at + 64]
            x = np.stack([DATA.X[row - 3 : row + 1] for row in learn.rows[part]])
            logits, answer = plain(torch.from_numpy(x))
            labels = torch.from_numpy(learn.labels[part])
            huber = torch.nn.functional.huber_loss(
                answer, torch.from_numpy(learn.returns[part]), reduction="none"
            )
            loss = (
                torch.nn.functional.cross_entropy(logits, labels)
                + 0.3 * (huber * undo[labels]).mean()
            )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(plain.parameters(), params.lstm.gradient_clip_norm)
            optimizer.step()

    assert made.state.best_epoch == 2, "else the best weights are not the last ones"
    np.testing.assert_allclose(weights(made.network), weights(plain), atol=2e-4)


@pytest.mark.parametrize(
    ("oversample", "expected"), [(True, [1 / 3] * 3), ("sqrt", None), (False, None)]
)
def test_an_epoch_draws_each_class_by_its_oversampled_share(oversample, expected):
    data = small_dataset(shares=(0.05, 0.8, 0.15), n_dates=300)
    made = training(params=small_params(oversample=oversample), data=data)
    labels = made.task.train.labels
    counts = np.bincount(labels)
    if expected is None:
        root = np.sqrt(counts) if oversample else counts
        expected = root / root.sum()
    order = made._order()
    assert len(order) == len(labels)

    np.testing.assert_allclose(np.bincount(labels[order]) / len(order), expected, atol=0.04)
    if not oversample:
        assert np.array_equal(np.sort(order), np.arange(len(labels)))


def test_the_best_weights_are_restored_not_the_last():
    params = small_params(
        epochs=12, learning_rate=0.05, units=32, early_stopping_patience=4, dropout=0.0
    )
    made = ran(params=params)
    losses = [epoch["val_loss"] for epoch in made.state.history]
    best = int(np.argmin(losses)) + 1
    assert best < len(losses), "the test needs a training that overfits"
    assert made.state.best_epoch == best

    shorter = ran(params=small_params(**params.lstm.model_dump() | {"epochs": best}))
    np.testing.assert_array_equal(weights(made.network), weights(shorter.network))
    stop = made.task.stop
    logits, _ = outputs(made.network, stop.windows, stop.rows)
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(stop.labels)).item()
    assert loss == pytest.approx(made.state.history[best - 1]["val_action"], rel=1e-5)


def test_training_stops_after_patience_and_lowers_its_rate_before():
    params = small_params(
        epochs=50,
        learning_rate=0.05,
        early_stopping_patience=5,
        lr_scheduler_patience=1,
        lr_scheduler_factor=0.1,
    )
    history = ran(params=params).state.history
    losses = [epoch["val_loss"] for epoch in history]
    assert len(history) == int(np.argmin(losses)) + 1 + 5 < 50

    rates = [epoch["learning_rate"] for epoch in history]
    assert rates[0] == 0.05
    assert rates[-1] == pytest.approx(0.05 * 0.1 ** len(set(rates[1:]) - {0.05}))
    assert rates[-1] < rates[0]


def test_an_epoch_is_better_only_by_more_than_min_delta():
    made = ran(
        params=small_params(epochs=9, early_stopping_min_delta=10.0, early_stopping_patience=2)
    )
    assert (made.state.epoch, made.state.best_epoch) == (3, 1)


def test_progress_is_reported_for_every_epoch():
    told = []
    ran(session=TrainingSession(told.append))
    assert [words["done"] for words in told] == [0, 1, 2, 3]
    assert {words["total"] for words in told} == {3}

    wanted = {
        "phase",
        "epoch",
        "epochs",
        "train_action",
        "train_return",
        "val_loss",
        "val_log_loss",
        "seconds",
        "learning_rate",
    }
    assert all(wanted <= words.keys() for words in told[1:])


def test_a_diverging_training_names_the_parameter_at_fault():
    data = small_dataset()
    data.future_return[:] *= 1e30
    with pytest.raises(
        InvalidParameterError,
        match=r"learning_rate must be smaller .* after epoch 1",
    ):
        ran(
            params=small_params(learning_rate=1.0, loss_return="mse", gradient_clip_norm=1000),
            data=data,
        )


def test_training_leaves_the_callers_random_numbers_alone():
    made = training()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    made.run()
    assert torch.equal(torch.rand(3), expected)


def test_no_copy_of_all_windows_is_made():
    """With materialised windows the buffer would hold every window of the table."""
    made = training()
    assert made._batches._buffer.numel() == 64 * 4 * 5


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_training_on_a_gpu_equals_training_on_the_processor():
    params = small_params(dropout=0.0)
    both = [training(params=params, device=device) for device in ("cpu", "cuda")]
    gradients = []
    for made in both:
        order = made._order()[:64]
        logits, answer = made.network(made._batches(made.task.train.rows[order]))
        chosen = torch.from_numpy(order).to(made._device)
        made._objective(
            logits, answer, made._labels[chosen], made._returns[chosen]
        ).sum().backward()
        gradients.append([p.grad.cpu() for p in made.network.parameters()])
        made._optimizer.zero_grad()
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-4)
    final = [made.run()[-1]["val_loss"] for made in both]
    assert final[1] == pytest.approx(final[0], rel=1e-2)

    def again(session):
        made = training(params=small_params(), session=session, device="cuda")
        made.run()
        return made

    sliced, _ = in_slices(again, 7)
    assert sliced.state.history[-1]["val_loss"] == pytest.approx(
        again(TrainingSession()).state.history[-1]["val_loss"], rel=1e-2
    )
