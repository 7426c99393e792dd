"""Promotions change the live version by compare-and-swap, and rollbacks follow the history."""

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from released import LSTM, RF, WHO, register

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
from b3shared.registry.release_state import KEY, ReleaseState
from b3shared.storage import FolderStorage


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


def test_a_release_state_is_immutable():
    with pytest.raises(FrozenInstanceError):
        ReleaseState().sequence = 3


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
