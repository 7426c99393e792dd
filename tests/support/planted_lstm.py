"""A network that was trained on a planted signal, and the rows that it covers."""

import pytest
from small_lstm import fitted, small_dataset, small_params

from b3shared.models.base import TrainingSession

NOBODY = TrainingSession()
"""A session that nobody watches and nothing interrupts."""


@pytest.fixture(scope="module")
def planted():
    data = small_dataset(n_dates=250, n_tickers=8)
    return data, *fitted(data, small_params(epochs=8))


def covered(model, data, rows):
    return rows[model.covers(data, rows)]
