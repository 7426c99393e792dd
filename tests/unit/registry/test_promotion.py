"""A version goes live only on a snapshot that fits, and in place of the expected version."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from b3shared.core.errors import (
    ConflictError,
    IncompatibleFeaturesError,
    InvalidParameterError,
    UnknownModelError,
)
from b3shared.core.serialization import to_json
from b3shared.params.run import PipelineParams
from b3shared.pipeline.serving_snapshot import build_snapshot
from b3shared.registry.compatibility import FEATURE_SETS, Universe, description_key, windows_name
from b3shared.registry.key import ModelKey
from b3shared.registry.promotion import check_live, promote, rollback, served_manifests
from b3shared.registry.release import Release
from b3shared.registry.release_state import KEY
from b3shared.registry.versions import Registry
from b3shared.serving.snapshot import Snapshot
from b3shared.storage import FolderStorage, Storage

RF = ModelKey("models", "rf")
LSTM = ModelKey("models", "lstm")

PARAMS = PipelineParams().model_dump(mode="json")
V1, V2 = (
    windows_name(feature_set, Universe(PARAMS["min_turnover"])) for feature_set in FEATURE_SETS
)
WHO = {"who": "maria", "why": "reads well"}
BOOK = ("best_buy_sell_spread", "close_to_best_buy")


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return FolderStorage(tmp_path / "store")


@pytest.fixture(scope="module")
def snapshot(eight: pd.DataFrame) -> Snapshot:
    return build_snapshot(eight, 4, {Universe(PipelineParams().min_turnover)})


def serve(storage: Storage, snapshot: Snapshot, tmp_path: Path) -> str:
    key = snapshot.save(storage, tmp_path)
    Release(storage).set_snapshot(key, str(snapshot.as_of), who="pipeline")
    return key


def register(
    storage: Storage,
    tmp_path: Path,
    name: str,
    features: list[str],
    feature_set: str = "v2",
    kind: str = "rf",
    **more: Any,
) -> str:
    file = tmp_path / "model.onnx"
    file.write_text(name)
    manifest = {
        "train_end": "2023-12-28",
        "feature_set": feature_set,
        "features": features,
        "params": PARAMS,
        **more,
    }
    return Registry(storage, "models").register(kind, [file], manifest)


def test_the_event_says_who_why_from_to_and_the_skill_of_the_manifest(
    storage: Storage, snapshot: Snapshot, tmp_path: Path
) -> None:
    serve(storage, snapshot, tmp_path)
    names = list(snapshot.names[V2])
    first = register(storage, tmp_path, "one", names, evaluated={"skill": "weak"})
    second = register(storage, tmp_path, "two", names)  # nothing evaluated
    promote(storage, "models", "random_forest", first, **WHO)
    state = promote(
        storage, "models", "rf", second, who="joão", why="better calibrated", expected=first
    )
    assert state.live == {RF: second}
    assert state.skill == {RF: "none"}

    events = [
        {name: value for name, value in event.items() if name != "at"} for event in state.events[1:]
    ]
    common = {"action": "promote", "key": "models/rf"}

    assert events == [
        {**common, "from": None, "to": first, "skill": "weak", **WHO, "sequence": 2},
        {
            **common,
            "from": first,
            "to": second,
            "skill": "none",
            "who": "joão",
            "why": "better calibrated",
            "sequence": 3,
        },
    ]
    assert json.loads(storage.read(KEY))["live"] == {"models/rf": second}


def test_without_a_snapshot_any_registered_version_may_go_live(
    storage: Storage, tmp_path: Path
) -> None:
    version = register(storage, tmp_path, "one", ["rsi_14", "of_tomorrow"])
    assert promote(storage, "models", "rf", version, **WHO).live == {RF: version}


@pytest.mark.parametrize(
    ("features", "feature_set", "message"),
    [
        (["return_1", "of_tomorrow"], "v2", "without of_tomorrow"),
        (["return_1"], "v3", "has 0, without return_1"),
        (
            ["return_1"],
            "v1",
            r"features v1-2000000-shares \(1 of them\); the snapshot "
            r"serving/snapshots/2023-12-28-.* has 11",
        ),
    ],
)
def test_a_version_whose_features_the_snapshot_lacks_is_refused_and_nothing_changes(
    storage: Storage,
    snapshot: Snapshot,
    tmp_path: Path,
    features: list[str],
    feature_set: str,
    message: str,
) -> None:
    serve(storage, snapshot, tmp_path)
    before = storage.read(KEY)
    version = register(storage, tmp_path, "one", features, feature_set)
    with pytest.raises(IncompatibleFeaturesError, match=message) as caught:
        promote(storage, "models", "rf", version, **WHO)
    assert caught.value.details["missing"] == [
        name
        for name in features
        if name not in snapshot.names.get(windows_name(feature_set, Universe(2e6)), ())
    ]
    assert storage.read(KEY) == before


def test_the_order_of_the_features_counts(
    storage: Storage, snapshot: Snapshot, tmp_path: Path
) -> None:
    serve(storage, snapshot, tmp_path)
    backwards = register(storage, tmp_path, "one", list(snapshot.names[V2])[::-1])
    with pytest.raises(IncompatibleFeaturesError):
        promote(storage, "models", "rf", backwards, **WHO)


def test_a_version_that_looks_back_further_than_the_snapshot_is_refused_until_one_fits(
    storage: Storage, snapshot: Snapshot, eight: pd.DataFrame, tmp_path: Path
) -> None:
    serve(storage, snapshot, tmp_path)
    names = list(snapshot.names[V2])
    near, far = (
        register(
            storage,
            tmp_path,
            f"of {lookback}",
            names,
            kind="lstm",
            params=PARAMS | {"lookback": lookback},
        )
        for lookback in (4, 5)
    )
    assert promote(storage, "models", "lstm_mtl", near, **WHO).live == {LSTM: near}

    before = storage.read(KEY)
    with pytest.raises(
        IncompatibleFeaturesError, match=f"version {far} looks back 5 sessions; .* windows of 4"
    ) as caught:
        promote(storage, "models", "lstm", far, **WHO)
    assert caught.value.details == {"have": 4, "needed": 5}
    assert storage.read(KEY) == before

    serve(storage, build_snapshot(eight, 5, {Universe(PARAMS["min_turnover"])}), tmp_path)
    assert promote(storage, "models", "lstm", far, **WHO).live == {LSTM: far}
    assert rollback(storage, "models", "lstm", **WHO).live == {LSTM: near}


def test_a_snapshot_of_schema_1_feeds_single_rows_only(
    storage: Storage, snapshot: Snapshot, tmp_path: Path
) -> None:
    key = serve(storage, snapshot, tmp_path)
    stored = json.loads(storage.read(description_key(key)))
    storage.put(description_key(key), to_json({"schema": 1, "features": stored["features"]}))
    names = list(snapshot.names[V2])
    forest = register(storage, tmp_path, "forest", names)
    lstm = register(storage, tmp_path, "lstm", names, kind="lstm", params=PARAMS | {"lookback": 4})
    promote(storage, "models", "rf", forest, **WHO)
    with pytest.raises(
        IncompatibleFeaturesError, match="windows of 1: publish a snapshot that fits first"
    ):
        promote(storage, "models", "lstm", lstm, **WHO)


def test_book_features_need_a_snapshot_with_the_book(
    storage: Storage, snapshot: Snapshot, eight: pd.DataFrame, tmp_path: Path
) -> None:
    with_book = build_snapshot(
        eight.assign(best_buy=eight["close"] - 0.01, best_sell=eight["close"] + 0.01),
        4,
        {Universe(PARAMS["min_turnover"])},
    )
    version = register(storage, tmp_path, "one", list(with_book.names[V1]), "v1")
    serve(storage, snapshot, tmp_path)

    with pytest.raises(IncompatibleFeaturesError, match=f"without {', '.join(BOOK)}") as caught:
        promote(storage, "models", "rf", version, **WHO)
    assert caught.value.details["missing"] == list(BOOK)
    serve(storage, with_book, tmp_path)
    assert promote(storage, "models", "rf", version, **WHO).live == {RF: version}


def test_a_version_that_learnt_from_features_of_other_code_waits_for_a_snapshot_of_its_own(
    storage: Storage, snapshot: Snapshot, tmp_path: Path
) -> None:
    """After a deployment the live version goes on, and a new one needs a new snapshot."""
    names = list(snapshot.names[V2])
    earlier = replace(snapshot, features_version=0)
    serve(storage, earlier, tmp_path)
    old = register(storage, tmp_path, "old", names, features_version=earlier.features_version)
    new = register(storage, tmp_path, "new", names, features_version=snapshot.features_version)
    promote(storage, "models", "rf", old, **WHO)
    before = storage.read(KEY)

    with pytest.raises(
        IncompatibleFeaturesError, match=f"version {new} learned from features of another version"
    ):
        promote(storage, "models", "rf", new, **WHO)
    assert storage.read(KEY) == before

    # the snapshots of the new code have what the old version needs all the same
    check_live(storage, snapshot.save(storage, tmp_path), Release(storage).state())
    serve(storage, snapshot, tmp_path)
    assert promote(storage, "models", "rf", new, **WHO).live == {RF: new}
    assert rollback(storage, "models", "rf", **WHO).live == {RF: old}


def test_a_snapshot_that_does_not_say_by_what_code_it_was_made_takes_every_version(
    storage: Storage, snapshot: Snapshot, tmp_path: Path
) -> None:
    key = serve(storage, snapshot, tmp_path)
    stored = json.loads(storage.read(description_key(key)))
    storage.put(
        description_key(key),
        to_json({name: value for name, value in stored.items() if name != "features_version"}),
    )
    version = register(storage, tmp_path, "one", list(snapshot.names[V2]), features_version=0)
    assert promote(storage, "models", "rf", version, **WHO).live == {RF: version}


def test_an_unregistered_version_cannot_go_live(storage: Storage, tmp_path: Path) -> None:
    known = register(storage, tmp_path, "one", [])
    with pytest.raises(UnknownModelError, match=known):
        promote(storage, "models", "rf", "20231228-00000000", **WHO)
    with pytest.raises(UnknownModelError):
        promote(storage, "others", "rf", known, **WHO)
    with pytest.raises(InvalidParameterError, match="'svm'"):
        promote(storage, "models", "svm", known, **WHO)
    assert not storage.exists(KEY)


def test_a_promotion_against_another_live_version_than_expected_is_lost(
    storage: Storage, tmp_path: Path
) -> None:
    first, second, third = (
        register(storage, tmp_path, name, []) for name in ("one", "two", "three")
    )
    promote(storage, "models", "rf", first, **WHO, expected=None)
    promote(storage, "models", "rf", second, **WHO, expected=first)
    for expected in (first, None):
        with pytest.raises(ConflictError, match=second) as caught:
            promote(storage, "models", "rf", third, **WHO, expected=expected)
        assert caught.value.details["live"] == second
    assert Release(storage).live("models", "rf") == second
    assert len(Release(storage).state().events) == 2


def test_of_two_promotions_at_the_same_time_one_loses(storage: Storage, tmp_path: Path) -> None:
    first, second = (register(storage, tmp_path, name, []) for name in ("one", "two"))
    rival = FolderStorage(storage.url)

    class Overtaken(FolderStorage):
        """Somebody else promotes between this one's reading of the release and its writing."""

        def read_versioned(self, key: str) -> tuple[bytes, str] | None:
            found = super().read_versioned(key)
            if key == KEY:
                promote(rival, "models", "rf", second, who="rival", why="was faster")
            return found

    with pytest.raises(ConflictError):
        promote(Overtaken(storage.url), "models", "rf", first, **WHO)
    state = Release(storage).state()
    assert state.live == {RF: second}
    assert [event["who"] for event in state.events] == ["rival"]


