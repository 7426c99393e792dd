"""A served window equals, bit for bit, the window that a training makes of the same row."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b3shared.dataset.table import Dataset
from b3shared.features.build import build_features
from b3shared.features.training_table import preprocess
from b3shared.models.lstm.windows import Windows, complete
from b3shared.params.run import PipelineParams
from b3shared.pipeline.serving_snapshot import build_snapshot, newest_windows
from b3shared.registry.compatibility import Universe, windows_name
from b3shared.serving.windows import NO_ROW, longest_gap

LOOKBACK = 32


def by_hand(data: Dataset, ticker: str, lookback: int) -> tuple[np.ndarray, np.ndarray]:
    """The newest rows of a ticker in a training table, one by one, and the sessions they are of."""
    rows = [row for row in range(len(data)) if data.ticker[row] == ticker][-lookback:]
    return np.array([data.X[row] for row in rows]), np.array([data.session[row] for row in rows])


def test_served_windows_of_all_bundled_tickers_equal_the_training_table(
    bundled: pd.DataFrame,
) -> None:
    params = PipelineParams()
    data = preprocess(bundled, params).data
    universe = Universe(params.min_turnover)
    snapshot = build_snapshot(bundled, LOOKBACK, {universe})
    offer, compared = windows_name("v2", universe), 0

    for number, ticker in enumerate(snapshot.ticker):
        window, sessions = snapshot.windows[offer][number], snapshot.slots[offer][number]
        expected, numbers = by_hand(data, ticker, LOOKBACK)
        if np.isfinite(window[-1]).all():
            compared += 1
            np.testing.assert_array_equal(window[LOOKBACK - len(expected) :], expected)
            np.testing.assert_array_equal(sessions[LOOKBACK - len(expected) :], numbers)
            assert snapshot.volatility[number] == data.volatility[data.ticker == ticker][-1]
        else:  # the newest row is in no training, so neither is a window that ends there
            assert snapshot.date[number] not in data.date[data.ticker == ticker]
            np.testing.assert_array_equal(
                window[LOOKBACK - 1 - len(expected) : -1], expected[1 - LOOKBACK :]
            )
    assert compared > 55


def test_making_windows_leaves_the_features_as_they_were(eight: pd.DataFrame) -> None:
    features = build_features(eight, "v1", 1e13)
    assert not features.eligible.any()
    newest_windows(features, 4)
    assert not features.eligible.any()
    with pytest.raises(ValueError, match="read-only"):
        features.eligible[0] = True


def gathered(data: Dataset, rows: np.ndarray, lookback: int) -> np.ndarray:
    """(rows, lookback, features): what the training reads."""
    out = np.empty((lookback, len(rows), data.X.shape[1]), dtype=np.float32)
    Windows(data.X, lookback).gather(rows, out)
    return out.transpose(1, 0, 2)


@pytest.mark.parametrize("max_gap", [1, 5, 30])
@pytest.mark.parametrize("quotes", ["bundled", "gappy"])
def test_training_and_serving_have_the_same_windows_to_the_last_bit(
    request: pytest.FixtureRequest, quotes: str, max_gap: int
) -> None:
    frame, params = request.getfixturevalue(quotes), PipelineParams()
    data = preprocess(frame, params).data
    universe = Universe(params.min_turnover)
    snapshot, offer = build_snapshot(frame, LOOKBACK, {universe}), windows_name("v2", universe)
    row_of = {
        (ticker, day): row
        for row, (ticker, day) in enumerate(zip(data.ticker, data.date, strict=True))
    }
    rows = np.array(
        [row_of.get(key, -1) for key in zip(snapshot.ticker, snapshot.date, strict=True)]
    )
    trained = (rows >= 0) & complete(data, np.maximum(rows, 0), LOOKBACK, max_gap)
    windows = snapshot.windows[offer]
    served = np.isfinite(windows).all(axis=(1, 2)) & (longest_gap(snapshot.slots[offer]) <= max_gap)
    np.testing.assert_array_equal(served, trained)

    assert (served.sum() > 50) if quotes == "bundled" else (3 < served.sum() < 8)
    np.testing.assert_array_equal(windows[served], gathered(data, rows[served], LOOKBACK))


@pytest.fixture(scope="module")
def gappy(eight: pd.DataFrame) -> pd.DataFrame:
    """ABEV3 misses sessions, BBAS3 is illiquid for a while, and VALE3 ends illiquid."""
    frame = eight[eight["date"] > "2021-06-01"].reset_index(drop=True)
    days = np.unique(frame["date"])
    own = frame["date"].map({day: number for number, day in enumerate(days)})
    missing = (frame["ticker"] == "ABEV3") & (
        (own % 3 == 0) | own.between(len(days) - 40, len(days) - 20)
    )
    volume = frame["volume"].astype(float)
    volume[(frame["ticker"] == "BBAS3") & own.between(len(days) - 120, len(days) - 50)] = 1.0
    volume[(frame["ticker"] == "VALE3") & (own > len(days) - 45)] = 1.0
    return frame.assign(volume=volume)[~missing].reset_index(drop=True)


@pytest.mark.parametrize("feature_set", ["v1", "v2"])
@pytest.mark.parametrize("lookback", [1, 5, 60])
def test_rows_that_are_not_trained_on_are_left_out_and_the_gap_is_counted(
    gappy: pd.DataFrame, feature_set: str, lookback: int
) -> None:
    params = PipelineParams(features=feature_set, max_gap=30)
    data = preprocess(gappy, params).data
    features = build_features(gappy, feature_set, params.min_turnover, params.max_gap)
    windows, sessions = newest_windows(features, lookback)
    tickers = features.series.panel.tickers.tolist()

    for number, ticker in enumerate(tickers):
        expected, numbers = by_hand(data, ticker, lookback)
        if ticker == "VALE3":  # its newest row is illiquid
            assert np.isnan(windows[number, -1]).all()
            np.testing.assert_array_equal(windows[number, :-1], expected[1:])
            continue
        np.testing.assert_array_equal(windows[number, lookback - len(expected) :], expected)
        np.testing.assert_array_equal(sessions[number, lookback - len(expected) :], numbers)

    gaps = dict(zip(tickers, longest_gap(sessions).tolist(), strict=True))
    if lookback == 60:
        assert gaps["PETR4"] == 1
        assert (
            gaps["ABEV3"]
            == np.diff(
                np.searchsorted(np.unique(gappy["date"]), gappy["date"][gappy["ticker"] == "ABEV3"])
            ).max()
        )
        assert gaps["ABEV3"] > 20
        assert gaps["BBAS3"] > 40
    elif lookback == 1:
        assert set(gaps.values()) == {0}


def test_a_young_ticker_has_slots_without_a_row(gappy: pd.DataFrame) -> None:
    young = gappy.drop(gappy.index[gappy["ticker"] == "WEGE3"][:-130]).reset_index(drop=True)
    features = build_features(young, "v2", 2e6)
    windows, sessions = newest_windows(features, LOOKBACK)
    number = features.series.panel.tickers.tolist().index("WEGE3")
    assert (
        int((sessions[number] == NO_ROW).sum()) == LOOKBACK - 10
    )  # the longest feature needs 120 returns
    assert np.isnan(windows[number, : LOOKBACK - 10]).all()
    assert np.isfinite(windows[number, LOOKBACK - 10 :]).all()


@given(
    st.lists(
        st.lists(st.integers(0, 500), min_size=4, max_size=4, unique=True).map(sorted),
        min_size=1,
        max_size=9,
    )
)
@settings(max_examples=50, deadline=None)
def test_the_longest_gap_is_the_greatest_difference_of_neighbours(
    sessions: list[list[int]],
) -> None:
    expected = [max(b - a for a, b in pairwise(row)) for row in sessions]
    assert longest_gap(np.array(sessions, dtype=np.int32)).tolist() == expected
