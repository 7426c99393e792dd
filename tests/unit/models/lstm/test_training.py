"""The training loop keeps the best weights, and interruptions do not change them."""

import copy
import io
import math

import numpy as np
import pytest
import torch
from small_lstm import Kept, in_slices, running_out, small_dataset, small_params, weights
from synthetic import split_of

from b3shared.core.errors import InvalidParameterError, TooManySlicesError
from b3shared.models.base import TrainingSession, Unfinished
from b3shared.models.lstm import training as lstm_training
from b3shared.models.lstm.batches import outputs
from b3shared.models.lstm.network import MultiTaskLSTM
from b3shared.models.lstm.task import Task
from b3shared.models.lstm.training import Training
from b3shared.models.lstm.windows import Examples, center_and_spread, complete

DATA = small_dataset()


def training(
    params=None, session=None, rates=(), data=DATA, device="cpu", phase="train"
) -> Training:
    params = params or small_params()
    split = split_of(data, params)
    parts = [rows[complete(data, rows, params.lookback, 5)] for rows in (split.train, split.val)]
    learn, stop = (
        Examples.from_rows(data, rows, params.lookback, params.horizon) for rows in parts
    )
    torch.manual_seed(0)
    network = MultiTaskLSTM(len(data.feature_names), params.lstm.units, params.lstm.dropout)
    network.scale_by(*center_and_spread(data.X, learn.windows.rows_of(learn.rows)))
    task = Task(phase, learn, None if rates else stop, rates)
    return Training(network.to(device), task, params, session or TrainingSession())


def ran(**arguments) -> Training:
    made = training(**arguments)
    made.run()
    return made


def untimed(history):
    return [{k: v for k, v in epoch.items() if k != "seconds"} for epoch in history]


STEPS = math.ceil(len(training().task.train) / 64)


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


FALLING = {
    "epochs": 6,
    "learning_rate": 0.05,
    "lr_scheduler_patience": 1,
    "early_stopping_patience": 6,
}


@pytest.mark.parametrize("calls", [2, 7, STEPS + 3])
@pytest.mark.parametrize(
    "changes", [{}, {"oversample": "sqrt", "use_class_weights": True}, FALLING]
)
def test_interruptions_anywhere_in_an_epoch_give_the_same_weights(calls, changes):
    params = small_params(max_slices=200, **changes)
    straight = ran(params=params)
    rates = {epoch["learning_rate"] for epoch in straight.state.history}
    assert (len(rates) > 1) == (changes is FALLING), (
        "a rate that falls is part of what must be kept"
    )

    def again(session):
        made = training(params=params, session=session)
        made.run()
        return made

    sliced, number = in_slices(again, calls)
    assert number >= 3
    assert sliced.state.slices == number
    np.testing.assert_array_equal(weights(sliced.network), weights(straight.network))
    assert untimed(sliced.state.history) == untimed(straight.state.history)


def test_a_replay_in_slices_equals_an_uninterrupted_one():
    rates = (0.01, 0.01, 0.003)
    straight = ran(rates=rates)

    def again(session):
        made = training(rates=rates, session=session)
        made.run()
        return made

    sliced, number = in_slices(again, 9)
    assert number >= 3
    np.testing.assert_array_equal(weights(sliced.network), weights(straight.network))
    assert [epoch["learning_rate"] for epoch in straight.state.history] == list(rates)
    assert "val_loss" not in straight.state.history[0]


@pytest.mark.parametrize("dies_at", [1, 5, STEPS + 2])
def test_a_killed_training_goes_on_where_it_was_saved_last(dies_at, monkeypatch):
    monkeypatch.setattr(lstm_training, "CHECKPOINT_SECONDS", 0.0)
    straight, checkpoint = ran(), Kept(dies_at)
    with pytest.raises(KeyboardInterrupt):
        ran(session=TrainingSession(checkpoint=checkpoint))

    survivor = Kept()
    survivor.data = checkpoint.data
    made = training(session=TrainingSession(checkpoint=survivor))
    steps, step = [], made._step
    made._step = lambda drawn: (steps.append(len(drawn)), step(drawn))
    made.run()
    assert len(steps) == 3 * STEPS - max(0, dies_at - 2), "what was saved is not done again"
    np.testing.assert_array_equal(weights(made.network), weights(straight.network))