def test_a_snapshot_without_the_features_of_a_live_version_is_refused(
    storage: Storage, snapshot: Snapshot, eight: pd.DataFrame, tmp_path: Path
) -> None:
    # two tickers cannot be ranked: no v2
    few = eight[eight["ticker"].isin(["PETR4", "VALE3"])].reset_index(drop=True)
    key = build_snapshot(few, 4, {Universe(PARAMS["min_turnover"])}).save(storage, tmp_path)
    check_live(storage, key, Release(storage).state())  # nothing is live
    version = register(storage, tmp_path, "one", list(snapshot.names[V2]))
    promote(storage, "models", "rf", version, **WHO)
    with pytest.raises(
        IncompatibleFeaturesError, match=f"version {version} needs features v2-2000000"
    ):
        check_live(storage, key, Release(storage).state())
    check_live(storage, snapshot.save(storage, tmp_path), Release(storage).state())


def test_a_rollback_to_a_version_whose_features_the_snapshot_lacks_changes_nothing(
    storage: Storage, snapshot: Snapshot, tmp_path: Path
) -> None:
    first = register(storage, tmp_path, "one", ["return_1", "of_another_time"])
    second = register(storage, tmp_path, "two", list(snapshot.names[V2]))
    promote(storage, "models", "rf", first, **WHO)
    promote(storage, "models", "rf", second, **WHO)
    serve(storage, snapshot, tmp_path)
    before = storage.read(KEY)
    with pytest.raises(IncompatibleFeaturesError, match=f"version {first}"):
        rollback(storage, "models", "rf", **WHO)
    assert storage.read(KEY) == before


def test_a_snapshot_serves_the_versions_that_a_rollback_may_reach(
    storage: Storage, snapshot: Snapshot, tmp_path: Path
) -> None:
    versions = [
        register(storage, tmp_path, name, list(snapshot.names[V2]))
        for name in ("one", "two", "three")
    ]
    for version in versions:
        promote(storage, "models", "rf", version, **WHO)
    assert [
        manifest["version"] for manifest in served_manifests(storage, Release(storage).state())
    ] == versions
    assert rollback(storage, "models", "rf", **WHO).live == {RF: versions[1]}
