"""Trainings that are interrupted and go on later give the weights of an uninterrupted one."""

import io

import numpy as np
import pytest
import torch
from small_lstm import Kept, in_slices, running_out, small_dataset, small_params, weights
from small_training import STEPS, ran, training, untimed

from b3shared.core.errors import TooManySlicesError
from b3shared.models.base import TrainingSession, Unfinished
from b3shared.models.lstm import training as lstm_training

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


def test_a_new_slice_still_tells_the_figures_of_the_last_epoch():
    checkpoint = Kept()
    with pytest.raises(Unfinished):
        ran(session=TrainingSession(checkpoint=checkpoint, seconds_left=running_out(STEPS + 3)))

    told = []
    made = ran(session=TrainingSession(told.append, checkpoint))
    assert (told[0]["slice"], told[0]["done"]) == (2, 1)
    assert told[0]["val_loss"] == made.state.history[0]["val_loss"]
