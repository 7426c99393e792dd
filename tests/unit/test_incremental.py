"""Carried states against the whole history computed anew: equal to the last bit, whatever happens in between."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b3shared.appending import NewFeatures
from b3shared.errors import InvalidQuotesError
from b3shared.feature_states import NEWEST_KEPT, FeatureStates, bring_up_to_date
from b3shared.features import build_features
from b3shared.incremental import FeatureState
from b3shared.quotes.sources import PRECOMPUTED
from b3shared.storage import FolderStorage

LIMIT = 1_000_000.0
CALENDAR = pd.date_range("2020-01-01", periods=400, freq="B")
VERSIONS = st.sampled_from(["v1", "v2"])


def market(seed: int, sessions: int, tickers: int) -> pd.DataFrame:
    """Quotes with splits, dividends, gaps, late listings, flat spells, unknown volumes and a book that comes late."""
    rng = np.random.default_rng(seed)
    parts = []
    for number in range(tickers):
        listed = 0 if number < 5 else int(rng.integers(0, sessions))
        trades = rng.random(sessions - listed) < rng.choice([1.0, 0.9, 0.4])
        trades[:1] |= number < 5  # as many as a cross-section needs
        dates = CALENDAR[listed:sessions][trades]
        n = len(dates)
        split = np.where(rng.random(n) < 0.01, rng.choice([2.0, 10.0, 0.1, 1.05], n), 1.0)
        moves = np.where(rng.random(n) < 0.3, 0.0, rng.normal(0, 0.02, n))
        if n > 40 and number % 3 == 0:
            moves[10:35] = 0.0
        close = np.round(20.0 * np.exp(np.cumsum(moves)) / np.cumprod(split), 2) + 0.01
        parts.append(
            pd.DataFrame(
                {
                    "ticker": f"TICK{number}",
                    "date": dates,
                    "open": close * (1 + rng.normal(0, 0.01, n)),
                    "high": close * 1.02,
                    "low": close * 0.97,
                    "close": close,
                    "volume": np.where(rng.random(n) < 0.005, np.nan, rng.integers(1_000, 200_000, n)),
                    "turnover": np.where(rng.random(n) < 0.5, np.nan, rng.uniform(1e5, 4e6, n)),
                    "best_buy": np.where(dates > CALENDAR[150], close - 0.01, np.nan),
                    "best_sell": np.where(dates > CALENDAR[150], close + 0.01, np.nan),
                    "split_factor": split,
                    "dividend": np.where(rng.random(n) < 0.02, 0.3 * close, 0.0),
                }
            )
        )
    return pd.concat(parts, ignore_index=True).astype({"date": "datetime64[s]"})


def assert_equal_to_the_whole(fresh: NewFeatures, frame: pd.DataFrame, version: str) -> None:
    whole = build_features(frame, version, LIMIT)
    rows = np.flatnonzero(frame["date"].isin(fresh.date).to_numpy())
    rows = rows[np.lexsort((frame["ticker"].to_numpy(dtype=str)[rows], frame["date"].to_numpy()[rows]))]
    assert fresh.names == whole.names
    np.testing.assert_array_equal(fresh.ticker, frame["ticker"].to_numpy(dtype=str)[rows])
    np.testing.assert_array_equal(fresh.date, frame["date"].to_numpy()[rows].astype("datetime64[D]"))
    np.testing.assert_array_equal(fresh.liquid, whole.liquid[rows])
    np.testing.assert_array_equal(fresh.X, whole.X[rows])
    panel, series = whole.shared.panel, whole.shared
    np.testing.assert_array_equal(fresh.volatility, panel.rows(series.volatility)[rows])
    np.testing.assert_array_equal(fresh.turnover, panel.rows(series.median_turnover())[rows])


def until(frame: pd.DataFrame, session: int) -> pd.DataFrame:
    return frame[frame["date"] <= CALENDAR[session]].reset_index(drop=True)


def between(frame: pd.DataFrame, after: int, session: int) -> pd.DataFrame:
    return frame[(frame["date"] > CALENDAR[after]) & (frame["date"] <= CALENDAR[session])]


@settings(max_examples=25, deadline=None)
@given(
    version=VERSIONS,
    seed=st.integers(0, 2**32 - 1),
    begin=st.sampled_from([3, 25, 100, 149, 270]),
    steps=st.lists(st.integers(1, 12), min_size=1, max_size=6),
)
def test_any_sequence_of_appends_equals_the_whole(version: str, seed: int, begin: int, steps: list[int]) -> None:
    frame = market(seed, begin + sum(steps) + 1, 8)
    state = FeatureState.of(until(frame, begin), version, LIMIT)
    at = begin
    for step in steps:
        state, fresh = state.append(between(frame, at, at + step).sample(frac=1, random_state=0))
        at += step
        assert_equal_to_the_whole(fresh, until(frame, at), version)


def corrected(frame: pd.DataFrame, how: str, share: float) -> pd.DataFrame:
    """The quotes with one row of the past changed, gone or added, or a split listed late."""
    row = int(share * (len(frame) - 1))
    out = frame.copy()
    if how == "gone":
        return out.drop(index=row).reset_index(drop=True)
    if how == "added":
        missing = sorted(set(CALENDAR[out["date"].max() >= CALENDAR]) - set(out["date"][out["ticker"] == "TICK0"]))
        if not missing:
            return out
        new = out.iloc[[row]].assign(ticker="TICK0", date=missing[int(share * (len(missing) - 1))], split_factor=1.0)
        out = pd.concat([out, new.astype({"date": "datetime64[s]"})]).sort_values(["ticker", "date"], ignore_index=True)
        return out
    if how == "price":
        out.loc[row, ["open", "high", "low", "close"]] *= 1.01
    else:
        out.loc[row, "split_factor"] = 4.0
    return out


@settings(max_examples=15, deadline=None)
@given(
    version=VERSIONS,
    seed=st.integers(0, 2**32 - 1),
    begin=st.sampled_from([30, 149, 260]),
    events=st.lists(
        st.one_of(
            st.integers(1, 8),
            st.tuples(st.sampled_from(["gone", "added", "price", "split"]), st.floats(0, 1)),
        ),
        min_size=2,
        max_size=8,
    ),
)
def test_late_corrections_between_appends_give_the_whole_as_well(
    tmp_path_factory: pytest.TempPathFactory, version: str, seed: int, begin: int, events: list
) -> None:
    states = FeatureStates(FolderStorage(tmp_path_factory.mktemp("states")), "states", version, LIMIT)
    whole = market(seed, begin + 80, 8)
    frame, at = until(whole, begin), begin
    bring_up_to_date(states, frame)
    for event in [*events, 1]:
        if isinstance(event, int):
            frame = pd.concat([frame, between(whole, at, at + event)]).sort_values(["ticker", "date"], ignore_index=True)
            at += event
        else:
            frame = corrected(frame, *event)
        update = bring_up_to_date(states, frame)
        assert update.state.as_of == frame["date"].max().to_datetime64().astype("datetime64[D]")
        if update.fresh is not None:
            assert_equal_to_the_whole(update.fresh, frame, version)
    assert update.fresh is not None


def test_a_correction_of_yesterday_costs_two_sessions_not_the_history(tmp_path: Path) -> None:
    frame = market(3, 200, 7)
    states = FeatureStates(FolderStorage(tmp_path), "states", "v2", LIMIT)
    for session in range(190, 199):
        bring_up_to_date(states, until(frame, session))
    changed = until(frame, 199)
    changed.loc[changed["date"] == CALENDAR[198], "close"] += 0.01
    update = bring_up_to_date(states, changed)
    assert update.corrected == str(CALENDAR[198].date())
    assert update.since == str(CALENDAR[197].date())
    assert_equal_to_the_whole(update.fresh, changed, "v2")


def test_an_older_frame_gives_its_own_newest_state_and_leaves_the_newer_ones_as_they_are(tmp_path: Path) -> None:
    frame = market(8, 200, 7)
    states = FeatureStates(FolderStorage(tmp_path), "states", "v2", LIMIT)
    for session in (190, 193, 195, 196):
        bring_up_to_date(states, until(frame, session))
    before = states.dates()
    again = bring_up_to_date(states, until(frame, 193))
    assert (str(again.state.as_of), again.fresh, again.corrected) == (str(CALENDAR[193].date()), None, None)
    assert states.dates() == before
    between_two = bring_up_to_date(states, until(frame, 194))
    assert (between_two.since, between_two.corrected) == (str(CALENDAR[193].date()), None)
    assert_equal_to_the_whole(between_two.fresh, until(frame, 194), "v2")
    assert set(before) <= set(states.dates())
    assert bring_up_to_date(states, until(frame, 199)).since == str(CALENDAR[196].date())


def test_newer_states_that_an_older_frame_s_correction_makes_void_go_with_the_next_whole_one(tmp_path: Path) -> None:
    frame = market(9, 200, 7)
    states = FeatureStates(FolderStorage(tmp_path), "states", "v2", LIMIT)
    for session in (190, 195, 197):
        bring_up_to_date(states, until(frame, session))
    frame.loc[frame["date"] == CALENDAR[193], "close"] += 0.01
    older = bring_up_to_date(states, until(frame, 195))
    assert (older.corrected, older.since) == (str(CALENDAR[193].date()), str(CALENDAR[190].date()))
    newer = bring_up_to_date(states, until(frame, 198))
    assert (newer.corrected, newer.since) == (str(CALENDAR[193].date()), str(CALENDAR[195].date()))
    assert_equal_to_the_whole(newer.fresh, until(frame, 198), "v2")


def test_sessions_that_a_frame_does_not_reach_are_no_difference() -> None:
    frame = market(10, 120, 6)
    state = FeatureState.of(until(frame, 110), "v1", LIMIT)
    for session in (90, 110, 115):
        assert state.first_difference(until(frame, session)) is None
    gone = until(frame, 105)
    gone = gone[gone["date"] != CALENDAR[100]]
    assert state.first_difference(gone) == np.datetime64(CALENDAR[100], "D")


def test_the_newest_states_and_one_a_month_stay(tmp_path: Path) -> None:
    frame = market(4, 300, 6)
    states = FeatureStates(FolderStorage(tmp_path), "states", "v1", LIMIT)
    for session in range(200, 290, 3):
        bring_up_to_date(states, until(frame, session))
    days = states.dates()
    months = [day[:7] for day in days[:-NEWEST_KEPT]]
    assert len(set(months)) == len(months) >= 3
    assert days[-NEWEST_KEPT:] == [str(CALENDAR[session].date()) for session in range(275, 290, 3)]


def test_a_state_of_other_code_is_not_taken_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = market(5, 120, 6)
    storage = FolderStorage(tmp_path)
    states = FeatureStates(storage, "states", "v2", LIMIT)
    bring_up_to_date(states, until(frame, 100))
    (old,) = storage.list("states/")
    monkeypatch.setattr("b3shared.feature_states.feature_code", lambda: "0123456789abcdef")
    assert states.dates() == []
    assert bring_up_to_date(states, until(frame, 100)).fresh is None
    assert old not in storage.list("states/")


def test_a_saved_state_goes_on_as_the_one_that_was_saved(tmp_path: Path) -> None:
    frame = market(6, 300, 8)
    state = FeatureState.of(until(frame, 280), "v2", LIMIT)
    loaded = FeatureState.load(state.save(tmp_path / "state.npz"))
    (_, one), (_, other) = (s.append(between(frame, 280, 290)) for s in (state, loaded))
    np.testing.assert_array_equal(one.X, other.X)
    assert one.names == other.names


def test_appending_leaves_the_state_it_started_from_as_it_was() -> None:
    frame = market(7, 300, 8)
    state = FeatureState.of(until(frame, 280), "v2", LIMIT)
    (_, first), (_, again) = (state.append(between(frame, 280, 285)) for _ in range(2))
    np.testing.assert_array_equal(first.X, again.X)


def test_a_state_keeps_a_bounded_part_of_the_history() -> None:
    frame = market(8, 400, 6)
    states = [FeatureState.of(until(frame, session), "v2", LIMIT) for session in (260, 399)]
    assert [{grid.shape for grid in state.tail.values()} for state in states] == [{(len(s.tickers), 252)} for s in states]


def test_rows_of_the_past_and_double_rows_are_refused() -> None:
    frame = market(9, 120, 6)
    state = FeatureState.of(until(frame, 100), "v1", LIMIT)
    with pytest.raises(InvalidQuotesError, match="an earlier state"):
        state.append(between(frame, 99, 101))
    new = between(frame, 100, 101)
    with pytest.raises(InvalidQuotesError, match="two rows for one ticker and date"):
        state.append(pd.concat([new, new.head(1)]))


def test_quotes_that_bring_their_features_have_nothing_to_carry(bundled: pd.DataFrame) -> None:
    with pytest.raises(InvalidQuotesError, match="nothing to carry"):
        FeatureState.of(bundled.assign(**dict.fromkeys(PRECOMPUTED, 1.0)), "v1", LIMIT)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_last_weeks_of_real_quotes_one_session_at_a_time(bundled: pd.DataFrame, version: str) -> None:
    days = np.sort(bundled["date"].unique())[-15:]
    state = FeatureState.of(bundled[bundled["date"] < days[0]].reset_index(drop=True), version, 2_000_000.0)
    whole = build_features(bundled, version, 2_000_000.0)
    for day in days:
        today = (bundled["date"] == day).to_numpy()
        state, fresh = state.append(bundled[today])
        np.testing.assert_array_equal(fresh.X, whole.X[today])
