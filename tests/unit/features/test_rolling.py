"""Rolling windows equal pandas, and depend on their own values alone, to the last bit."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b3shared.features.rolling import (
    ema,
    rolling_max,
    rolling_mean,
    rolling_median,
    rolling_min,
    rolling_std,
)

ROLLING = {
    "mean": rolling_mean,
    "std": rolling_std,
    "min": rolling_min,
    "max": rolling_max,
    "median": rolling_median,
}


def grid_of(seed: int, columns: int, lines: int = 5) -> np.ndarray:
    """Random walks with holes, flat spells and very different scales."""
    rng = np.random.default_rng(seed)
    grid = 10.0 ** rng.integers(-3, 6, (lines, 1)) * (
        1 + 0.02 * rng.normal(size=(lines, columns)).cumsum(axis=1)
    )
    grid[0, columns // 3 : columns // 2] = grid[0, columns // 3]
    grid[rng.random(grid.shape) < 0.01] = np.nan
    grid[1, columns // 2 :] = np.nan
    return grid


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    window=st.integers(2, 70),
    columns=st.integers(1, 300),
    how=st.sampled_from([*ROLLING]),
)
def test_every_window_equals_pandas(seed: int, window: int, columns: int, how: str) -> None:
    grid = grid_of(seed, columns)
    expected = np.full(grid.shape, np.nan)
    for number, line in enumerate(grid):
        for end in range(window, columns + 1):
            values = pd.Series(line[end - window : end])
            expected[number, end - 1] = getattr(values, how)(skipna=False)

    found = ROLLING[how](grid, window)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(
        found, expected, rtol=1e-9, atol=1e-9 * np.nanmax(np.abs(grid), initial=0.0)
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    window=st.integers(2, 70),
    columns=st.integers(1, 300),
    begin=st.integers(0, 200),
    how=st.sampled_from([*ROLLING]),
)
def test_windows_of_a_part_of_the_history_equal_those_of_the_whole_to_the_last_bit(
    seed: int, window: int, columns: int, begin: int, how: str
) -> None:
    grid = grid_of(seed, columns)
    whole = ROLLING[how](grid, window)[:, begin + window - 1 :]
    part = ROLLING[how](grid[:, begin:], window)[:, window - 1 :]
    np.testing.assert_array_equal(part, whole)


def test_a_window_does_not_depend_on_values_before_it() -> None:
    calm = np.full((1, 100), 0.1)
    wild = np.concatenate([np.full((1, 50), 1e15), calm], axis=1)
    for how in (rolling_mean, rolling_std):
        np.testing.assert_array_equal(how(wild, 20)[:, -80:], how(calm, 20)[:, -80:])
    assert (rolling_mean(calm, 60)[0, 59:] == 0.1).all()
    assert (rolling_std(calm, 60)[0, 59:] == 0.0).all()


def test_a_line_alone_has_the_values_that_it_has_among_others() -> None:
    grid = grid_of(1, 1_000, lines=200)
    for line in (0, 40, 199):
        np.testing.assert_array_equal(
            rolling_std(grid, 60)[line], rolling_std(grid[line : line + 1], 60)[0]
        )


def test_a_maximum_may_be_taken_of_fewer_columns_than_the_window() -> None:
    grid = np.arange(10.0)[None, :]
    np.testing.assert_array_equal(
        rolling_max(grid, 20, least=3)[0], [np.nan, np.nan, *range(2, 10)]
    )


@pytest.mark.parametrize("span", [12, 26])
def test_the_exponential_mean_equals_that_of_pandas(span: int) -> None:
    grid = np.abs(np.random.default_rng(0).normal(size=(3, 200))) + 1
    expected = pd.DataFrame(grid.T).ewm(span=span, adjust=False).mean().to_numpy().T
    np.testing.assert_allclose(ema(grid, span), expected, rtol=1e-12)


def test_empty_grids_keep_their_shape() -> None:
    for shape in ((0, 5), (3, 0)):
        for how in (rolling_mean, rolling_std):
            assert how(np.empty(shape), 4).shape == shape
