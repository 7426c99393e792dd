"""What is live is followed without a restart, cheaply, and nothing that goes wrong there takes away what works."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served_store import TICKERS, WatchedStorage, register_tiny, serve, tiny_snapshot

from b3shared.errors import ArtifactCorruptError, NothingLiveError, UnknownModelError
from b3shared.release import KEY, Release
from b3shared.serving.live import CHECK_SECONDS, KEPT_VERSIONS, RETRY_SECONDS, Live
from b3shared.serving.promotion import promote, rollback
from b3shared.storage import FolderStorage

WHO: dict[str, Any] = {"who": "maria", "why": "reads well"}


class World:
    """A store, somebody who changes it, and what serves from it with a clock that only moves by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, 1000.0
        self.store = FolderStorage(folder / "store")
        self.watched = WatchedStorage(folder / "store")
        self.live = Live(self.watched, clock=lambda: self.now)

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
        (self.folder / "store" / "models" / "models" / kind / version / name).write_bytes(b"not what was registered")


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
    with pytest.raises(NothingLiveError, match=r"no snapshot .* run the pipeline .*complete-pipeline"):
        _ = world.live.snapshot
    with pytest.raises(NothingLiveError, match=r"models/lstm is live yet: run the pipeline .*model_type lstm.* or promote"):
        world.live.version("lstm")
    assert world.live.doubts("rf", None) == []  # nothing is wrong, there is only nothing


def test_a_version_without_a_snapshot_is_not_enough(world: World) -> None:
    version = world.register(1)
    world.promote(version)
    assert name_of(world.after(0)) == version
    with pytest.raises(NothingLiveError, match="snapshot"):
        _ = world.live.snapshot


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


def test_what_has_not_changed_is_not_loaded_again(serving: World) -> None:
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


def test_another_namespace_is_none_of_ours(serving: World) -> None:
    other = Live(serving.watched, "others", clock=lambda: serving.now)
    other.refresh()
    assert str(other.snapshot.as_of) == "2023-12-28"
    with pytest.raises(NothingLiveError, match="others/rf"):
        other.version("rf")


def test_while_the_storage_is_down_what_was_live_answers_and_says_so(serving: World) -> None:
    version = serving.live.version("rf")
    assert serving.live.doubts("rf", version) == []
    serving.watched.down = True
    live = serving.after(CHECK_SECONDS)
    assert live.version("rf") is version
    assert str(live.snapshot.as_of) == "2023-12-28"
    assert live.doubts("rf", version) == ["what is live could not be checked (OSError); this was live before"]
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
def test_a_version_that_cannot_be_loaded_does_not_replace_what_is_live(serving: World, name: str) -> None:
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
    with pytest.raises(NothingLiveError, match=f"version {lstm} of models/lstm is live but cannot be loaded .*: roll back"):
        live.version("lstm")


def test_a_snapshot_that_cannot_be_loaded_keeps_all_as_it_was(serving: World) -> None:
    first = name_of(serving.live)
    key = serving.serve(as_of="2024-01-02")
    serving.promote(serving.register(2))
    serving.store.put(key, b"no snapshot")
    live = serving.after(CHECK_SECONDS)
    assert (name_of(live), str(live.snapshot.as_of)) == (first, "2023-12-28")
    assert live.doubts("rf", live.version("rf")) != []


def test_any_registered_version_can_be_asked(serving: World) -> None:
    second = serving.register(2)
    asked = serving.live.version("rf", second)
    row = np.ones((1, 3), np.float32)
    assert asked.name == second
    assert not np.allclose(asked.scorer.score(row).probabilities, serving.live.version("rf").scorer.score(row).probabilities)
    serving.watched.down = True
    assert serving.live.version("rf", second) is asked  # loaded once
    with pytest.raises(OSError, match="out of reach"):
        serving.live.version("rf", "20231226-00000000")


def test_an_unknown_version_is_refused_and_the_known_are_named(serving: World) -> None:
    with pytest.raises(UnknownModelError, match=f"'20200101-00000000'; known are {name_of(serving.live)}"):
        serving.live.version("rf", "20200101-00000000")
    with pytest.raises(UnknownModelError):
        serving.live.version("lstm", name_of(serving.live))


def test_a_corrupt_version_that_is_asked_for_is_an_error_and_what_is_live_stays(serving: World) -> None:
    first, second = name_of(serving.live), serving.register(2)
    serving.spoil("rf", second)
    with pytest.raises(ArtifactCorruptError, match=second):
        serving.live.version("rf", second)
    assert name_of(serving.after(CHECK_SECONDS)) == first


def test_both_types_are_served_and_each_is_promoted_and_rolled_back_by_itself(serving: World) -> None:
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


def test_few_versions_are_kept_and_never_is_the_live_one_dropped(serving: World) -> None:
    live, names = serving.live.version("rf"), [serving.register(seed) for seed in range(2, 3 + KEPT_VERSIONS)]
    kept = {name: serving.live.version("rf", name) for name in names}
    assert serving.live.version("rf", names[1]) is kept[names[1]]  # asked again: the last to leave
    serving.live.version("rf", serving.register(99))
    assert serving.live.version("rf", names[1]) is kept[names[1]]
    assert serving.live.version("rf", names[0]) is not kept[names[0]]  # left, and was loaded again
    assert len(serving.live._loaded) == KEPT_VERSIONS
    serving.watched.down = True
    assert serving.live.version("rf") is live
    assert serving.live.version("rf", live.name) is live
