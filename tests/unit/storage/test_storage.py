"""One contract, two storages: a folder, and S3 through real boto3 against an emulator."""

import hashlib
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.awsrequest import AWSResponse
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse
from moto.core.models import botocore_stubber

from b3shared.core.errors import (
    ArtifactCorruptError,
    ArtifactNotFoundError,
    ConflictError,
    InvalidParameterError,
)
from b3shared.storage import FolderStorage, S3Storage, Storage, open_storage
from b3shared.storage.base import is_key

BUCKET = "b3-test-bucket"


@pytest.fixture
def s3(monkeypatch):
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    # S3 decides a conditional write atomically; the emulator checks, then writes. One request at a
    # time makes it so.
    answer, lock = BotocoreStubber.__call__, threading.RLock()

    def one_at_a_time(*args, **kwargs):
        with lock:
            return answer(*args, **kwargs)

    monkeypatch.setattr(BotocoreStubber, "__call__", one_at_a_time)
    with mock_aws():
        storage = S3Storage(BUCKET, "deployment/one")
        storage._client.create_bucket(Bucket=BUCKET)
        yield storage


@pytest.fixture(params=["folder", "s3"])
def storage(request, tmp_path) -> Storage:
    return (
        FolderStorage(tmp_path / "storage")
        if request.param == "folder"
        else request.getfixturevalue("s3")
    )


def race(contenders):
    """Run all at the same moment; return what each returned or the ConflictError it met."""
    gate = threading.Barrier(len(contenders))

    def run(contender):
        gate.wait()
        try:
            return contender()
        except ConflictError as error:
            return error

    with ThreadPoolExecutor(len(contenders)) as pool:
        return list(pool.map(run, contenders))


def test_what_is_put_is_read_back_and_a_second_put_replaces_it(storage):
    storage.put("a/b.json", b"one")
    storage.put("a/b.json", b"two")
    assert storage.read("a/b.json") == b"two"
    assert storage.exists("a/b.json")


def test_a_missing_key_is_named(storage):
    assert storage.read_versioned("no/such") is None
    assert not storage.exists("no/such")
    for read in (
        lambda: storage.read("no/such"),
        lambda: storage.sha256("no/such"),
        lambda: storage.read_if_changed("no/such", '"x"'),
        lambda: storage.download("no/such", Path("never-written")),
    ):
        with pytest.raises(ArtifactNotFoundError, match="no/such"):
            read()
    assert not Path("never-written").exists()


def test_a_folder_of_keys_is_not_a_key(storage):
    storage.put("a/b", b"x")
    assert not storage.exists("a")
    assert storage.read_versioned("a") is None


def test_create_refuses_an_existing_key_and_leaves_it_alone(storage):
    storage.create("lock", b"first")
    with pytest.raises(ConflictError, match="lock"):
        storage.create("lock", b"second")
    assert storage.read("lock") == b"first"


def test_a_deleted_key_can_be_created_again_and_deleting_twice_is_fine(storage):
    storage.create("lock", b"first")
    storage.delete("lock")
    storage.delete("lock")
    assert not storage.exists("lock")
    storage.create("lock", b"again")
    assert storage.read("lock") == b"again"


def test_replace_succeeds_only_on_the_content_that_was_read(storage):
    stale = storage.create("pointer", b"1")
    fresh = storage.replace("pointer", b"2", stale)
    with pytest.raises(ConflictError, match="pointer"):
        storage.replace("pointer", b"3", stale)
    assert storage.read_versioned("pointer") == (b"2", fresh)


def test_replace_of_a_deleted_key_conflicts_and_does_not_bring_it_back(storage):
    etag = storage.create("pointer", b"1")
    storage.delete("pointer")
    with pytest.raises(ConflictError):
        storage.replace("pointer", b"2", etag)
    assert not storage.exists("pointer")


def test_every_write_returns_the_etag_that_reading_gives(storage):
    for write in (lambda: storage.create("k", b"1"), lambda: storage.put("k", b"2")):
        assert write() == storage.read_versioned("k")[1]
    etag = storage.read_versioned("k")[1]
    assert storage.replace("k", b"3", etag) == storage.read_versioned("k")[1] != etag


def test_read_if_changed_answers_only_when_there_is_something_new(storage):
    etag = storage.put("k", b"1")
    assert storage.read_if_changed("k", etag) is None
    storage.put("k", b"2")
    data, newer = storage.read_if_changed("k", etag)
    assert (data, newer) == storage.read_versioned("k")
    assert data == b"2"


