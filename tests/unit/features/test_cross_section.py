"""Ranks and market features by date equal pandas, computed in portions or at once."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b3shared.features import cross_section
from b3shared.features.cross_section import CrossSection, MarketReturn


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 400),
    dates=st.integers(1, 60),
    digits=st.integers(0, 3),
)
def test_ranks_equal_those_of_pandas_with_ties_and_missing_values(
    seed: int, rows: int, dates: int, digits: int
) -> None:
    rng = np.random.default_rng(seed)
    session = rng.integers(0, dates, rows).astype(np.int32)
    values = np.round(rng.normal(size=rows), digits)
    values[rng.random(rows) < 0.1] = np.nan
    expected = pd.Series(values.astype(np.float32)).groupby(session).rank(pct=True).to_numpy()
    with pytest.MonkeyPatch.context() as patch:
        for cells in (1, 50, 1 << 19):  # a date, some dates, all dates at once
            patch.setattr(cross_section, "_CELLS", cells)
            np.testing.assert_allclose(CrossSection(session).rank(values), expected, rtol=1e-12)


def test_values_that_are_equal_as_float32_are_ties() -> None:
    values = np.array([1.0, 1.0 + 1e-12, 2.0])
    np.testing.assert_allclose(
        CrossSection(np.zeros(3, dtype=np.int32)).rank(values), [0.5, 0.5, 1.0]
    )


def test_market_returns_added_in_portions_are_equal_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    session, returns = rng.integers(0, 50, 5_000), rng.normal(size=5_000)
    returns[rng.random(5_000) < 0.1] = np.nan
    whole, portions = MarketReturn(51), MarketReturn(51)
    whole.add(session, returns)
    for part in np.array_split(np.arange(5_000), 7):
        portions.add(session[part], returns[part])

    np.testing.assert_array_equal(portions.mean, whole.mean)
    np.testing.assert_allclose(
        whole.mean[:50], pd.Series(returns).groupby(session).mean(), rtol=1e-12
    )
    assert np.isnan(whole.mean[50])


def test_ranks_of_no_rows_are_empty() -> None:
    assert CrossSection(np.empty(0, dtype=np.int32)).rank(np.empty(0)).shape == (0,)
