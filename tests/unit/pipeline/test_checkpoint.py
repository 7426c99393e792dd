"""Of many attempts at a training the newest holds the checkpoint; no other can change it."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from b3shared.core.errors import ArtifactCorruptError, ConflictError, SupersededError
from b3shared.pipeline.checkpoint import StepCheckpoint
from b3shared.storage import FolderStorage, S3Storage, Storage

KEY = "runs/r1/train_model/checkpoint"


@pytest.fixture(params=["folder", "s3"])
def storage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Storage]:
    if request.param == "folder":
        yield FolderStorage(tmp_path)
        return
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        made = S3Storage("b3-checkpoints")
        made._client.create_bucket(Bucket="b3-checkpoints")
        yield made


def attempt(storage: Storage) -> StepCheckpoint:
    return StepCheckpoint(storage, KEY)


def test_the_first_attempt_finds_nothing_and_the_next_what_was_saved_last(storage: Storage) -> None:
    first = attempt(storage)
    assert first.load() is None
    assert attempt(storage).load() is None  # a claim alone is no work
    first = attempt(storage)
    for data in (b"epoch 1", bytes(range(256)) * 100, b"\n\n{"):
        first.save(data)
        first = attempt(storage)
        assert first.load() == data


def test_an_attempt_may_save_without_having_loaded(storage: Storage) -> None:
    attempt(storage).save(b"one")
    other = attempt(storage)
    other.save(b"two")
    assert attempt(storage).load() == b"two"


def test_an_attempt_may_save_equal_bytes_twice(storage: Storage) -> None:
    mine = attempt(storage)
    for _ in range(3):
        mine.save(b"epoch 1")
    assert attempt(storage).load() == b"epoch 1"


def test_a_superseded_attempt_stops_at_its_next_save_and_changes_nothing(storage: Storage) -> None:
    first, second = attempt(storage), attempt(storage)
    first.save(b"epoch 1")
    assert second.load() == b"epoch 1"
    with pytest.raises(SupersededError, match="taken over"):
        first.save(b"epoch 2 of the first")
    second.save(b"epoch 2 of the second")
    with pytest.raises(SupersededError):
        first.save(b"epoch 2 of the first")
    assert attempt(storage).load() == b"epoch 2 of the second"


def test_taking_over_the_same_bytes_supersedes_too(storage: Storage) -> None:
    """S3's etag is a hash of the content: without a token, equal attempts would look the same."""
    first, second = attempt(storage), attempt(storage)
    first.save(b"same")
    second.load()
    second.save(b"same")
    with pytest.raises(SupersededError):
        first.save(b"same")


def test_a_finished_step_leaves_no_checkpoint_and_stops_other_attempts(
    storage: Storage,
) -> None:
    first, second = attempt(storage), attempt(storage)
    first.save(b"epoch 1")
    second.load()
    second.remove()
    assert storage.list("runs/") == []
    with pytest.raises(SupersededError):
        first.save(b"epoch 2")
    assert storage.list("runs/") == []


def test_a_training_that_never_asked_for_its_checkpoint_writes_and_removes_none(
    storage: Storage,
) -> None:
    storage.put(KEY, b"of another attempt")
    attempt(storage).remove()
    assert storage.exists(KEY)


def test_the_start_time_is_that_of_the_first_attempt(storage: Storage) -> None:
    first = attempt(storage)
    first.save(b"epoch 1")
    second = attempt(storage)
    assert second.started > first.started  # nobody can know before it has looked
    second.load()
    assert second.started == first.started
    second.save(b"epoch 2")
    third = attempt(storage)
    third.load()
    assert third.started == first.started


def test_a_training_that_begins_anew_does_not_count_the_time_of_an_abandoned_one(
    storage: Storage,
) -> None:
    abandoned = attempt(storage)
    abandoned.save(b"epoch 1")
    other = attempt(storage)
    began = other.started
    other.load()
    other.restart()
    assert other.started == began > abandoned.started
    other.save(b"epoch 1 of other parameters")
    last = attempt(storage)
    last.load()
    assert last.started == began


def test_an_object_that_is_no_checkpoint_is_refused(storage: Storage) -> None:
    for junk in (b"", b"\x00\xff", b"[]\n", b'{"token": "x"}\ndata', b'{"started": "now"}\ndata'):
        storage.put(KEY, junk)
        with pytest.raises(ArtifactCorruptError, match="checkpoint"):
            attempt(storage).load()


class Crossed(FolderStorage):
    """A folder in which another attempt takes over just before each of our first writes."""

    def __init__(self, path: Path, times: int) -> None:
        super().__init__(path)
        self.times, self._other = times, FolderStorage(path)

    def _cross(self) -> None:
        if self.times:
            self.times -= 1
            StepCheckpoint(self._other, KEY).load()

    def create(self, key: str, data: bytes) -> str:
        self._cross()
        return super().create(key, data)

    def replace(self, key: str, data: bytes, etag: str) -> str:
        self._cross()
        return super().replace(key, data, etag)


def test_a_takeover_is_tried_again_after_a_conflict(tmp_path: Path) -> None:
    StepCheckpoint(FolderStorage(tmp_path), KEY).save(b"epoch 1")
    late = StepCheckpoint(Crossed(tmp_path, 3), KEY)
    assert late.load() == b"epoch 1"
    late.save(b"epoch 2")


def test_a_takeover_gives_up_after_many_conflicts(tmp_path: Path) -> None:
    with pytest.raises(SupersededError):
        StepCheckpoint(Crossed(tmp_path, 10**6), KEY).load()


def test_of_simultaneous_attempts_exactly_one_continues(tmp_path: Path) -> None:
    attempts, gate = [attempt(FolderStorage(tmp_path)) for _ in range(6)], Barrier(6)

    def train(mine: StepCheckpoint) -> bool:
        gate.wait()
        mine.load()
        gate.wait()  # all have taken over once: the last of them holds it
        try:
            mine.save(b"work")
        except SupersededError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(train, attempts)) == [False] * 5 + [True]


STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["load", "save", "remove", "die"])), max_size=30
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
@given(steps=STEPS)
def test_in_any_order_the_last_attempt_to_take_over_holds_the_checkpoint(
    storage: Storage, steps: list[tuple[int, str]]
) -> None:
    """Four attempts compared with a model of the checkpoint: a holder and a value."""
    storage.delete(KEY)
    attempts = [attempt(storage) for _ in range(4)]
    known, holder, work = set[int](), None, None
    for number, (who, deed) in enumerate(steps):
        data = f"{who} at {number}".encode()
        if deed == "die":
            attempts[who] = attempt(storage)
            known.discard(who)
            holder = None if holder == who else holder
        elif deed == "load":
            assert attempts[who].load() == work
            known.add(who)
            holder = who
        elif deed == "remove":
            attempts[who].remove()
            if who in known:
                holder = work = None
        elif who not in known or who == holder:
            attempts[who].save(data)
            known.add(who)
            holder, work = who, data
        else:
            with pytest.raises(SupersededError):
                attempts[who].save(data)

    assert attempt(storage).load() == work


def test_a_conflict_of_the_storage_is_never_raised_to_the_caller(storage: Storage) -> None:
    first = attempt(storage)
    first.load()
    storage.put(KEY, b"something else")
    with pytest.raises(SupersededError) as caught:
        first.save(b"epoch 1")
    assert not isinstance(caught.value, ConflictError)
    assert caught.value.details == {"key": KEY}