def test_list_gives_the_sorted_keys_under_a_textual_prefix(storage):
    for key in ("runs/b/2", "runs/a/1", "runs/ab/0", "models/x", "runs.txt"):
        storage.put(key, b"")
    assert storage.list("runs/") == ["runs/a/1", "runs/ab/0", "runs/b/2"]
    assert storage.list("runs/a") == ["runs/a/1", "runs/ab/0"]
    assert storage.list() == ["models/x", "runs.txt", "runs/a/1", "runs/ab/0", "runs/b/2"]
    assert storage.list("nothing/here") == []


def test_folders_are_those_right_under_the_prefix(storage):
    for key in ("runs/b/steps/x", "runs/a/params.json", "runs/loose.json"):
        storage.put(key, b"")
    assert storage.folders("runs/") == ["a", "b"]
    assert storage.folders() == ["runs"]
    assert storage.folders("nothing/") == []
    with pytest.raises(InvalidParameterError, match="end with '/'"):
        storage.folders("runs")


def test_list_goes_on_after_the_first_page_of_a_thousand(s3):
    keys = [f"many/{number:04}" for number in range(1003)]
    for key in keys:
        s3.put(key, b"")
    assert s3.list("many/") == keys


@pytest.mark.parametrize(
    "key",
    ["", "/a", "a/", "a//b", "../a", "a/../b", ".", "a/.hidden", "a\\b", "a\x00", "a\n", "x" * 256],
)
def test_a_malformed_key_is_refused_by_every_method(storage, tmp_path, key):
    (tmp_path / "file").write_bytes(b"x")
    for call in (
        lambda: storage.read(key),
        lambda: storage.read_versioned(key),
        lambda: storage.read_if_changed(key, "x"),
        lambda: storage.create(key, b""),
        lambda: storage.replace(key, b"", "x"),
        lambda: storage.put(key, b""),
        lambda: storage.exists(key),
        lambda: storage.delete(key),
        lambda: storage.sha256(key),
        lambda: storage.upload(tmp_path / "file", key),
        lambda: storage.download(key, tmp_path / "copy"),
    ):
        with pytest.raises(InvalidParameterError, match=re.escape(repr(key))):
            call()

    assert storage.list() == []


@given(st.text(alphabet="ab./\\-_ \n\x00é", max_size=12))
def test_an_accepted_key_always_stays_inside_its_folder(key):
    if is_key(key):
        assert os.path.normpath(f"/root/{key}") == f"/root/{key}"


def test_upload_and_download_carry_a_large_file_and_its_hash(storage, tmp_path):
    content = os.urandom(9_000_001)  # above boto3's threshold for multipart
    (tmp_path / "big").write_bytes(content)
    digest = storage.upload(tmp_path / "big", "artifacts/big")
    assert digest == hashlib.sha256(content).hexdigest() == storage.sha256("artifacts/big")
    copy = storage.download("artifacts/big", tmp_path / "new" / "copy", digest)
    assert copy.read_bytes() == content


def test_a_download_with_the_wrong_hash_is_refused_and_the_old_file_stays(storage, tmp_path):
    storage.put("artifact", b"tampered")
    target = tmp_path / "place" / "artifact"
    target.parent.mkdir()
    target.write_bytes(b"old")
    with pytest.raises(ArtifactCorruptError, match="artifact"):
        storage.download("artifact", target, hashlib.sha256(b"original").hexdigest())
    assert [p.name for p in target.parent.iterdir()] == ["artifact"]
    assert target.read_bytes() == b"old"


def test_uploading_a_file_that_does_not_exist_is_named_and_writes_nothing(storage, tmp_path):
    with pytest.raises(ArtifactNotFoundError, match="absent"):
        storage.upload(tmp_path / "absent", "k")
    assert storage.list() == []


def test_eight_racing_creates_have_one_winner(storage):
    for turn in range(5):
        results = race(
            [lambda n=n, key=f"k{turn}": (n, storage.create(key, b"%d" % n)) for n in range(8)]
        )
        winners = [r for r in results if isinstance(r, tuple)]
        assert len(winners) == 1
        assert storage.read_versioned(f"k{turn}") == (b"%d" % winners[0][0], winners[0][1])


