"""Serving follows the release without a restart, and failures leave the live version served."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from served_store import (
    FEATURES,
    TICKERS,
    WINDOWS,
    WatchedStorage,
    register_tiny,
    serve,
    tiny_snapshot,
)

from b3shared.core.errors import (
    ArtifactCorruptError,
    NothingLiveError,
    SourceUnavailableError,
    UnknownModelError,
)
from b3shared.registry.promotion import promote, rollback
from b3shared.registry.release import Release
from b3shared.registry.release_state import KEY
from b3shared.serving.live import CHECK_SECONDS, HUNG_SECONDS, RETRY_SECONDS, Live
from b3shared.serving.version_cache import KEPT_VERSIONS
from b3shared.storage import FolderStorage

WHO: dict[str, Any] = {"who": "maria", "why": "reads well"}


class World:
    """A store, its changes, and a server with a clock that only moves by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, 1000.0
        self.store = FolderStorage(folder / "store")
        self.watched = WatchedStorage(folder / "store")
        self.live = Live(self.watched, clock=lambda: self.now, moment=60, cold=60)

    def register(self, seed: int, kind: str = "rf", **more: Any) -> str:
        return register_tiny(self.store, self.folder / f"{kind}{seed}", seed, kind, **more)

    def promote(self, version: str, kind: str = "rf") -> None:
        promote(self.store, "models", kind, version, **WHO)

    def serve(self, **changes: Any) -> str:
        return serve(self.store, tiny_snapshot(**changes), self.folder / "snapshot")

    def after(self, seconds: float) -> Live:
        self.now += seconds
        self.live.refresh()
        return self.live

    def spoil(self, kind: str, version: str, name: str = "model.onnx") -> None:
        (self.folder / "store" / "models" / "models" / kind / version / name).write_bytes(
            b"not what was registered"
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def serving(world: World) -> World:
    """A snapshot and a first version are live, and were looked at just now."""
    world.serve()
    world.promote(world.register(1))
    world.live.refresh()
    return world


def name_of(live: Live, kind: str = "rf") -> str:
    return live.version(kind).name


def test_with_nothing_live_the_error_says_what_to_do(world: World) -> None:
    world.live.refresh()
    with pytest.raises(
        NothingLiveError, match=r"no snapshot .* run the pipeline .*complete-pipeline"
    ):
        _ = world.live.snapshot
    with pytest.raises(
        NothingLiveError,
        match=r"models/lstm is live yet: run the pipeline .*model_type lstm.* or promote",
    ):
        world.live.version("lstm")
    assert world.live.doubts("rf", None) == []  # nothing is wrong, there is only nothing


def test_a_version_without_a_snapshot_is_not_served(world: World) -> None:
    version = world.register(1)
    world.promote(version)
    live = world.after(0)
    with pytest.raises(NothingLiveError, match="no snapshot of features is published"):
        live.pair("rf")
    world.serve()
    assert name_of(world.after(RETRY_SECONDS)) == version


def test_the_first_release_is_seen_a_second_later(world: World) -> None:
    world.live.refresh()
    world.serve()
    version = world.register(1)
    world.promote(version)
    with pytest.raises(NothingLiveError):
        world.after(RETRY_SECONDS / 2).version("rf")
    assert name_of(world.after(RETRY_SECONDS)) == version


def test_the_release_is_read_once_a_minute_at_most_and_only_if_it_changed(serving: World) -> None:
    assert serving.watched.looks == ["plain"]
    for _ in range(200):
        serving.after(0.25)  # 50 seconds
    assert serving.watched.looks == ["plain"]
    serving.after(10)
    assert serving.watched.looks == ["plain", "conditional"]
    for _ in range(600):
        serving.after(1)
    assert serving.watched.looks == ["plain"] + 11 * ["conditional"]


def test_unchanged_snapshots_and_versions_are_not_loaded_again(serving: World) -> None:
    snapshot, version = serving.live.snapshot, serving.live.version("rf")
    serving.after(CHECK_SECONDS)
    assert serving.live.snapshot is snapshot
    assert serving.live.version("rf") is version
    serving.promote(serving.register(2))
    serving.after(CHECK_SECONDS)
    assert serving.live.snapshot is snapshot


def test_promotion_and_rollback_are_followed_within_a_minute(serving: World) -> None:
    first, second = name_of(serving.live), serving.register(2, skill="proven")
    serving.promote(second)
    assert name_of(serving.after(CHECK_SECONDS - 1)) == first
    assert name_of(serving.after(1)) == second
    assert serving.live.skill("rf", serving.live.version("rf")) == "proven"
    Release(serving.store).rollback("models", "rf", **WHO)
    assert name_of(serving.after(CHECK_SECONDS)) == first
    assert serving.live.skill("rf", serving.live.version("rf")) == "weak"
    assert serving.live.skill("rf", serving.live.version("rf", second)) == "proven"


def test_another_snapshot_is_followed(serving: World) -> None:
    assert serving.live.snapshot.ticker.tolist() == list(TICKERS)
    serving.serve(as_of="2024-01-02", tickers=("PETR4",))
    snapshot = serving.after(CHECK_SECONDS).snapshot
    assert (str(snapshot.as_of), snapshot.ticker.tolist()) == ("2024-01-02", ["PETR4"])


def test_promotions_in_another_namespace_are_ignored(serving: World) -> None:
    other = Live(serving.watched, "others", clock=lambda: serving.now)
    other.refresh()
    assert str(other.snapshot.as_of) == "2023-12-28"
    with pytest.raises(NothingLiveError, match="others/rf"):
        other.version("rf")


def test_while_the_storage_is_down_the_live_version_answers_as_degraded(serving: World) -> None:
    version = serving.live.version("rf")
    assert serving.live.doubts("rf", version) == []
    serving.watched.down = True
    live = serving.after(CHECK_SECONDS)
    assert live.version("rf") is version
    assert str(live.snapshot.as_of) == "2023-12-28"
    assert live.doubts("rf", version) == [
        "what is live could not be checked (OSError); this was live before"
    ]

    looks = len(serving.watched.looks)
    serving.after(CHECK_SECONDS / 2)
    assert len(serving.watched.looks) == looks  # a storage that is down is not asked more often
    serving.watched.down = False
    serving.after(CHECK_SECONDS / 2)
    assert live.doubts("rf", version) == []


def test_a_storage_that_is_down_from_the_start_is_asked_again_soon(serving: World) -> None:
    cold = World(serving.folder)
    cold.watched.down = True
    with pytest.raises(NothingLiveError, match="could not be read: try again"):
        _ = cold.after(0).snapshot
    cold.watched.down = False
    assert str(cold.after(RETRY_SECONDS).snapshot.as_of) == "2023-12-28"


def test_a_release_that_is_not_json_or_is_gone_changes_nothing(serving: World) -> None:
    first = name_of(serving.live)
    content = serving.store.read(KEY)
    serving.store.put(KEY, b"{")
    live = serving.after(CHECK_SECONDS)
    assert (name_of(live), bool(live.doubts("rf", live.version("rf")))) == (first, True)
    serving.store.delete(KEY)
    live = serving.after(CHECK_SECONDS)
    assert (name_of(live), bool(live.doubts("rf", live.version("rf")))) == (first, True)
    serving.store.put(KEY, content)
    live = serving.after(CHECK_SECONDS)
    assert (name_of(live), live.doubts("rf", live.version("rf"))) == (first, [])


@pytest.mark.parametrize("name", ["model.onnx", "model.json", "manifest.json"])
def test_a_version_that_cannot_be_loaded_does_not_replace_what_is_live(
    serving: World, name: str
) -> None:
    first, second = serving.live.version("rf"), serving.register(2)
    good = serving.store.read(f"models/models/rf/{second}/{name}")
    serving.promote(second)
    serving.spoil("rf", second, name)
    live = serving.after(CHECK_SECONDS)
    assert live.version("rf") is first

    (doubt,) = live.doubts("rf", first)
    assert second in doubt
    assert f"ArtifactCorruptError): {first.name} answers instead" in doubt
    serving.store.put(f"models/models/rf/{second}/{name}", good)
    assert name_of(serving.after(CHECK_SECONDS)) == second  # mended: seen without another promotion
    assert live.doubts("rf", live.version("rf")) == []


def test_one_broken_type_does_not_hinder_the_other_nor_a_newer_snapshot(serving: World) -> None:
    lstm = serving.register(3, "lstm", lookback=4)
    second = serving.register(2)
    serving.promote(lstm, "lstm")
    serving.promote(second)
    serving.serve(as_of="2024-01-02")
    serving.spoil("lstm", lstm)
    live = serving.after(CHECK_SECONDS)

    assert (name_of(live), str(live.snapshot.as_of)) == (second, "2024-01-02")
    assert live.doubts("rf", live.version("rf")) == []
    with pytest.raises(
        NothingLiveError,
        match=f"version {lstm} of models/lstm is live but cannot be served .*: roll back",
    ):
        live.version("lstm")


def test_a_snapshot_that_cannot_be_loaded_keeps_no_version_from_being_followed(
    serving: World,
) -> None:
    key = serving.serve(as_of="2024-01-02")
    good, second = serving.store.read(key), serving.register(2)
    serving.promote(second)
    serving.store.put(key, b"no snapshot")
    live = serving.after(CHECK_SECONDS)
    assert (name_of(live), str(live.snapshot.as_of)) == (second, "2023-12-28")
    (doubt,) = live.doubts("rf", live.version("rf"))
    assert f"the snapshot {key} cannot be served" in doubt
    assert "that of 2023-12-28 answers instead" in doubt

    serving.store.put(key, good)
    live = serving.after(CHECK_SECONDS)
    assert (str(live.snapshot.as_of), live.doubts("rf", live.version("rf"))) == ("2024-01-02", [])


def test_any_registered_version_can_be_asked_for(serving: World) -> None:
    second = serving.register(2)
    asked = serving.live.version("rf", second)
    row = np.ones((1, 3), np.float32)
    assert asked.name == second
    assert not np.allclose(
        asked.scorer.score(row).probabilities,
        serving.live.version("rf").scorer.score(row).probabilities,
    )

    serving.watched.down = True
    assert serving.live.version("rf", second) is asked  # loaded once
    with pytest.raises(OSError, match="out of reach"):
        serving.live.version("rf", "20231226-00000000")


def test_an_unknown_version_is_refused_after_one_read_and_the_live_one_is_named(
    serving: World,
) -> None:
    for seed in range(2, 6):
        serving.register(seed)
    serving.watched.reads.clear()
    message = (
        f"'20200101-00000000'; {name_of(serving.live)} is live, and GET /api/b3/models/rf lists all"
    )
    with pytest.raises(UnknownModelError, match=message):
        serving.live.version("rf", "20200101-00000000")
    assert serving.watched.reads == ["models/models/rf/20200101-00000000/manifest.json"]
    with pytest.raises(UnknownModelError):
        serving.live.version("lstm", name_of(serving.live))


def test_a_corrupt_version_that_is_asked_for_is_an_error_and_what_is_live_stays(
    serving: World,
) -> None:
    first, second = name_of(serving.live), serving.register(2)
    serving.spoil("rf", second)
    with pytest.raises(ArtifactCorruptError, match=second):
        serving.live.version("rf", second)
    assert name_of(serving.after(CHECK_SECONDS)) == first


def test_both_types_are_served_and_each_is_promoted_and_rolled_back_by_itself(
    serving: World,
) -> None:
    forest = name_of(serving.live)
    lstms = [serving.register(seed, "lstm", lookback=4) for seed in (3, 4)]
    for lstm in lstms:
        serving.promote(lstm, "lstm")
    live = serving.after(CHECK_SECONDS)
    assert (name_of(live), name_of(live, "lstm")) == (forest, lstms[1])
    kept = live.version("rf")
    assert kept.scorer.takes_sequences is False
    assert live.version("lstm").scorer.takes_sequences is True

    rollback(serving.store, "models", "lstm_mtl", **WHO)
    live = serving.after(CHECK_SECONDS)
    assert (name_of(live), name_of(live, "lstm")) == (forest, lstms[0])
    assert live.version("rf") is kept  # what did not change was not loaded again
    serving.promote(serving.register(2))
    assert name_of(serving.after(CHECK_SECONDS), "lstm") == lstms[0]


def test_a_type_that_was_promoted_just_now_is_seen_a_second_after_the_last_look(
    serving: World,
) -> None:
    with pytest.raises(NothingLiveError, match="models/lstm is live yet"):
        serving.live.ask("lstm")
    version = serving.register(3, "lstm", lookback=4)
    serving.promote(version, "lstm")
    serving.live._moment = 0.0  # it waits as a cold request does
    serving.now += RETRY_SECONDS / 2
    with pytest.raises(NothingLiveError, match="models/lstm is live yet"):
        serving.live.ask("lstm")

    serving.now += RETRY_SECONDS / 2
    assert serving.live.ask("lstm")[1].name == version
    assert serving.live.ask("rf")[1].name == name_of(serving.live)
    assert serving.watched.looks == ["plain", "conditional"]


def test_a_type_that_is_not_live_is_looked_for_once_a_second_at_most(serving: World) -> None:
    for _ in range(40):
        serving.now += RETRY_SECONDS / 4
        with pytest.raises(NothingLiveError):
            serving.live.ask("lstm")
        serving.live.ask("rf")
    assert serving.watched.looks == ["plain"] + 10 * ["conditional"]


def test_a_named_version_whose_features_were_published_just_now_is_answered_from_them(
    serving: World,
) -> None:
    far = serving.register(3, "lstm", lookback=6)
    snapshot, version = serving.live.ask("lstm", far)
    assert (version.name, snapshot.lookback) == (far, 4)
    serving.serve(as_of="2024-01-02", lookback=6)
    serving.now += RETRY_SECONDS
    snapshot, version = serving.live.ask("lstm", far)
    assert (version.name, snapshot.lookback) == (far, 6)


def test_few_versions_are_cached_and_the_live_one_is_never_dropped(serving: World) -> None:
    live, names = (
        serving.live.version("rf"),
        [serving.register(seed) for seed in range(2, 3 + KEPT_VERSIONS)],
    )
    kept = {name: serving.live.version("rf", name) for name in names}
    assert serving.live.version("rf", names[1]) is kept[names[1]]  # asked again: the last to leave

    serving.live.version("rf", serving.register(99))
    assert serving.live.version("rf", names[1]) is kept[names[1]]
    assert serving.live.version("rf", names[0]) is not kept[names[0]]  # left, and was loaded again
    assert len(serving.live._versions) == KEPT_VERSIONS
    serving.watched.down = True
    assert serving.live.version("rf") is live
    assert serving.live.version("rf", live.name) is live


class SilentStorage(WatchedStorage):
    """A folder storage that can be made to leave every request unanswered until it is released."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.silent = False
        self.go_on = threading.Event()

    def _look(self, key: str, how: str) -> None:
        super()._look(key, how)
        if self.silent:
            self.go_on.wait(60)


class SilentWorld(World):
    """A world whose storage can stop answering; a request waits for it for a bounded time."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.watched: SilentStorage = SilentStorage(folder / "store")
        self.live = Live(self.watched, clock=lambda: self.now, moment=60, cold=60)

    def impatient(self) -> None:
        self.live._moment = self.live._cold = 0.01


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[SilentWorld]:
    """A live version, whose storage has stopped answering."""
    world = SilentWorld(tmp_path)
    world.serve()
    world.promote(world.register(1))
    world.live.refresh()
    world.watched.silent = True
    world.impatient()
    yield world
    world.watched.go_on.set()


def test_every_request_is_answered_while_the_storage_is_silent(silent: SilentWorld) -> None:
    first = name_of(silent.live)
    silent.watched.reads.clear()
    for _ in range(50):
        assert name_of(silent.after(CHECK_SECONDS / 100)) == first
    assert silent.live.doubts("rf", silent.live.version("rf")) == []
    assert (
        len(silent.watched.reads) <= 1
    )  # one look waits, and no request waits for it a second time


def test_a_check_of_the_release_that_hangs_is_given_up_and_the_next_one_counts(
    silent: SilentWorld,
) -> None:
    first = silent.live.version("rf")
    second = silent.register(2)
    silent.promote(second)
    silent.after(CHECK_SECONDS)  # hangs
    silent.after(HUNG_SECONDS)
    assert silent.live.doubts("rf", first) == [
        "what is live could not be checked (no answer); this was live before"
    ]

    silent.watched.silent = False
    silent.live._moment = 60
    live = silent.after(HUNG_SECONDS + CHECK_SECONDS)
    assert (name_of(live), live.doubts("rf", live.version("rf"))) == (second, [])


def test_the_late_result_of_an_abandoned_check_is_discarded(silent: SilentWorld) -> None:
    silent.after(CHECK_SECONDS)
    hung = silent.live._look
    silent.watched.silent = False
    second = silent.register(2)
    silent.promote(second)
    silent.live._moment = 60
    assert name_of(silent.after(HUNG_SECONDS + CHECK_SECONDS)) == second
    assert hung is not None
    silent.watched.go_on.set()
    assert hung.ended.wait(60)
    assert name_of(silent.after(0)) == second


def test_a_version_that_the_storage_does_not_deliver_is_an_error_in_bounded_time(
    silent: SilentWorld,
) -> None:
    second = silent.register(2)
    with pytest.raises(SourceUnavailableError, match=f"version {second} could not be read within"):
        silent.live.version("rf", second)
    assert silent.live.version("rf", name_of(silent.live))


def test_a_cold_start_without_an_answer_asks_to_try_again(silent: SilentWorld) -> None:
    cold = Live(silent.watched, clock=lambda: silent.now, moment=0.01, cold=0.01)
    cold.refresh()
    with pytest.raises(NothingLiveError, match="could not be read: try again"):
        cold.pair("rf")
    silent.watched.go_on.set()
    cold._cold = 60
    cold.refresh()
    assert cold.pair("rf")[1].name == name_of(silent.live)


def test_a_request_for_a_type_that_is_not_live_waits_for_a_silent_storage_in_bounded_time(
    silent: SilentWorld,
) -> None:
    silent.now += RETRY_SECONDS
    with pytest.raises(NothingLiveError, match="could not be read: try again"):
        silent.live.ask("lstm")
    assert silent.live.ask("rf")[1].name == name_of(silent.live)


# -- what loads but cannot answer


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Rewrite ``model.json`` after a change of its content."""
    metadata = json.loads(path.read_text())
    change(metadata)
    path.write_text(json.dumps(metadata))


def without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda metadata: metadata.pop(name)


def with_value(name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda metadata: metadata.update({name: value})


BAD_METADATA = {
    "no importance": without("importance"),
    "no medians": without("medians"),
    "no base rates": without("base_rates"),
    "no calibration": without("calibration"),
    "two base rates": with_value("base_rates", [0.5, 0.5]),
    "a base rate of zero": with_value("base_rates", [0.0, 0.5, 0.5]),
    "a base rate that is NaN": with_value("base_rates", [float("nan"), 0.5, 0.5]),
    "an unknown rule": with_value("decision", "coin"),
    "one feature name fewer": with_value("feature_names", list(FEATURES[:-1])),
    "other feature names": with_value("feature_names", ["a", "b", "c"]),
    "features in another order": with_value("feature_names", list(FEATURES[::-1])),
    "importances of other features": with_value("importance", {"a": 1.0}),
    "one median fewer": with_value("medians", [0.1, 0.2]),
    "two classes calibrated": with_value(
        "calibration", {"temperature": 1.0, "grown": [0.5, 0.5], "shares": [0.5, 0.5]}
    ),
    "a temperature of zero": with_value(
        "calibration", {"temperature": 0.0, "grown": [1 / 3] * 3, "shares": [1 / 3] * 3}
    ),
}


@pytest.mark.parametrize("what", BAD_METADATA)
def test_a_version_that_loads_but_cannot_answer_does_not_replace_what_is_live(
    serving: World, what: str
) -> None:
    first = serving.live.version("rf")
    bad = serving.register(
        2, change=lambda folder: changed(folder / "model.json", BAD_METADATA[what])
    )
    serving.promote(bad)
    live = serving.after(CHECK_SECONDS)
    assert live.version("rf") is first
    (doubt,) = live.doubts("rf", first)
    assert f"version {bad} of models/rf is live but cannot be served" in doubt


@pytest.mark.parametrize("what", ["an output renamed", "other inputs"])
def test_a_network_that_does_not_fit_its_description_does_not_replace_what_is_live(
    serving: World, what: str
) -> None:
    def change(folder: Path) -> None:
        model = onnx.load(folder / "model.onnx")
        if what == "an output renamed":
            model.graph.output[0].name = model.graph.node[-1].output[0] = "answers"
        else:
            model.graph.initializer[0].CopyFrom(
                numpy_helper.from_array(np.ones((2, 3), np.float32), "actions")
            )
            model.graph.input[0].type.tensor_type.shape.dim[-1].dim_value = 2
        onnx.save(model, folder / "model.onnx")

    first = serving.live.version("rf")
    serving.promote(serving.register(2, change=change))
    live = serving.after(CHECK_SECONDS)
    assert live.version("rf") is first
    assert live.doubts("rf", first)


NAN_VOLATILITY = np.full(len(TICKERS), np.nan)
BAD_SNAPSHOTS: dict[str, Callable[[dict[str, np.ndarray]], object]] = {
    "an unknown schema": lambda s: s.update(schema=np.array(9)),
    "windows of text": lambda s: s.update(
        {f"window_{WINDOWS}": s[f"window_{WINDOWS}"].astype(str)}
    ),
    "windows of a feature fewer": lambda s: s.update(
        {f"window_{WINDOWS}": s[f"window_{WINDOWS}"][..., :-1]}
    ),
    "windows of a ticker fewer": lambda s: s.update(
        {f"window_{WINDOWS}": s[f"window_{WINDOWS}"][:-1]}
    ),
    "one feature fewer": lambda s: s.update(
        {
            f"window_{WINDOWS}": s[f"window_{WINDOWS}"][..., :-1],
            f"names_{WINDOWS}": s[f"names_{WINDOWS}"][:-1],
        }
    ),
    "features of other names": lambda s: s.update({f"names_{WINDOWS}": np.array(["a", "b", "c"])}),
    "no features": lambda s: [s.pop(name) for name in list(s) if name.endswith(WINDOWS)],
    "tickers out of order": lambda s: s.update(ticker=s["ticker"][::-1]),
    "a ticker twice": lambda s: s.update(ticker=s["ticker"][[0, 0, 2, 3]]),
    "a ticker fewer": lambda s: s.update(ticker=s["ticker"][:-1]),
    "no ticker": lambda s: s.update(
        {name: value[:0] for name, value in s.items() if value.shape[:1] == (len(TICKERS),)}
    ),
    "ages that are NaN": lambda s: s.update(age=np.full(len(TICKERS), np.nan)),
    "a volatility that is NaN": lambda s: s.update(volatility=NAN_VOLATILITY),
    "a price that is NaN": lambda s: s.update(close=NAN_VOLATILITY),
    "no dates": lambda s: s.update(date=np.full(len(TICKERS), np.datetime64("NaT", "D"))),
    "no price": lambda s: s.pop("close"),
    "only rows without features": lambda s: s.update(
        {f"window_{WINDOWS}": np.full_like(s[f"window_{WINDOWS}"], np.nan)}
    ),
}


@pytest.mark.parametrize("what", BAD_SNAPSHOTS)
def test_a_snapshot_that_loads_but_cannot_answer_does_not_replace_what_is_served(
    serving: World, what: str
) -> None:
    before = serving.live.pair("rf")
    key = serving.serve(as_of="2024-01-02")
    path = serving.folder / "store" / key
    with np.load(path) as stored:
        arrays = dict(stored)
    BAD_SNAPSHOTS[what](arrays)
    np.savez(path, allow_pickle=False, **arrays)

    live = serving.after(CHECK_SECONDS)
    assert live.pair("rf") == before
    assert live.doubts("rf", before[1])


def test_a_snapshot_of_fewer_tickers_is_accepted(serving: World) -> None:
    serving.serve(as_of="2024-01-02", tickers=("PETR4",))  # a smaller lake may be meant
    live = serving.after(CHECK_SECONDS)
    assert live.snapshot.ticker.tolist() == ["PETR4"]
    assert live.doubts("rf", live.version("rf")) == []


def test_a_rollback_is_followed_while_the_snapshot_is_broken(serving: World) -> None:
    first, second = name_of(serving.live), serving.register(2)
    serving.promote(second)
    assert name_of(serving.after(CHECK_SECONDS)) == second
    serving.store.put(serving.serve(as_of="2024-01-02"), b"no snapshot")
    serving.after(CHECK_SECONDS)
    Release(serving.store).rollback("models", "rf", **WHO)
    live = serving.after(CHECK_SECONDS)
    assert (name_of(live), str(live.snapshot.as_of)) == (first, "2023-12-28")