def test_the_checkpoint_is_saved_when_a_slice_begins_and_ends_not_at_every_step():
    checkpoint = Kept()
    ran(session=TrainingSession(checkpoint=checkpoint))
    assert checkpoint.saves == 2


def test_a_finished_training_is_not_trained_again():
    checkpoint = Kept()
    first = ran(session=TrainingSession(checkpoint=checkpoint))
    told = []
    second = ran(session=TrainingSession(told.append, checkpoint))
    assert len(told) == 1
    np.testing.assert_array_equal(weights(second.network), weights(first.network))


def test_little_time_after_the_last_epoch_is_left_to_the_next_slice():
    checkpoint = Kept()
    with pytest.raises(Unfinished) as caught:
        ran(session=TrainingSession(checkpoint=checkpoint, seconds_left=lambda: 20.0))
    assert caught.value.words["done"] == caught.value.words["total"] == 3
    ran(session=TrainingSession(checkpoint=checkpoint, seconds_left=lambda: 20.0))


def test_an_interruption_after_the_last_epoch_keeps_the_training():
    checkpoint = Kept()
    made = ran(
        session=TrainingSession(
            checkpoint=checkpoint, seconds_left=running_out(3 * (STEPS + 1) + 1)
        )
    )
    with pytest.raises(Unfinished):
        made.pause()
    np.testing.assert_array_equal(
        weights(ran(session=TrainingSession(checkpoint=checkpoint)).network), weights(ran().network)
    )


@pytest.mark.parametrize(
    "other",
    [
        {"params": small_params(learning_rate=0.02)},
        {"params": small_params(random_state=1)},
        {"data": small_dataset(seed=1)},
        {"phase": "refit"},
        {"rates": (0.01,)},
    ],
    ids=["learning rate", "seed", "data", "phase", "rates"],
)
def test_a_checkpoint_of_another_training_is_ignored(other):
    checkpoint = Kept()
    with pytest.raises(Unfinished):
        ran(session=TrainingSession(checkpoint=checkpoint, seconds_left=running_out(5)))
    made = ran(session=TrainingSession(checkpoint=checkpoint), **other)
    assert made.state.slices == 1
    np.testing.assert_array_equal(weights(made.network), weights(ran(**other).network))


@pytest.mark.parametrize("data", [b"", b"what is this", b"PK\x03\x04 half a zip"])
def test_bytes_that_are_no_checkpoint_are_ignored(data):
    checkpoint = Kept()
    checkpoint.data = data
    assert ran(session=TrainingSession(checkpoint=checkpoint)).state.slices == 1


def test_a_checkpoint_runs_no_code():
    checkpoint = Kept()
    ran(session=TrainingSession(checkpoint=checkpoint))
    stored = torch.load(io.BytesIO(checkpoint.data), weights_only=True)
    assert {
        "fingerprint",
        "network",
        "optimizer",
        "scheduler",
        "random",
        "history",
    } <= stored.keys()


def test_more_slices_than_allowed_are_an_error():
    params, checkpoint = small_params(max_slices=3), Kept()
    for _ in range(3):
        with pytest.raises(Unfinished):
            ran(
                params=params,
                session=TrainingSession(checkpoint=checkpoint, seconds_left=lambda: 0.0),
            )

    with pytest.raises(TooManySlicesError, match=r"interrupted 3 times \(max_slices\)"):
        ran(params=params, session=TrainingSession(checkpoint=checkpoint))
    more = small_params(max_slices=4)
    assert ran(params=more, session=TrainingSession(checkpoint=checkpoint)).state.slices == 4, (
        "the work is not lost"
    )


def test_a_training_that_is_done_is_not_refused_for_the_slices_that_it_took():
    params, checkpoint = small_params(max_slices=1), Kept()
    with pytest.raises(Unfinished):  # what follows the training is left to the next slice
        ran(
            params=params, session=TrainingSession(checkpoint=checkpoint, seconds_left=lambda: 20.0)
        )
    assert ran(params=params, session=TrainingSession(checkpoint=checkpoint)).state.finished


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