def test_eight_racing_replaces_have_one_winner(storage):
    etag = storage.create("k", b"start")

    for turn in range(5):
        results = race(
            [
                lambda n=n, turn=turn, etag=etag: storage.replace("k", b"%d %d" % (turn, n), etag)
                for n in range(8)
            ]
        )
        winners = [r for r in results if isinstance(r, str)]
        assert len(winners) == 1
        etag = winners[0]
        assert storage.read_versioned("k")[1] == etag


def test_the_url_opens_the_same_storage(storage):
    storage.put("k", b"same")
    assert open_storage(storage.url).read("k") == b"same"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://x/y",
        "gs://bucket/x",
        "file:///tmp/x",
        Path("s3://bucket/x"),
        "s3://",
        "s3://UP/x",
    ],
)
def test_an_url_that_is_no_storage_is_refused(url):
    with pytest.raises(InvalidParameterError, match="must be"):
        open_storage(url)


def test_a_file_is_not_a_storage(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidParameterError, match="is a file"):
        open_storage(tmp_path / "file")


def test_s3_urls_split_into_bucket_and_prefix():
    assert open_storage("s3://bucket").url == "s3://bucket"
    assert open_storage("s3://bucket/a/b/").url == "s3://bucket/a/b"
    with pytest.raises(InvalidParameterError):
        open_storage("s3://bucket/../b")


def test_a_missing_bucket_is_named(s3, tmp_path):
    elsewhere = S3Storage("no-such-bucket")
    (tmp_path / "file").write_bytes(b"x")
    for call in (
        lambda: elsewhere.put("k", b""),
        lambda: elsewhere.list(),
        lambda: elsewhere.upload(tmp_path / "file", "k"),
    ):
        with pytest.raises(InvalidParameterError, match="no-such-bucket"):
            call()


def test_a_prefix_keeps_two_storages_in_one_bucket_apart(s3):
    other = S3Storage(BUCKET, "deployment/two")
    s3.put("k", b"one")
    assert other.list() == []
    assert S3Storage(BUCKET).list() == ["deployment/one/k"]


def lose_the_first_answer(storage, before_losing):
    """The next PutObject: do something, answer 500, so that boto3 sends it again.

    Returns the list of what was sent.
    """
    sent = []

    def answer(event_name, request, **_):
        sent.append(request.url)
        if len(sent) > 1:
            return None  # to the emulator
        before_losing(event_name, request)
        return AWSResponse(request.url, 500, {}, MockRawResponse(b""))

    storage._client.meta.events.register_first("before-send.s3.PutObject", answer)
    return sent


@pytest.mark.parametrize("arrives", [True, False])
def test_a_conditional_write_sent_twice_by_boto3_does_not_lose_against_itself(s3, arrives):
    etag = s3.create("k", b"old")
    sent = lose_the_first_answer(s3, botocore_stubber if arrives else lambda *_: None)
    newer = s3.replace("k", b"new", etag)
    assert len(sent) == 2
    assert s3.read_versioned("k") == (b"new", newer)


def test_a_lost_answer_does_not_hide_that_somebody_else_won(s3):
    etag = s3.create("k", b"old")
    rival = S3Storage(BUCKET, "deployment/one")
    lose_the_first_answer(s3, lambda *_: rival.put("k", b"rival"))
    with pytest.raises(ConflictError):
        s3.replace("k", b"new", etag)
    assert s3.read("k") == b"rival"


def test_internal_files_are_never_listed_and_removed_by_a_finished_write(tmp_path):
    storage = FolderStorage(tmp_path)
    storage.put("a/k", b"1")
    (tmp_path / "a" / ".0123.tmp").write_bytes(b"half")  # what a killed writer leaves
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_bytes(b"")
    assert storage.list() == ["a/k"]
    assert storage.folders() == ["a"]
    with pytest.raises(ConflictError):
        storage.create("a/k", b"2")
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [".0123.tmp", "k"]


def test_a_key_below_an_object_or_above_keys_is_refused_by_name(tmp_path):
    storage = FolderStorage(tmp_path)
    storage.put("a/b", b"1")
    with pytest.raises(InvalidParameterError, match="a/b/c"):
        storage.put("a/b/c", b"2")
    with pytest.raises(InvalidParameterError, match="'a'"):
        storage.put("a", b"2")
    assert storage.list() == ["a/b"]
