"""A snapshot holds the newest rows of the features that models are trained on."""

import re
import zipfile
from dataclasses import fields, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served_store import tiny_snapshot

from b3shared.core.errors import InvalidQuotesError
from b3shared.core.versions import FEATURES_VERSION
from b3shared.features.build import build_features
from b3shared.features.training_table import preprocess
from b3shared.params.run import PipelineParams
from b3shared.pipeline.serving_snapshot import build_snapshot
from b3shared.quotes.calendar import sessions, sessions_after
from b3shared.quotes.schema import PRECOMPUTED
from b3shared.registry.compatibility import (
    FEATURE_SETS,
    SnapshotDescription,
    Universe,
    description_key,
    read_description,
    windows_name,
)
from b3shared.serving.snapshot import Snapshot, describe
from b3shared.storage import FolderStorage

LOOKBACK = 32
LIMIT = PipelineParams().min_turnover
V1, V2 = (windows_name(feature_set, Universe(LIMIT)) for feature_set in FEATURE_SETS)


def features_of(frame: pd.DataFrame, offer: str) -> np.ndarray:
    """Features of every row for windows such as v2-2000000; NaN where the row is not liquid."""
    features = build_features(frame, offer.split("-")[0], LIMIT)
    return np.where(features.liquid[:, None], features.X, np.nan).astype(np.float32)


def newest_rows(frame: pd.DataFrame, ticker: str, count: int = LOOKBACK) -> np.ndarray:
    """Positions of a ticker's newest rows, oldest first."""
    return np.flatnonzero(frame["ticker"].to_numpy() == ticker)[-count:]


@pytest.fixture(scope="module")
def cut(eight: pd.DataFrame) -> pd.DataFrame:
    """Eight tickers: MGLU3 stops three sessions early, WEGE3 has its newest 20 rows only."""
    short = eight.drop(newest_rows(eight, "MGLU3", 3))
    wege3 = short[short["ticker"] == "WEGE3"]
    return short.drop(wege3.index[:-20]).reset_index(drop=True)


@pytest.fixture(scope="module")
def snapshot(cut: pd.DataFrame) -> Snapshot:
    return build_snapshot(cut, LOOKBACK, {Universe(LIMIT)})


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_windows_are_the_rows_that_models_are_trained_on(
    snapshot: Snapshot, cut: pd.DataFrame, version: str
) -> None:
    offer = windows_name(version, Universe(LIMIT))
    features = features_of(cut, offer)
    assert snapshot.names[offer] == build_features(cut, version, LIMIT).names
    windows = snapshot.windows[offer]
    assert windows.dtype == np.float32
    assert windows.shape == (8, LOOKBACK, features.shape[1])
    for ticker, window in zip(snapshot.ticker, windows, strict=True):
        rows = newest_rows(cut, ticker)
        np.testing.assert_array_equal(window[LOOKBACK - len(rows) :], features[rows])
        assert np.isnan(window[: LOOKBACK - len(rows)]).all()


def test_the_last_row_of_a_window_is_that_of_the_training_table(
    snapshot: Snapshot, cut: pd.DataFrame
) -> None:
    data = preprocess(cut, PipelineParams()).data
    checked = 0
    for number, ticker in enumerate(snapshot.ticker):
        rows = np.flatnonzero((data.ticker == ticker) & (data.date == snapshot.date[number]))
        checked += len(rows)
        for row in rows:
            np.testing.assert_array_equal(snapshot.windows[V2][number, -1], data.X[row])
            assert snapshot.close[number] == data.close[row]
            assert snapshot.volatility[number] == data.volatility[row]
    assert checked == 7  # all but WEGE3, which has too little history


