"""Promotions change the live version by compare-and-swap, and rollbacks follow the history."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from b3shared.core.errors import (
    ArtifactCorruptError,
    ArtifactNotFoundError,
    ConflictError,
    InvalidParameterError,
    NothingLiveError,
    UnknownModelError,
)
from b3shared.registry.key import ModelKey
from b3shared.registry.release import Release
from b3shared.registry.release_state import KEY, MAX_EVENTS, ReleaseState
from b3shared.registry.versions import Registry
from b3shared.storage import FolderStorage, S3Storage

RF = ModelKey("models", "rf")
LSTM = ModelKey("models", "lstm")

WHO = {"who": "maria", "why": "test"}


@pytest.fixture(params=["folder", "s3"])
def storage(request, tmp_path, monkeypatch):
    if request.param == "folder":
        yield FolderStorage(tmp_path / "storage")
        return

    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        storage = S3Storage("b3-test-bucket")
        storage._client.create_bucket(Bucket="b3-test-bucket")
        yield storage


@pytest.fixture
def folder_storage(tmp_path):
    return FolderStorage(tmp_path / "storage")


def register(storage, tmp_path, count=4, namespace="models", model_type="rf"):
    versions = []
    for number in range(count):
        file = tmp_path / "model"
        file.write_text(f"{model_type} {number}")
        versions.append(
            Registry(storage, namespace).register(model_type, [file], {"train_end": "2023-12-28"})
        )
    return versions


def test_nothing_is_live_before_the_first_promotion(storage):
    release = Release(storage)
    assert release.state() == ReleaseState()
    with pytest.raises(NothingLiveError, match="models/rf"):
        release.live("models", "rf")
    with pytest.raises(NothingLiveError):
        release.rollback("models", "rf", **WHO)
    assert not storage.exists(KEY)


def test_a_promotion_makes_the_version_live_and_tells_who_when_why_from_and_to(storage, tmp_path):
    first, second, *_ = register(storage, tmp_path)
    release = Release(storage)
    release.promote("models", "rf", first, who="maria", why="first sound version")
    state = release.promote(
        "models", "random_forest", second, who="gate", why="better", skill="weak"
    )

    assert release.state() == state
    assert release.live("models", "rf") == second
    assert (state.live, state.skill) == ({RF: second}, {RF: "weak"})
    assert state.sequence == 2
    at = [event.pop("at") for event in state.events]
    assert at == sorted(at)

    common = {"action": "promote", "key": "models/rf"}
    assert state.events == [
        common
        | {
            "who": "maria",
            "why": "first sound version",
            "from": None,
            "to": first,
            "skill": "none",
            "sequence": 1,
        },
        common
        | {
            "who": "gate",
            "why": "better",
            "from": first,
            "to": second,
            "skill": "weak",
            "sequence": 2,
        },
    ]


def test_types_and_namespaces_live_side_by_side(folder_storage, tmp_path):
    rf = register(folder_storage, tmp_path)[0]
    lstm = register(folder_storage, tmp_path, model_type="lstm")[0]
    mine = register(folder_storage, tmp_path, namespace="team-b")[1]
    release = Release(folder_storage)
    release.promote("models", "rf", rf, **WHO)
    release.promote("models", "lstm", lstm, **WHO)
    release.promote("team-b", "rf", mine, **WHO)
    assert release.state().live == {RF: rf, LSTM: lstm, ModelKey("team-b", "rf"): mine}


def test_an_unregistered_version_is_never_made_live(storage, tmp_path):
    version = register(storage, tmp_path, 1)[0]
    for namespace, model_type, name in (
        ("models", "rf", "20200101-00000000"),
        ("other", "rf", version),
        ("models", "lstm", version),
    ):
        with pytest.raises(UnknownModelError):
            Release(storage).promote(namespace, model_type, name, **WHO)
    assert not storage.exists(KEY)


def test_promoting_what_is_live_already_changes_nothing_but_its_skill(folder_storage, tmp_path):
    first, second, *_ = register(folder_storage, tmp_path)
    release = Release(folder_storage)
    release.promote("models", "rf", first, **WHO)
    before = release.promote("models", "rf", second, **WHO)
    assert release.promote("models", "rf", second, **WHO) == before
    state = release.promote("models", "rf", second, **WHO, skill="proven")
    assert (state.skill[RF], state.sequence) == ("proven", 3)
    assert release.rollback("models", "rf", **WHO).live[RF] == first


def test_a_promotion_that_expects_something_else_to_be_live_is_refused(storage, tmp_path):
    first, second, third, _ = register(storage, tmp_path)
    release = Release(storage)
    with pytest.raises(ConflictError, match="live is None"):
        release.promote("models", "rf", first, **WHO, expected=second)
    release.promote("models", "rf", first, **WHO, expected=None)
    with pytest.raises(ConflictError, match=f"live is {first}"):
        release.promote("models", "rf", second, **WHO, expected=None)
    release.promote("models", "rf", third, **WHO, expected=first)
    assert release.live("models", "rf") == third


@pytest.mark.parametrize("wrong", [{"who": " "}, {"why": ""}, {"skill": "great"}])
def test_a_change_without_who_or_why_or_with_an_unknown_skill_is_refused(
    folder_storage, tmp_path, wrong
):
    version = register(folder_storage, tmp_path, 1)[0]
    with pytest.raises(InvalidParameterError):
        Release(folder_storage).promote("models", "rf", version, **{**WHO, **wrong})
    assert not folder_storage.exists(KEY)


# -- rollback


def test_rollbacks_walk_back_one_after_the_other_and_bring_the_skill_back(storage, tmp_path):
    first, second, third, _ = register(storage, tmp_path)
    release = Release(storage)
    for version, skill in ((first, "weak"), (second, "proven"), (third, "none")):
        release.promote("models", "rf", version, **WHO, skill=skill)
    state = release.rollback("models", "rf", who="joao", why="bad day")
    assert (state.live[RF], state.skill[RF]) == (second, "proven")

    event = state.events[-1]
    assert (event["action"], event["from"], event["to"], event["who"]) == (
        "rollback",
        third,
        second,
        "joao",
    )

    state = release.rollback("models", "rf", **WHO)
    assert (state.live[RF], state.skill[RF]) == (first, "weak")
    with pytest.raises(UnknownModelError, match="nothing was live before"):
        release.rollback("models", "rf", **WHO)
    assert release.state() == state


def test_a_rollback_after_a_new_promotion_returns_to_what_that_replaced(folder_storage, tmp_path):
    first, second, third, fourth = register(folder_storage, tmp_path)
    release = Release(folder_storage)
    for version in (first, second, third):
        release.promote("models", "rf", version, **WHO)
    release.rollback("models", "rf", **WHO)
    release.promote("models", "rf", fourth, **WHO)
    assert release.rollback("models", "rf", **WHO).live[RF] == second
    assert release.rollback("models", "rf", **WHO).live[RF] == first


def test_a_rollback_looks_at_its_own_type_only(folder_storage, tmp_path):
    first, second, *_ = register(folder_storage, tmp_path)
    lstm = register(folder_storage, tmp_path, model_type="lstm")[0]
    release = Release(folder_storage)
    release.promote("models", "rf", first, **WHO)
    release.promote("models", "rf", second, **WHO)
    release.promote("models", "lstm", lstm, **WHO)
    with pytest.raises(UnknownModelError):
        release.rollback("models", "lstm", **WHO)
    assert release.rollback("models", "rf", **WHO).live == {RF: first, LSTM: lstm}


def test_a_version_that_is_gone_is_not_rolled_back_to(folder_storage, tmp_path):
    first, second, *_ = register(folder_storage, tmp_path)
    release = Release(folder_storage)
    release.promote("models", "rf", first, **WHO)
    release.promote("models", "rf", second, **WHO)
    folder_storage.delete(f"models/models/rf/{first}/manifest.json")
    with pytest.raises(UnknownModelError, match=first):
        release.rollback("models", "rf", **WHO)
    assert release.live("models", "rf") == second


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "c", "back"]), max_size=20))
def test_any_mix_of_promotions_and_rollbacks_behaves_as_a_stack(tmp_path_factory, actions):
    tmp_path = tmp_path_factory.mktemp("stack")
    storage = FolderStorage(tmp_path / "storage")
    names = dict(zip("abc", register(storage, tmp_path, 3), strict=True))
    release, stack = Release(storage), []

    for action in actions:
        if action != "back":
            release.promote("models", "rf", names[action], **WHO)
            if stack[-1:] != [names[action]]:
                stack.append(names[action])
        elif len(stack) > 1:
            release.rollback("models", "rf", **WHO)
            stack.pop()
        else:
            with pytest.raises((UnknownModelError, NothingLiveError)):
                release.rollback("models", "rf", **WHO)
        assert release.state().live.get(RF) == (stack[-1] if stack else None)


# -- snapshot


def test_a_snapshot_is_served_from_the_newest_date_only(storage):
    release = Release(storage)
    for day in ("2024-01-02", "2024-01-03"):
        storage.put(f"serving/snapshots/{day}.npz", b"x")
    release.set_snapshot("serving/snapshots/2024-01-03.npz", "2024-01-03", who="publisher")
    with pytest.raises(ConflictError, match=r"2024-01-02.*2024-01-03"):
        release.set_snapshot("serving/snapshots/2024-01-02.npz", "2024-01-02", who="publisher")

    state = release.state()
    assert (state.snapshot, state.as_of, state.sequence) == (
        "serving/snapshots/2024-01-03.npz",
        "2024-01-03",
        1,
    )
    assert state.events[0]["to"] == "serving/snapshots/2024-01-03.npz"
    assert (
        release.set_snapshot("serving/snapshots/2024-01-03.npz", "2024-01-03", who="publisher")
        == state
    )


def test_a_snapshot_of_the_same_day_may_be_replaced(folder_storage):
    release = Release(folder_storage)
    for name in ("one", "two"):
        folder_storage.put(name, b"x")
        release.set_snapshot(name, "2024-01-03", who="publisher")
    assert release.state().snapshot == "two"


def test_a_snapshot_that_is_not_stored_or_has_no_date_is_refused(folder_storage):
    release = Release(folder_storage)
    with pytest.raises(ArtifactNotFoundError, match="absent"):
        release.set_snapshot("absent", "2024-01-03", who="publisher")
    folder_storage.put("there", b"x")
    with pytest.raises(InvalidParameterError, match="as_of must be an ISO date"):
        release.set_snapshot("there", "today", who="publisher")
    assert not folder_storage.exists(KEY)


# -- races, and the length of history


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


def test_a_release_state_is_immutable():
    with pytest.raises(FrozenInstanceError):
        ReleaseState().sequence = 3


# -- the stored form


def test_a_release_with_a_model_type_of_other_code_is_changed_without_losing_it(
    folder_storage, tmp_path
):
    version = register(folder_storage, tmp_path, 1)[0]
    release = Release(folder_storage)
    state = release.promote("models", "rf", version, **WHO)
    other = ModelKey("models", "transformer")
    folder_storage.put(
        KEY, state.pointed("promote", other, "1", "none", "me", "test").to_document()
    )
    release.promote("models", "rf", version, **WHO, skill="weak")
    assert release.state().live == {RF: version, other: "1"}


@pytest.mark.parametrize("text", ["[]", "{}", '{"live": {"models": "1"}}', "no JSON"])
def test_a_stored_document_that_is_no_release_is_named(folder_storage, text):
    folder_storage.put(KEY, text.encode())
    with pytest.raises(ArtifactCorruptError, match=r"serving/release\.json"):
        Release(folder_storage).state()


def test_a_release_is_read_again_only_where_it_has_changed(storage, tmp_path):
    release = Release(storage)
    assert release.changed_since(None) is None
    first, second, *_ = register(storage, tmp_path)
    state = release.promote("models", "rf", first, **WHO)
    assert release.changed_since(None) == state
    assert release.changed_since(state.etag) is None
    assert release.changed_since(state.etag) is None
    after = release.promote("models", "rf", second, **WHO)
    assert release.changed_since(state.etag) == after


def test_a_check_sees_the_state_that_the_change_replaces_and_may_keep_it(folder_storage, tmp_path):
    first, second, *_ = register(folder_storage, tmp_path)
    release = Release(folder_storage)
    folder_storage.put("snapshot", b"x")
    for version in (first, second):
        release.promote("models", "rf", version, **WHO)
    before = release.state()
    seen = []

    def refuse(state):
        seen.append(state)
        raise InvalidParameterError("kept")

    for change in (
        lambda: release.promote("models", "rf", first, **WHO, check=refuse),
        lambda: release.rollback("models", "rf", **WHO, check=refuse),
        lambda: release.set_snapshot("snapshot", "2024-01-02", who="me", check=refuse),
    ):
        with pytest.raises(InvalidParameterError, match="kept"):
            change()
    assert seen == [before] * 3
    assert release.state() == before
