"""A network that trains in a fraction of a second, and sessions that interrupt it."""

import dataclasses
import math

import numpy as np
import torch
from synthetic import planted_dataset, split_of

from b3shared.dataset.table import Dataset
from b3shared.models.base import TrainingSession, Unfinished
from b3shared.models.lstm.model import LSTMModel
from b3shared.params.run import PipelineParams

torch.set_num_threads(1)  # small networks: a second thread only waits

SMALL_NETWORK = {
    "lookback": 4,
    "units": 8,
    "epochs": 3,
    "batch_size": 64,
    "dropout": 0.2,
    "learning_rate": 0.01,
}


def small_params(**changes) -> PipelineParams:
    return PipelineParams.from_values(
        {"model_type": "lstm", "embargo_days": 2} | SMALL_NETWORK | changes
    )


def small_dataset(**changes) -> Dataset:
    """The planted market, with returns of about a unit of volatility."""
    data = planted_dataset(**{"n_dates": 120, "n_tickers": 6} | changes)
    return dataclasses.replace(data, future_return=data.future_return * 3)


class Kept:
    """A checkpoint in memory that counts its writes and can be made to fail."""

    def __init__(self, dies_at: float = math.inf) -> None:
        self.data: bytes | None = None
        self.saves = 0
        self._dies_at = dies_at

    def load(self) -> bytes | None:
        return self.data

    def restart(self) -> None:
        """Do nothing: this checkpoint keeps no start time."""

    def save(self, data: bytes) -> None:
        if self.saves == self._dies_at:
            raise KeyboardInterrupt
        self.saves += 1
        self.data = data


def running_out(calls: int):
    """A clock whose time is up after it was asked so many times."""
    left = iter(range(calls))
    return lambda: math.inf if next(left, None) is not None else 0.0


def in_slices(train, calls: int, checkpoint=None, progress=lambda _: None, limit: int = 200):
    """Call ``train(session)`` until it is done; return its result and the number of slices."""
    checkpoint = checkpoint or Kept()
    for number in range(1, limit):
        try:
            return train(TrainingSession(progress, checkpoint, running_out(calls))), number
        except Unfinished:
            continue
    raise AssertionError("it never ends")


def fitted(data: Dataset, params: PipelineParams, session: TrainingSession | None = None):
    split = split_of(data, params)
    model = LSTMModel(params)
    model.fit(data, split.train, split.val, session or TrainingSession())
    return model, split


def weights(network: torch.nn.Module) -> np.ndarray:
    return np.concatenate(
        [tensor.detach().cpu().numpy().ravel() for tensor in network.state_dict().values()]
    )