def test_a_snapshot_has_what_an_answer_shows_beside_the_forecast(
    snapshot: Snapshot, cut: pd.DataFrame
) -> None:
    last = cut.groupby("ticker").tail(1)
    assert snapshot.ticker.tolist() == sorted(set(cut["ticker"])) == last["ticker"].tolist()
    assert snapshot.company.tolist() == last["company"].tolist()
    assert snapshot.close.tolist() == last["close"].tolist()
    assert snapshot.date.tolist() == last["date"].dt.date.tolist()
    assert str(snapshot.as_of) == "2023-12-28"
    assert snapshot.sessions.tolist() == cut.groupby("ticker").size().tolist()

    traded = (
        (cut["close"] * cut["volume"])
        .groupby(cut["ticker"])
        .apply(lambda values: values.tail(60).median())
    )
    traded["WEGE3"] = np.nan  # 20 sessions are not 60
    np.testing.assert_allclose(snapshot.turnover, traded, rtol=1e-12)


def test_a_snapshot_says_up_to_when_the_dividends_of_a_ticker_are_known(
    snapshot: Snapshot, cut: pd.DataFrame, tmp_path: Path
) -> None:
    assert snapshot.dividends_until is not None
    assert snapshot.dividends_until.tolist() == snapshot.date.tolist()

    later = (cut["ticker"] == "VALE3") & (cut["date"] > "2023-06-30")
    unknown = later | (cut["ticker"] == "PETR4")
    holed = cut.assign(dividend=cut["dividend"].mask(unknown))
    made = build_snapshot(holed, LOOKBACK, {Universe(LIMIT)})
    storage = FolderStorage(tmp_path / "store")
    loaded = Snapshot.load(tmp_path / "store" / made.save(storage, tmp_path))
    for of in (made, loaded):
        assert of.dividends_until is not None
        until = dict(zip(of.ticker.tolist(), of.dividends_until.astype(str), strict=True))
        assert (until.pop("PETR4"), until.pop("VALE3")) == ("NaT", "2023-06-30")
        assert set(until.values()) <= set(snapshot.date.astype(str))


def test_a_snapshot_says_from_when_on_dividends_are_known_where_a_recent_one_is_not(
    snapshot: Snapshot, cut: pd.DataFrame, tmp_path: Path
) -> None:
    assert snapshot.dividends_from is not None
    assert np.isnat(snapshot.dividends_from).all()

    days = np.sort(cut.loc[cut["ticker"] == "VALE3", "date"].unique())
    for back, since in ((5, str(days[-4].astype("datetime64[D]"))), (90, "NaT")):
        hole = (cut["ticker"] == "VALE3") & (cut["date"] == days[-back])
        holed = cut.assign(dividend=cut["dividend"].mask(hole))
        made = build_snapshot(holed, LOOKBACK, {Universe(LIMIT)})
        store = FolderStorage(tmp_path / f"store{back}")
        loaded = Snapshot.load(tmp_path / f"store{back}" / made.save(store, tmp_path))
        assert loaded.dividends_from is not None
        found = dict(zip(loaded.ticker.tolist(), loaded.dividends_from.astype(str), strict=True))
        assert found.pop("VALE3") == since
        assert set(found.values()) == {"NaT"}


def test_the_age_of_a_ticker_counts_sessions_of_the_market_not_days(
    snapshot: Snapshot, cut: pd.DataFrame
) -> None:
    ages = dict(zip(snapshot.ticker.tolist(), snapshot.age.tolist(), strict=True))
    assert ages.pop("MGLU3") == 3
    assert set(ages.values()) == {0}
    mglu3 = snapshot.ticker.tolist().index("MGLU3")
    assert (snapshot.as_of - snapshot.date[mglu3]).astype(
        int
    ) == 6  # Christmas and a weekend lie between
    assert np.isfinite(snapshot.windows[V1][mglu3, -1]).all()  # old, but known


def test_a_ticker_with_too_little_history_has_no_value_instead_of_a_made_up_one(
    snapshot: Snapshot,
) -> None:
    wege3 = snapshot.ticker.tolist().index("WEGE3")
    assert snapshot.sessions[wege3] == 20
    names = snapshot.names[V2]
    assert np.isnan(snapshot.windows[V2][wege3, -1, names.index("return_120")])
    assert np.isnan(snapshot.volatility[wege3])  # 20 closes are 19 returns
    assert describe(snapshot) == {
        "as_of": "2023-12-28",
        "tickers": 8,
        "tickers_with_features": {V1: 7, V2: 7},
        "stale_tickers": 1,
    }


