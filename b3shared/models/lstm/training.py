"""The training loop: early stopping, a falling learning rate, checkpoints."""

import json
import math
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from b3shared.core.arrays import IntArray
from b3shared.core.errors import InvalidParameterError, TooManySlicesError
from b3shared.models.base import TrainingSession, Unfinished
from b3shared.models.calibration import Calibration
from b3shared.models.lstm.batches import Batches, outputs
from b3shared.models.lstm.checkpoint import TrainingState, deep_copied, fingerprint
from b3shared.models.lstm.network import ClassBalance, MultiTaskLSTM, Objective
from b3shared.models.lstm.randomness import own_randomness, random_state, set_random
from b3shared.models.lstm.task import Task, targets
from b3shared.models.lstm.windows import Examples
from b3shared.params.lstm import LSTMParams
from b3shared.params.run import PipelineParams

MARGIN_SECONDS = 5.0
"""A slice stops so long, and two of its longest steps, before its time is up, to save."""
AFTERWARDS_SECONDS = 30.0
"""Time for calibration, export and forecasts; with less left, the next slice does them."""
CHECKPOINT_SECONDS = 60.0
"""Work that a killed process loses at most."""


class Training:
    """One training of a network, in one or more slices.

    Its course depends on parameters and data alone: however often it is interrupted, wherever in an
    epoch, the weights on the CPU are bit for bit those of a straight run (with equally many
    threads). A checkpoint of other parameters or data is ignored. What an epoch draws depends on
    ``random_state`` and the epoch's number.

    Args:
        network: freshly made; trained in place, on its device.
        task: windows, and what stops the training.
        params: of the run.
        session: told once an epoch; the checkpoint is read once and written at the beginning of a
            slice, every :data:`CHECKPOINT_SECONDS`, when the time is up, and when the training is
            done.
    """

    def __init__(
        self, network: MultiTaskLSTM, task: Task, params: PipelineParams, session: TrainingSession
    ) -> None:
        self.network = network
        self.task = task
        self.params = params
        self._session = session

        lstm = self._lstm = params.own(LSTMParams)
        train = task.train
        device = network.center.device
        self._device = device

        self._epochs = len(task.rates) or lstm.epochs
        self.balance = ClassBalance.from_labels(train.labels, lstm)
        self.prior = Calibration.from_weights(train.labels, self.balance.total)
        self._objective = Objective.for_draws(lstm, self.balance, device)
        self._weights = torch.tensor(
            [lstm.loss_weight_action, lstm.loss_weight_return], device=device
        )

        self._batches = Batches(train.windows, min(lstm.batch_size, len(train)), device)
        self._labels, self._returns = targets(train, device)
        self._optimizer = torch.optim.Adam(
            network.parameters(), lr=lstm.learning_rate, weight_decay=lstm.weight_decay, fused=True
        )

        self._scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self._optimizer,
            factor=lstm.lr_scheduler_factor,
            patience=lstm.lr_scheduler_patience,
            min_lr=lstm.lr_scheduler_min_lr,
            threshold=lstm.early_stopping_min_delta,  # one meaning of "better" for both
            threshold_mode="abs",
        )
        self.state = TrainingState()

        self._longest = 0.0
        self._trained_here = False

    def run(self) -> list[dict[str, float]]:
        """Train to the end, leave the best weights in the network, return a record per epoch.

        Raises:
            Unfinished: The time is up.
            TooManySlicesError: It was up more often than ``max_slices`` allows.
            SupersededError: Another attempt has taken over.
            InvalidParameterError: The learning rate is so great that the loss is no number any
                more.
        """
        with own_randomness(self._device):
            self._begin()
            while not self.state.finished:
                self._epoch()
        self.network.load_state_dict(self.state.best)
        if self._trained_here and self._session.seconds_left() < AFTERWARDS_SECONDS:
            raise Unfinished(self._words())
        return self.state.history

    def pause(self) -> None:
        """Save now and then, and stop when the time is up; to be called between steps.

        Raises:
            Unfinished: With all work saved.
        """
        # one step in any case: slices that begin too late would otherwise never end
        if (
            self._session.seconds_left() <= MARGIN_SECONDS + 2 * self._longest
            and self._trained_here
        ):
            self._save()
            raise Unfinished(self._words())
        if time.perf_counter() - self._saved >= CHECKPOINT_SECONDS:
            self._save()

    def _begin(self) -> None:
        """Go on from the checkpoint, or start; count the slice, so that retries have an end."""
        checkpoint = self._session.checkpoint
        task = self.task
        self._fingerprint = "" if checkpoint is None else self._about()
        found = None

        if checkpoint is not None:
            found = TrainingState.from_bytes(checkpoint.load(), self._fingerprint, self._device)
        if found:
            self.state = found
            self.network.load_state_dict(found.network)
            self._optimizer.load_state_dict(found.optimizer)
            self._scheduler.load_state_dict(found.scheduler)
            set_random(found.random, self._device)
        else:
            torch.manual_seed(self.params.random_state)
            self.state.totals = self.state.totals.to(self._device)
            if checkpoint is not None:
                checkpoint.restart()

        limit = self._lstm.max_slices
        if not self.state.finished and self.state.slices >= limit:
            raise TooManySlicesError(
                f"the training was interrupted {limit} times (max_slices) and is in epoch "
                f"{self.state.epoch + 1} of {self._epochs}: raise max_slices, or lower epochs or "
                "units",
                slices=limit,
                epoch=self.state.epoch,
            )

        self.state.slices += 1
        self._clock = time.perf_counter()
        self._save()
        self._session.progress(self._words() | {"phase": task.phase, "windows": len(task.train)})

    def _epoch(self) -> None:
        """Train the rest of the running epoch."""
        rate = self._rate()
        size = self._lstm.batch_size

        order = self._order()
        self.network.train()
        for at in range(self.state.batch * size, len(order), size):
            self.pause()
            self._step(order[at : at + size])
        figures = {"epoch": self.state.epoch + 1, "learning_rate": rate}
        figures |= self._weighed("train", self.state.totals / len(order))
        if self.task.stop is not None:
            figures |= self._judged(self.task.stop)

        if not all(map(math.isfinite, figures.values())):
            raise InvalidParameterError(
                f"learning_rate must be smaller than {self._lstm.learning_rate}: the loss is not "
                f"finite after epoch {self.state.epoch + 1}",
                parameters=["learning_rate"],
            )
        self._close(figures)

    def _step(self, drawn: IntArray) -> None:
        """Take a gradient step on the examples of the given numbers."""
        began = time.perf_counter()
        chosen = torch.from_numpy(drawn).to(self._device)
        logits, answer = self.network(self._batches(self.task.train.rows[drawn]))
        sums = self._objective(logits, answer, self._labels[chosen], self._returns[chosen])

        self._optimizer.zero_grad()
        ((sums @ self._weights) / len(drawn)).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self._lstm.gradient_clip_norm)
        self._optimizer.step()

        self.state.totals += sums.detach()
        self.state.batch += 1
        self._trained_here = True
        self._longest = max(self._longest, time.perf_counter() - began)

    def _close(self, figures: dict[str, float]) -> None:
        """End the epoch: keep the best weights, lower the rate, decide whether to stop."""
        state = self.state
        self._account()
        state.history.append(figures | {"seconds": round(state.seconds, 3)})
        state.epoch += 1

        state.batch = 0
        state.seconds = 0.0
        state.totals = torch.zeros_like(state.totals)
        loss = figures.get("val_loss")
        if loss is None or loss < state.best_loss - self._lstm.early_stopping_min_delta:
            state.best_loss = loss or 0.0
            state.best_epoch = state.epoch
            state.best = deep_copied(self.network.state_dict())
        if loss is not None:
            self._scheduler.step(loss)
        waited = state.epoch - state.best_epoch

        state.finished = state.epoch == self._epochs or waited >= self._lstm.early_stopping_patience
        if state.finished:
            self._save()
        self._session.progress(self._words())

    def _rate(self) -> float:
        """Return the running epoch's learning rate, and set it in the optimizer."""
        group = self._optimizer.param_groups[0]
        if self.task.rates:
            group["lr"] = self.task.rates[self.state.epoch]
        return float(group["lr"])

    def _order(self) -> IntArray:
        """Order the epoch's examples at random, or draw as many with replacement."""
        train = self.task.train
        rates = self.balance.rates
        rng = np.random.default_rng((self.params.random_state, self.state.epoch))
        if not self._lstm.oversample:
            return rng.permutation(len(train))
        share = np.cumsum(rates[train.labels])
        return np.searchsorted(share / share[-1], rng.random(len(train)), side="right")

    def _judged(self, stop: Examples) -> dict[str, float]:
        """Return the losses of later windows, and the log loss of corrected probabilities."""
        logits, answer = outputs(self.network, stop.windows, stop.rows, self.pause)
        labels, returns = targets(stop, self._device)
        objective = Objective.for_rows(self._lstm, self.balance, self._device)
        probabilities = self.prior.apply(torch.softmax(logits, dim=1).cpu().numpy())
        log_loss = -float(np.log(probabilities[np.arange(len(stop)), stop.labels]).mean())
        return self._weighed("val", objective(logits, answer, labels, returns) / len(stop)) | {
            "val_log_loss": log_loss
        }

    def _weighed(self, name: str, means: Tensor) -> dict[str, float]:
        action, returns = means.tolist()
        loss = self._lstm.loss_weight_action * action + self._lstm.loss_weight_return * returns
        return {f"{name}_loss": loss, f"{name}_action": action, f"{name}_return": returns}

    def _save(self) -> None:
        self._saved = time.perf_counter()
        if self._session.checkpoint is None:
            return
        self._account()
        self.state.network = self.network.state_dict()
        self.state.optimizer = self._optimizer.state_dict()
        self.state.scheduler = self._scheduler.state_dict()
        self.state.random = random_state(self._device)
        self._session.checkpoint.save(self.state.to_bytes(self._fingerprint))

    def _account(self) -> None:
        now = time.perf_counter()
        self.state.seconds += now - self._clock
        self._clock = now

    def _words(self) -> dict[str, Any]:
        """Tell the progress, with the figures of the newest finished epoch."""
        state = self.state
        newest = state.history[-1] if state.history else {}
        counts = {"epoch": state.epoch, "epochs": self._epochs}
        done = {"done": state.epoch, "total": self._epochs, "slice": state.slices}
        return {"phase": self.task.phase, **newest, **counts, **done}

    def _about(self) -> str:
        parts = [self.task.train] + ([self.task.stop] if self.task.stop is not None else [])
        columns = [column for part in parts for column in (part.rows, part.labels, part.returns)]
        scaler = [self.network.center.cpu().numpy(), self.network.spread.cpu().numpy()]
        about = {
            "phase": self.task.phase,
            "rates": self.task.rates,
            "lstm": self._lstm.model_dump(exclude={"max_slices"}),
            "lookback": self.params.lookback,
            "random_state": self.params.random_state,
            "device": self._device.type,
        }

        return fingerprint(
            json.loads(json.dumps(about)), self.task.train.windows.X, *columns, *scaler
        )
