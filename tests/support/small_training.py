"""Trainings of a small network, done or yet to do."""

import math

import torch
from small_lstm import small_dataset, small_params
from synthetic import split_of

from b3shared.models.base import TrainingSession
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
