"""Simultaneous changes of a release are each recorded once, and the history stays usable."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from released import RF, WHO, register

from b3shared.core.errors import (
    ConflictError,
    NothingLiveError,
    UnknownModelError,
)
from b3shared.registry.release import Release
from b3shared.registry.release_state import MAX_EVENTS
from b3shared.storage import FolderStorage


def test_a_change_decided_on_an_old_state_is_lost(storage, tmp_path):
    first, second, *_ = register(storage, tmp_path)
    release = Release(storage)
    release.promote("models", "rf", first, **WHO)
    stale = release.state()
    newer = release.promote("models", "rf", second, **WHO)
    with pytest.raises(ConflictError):
        release._commit(replace(stale, sequence=2))
    assert release.state() == newer


def test_simultaneous_changes_are_each_recorded_exactly_once(folder_storage, tmp_path):
    versions = register(folder_storage, tmp_path, 8)
    for day in range(1, 9):
        folder_storage.put(f"snapshot-{day}", b"x")
    gate = threading.Barrier(8)

    def work(number):
        release, done = Release(FolderStorage(folder_storage.url)), []
        gate.wait()

        for turn in range(12):
            why = f"{number} {turn}"
            try:
                if turn % 4 == 3:
                    state = release.rollback("models", "rf", who="thread", why=why)
                elif turn % 4 == 2:
                    release.set_snapshot(
                        f"snapshot-{number + 1}", f"2024-01-0{number + 1}", who=why
                    )
                    continue
                else:
                    state = release.promote(
                        "models", "rf", versions[(number + turn) % 8], who="thread", why=why
                    )
                if state.events[-1]["why"] == why:  # not so when the version was live already
                    done.append(why)
            except (ConflictError, NothingLiveError, UnknownModelError):
                pass
        return done

    with ThreadPoolExecutor(8) as pool:
        done = [why for each in pool.map(work, range(8)) for why in each]
    state = Release(folder_storage).state()
    told = [event["why"] for event in state.events if event["who"] == "thread"]
    assert done
    assert sorted(told) == sorted(done)
    assert [event["sequence"] for event in state.events] == list(range(1, state.sequence + 1))
    days = [event["why"] for event in state.events if event["action"] == "set_snapshot"]
    assert days == sorted(days)


def test_simultaneous_snapshots_of_one_day_are_all_published(folder_storage):
    gate = threading.Barrier(6)  # each may lose to the five others, once

    def publish(number):
        folder_storage.put(f"snapshot-{number}", b"x")
        gate.wait()
        Release(folder_storage).set_snapshot(f"snapshot-{number}", "2024-01-03", who="publisher")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(publish, range(6)))
    events = Release(folder_storage).state().events
    assert sorted(event["to"] for event in events) == [f"snapshot-{number}" for number in range(6)]
    assert [event["from"] for event in events[1:]] == [event["to"] for event in events[:-1]]


def test_racing_promotions_of_different_versions_from_one_state_have_one_winner(
    folder_storage, tmp_path
):
    storage = folder_storage
    versions = register(storage, tmp_path, 5)
    first = versions.pop()
    Release(storage).promote("models", "rf", first, **WHO)
    gate = threading.Barrier(4)

    def promote(version):
        gate.wait()
        try:
            return Release(storage).promote("models", "rf", version, **WHO, expected=first).live[RF]
        except ConflictError:
            return None

    with ThreadPoolExecutor(4) as pool:
        winners = [v for v in pool.map(promote, versions) if v]
    assert winners == [Release(storage).live("models", "rf")]
    assert Release(storage).state().sequence == 2


def test_history_keeps_the_last_changes_and_lets_go_of_old_snapshots_first(
    folder_storage, tmp_path
):
    first, second, *_ = register(folder_storage, tmp_path)
    release = Release(folder_storage)
    release.promote("models", "rf", first, **WHO)
    release.promote("models", "rf", second, **WHO)
    for number in range(MAX_EVENTS + 5):
        key = f"snapshot-{number}"
        folder_storage.put(key, b"x")
        release.set_snapshot(key, "2024-01-03", who="publisher")
    state = release.state()

    assert len(state.events) == MAX_EVENTS
    assert state.sequence == MAX_EVENTS + 7
    assert state.events[-1]["to"] == state.snapshot == f"snapshot-{MAX_EVENTS + 4}"
    assert release.rollback("models", "rf", **WHO).live[RF] == first


def test_rollback_still_walks_back_when_the_first_promotions_are_forgotten(
    folder_storage, tmp_path
):
    versions = register(folder_storage, tmp_path, 3)
    release = Release(folder_storage)
    for number in range(MAX_EVENTS + 3):
        release.promote("models", "rf", versions[number % 3], **WHO)
    state = release.state()
    assert (len(state.events), state.events[0]["sequence"]) == (MAX_EVENTS, 4)
    live = MAX_EVENTS + 2
    for back in range(1, 4):
        assert release.rollback("models", "rf", **WHO).live[RF] == versions[(live - back) % 3]


def test_the_oldest_event_still_tells_what_was_live_before_it(
    folder_storage, tmp_path, monkeypatch
):
    monkeypatch.setattr("b3shared.registry.release_state.MAX_EVENTS", 1)
    first, second, *_ = register(folder_storage, tmp_path)
    release = Release(folder_storage)
    release.promote("models", "rf", first, **WHO)
    release.promote("models", "rf", second, **WHO)
    assert release.rollback("models", "rf", **WHO).live[RF] == first
