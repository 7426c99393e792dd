"""No label, feature or window reaches over a hole of more than ``max_gap`` sessions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from b3shared.core.vocabulary import UNLABELLED
from b3shared.features.build import build_features
from b3shared.features.panel import Panel
from b3shared.features.training_table import preprocess
from b3shared.models.lstm.windows import unbroken
from b3shared.params.run import PipelineParams
from b3shared.pipeline.serving_snapshot import build_snapshot
from b3shared.quotes.calendar import sessions
from b3shared.registry.compatibility import Universe, universe_of, windows_name

HOLE = ("2022-03-01", "2022-11-30")
OTHER = "BBAS9"
"""Name of the ticker after the hole for the oracle: another ticker, with its own history."""


def holed(frame: pd.DataFrame, name: str = "BBAS3") -> pd.DataFrame:
    """BBAS3 has no trade for nine months, and comes back at a quarter of its price under a name."""
    own, after = frame["ticker"] == "BBAS3", frame["date"] > HOLE[1]
    prices = ["open", "high", "low", "close"]
    out = frame.astype({"ticker": object})
    out.loc[own & after, prices] *= 0.25
    out.loc[own & after, "ticker"] = name
    out = out[~(own & frame["date"].between(*HOLE))]
    return out.sort_values(["ticker", "date"], kind="stable").reset_index(drop=True)


@pytest.fixture(scope="module")
def frame(eight: pd.DataFrame) -> pd.DataFrame:
    return eight[eight["date"] >= "2020-06-01"].reset_index(drop=True)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_features_after_a_hole_are_those_of_a_ticker_that_begins_there(
    frame: pd.DataFrame, version: str
) -> None:
    found, oracle = (build_features(holed(frame, name), version, 2e6) for name in ("BBAS3", OTHER))
    np.testing.assert_allclose(
        found.X, oracle.X, rtol=1e-6, atol=1e-12
    )  # the basis of the prices is another
    np.testing.assert_array_equal(found.liquid, oracle.liquid)
    reaching = build_features(holed(frame), version, 2e6, max_gap=252)
    assert not np.array_equal(reaching.X, oracle.X, equal_nan=True)


@pytest.mark.parametrize(
    "params",
    [
        {"label": "direction", "horizon": 5},
        {"label": "triple_barrier", "horizon": 7},
        {"label": "signal", "horizon": 2, "signal_lag": 3},
    ],
    ids=["direction", "triple_barrier", "signal"],
)
def test_labels_around_a_hole_are_those_of_two_tickers(
    frame: pd.DataFrame, params: dict[str, object]
) -> None:
    p = PipelineParams.from_values(params, features="v1")
    found, oracle = (preprocess(holed(frame, name), p).data for name in ("BBAS3", OTHER))
    for column in ("date", "label", "label_end", "known_label"):
        np.testing.assert_array_equal(getattr(found, column), getattr(oracle, column))
    for column in ("X", "future_return", "volatility", "return_20"):
        np.testing.assert_allclose(
            getattr(found, column), getattr(oracle, column), rtol=1e-6, atol=1e-12
        )
    own = (found.ticker == "BBAS3") & (found.label != UNLABELLED)
    days = (found.label_end - found.date)[own].astype(int)

    assert own.sum() > 400
    assert days.max() <= 21


def test_the_last_days_before_a_hole_have_no_outcome(frame: pd.DataFrame) -> None:
    data = preprocess(holed(frame), PipelineParams(horizon=2)).data
    before = (data.ticker == "BBAS3") & (data.date < np.datetime64(HOLE[0]))
    last = np.flatnonzero(before)[-2:]
    assert (data.label[last] == UNLABELLED).all()
    assert np.isnan(data.future_return[last]).all()


def test_no_window_reaches_over_a_hole(frame: pd.DataFrame) -> None:
    data = preprocess(holed(frame), PipelineParams()).data
    own = np.flatnonzero(data.ticker == "BBAS3")
    after = own[data.date[own] > np.datetime64(HOLE[1])]
    assert unbroken(data, 5)[after].tolist() == list(range(1, len(after) + 1))


def test_a_ticker_that_has_just_come_back_is_served_no_features(frame: pd.DataFrame) -> None:
    """Serving agrees with training: features and volatility begin anew."""
    quotes = holed(frame)
    recent = quotes[quotes["date"] <= "2022-12-20"].reset_index(drop=True)
    universe = Universe(2e6)
    snapshot = build_snapshot(recent, 4, {universe})
    row = snapshot.ticker.tolist().index("BBAS3")
    window = snapshot.windows[windows_name("v2", universe)][row]

    assert np.isnan(window[-1]).any()
    assert np.isnan(snapshot.volatility[row])
    assert (
        snapshot.sessions[row]
        == (recent["ticker"] == "BBAS3").to_numpy()[recent["date"] > HOLE[1]].sum()
    )

    others = np.arange(len(snapshot.ticker)) != row

    assert np.isfinite(snapshot.volatility[others]).all()


def test_universes_with_different_max_gap_have_windows_of_their_own(frame: pd.DataFrame) -> None:
    patient = Universe(2e6, max_gap=252)
    snapshot = build_snapshot(holed(frame), 4, {Universe(2e6), patient})
    short, long = (
        snapshot.windows[windows_name("v2", universe)] for universe in (Universe(2e6), patient)
    )
    row = snapshot.ticker.tolist().index("BBAS3")
    features = build_features(holed(frame), "v2", 2e6, 252)

    np.testing.assert_array_equal(
        long[row, -1], features.X[features.series.panel.newest[row]].astype(np.float32)
    )
    assert short.shape == long.shape
    assert np.isfinite(snapshot.volatility).all()


def test_max_gap_of_a_version_is_read_from_its_parameters() -> None:
    """Versions from before name it under the LSTM; those that never said are of the default."""
    now = PipelineParams(max_gap=9).model_dump(mode="json")
    before = PipelineParams().model_dump(mode="json", exclude={"max_gap"})
    before["lstm"]["max_gap"] = 9
    assert universe_of(now) == universe_of(before)
    assert windows_name("v2", universe_of(now)) == "v2-2000000-shares-gap9"
    del before["lstm"]
    assert windows_name("v2", universe_of(before)) == "v2-2000000-shares"


CALENDAR = sessions(pd.Timestamp("2023-01-02").date(), pd.Timestamp("2023-12-28").date())


@given(
    tickers=st.lists(st.sets(st.integers(0, 60), min_size=1, max_size=25), min_size=1, max_size=4),
    max_gap=st.integers(1, 12),
)
def test_each_line_is_an_unbroken_stretch_of_one_ticker(
    tickers: list[set[int]], max_gap: int
) -> None:
    """Sessions are the exchange's, so a ticker's holes do not depend on the other tickers."""
    rows = [(f"AAA{n}3", CALENDAR[day]) for n, days in enumerate(tickers) for day in sorted(days)]
    frame = pd.DataFrame(
        {"ticker": [r[0] for r in rows], "date": np.array([r[1] for r in rows], "datetime64[s]")}
    )
    panel = Panel(frame, max_gap)
    expected, line = [], -1
    for at, (ticker, day) in enumerate(rows):
        before = rows[at - 1] if at else (None, day)
        between = np.searchsorted(CALENDAR, day) - np.searchsorted(CALENDAR, before[1])
        new = ticker != before[0] or between > max_gap
        line += new
        expected.append((line, 0 if new else expected[-1][1] + 1))

    assert list(zip(panel.line.tolist(), panel.position.tolist(), strict=True)) == expected
    assert panel.shape == (line + 1, max(position for _, position in expected) + 1)
    assert [rows[at][0] for at in panel.newest] == panel.tickers.tolist()
    np.testing.assert_array_equal(panel.rows(panel.grid(panel.session, fill=-1)), panel.session)
