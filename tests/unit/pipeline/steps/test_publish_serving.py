"""Publishing serves the whole lake, whatever the run looked at, and never goes back in time."""

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from small_run import SMALL

from b3shared.core.config import Settings
from b3shared.core.errors import IncompatibleFeaturesError, StepNotReadyError
from b3shared.core.serialization import from_json, to_json
from b3shared.core.versions import FEATURES_VERSION
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline import run_pipeline, run_step
from b3shared.pipeline.publish_snapshot import lookback_of, refresh_serving
from b3shared.pipeline.serving_snapshot import build_snapshot
from b3shared.quotes.lake.lake import LAKE
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.lake.write import write_lake
from b3shared.registry.compatibility import Universe
from b3shared.registry.key import ModelKey
from b3shared.registry.promotion import promote
from b3shared.registry.release import Release
from b3shared.registry.release_state import KEY
from b3shared.registry.versions import Registry
from b3shared.runs.run import Run
from b3shared.serving.live import Live
from b3shared.serving.predictor import OTHER_FEATURES, Predictor
from b3shared.serving.snapshot import Snapshot
from b3shared.storage import FolderStorage, open_storage

RF = ModelKey("models", "rf")

PARAMS = PipelineParams.from_values(SMALL, end="2023-06-30", lookback=8)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage with a run of eight tickers to June 2023 whose version is live, not yet published.

    Read-only: copy it.
    """
    folder = tmp_path_factory.mktemp("saved")
    run = Run.create(open_storage(folder), "first", PARAMS)
    run_pipeline(run, settings=Settings(storage=str(folder)), stop_after=Step.SAVE_MODEL)
    return folder


@pytest.fixture
def store(saved: Path, tmp_path: Path) -> FolderStorage:
    return FolderStorage(shutil.copytree(saved, tmp_path / "store"))


def publish(
    store: FolderStorage, quotes: object = None, run_id: str = "first"
) -> dict[str, object]:
    settings = Settings(storage=store.url)
    if quotes is not None:
        settings = replace(settings, quotes=str(quotes))
    return run_step(Run.open(store, run_id), Step.PUBLISH_SERVING, settings=settings).summary


def served(store: FolderStorage, tmp_path: Path) -> Snapshot:
    key = Release(store).state().snapshot
    assert key is not None
    return Snapshot.load(store.download(key, tmp_path / "served.npz"))


def test_a_run_of_some_tickers_and_an_older_period_publishes_all_of_the_newest(
    store: FolderStorage, bundled: pd.DataFrame, tmp_path: Path
) -> None:
    summary = publish(store)

    assert summary["published"] is True
    assert (summary["tickers"], summary["as_of"]) == (62, "2023-12-28")

    snapshot = served(store, tmp_path)

    assert snapshot.ticker.tolist() == sorted(set(bundled["ticker"]))

    recent = bundled[bundled["date"] > "2020-12-28"].reset_index(drop=True)
    expected = build_snapshot(recent, 1, {Universe(PARAMS.min_turnover, PARAMS.tickers)})
    for version, windows in expected.windows.items():
        pd.testing.assert_frame_equal(
            pd.DataFrame(snapshot.windows[version][:, -1]), pd.DataFrame(windows[:, -1])
        )
        assert snapshot.windows[version].shape[1] == 1
    state = Release(store).state()

    assert (state.as_of, state.snapshot) == ("2023-12-28", summary["snapshot"])
    stored = json.loads(store.read(KEY))["live"]
    assert {str(key): version for key, version in state.live.items()} == stored != {}
    assert state.events[-1]["who"] == "pipeline"


def test_publishing_again_changes_nothing(store: FolderStorage) -> None:
    first = publish(store)
    before = {key: store.sha256(key) for key in store.list()}
    assert publish(store) == first
    assert {key: store.sha256(key) for key in store.list()} == before


def test_another_attempt_at_the_same_quotes_serves_the_same_snapshot_without_an_event(
    store: FolderStorage,
) -> None:
    first = publish(store)
    before = store.read(KEY)
    store.delete(
        "runs/first/steps/publish_serving.json"
    )  # as after a crash between the release and the step file
    assert publish(store) == first
    assert store.read(KEY) == before
    assert len(store.list("serving/snapshots/")) == 2


def test_an_older_lake_is_not_published_over_a_newer_snapshot(
    store: FolderStorage, bundled: pd.DataFrame, tmp_path: Path
) -> None:
    publish(store)
    before = store.read(KEY)
    store.delete("runs/first/steps/publish_serving.json")
    older = write_parquet(bundled[bundled["date"] <= "2023-11-30"], tmp_path / "older.parquet")
    summary = publish(store, older)
    assert summary["published"] is False
    assert summary["as_of"] == "2023-11-30"
    assert summary["reason"] == "snapshot as of 2023-11-30: one as of 2023-12-28 is served already"
    assert store.read(KEY) == before


def test_a_newer_session_in_the_lake_moves_the_release_on(
    store: FolderStorage, bundled: pd.DataFrame, tmp_path: Path
) -> None:
    lake = open_storage(tmp_path / "lake")
    write_lake(bundled[bundled["date"] <= "2023-12-27"], lake, "quotes")
    assert publish(store, tmp_path / "lake" / "quotes")["as_of"] == "2023-12-27"
    write_lake(bundled[bundled["date"] >= "2023-01-01"], lake, "quotes")
    store.delete("runs/first/steps/publish_serving.json")
    summary = publish(store, tmp_path / "lake" / "quotes")
    assert (summary["published"], summary["as_of"]) == (True, "2023-12-28")
    assert [e["why"] for e in Release(store).state().events[-2:]] == [
        "as of 2023-12-27",
        "as of 2023-12-28",
    ]


def test_a_snapshot_that_lacks_features_of_a_live_version_is_not_served(
    store: FolderStorage, bundled: pd.DataFrame, tmp_path: Path
) -> None:
    two = write_parquet(
        bundled[bundled["ticker"].isin(["PETR4", "VALE3"])], tmp_path / "two.parquet"
    )
    summary = publish(store, two)
    assert summary["published"] is False
    assert "needs features v2-2000000" in str(summary["reason"])
    assert Release(store).state().snapshot is None


def test_promoting_a_version_that_the_snapshot_has_no_features_for_is_refused(
    store: FolderStorage, tmp_path: Path
) -> None:
    publish(store)
    file = tmp_path / "model.onnx"
    file.write_text("other")
    manifest = {
        "train_end": "2023-12-28",
        "feature_set": "v2",
        "features": ["of_tomorrow"],
        "params": PARAMS.model_dump(mode="json"),
    }
    version = Registry(store, "models").register("rf", [file], manifest)

    with pytest.raises(IncompatibleFeaturesError, match="of_tomorrow"):
        promote(store, "models", "rf", version, who="maria", why="hope")


def test_nothing_is_published_before_a_version_is_saved(tmp_path: Path) -> None:
    store = FolderStorage(tmp_path / "store")
    Run.create(store, "first", PARAMS)
    with pytest.raises(StepNotReadyError, match="load_data"):
        publish(store)
    assert store.list() == ["runs/first/params.json"]


def test_a_version_with_another_liquidity_limit_goes_live_when_its_features_are_published(
    store: FolderStorage,
) -> None:
    """The served snapshot lacks its features; publishing makes one for both, then promotes."""
    publish(store)
    first = Release(store).state().live[RF]
    params = PipelineParams.from_values(
        SMALL, end="2023-06-30", lookback=8, min_turnover=50_000_000, model_dir="wide"
    )
    records = run_pipeline(Run.create(store, "wide", params), settings=Settings(storage=store.url))
    saved, published = records[Step.SAVE_MODEL].summary, records[Step.PUBLISH_SERVING].summary

    assert "v2-50000000" in saved["pending"]
    assert not saved["live"]
    assert published["promoted"] == saved["model_version"]
    assert Release(store).state().live == {
        RF: first,
        ModelKey("wide", "rf"): saved["model_version"],
    }


def test_new_quotes_are_served_without_a_run(
    store: FolderStorage, bundled: pd.DataFrame, tmp_path: Path
) -> None:
    older = write_parquet(bundled[bundled["date"] <= "2023-12-27"], tmp_path / "older.parquet")

    assert publish(store, older)["as_of"] == "2023-12-27"

    live = Release(store).state().live
    refreshed = refresh_serving(Settings(storage=store.url))

    assert (refreshed["published"], refreshed["as_of"]) == (True, "2023-12-28")

    state = Release(store).state()

    assert (state.live, state.as_of, state.events[-1]["who"]) == (live, "2023-12-28", "ingest")

    before = store.read(KEY)

    assert refresh_serving(Settings(storage=store.url)) == refreshed
    assert store.read(KEY) == before
    assert refresh_serving(Settings(storage=store.url, quotes=str(older)))["published"] is False
    assert store.read(KEY) == before


def test_the_first_refresh_after_a_change_of_the_features_code_goes_on_serving_what_is_live(
    store: FolderStorage,
) -> None:
    version = Release(store).state().live[RF]
    key = f"models/models/rf/{version}/manifest.json"
    manifest = from_json(store.read(key), key)

    assert manifest["features_version"] == FEATURES_VERSION

    store.put(key, to_json(manifest | {"features_version": 0}))

    assert refresh_serving(Settings(storage=store.url))["published"] is True

    live = Live(store)
    answer = Predictor(live, lambda: date(2023, 12, 28)).predict("PETR4")

    assert (answer["model_version"], answer["degraded"], answer["message"]) == (
        version,
        True,
        OTHER_FEATURES,
    )


def test_a_refresh_makes_a_snapshot_only_if_the_lake_has_changed(
    store: FolderStorage, bundled: pd.DataFrame, tmp_path: Path
) -> None:
    publish(store)
    lake = Settings(storage=store.url, quotes=f"{store.url}/{LAKE}")
    write_lake(bundled[bundled["date"] >= "2020-01-01"], store)
    first = refresh_serving(lake)

    assert first["published"] is True

    key = str(first["snapshot"])
    stored = store.read(key)
    store.delete(key)  # who makes it again stores it again

    assert refresh_serving(lake) == first
    assert not store.exists(key)

    store.put(key, stored)
    changed = bundled[bundled["date"] >= "2023-01-01"].copy()
    changed.loc[changed["ticker"] == "PETR4", "close"] *= 1.01
    write_lake(changed, store)
    second = refresh_serving(lake)

    assert (second["published"], second["as_of"]) == (True, first["as_of"])
    assert Release(store).state().snapshot == second["snapshot"] != first["snapshot"]

    Release(store).set_snapshot(key, "2023-12-28", who="maria")

    assert refresh_serving(lake) == second, "somebody else's is served: it is published again"
    assert Release(store).state().snapshot == second["snapshot"]


def test_windows_are_one_row_long_where_no_live_model_takes_sequences(
    store: FolderStorage, tmp_path: Path
) -> None:
    publish(store)
    assert served(store, tmp_path).lookback == 1
    manifests = [{"model_type": kind, "params": {"lookback": 8}} for kind in ("rf", "lstm")]
    assert [lookback_of(manifests[:1]), lookback_of(manifests)] == [1, 8]


def test_a_refresh_without_a_live_version_publishes_nothing(tmp_path: Path) -> None:
    store = FolderStorage(tmp_path / "store")
    assert refresh_serving(Settings(storage=store.url)) == {
        "published": False,
        "reason": "no version is live; its run will publish the newest quotes",
    }
    assert store.list() == []
