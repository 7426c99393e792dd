"""Serving follows the release without a restart, and failures leave the live version served."""

import numpy as np
import pytest
from live_world import WHO, World, name_of
from served_store import (
    TICKERS,
)

from b3shared.core.errors import (
    ArtifactCorruptError,
    NothingLiveError,
    UnknownModelError,
)
from b3shared.registry.promotion import rollback
from b3shared.registry.release import Release
from b3shared.registry.release_state import KEY
from b3shared.serving.live import CHECK_SECONDS, RETRY_SECONDS, Live
from b3shared.serving.version_cache import KEPT_VERSIONS


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
