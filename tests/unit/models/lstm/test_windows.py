"""Windows: of one ticker, unbroken, gathered by index; against the obvious loop."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import planted_dataset

from b3shared.core.errors import InvalidQuotesError
from b3shared.dataset.table import Dataset
from b3shared.models.lstm.windows import Examples, Windows, center_and_spread, complete, unbroken


def table(tickers, sessions) -> Dataset:
    """A table of the given tickers and sessions, sorted; feature 0 is the row's number."""
    base = planted_dataset(n_dates=200, n_tickers=1).take(np.zeros(len(tickers), dtype=int))
    X = np.arange(len(tickers) * 2, dtype=np.float32).reshape(-1, 2)
    return dataclasses.replace(
        base,
        X=X,
        feature_names=("a", "b"),
        ticker=np.array(tickers, dtype=str),
        session=np.array(sessions, np.int32),
    )


@st.composite
def tables(draw):
    lengths = draw(st.lists(st.integers(0, 12), min_size=1, max_size=4))
    tickers = [f"T{n}" for n, length in enumerate(lengths) for _ in range(length)]
    sessions = [
        s
        for length in lengths
        for s in np.cumsum(draw(st.lists(st.integers(1, 5), min_size=length, max_size=length)))
    ]
    return table(tickers, sessions)


def oracle(data, row, lookback, max_gap) -> bool:
    """Walk back one row at a time."""
    for _ in range(lookback - 1):
        if row == 0 or data.ticker[row - 1] != data.ticker[row]:
            return False
        if data.session[row] - data.session[row - 1] > max_gap:
            return False
        row -= 1
    return True


@given(data=tables(), lookback=st.integers(1, 6), max_gap=st.integers(1, 5))
def test_a_row_is_covered_exactly_if_a_walk_back_finds_a_complete_window(data, lookback, max_gap):
    rows = np.arange(len(data))
    expected = [oracle(data, row, lookback, max_gap) for row in rows]
    assert complete(data, rows, lookback, max_gap).tolist() == expected


@given(data=tables(), lookback=st.integers(1, 6), max_gap=st.integers(1, 5))
def test_gathered_windows_and_their_rows_are_those_of_a_loop(data, lookback, max_gap):
    rows = np.arange(len(data))
    rows = rows[complete(data, rows, lookback, max_gap)][::-1]
    windows = Windows(data.X, lookback)
    out = np.full((lookback, len(rows), 2), np.nan, dtype=np.float32)
    windows.gather(rows, out)
    for n, row in enumerate(rows):
        np.testing.assert_array_equal(out[:, n], data.X[row - lookback + 1 : row + 1])
        assert len(set(data.ticker[row - lookback + 1 : row + 1])) == 1
    inside = sorted({r for row in rows for r in range(row - lookback + 1, row + 1)})
    assert windows.rows_of(rows).tolist() == inside


def test_a_window_crosses_neither_a_ticker_nor_too_long_a_gap():
    data = table(["A", "A", "A", "A", "B", "B", "B"], [1, 2, 5, 6, 7, 8, 9])
    assert unbroken(data, 2).tolist() == [1, 2, 1, 2, 1, 2, 3]
    assert unbroken(data, 3).tolist() == [1, 2, 3, 4, 1, 2, 3]


@pytest.mark.parametrize("max_gap", [1, 2, 5])
def test_a_window_may_miss_one_session_less_than_max_gap(max_gap):
    for missing in range(max_gap + 2):
        data = table(["A", "A"], [7, 7 + missing + 1])
        assert complete(data, np.array([1]), 2, max_gap).tolist() == [missing <= max_gap - 1]


def test_windows_of_a_memory_map_equal_those_of_memory(tmp_path):
    data = planted_dataset(n_dates=60)
    data.save(tmp_path)
    mapped = Dataset.load(tmp_path)
    rows = np.arange(len(data))[complete(data, np.arange(len(data)), 8, 5)]
    gathered = [np.empty((8, len(rows), 5), dtype=np.float32) for _ in range(2)]
    for out, X in zip(gathered, (data.X, mapped.X), strict=True):
        Windows(X, 8).gather(rows, out)
    np.testing.assert_array_equal(*gathered)
    assert isinstance(mapped.X, np.memmap)


def test_center_and_spread_are_those_of_the_rows_and_wild_values_do_not_move_them():
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(40_000, 4)) * [1, 100, 0, 1] + [0, 1e4, 0.1, 0]).astype(np.float32)
    rows = np.sort(rng.choice(40_000, 35_000, replace=False))
    X[rows[:50], 0] = 1e6
    X[:, 3] = rng.random(40_000) < 0.1
    center, spread = center_and_spread(X, rows)
    low, high = (np.quantile(X[rows].astype(np.float64), q, axis=0) for q in (0.25, 0.75))
    np.testing.assert_allclose(center, np.median(X[rows].astype(np.float64), axis=0), rtol=1e-9)
    np.testing.assert_allclose(spread[:2], ((high - low) / 1.349)[:2], rtol=1e-9)

    assert spread[0] == pytest.approx(
        1, abs=0.02
    )  # as of the normal values, in spite of the wild ones
    assert spread[2] == 1  # never changes
    assert spread[3] == pytest.approx(X[rows, 3].astype(np.float64).std())  # a rare yes


def test_examples_carry_returns_in_units_of_volatility():
    data = planted_dataset(n_dates=60)
    rows = np.array([20, 30, 70])
    examples = Examples.from_rows(data, rows, 8, horizon=2)
    np.testing.assert_allclose(
        examples.returns, data.future_return[rows] / (0.02 * np.sqrt(2)), rtol=1e-6
    )
    np.testing.assert_array_equal(examples.labels, data.label[rows])
    assert examples.take(np.array([False, True, True])).rows.tolist() == [30, 70]


def test_a_value_that_is_no_number_is_refused_only_where_a_window_holds_it():
    data = planted_dataset(n_dates=60)
    data.X[12, 3] = np.nan
    Examples.from_rows(data, np.array([11, 20]), 8, horizon=2)
    with pytest.raises(InvalidQuotesError, match="feature_3 hold NaN"):
        Examples.from_rows(data, np.array([11, 19]), 8, horizon=2)


def test_rows_without_an_outcome_are_refused():
    data = planted_dataset(n_dates=60)
    with pytest.raises(InvalidQuotesError, match="1 of the 2 rows have no label yet"):
        Examples.from_rows(data, np.array([40, 59]), 8, horizon=2)
    data.volatility[40] = np.nan
    with pytest.raises(InvalidQuotesError, match="1 of the 1 rows have no finite return"):
        Examples.from_rows(data, np.array([40]), 8, horizon=2)
