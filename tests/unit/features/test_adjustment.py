"""Forward factors compound to total returns, and a later action changes no earlier factor."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from b3shared.features.adjustment import forward_factors


def test_a_split_and_a_dividend_by_hand() -> None:
    frame = pd.DataFrame(
        {
            "ticker": ["A"] * 4,
            "close": [10.0, 5.0, 4.0, 4.4],
            "split_factor": [1.0, 2.0, 1.0, 1.0],
            "dividend": [0.0, 0.0, 1.0, 0.0],
        }
    )
    price, share = forward_factors(frame)

    np.testing.assert_allclose(share, [1, 2, 2, 2])
    np.testing.assert_allclose(price, [1, 2, 2 / (1 - 1 / 5), 2.5])
    np.testing.assert_allclose(
        frame["close"] * price, [10, 10, 10, 11]
    )  # the dividend of 1 made the fall to 4 no loss


def test_a_dividend_that_is_not_known_changes_no_factor() -> None:
    known = pd.DataFrame(
        {
            "ticker": ["A"] * 4,
            "close": [10.0, 5.0, 4.0, 4.4],
            "split_factor": [1.0, 2.0, 1.0, 1.0],
            "dividend": [0.0, 0.0, 1.0, 0.0],
        }
    )
    unknown = known.assign(dividend=[np.nan, np.nan, 1.0, np.nan])
    for expected, found in zip(forward_factors(known), forward_factors(unknown), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_first_row_of_a_ticker_starts_anew() -> None:
    frame = pd.DataFrame(
        {
            "ticker": ["A", "A", "B"],
            "close": [10.0, 5.0, 7.0],
            "split_factor": [1, 2, 3],
            "dividend": [0, 0, 1],
        }
    )
    price, share = forward_factors(frame)
    assert price.tolist() == [1, 2, 1]
    assert share.tolist() == [1, 2, 1]


action = st.tuples(
    st.floats(1, 100), st.sampled_from([1.0, 1.0, 2.0, 0.1]), st.sampled_from([0.0, 0.0, 0.05])
)


@settings(deadline=None)
@given(st.lists(action, min_size=2, max_size=30), st.data())
def test_back_adjustment_day_by_day_gives_the_same_ratios(
    days: list[tuple[float, float, float]], data: st.DataObject
) -> None:
    """Oracle: walk back from t and rescale every earlier price at each ex-date, as vendors do."""
    close, split, share_of_close = (np.array(column) for column in zip(*days, strict=True))
    dividend = share_of_close * np.concatenate([[0], close[:-1]])
    frame = pd.DataFrame(
        {"ticker": "A", "close": close, "split_factor": split, "dividend": dividend}
    )
    t = data.draw(st.integers(0, len(days) - 1))
    adjusted = close[: t + 1].copy()
    for ex in range(t, 0, -1):
        adjusted[:ex] *= (1 - dividend[ex] / close[ex - 1]) / split[ex]
    price, _ = forward_factors(frame)
    np.testing.assert_allclose((close * price)[: t + 1] / price[t], adjusted, rtol=1e-12)
