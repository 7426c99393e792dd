"""Rows that the LSTM cannot be trained on are refused by name."""

import numpy as np
import pytest
from planted_lstm import NOBODY
from small_lstm import fitted, small_dataset, small_params
from synthetic import split_of

from b3shared.core.errors import (
    InvalidQuotesError,
    SingleClassError,
    TooLittleHistoryError,
)
from b3shared.core.vocabulary import BUY, UNLABELLED
from b3shared.models.base import TrainingSession
from b3shared.models.lstm.model import LSTMModel


def _one_class(data):
    data.label[data.label != UNLABELLED] = BUY


def _no_value(data):
    data.X[10, 3] = np.nan


def _no_return(data):
    data.future_return[10] = np.nan


@pytest.mark.parametrize(
    ("spoil", "params", "error", "says"),
    [
        (_one_class, {}, SingleClassError, "needs two classes at least, got .* labels 'buy'"),
        (_no_value, {}, InvalidQuotesError, "features feature_3 hold NaN"),
        (_no_return, {}, InvalidQuotesError, "1 of the .* rows have no finite return"),
        (
            lambda _: None,
            {"lookback": 100},
            TooLittleHistoryError,
            "none of the .* training rows ends a window of lookback = 100",
        ),
        (
            lambda _: None,
            {"interval_level": 0.999},
            TooLittleHistoryError,
            "level 0.999 needs at least 9",
        ),
    ],
)
def test_rows_that_cannot_be_trained_on_are_refused_by_name_before_any_training(
    spoil, params, error, says
):
    data, told = small_dataset(), []
    spoil(data)
    with pytest.raises(error, match=says) as caught:
        fitted(data, small_params(**params), TrainingSession(told.append))
    assert not told
    if error is TooLittleHistoryError:
        assert caught.value.details["needed"] > 0


def test_too_few_validation_dates_for_two_parts_are_refused():
    data = small_dataset()
    split = split_of(data, small_params())
    few = split.val[np.isin(data.date[split.val], np.unique(data.date[split.val])[:4])]
    with pytest.raises(
        TooLittleHistoryError, match="a horizon of 2 needs at least 6 validation dates, got 4"
    ):
        LSTMModel(small_params()).fit(data, split.train, few, NOBODY)
    six = split.val[np.isin(data.date[split.val], np.unique(data.date[split.val])[:6])]
    LSTMModel(small_params(interval_level=0.5)).fit(data, split.train, six, NOBODY)


def test_rows_without_a_label_are_refused():
    data = small_dataset()
    split, rows = split_of(data, small_params()), np.arange(len(data))
    for train, val in ((rows, split.val), (split.train, rows)):
        with pytest.raises(InvalidQuotesError, match="12 of the 702 rows have no label yet"):
            LSTMModel(small_params()).fit(data, train, val, NOBODY)