@given(
    back=st.integers(min_value=1, max_value=600), lookback=st.integers(min_value=1, max_value=60)
)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_snapshot_of_an_earlier_day_knows_nothing_of_the_days_after(
    eight: pd.DataFrame, back: int, lookback: int
) -> None:
    day = np.unique(eight["date"])[-1 - back]
    earlier = eight[eight["date"] <= day].reset_index(drop=True)
    snapshot = build_snapshot(earlier, lookback, {Universe(LIMIT)})
    assert snapshot.as_of == day.astype("datetime64[D]")
    known = np.flatnonzero((eight["date"] <= day).to_numpy())
    for version, windows in snapshot.windows.items():
        later = features_of(eight, version)[known]
        for ticker, window in zip(snapshot.ticker, windows, strict=True):
            np.testing.assert_array_equal(window, later[newest_rows(earlier, ticker, lookback)])


def test_a_snapshot_of_three_years_equals_one_of_five(eight: pd.DataFrame) -> None:
    recent = eight[eight["date"] > "2020-12-28"].reset_index(drop=True)
    short, full = (
        build_snapshot(recent, LOOKBACK, {Universe(LIMIT)}),
        build_snapshot(eight, LOOKBACK, {Universe(LIMIT)}),
    )
    for version, windows in full.windows.items():
        np.testing.assert_allclose(short.windows[version], windows, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(short.volatility, full.volatility, rtol=1e-9)


def test_a_saved_snapshot_loads_equal(snapshot: Snapshot, tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "store")
    key = snapshot.save(storage, tmp_path)
    assert re.fullmatch(r"serving/snapshots/2023-12-28-[0-9a-f]{16}\.npz", key)

    loaded = Snapshot.load(storage.download(key, tmp_path / "again.npz"))
    for column in fields(Snapshot):
        before, after = getattr(snapshot, column.name), getattr(loaded, column.name)
        if isinstance(before, dict):
            assert list(before) == list(after)
        pairs = (
            zip(before.values(), after.values(), strict=True)
            if isinstance(before, dict)
            else [(before, after)]
        )
        for one, other in pairs:
            np.testing.assert_array_equal(one, other)
            assert getattr(one, "dtype", type(one)) == getattr(other, "dtype", type(other))

    offered = {version: list(names) for version, names in snapshot.names.items()}
    assert read_description(storage, key) == SnapshotDescription(
        offered, LOOKBACK, FEATURES_VERSION
    )


def test_a_stored_snapshot_of_schema_1_is_read_and_has_no_windows_of_more_than_a_row(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    snapshot.save(FolderStorage(tmp_path / "store"), tmp_path)
    with np.load(tmp_path / "snapshot.npz") as stored:
        old = {name: stored[name] for name in stored.files if not name.startswith("slots_")}
    del old["dividends_until"]
    np.savez(tmp_path / "old.npz", **old | {"schema": np.array(1)})
    loaded = Snapshot.load(tmp_path / "old.npz")
    assert loaded.dividends_until is None
    assert (loaded.slots, loaded.lookback, snapshot.lookback) == ({}, 1, LOOKBACK)
    np.testing.assert_array_equal(loaded.windows[V2], snapshot.windows[V2])


def test_the_same_content_has_the_same_key_and_another_content_another(
    snapshot: Snapshot, cut: pd.DataFrame, tmp_path: Path
) -> None:
    storage = FolderStorage(tmp_path / "store")
    key = snapshot.save(storage, tmp_path)
    stamps = {entry.date_time for entry in zipfile.ZipFile(tmp_path / "snapshot.npz").infolist()}
    assert stamps == {(1980, 1, 1, 0, 0, 0)}  # no clock in the bytes
    assert build_snapshot(cut.copy(), LOOKBACK, {Universe(LIMIT)}).save(storage, tmp_path) == key
    assert storage.list("serving/") == sorted([key, description_key(key)])
    raised = replace(snapshot, close=snapshot.close + np.eye(8)[0] * 0.01)
    assert raised.save(storage, tmp_path) != key


def test_quotes_without_volume_feed_no_feature_set(cut: pd.DataFrame) -> None:
    with pytest.raises(InvalidQuotesError, match="volume"):
        build_snapshot(cut.assign(volume=np.nan, turnover=np.nan), LOOKBACK, {Universe(LIMIT)})


def test_few_tickers_and_ready_made_features_offer_v1_only(cut: pd.DataFrame) -> None:
    four = cut[cut["ticker"].isin(["PETR4", "VALE3", "ITUB4", "ABEV3"])].reset_index(drop=True)
    assert list(build_snapshot(four, LOOKBACK, {Universe(LIMIT)}).windows) == [V1]
    blank = dict.fromkeys(["open", "high", "low", "volume", "turnover"], np.nan)
    ready = cut.assign(**blank, **{name: float(number) for number, name in enumerate(PRECOMPUTED)})
    snapshot = build_snapshot(ready, 2, {Universe(LIMIT)})
    assert snapshot.names == {V1: (*PRECOMPUTED, "close")}

    known = snapshot.ticker != "WEGE3"  # 20 closes have no volatility: no row of the training
    np.testing.assert_array_equal(
        snapshot.windows[V1][known, :, :12], np.tile(np.arange(12.0), (7, 2, 1))
    )
    assert np.isnan(snapshot.windows[V1][~known]).all()
    assert np.isnan(snapshot.turnover).all()


def test_a_ticker_below_the_liquidity_limit_is_listed_without_ranks(cut: pd.DataFrame) -> None:
    quiet = cut.copy()
    quiet.loc[quiet["ticker"] == "ABEV3", "volume"] = 100
    snapshot = build_snapshot(quiet, LOOKBACK, {Universe(LIMIT)})
    abev3 = snapshot.ticker.tolist().index("ABEV3")
    ranks = [number for number, name in enumerate(snapshot.names[V2]) if name.endswith("_rank")]
    assert np.isnan(snapshot.windows[V2][abev3][:, ranks]).all()
    assert snapshot.turnover[abev3] < LIMIT


def test_a_snapshot_may_have_one_session_and_an_unnamed_company(cut: pd.DataFrame) -> None:
    day = cut[cut["date"] == "2023-12-22"].assign(company=None).reset_index(drop=True)
    snapshot = build_snapshot(day, LOOKBACK, {Universe(LIMIT)})
    assert set(snapshot.company) == {""}
    assert set(snapshot.sessions) == {1}
    assert snapshot.windows[V2].shape == (len(day), LOOKBACK, len(snapshot.names[V2]))


@pytest.mark.parametrize(
    "day", ["2023-12-29", "2024-02-14", "2024-12-31", "2026-11-27", "2033-06-01"]
)
def test_the_sessions_since_a_snapshot_are_those_of_the_exchange_at_any_age(day: str) -> None:
    today = date.fromisoformat(day)
    by_hand = [s for s in sessions(date(2023, 12, 29), today).astype(object) if s < today]
    assert tiny_snapshot().sessions_until(today) == len(by_hand)


def test_beyond_the_sessions_that_a_snapshot_knows_weekdays_count() -> None:
    short = replace(tiny_snapshot(), upcoming=sessions_after(date(2023, 12, 28), 250))
    last = short.upcoming[-1].item()
    assert short.sessions_until(last) == 249
    assert short.sessions_until(last + timedelta(days=1)) == 250
    assert short.sessions_until(last + timedelta(days=8)) == 255
    assert short.sessions_until(date(2026, 11, 27)) == pytest.approx(
        725, rel=0.04
    )  # holidays count as well
    none = replace(short, upcoming=short.upcoming[:0])
    assert none.sessions_until(date(2023, 12, 28)) == 0
    assert none.sessions_until(date(2024, 1, 8)) == 6
