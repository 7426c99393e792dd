"""S3 that hangs, breaks off, asks to try again or leaves an etag out."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from b3shared.core.errors import ConflictError, SourceUnavailableError
from b3shared.storage import IMPATIENT, PATIENT, S3Storage, Timeouts

BUCKET = "faults"
QUICK = Timeouts(connect=0.2, read=0.2, attempts=1)
Answer = Callable[[socket.socket], object]

HEAD = b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 5\r\n\r\n'


@contextmanager
def server(*answers: Answer) -> Iterator[list[bytes]]:
    """A server on this machine in place of S3.

    Each connection gets the next answer, the last one again and again.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []
    open_sockets = [listener]

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_sockets.append(connection)
            asked.append(connection.recv(65536).split(b"\r\n")[0])
            answers[min(len(asked), len(answers)) - 1](connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "test")
        environment.setenv("AWS_DEFAULT_REGION", "sa-east-1")
        try:
            yield asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            thread.join(10)
            for each in open_sockets:
                each.close()


def silence(_: socket.socket) -> None:
    """Say nothing, and keep the connection open."""


def torn(connection: socket.socket) -> None:
    """Announce five bytes, send two, and close."""
    connection.sendall(HEAD + b"ab")
    connection.shutdown(socket.SHUT_RDWR)


def complete(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"abcde")


def slow_down(connection: socket.socket) -> None:
    body = b"<Error><Code>SlowDown</Code></Error>"
    connection.sendall(b"HTTP/1.1 503 Slow Down\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


READS = {
    "read": lambda storage, _: storage.read("k"),
    "read if changed": lambda storage, _: storage.read_if_changed("k", '"e"'),
    "download": lambda storage, folder: storage.download("k", folder / "k"),
    "list": lambda storage, _: storage.list(),
    "exists": lambda storage, _: storage.exists("k"),
    "sha256": lambda storage, _: storage.sha256("k"),
}


@pytest.mark.parametrize("what", READS)
def test_a_silent_bucket_is_an_error_after_the_timeout(what, tmp_path):
    with (
        server(silence) as asked,
        pytest.raises(SourceUnavailableError, match="s3://faults gave no complete answer"),
    ):
        READS[what](S3Storage(BUCKET, timeouts=QUICK), tmp_path)
    assert len(asked) == 1  # impatient: asked once
    assert list(tmp_path.iterdir()) == []


def test_predict_waits_two_seconds_at_most_and_asks_once():
    assert (IMPATIENT.connect, IMPATIENT.read, IMPATIENT.attempts) == (0.5, 2, 1)
    config = S3Storage(BUCKET, timeouts=IMPATIENT)._client.meta.config
    assert (config.connect_timeout, config.read_timeout, config.retries["total_max_attempts"]) == (
        0.5,
        2,
        1,
    )


def test_a_body_that_breaks_off_is_read_again():
    with server(torn, torn, complete) as asked:
        assert S3Storage(BUCKET, timeouts=Timeouts(1, 1, 3)).read_versioned("k") == (
            b"abcde",
            '"e"',
        )
    assert len(asked) == 3


def test_a_body_that_always_breaks_off_is_an_error_that_names_the_key():
    with server(torn) as asked, pytest.raises(SourceUnavailableError, match="about 'some/key'"):
        S3Storage(BUCKET, timeouts=Timeouts(1, 1, 2)).read("some/key")
    assert len(asked) == 2


def test_a_throttling_bucket_is_unavailable():
    with server(slow_down), pytest.raises(SourceUnavailableError, match="answered 503 about 'k'"):
        S3Storage(BUCKET, timeouts=QUICK).read("k")


def test_a_refused_connection_is_unavailable():
    with server(complete):
        storage = S3Storage(BUCKET, timeouts=QUICK)
        assert storage.read("k") == b"abcde"
    with pytest.raises(SourceUnavailableError, match="gave no complete answer about 'k'"):
        storage.read("k")


# -- against the emulator


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Storage]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "sa-east-1")
    with mock_aws():
        boto3.client("s3").create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "sa-east-1"}
        )
        yield S3Storage(BUCKET)


def refused(storage: S3Storage, code: str, status: int, times: int) -> list[str]:
    """Let the storage's next writes fail; return the list of all writes to come."""
    sent: list[str] = []
    put = storage._client.put_object

    def put_object(**words):
        sent.append(words["Key"])
        if len(sent) <= times:
            answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise ClientError(answer, "PutObject")
        return put(**words)

    storage._client.put_object = put_object
    return sent


@pytest.mark.parametrize("times", [1, 3])
def test_a_conditional_write_is_sent_again_when_s3_asks_to_try_again(storage, times):
    sent = refused(storage, "ConditionalRequestConflict", 409, times)
    etag = storage.create("a/b.json", b"1")
    assert storage.read_versioned("a/b.json") == (b"1", etag)
    assert len(sent) == times + 1


def test_a_replacement_is_sent_again_too(storage):
    etag = storage.create("a/b.json", b"1")
    refused(storage, "ConditionalRequestConflict", 409, 1)
    storage.replace("a/b.json", b"2", etag)
    assert storage.read("a/b.json") == b"2"


def test_a_write_that_s3_always_defers_ends_as_a_conflict(storage):
    sent = refused(storage, "ConditionalRequestConflict", 409, 100)
    with pytest.raises(ConflictError):
        storage.create("a/b.json", b"1")
    assert 3 <= len(sent) <= 10


def test_a_failed_precondition_is_a_conflict_at_once(storage):
    sent = refused(storage, "PreconditionFailed", 412, 100)
    with pytest.raises(ConflictError):
        storage.create("a/b.json", b"1")
    assert len(sent) == 1


def test_a_write_whose_answer_has_no_etag_asks_for_it(storage):
    put = storage._client.put_object
    storage._client.put_object = lambda **words: {
        n: v for n, v in put(**words).items() if n != "ETag"
    }
    etag = storage.create("k", b"1")
    assert storage.read_versioned("k") == (b"1", etag)
    assert storage.put("k", b"2") == storage.read_versioned("k")[1]


def test_storages_have_the_long_timeouts_by_default(storage):
    assert (storage._timeouts, PATIENT.attempts) == (PATIENT, 5)
