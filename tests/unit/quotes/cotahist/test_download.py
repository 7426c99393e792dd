"""Faults of a server are named when a file is downloaded, and the lake stays as it was."""

import errno
import io
import os
import re
import struct
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cotahist_text import Quote, cotahist, zipped

from b3shared.core.errors import (
    B3Error,
    InvalidCotahistError,
    InvalidParameterError,
    NotPublishedError,
    SourceUnavailableError,
    UnreadableFileError,
)
from b3shared.quotes.cotahist.download import QuoteServer
from b3shared.quotes.cotahist.periods import annual, daily
from b3shared.quotes.ingest.ingest import Ingest
from b3shared.quotes.web import Patience
from b3shared.storage import FolderStorage

DAY = date(2020, 1, 6)
TEXT = cotahist([Quote(DAY), Quote(DAY, "VALE3", 50.0)], 2020)
GOOD = zipped(TEXT, "COTAHIST_A2020.TXT")
YEAR = annual(2020)


class Exchange(BaseHTTPRequestHandler):
    """Answers as the test's script says, one entry a request; the last one again and again."""

    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append((self.path, dict(self.headers)))
        answer = server.script.pop(0) if len(server.script) > 1 else server.script[0]
        answer(self)

    def log_message(self, *_: object) -> None:
        pass


Answer = Callable[[BaseHTTPRequestHandler], None]


def says(body: bytes, status: int = 200, kind: str = "application/zip", **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        sent = {"Content-Type": kind, "Content-Length": str(len(body))}
        for name, value in (
            sent | {name.replace("_", "-"): value for name, value in headers.items()}
        ).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def cut(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/zip")
    handler.send_header("Content-Length", str(len(GOOD)))
    handler.end_headers()
    handler.wfile.write(GOOD[: len(GOOD) // 2])
    handler.close_connection = True


def hangs(handler: BaseHTTPRequestHandler) -> None:
    server: Any = handler.server
    server.over.wait(30)
    handler.close_connection = True


def drips(handler: BaseHTTPRequestHandler) -> None:
    server: Any = handler.server
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(GOOD[:4])
    while not server.over.wait(0.05):
        try:
            handler.wfile.write(b".")
        except OSError:
            return


@contextmanager
def exchange(*script: Answer) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Exchange)
    server.script = list(script)
    server.asked = []
    server.over = threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def client(server: Any, waits: list[float] | None = None, **patience: Any) -> QuoteServer:
    address = f"http://127.0.0.1:{server.server_port}/SerHist/COTAHIST_{{period}}.ZIP"
    return QuoteServer(address, Patience(**patience), sleep=([] if waits is None else waits).append)


def bomb() -> bytes:
    """A zip whose directory declares 200 GB, as a Zip64 entry."""
    data = bytearray(zipped(TEXT, "COTAHIST_A2020.TXT"))
    at = data.rfind(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, 0xFFFFFFF0)
    return bytes(data)


def two_members() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "hello")
    return buffer.getvalue()


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    """A lake with one session of an earlier year."""
    storage = FolderStorage(tmp_path / "store")
    path = tmp_path / "COTAHIST_A2019.TXT"
    path.write_bytes(cotahist([Quote(date(2019, 1, 2))], 2019))
    Ingest(storage).file(path)
    return storage


def lake(storage: FolderStorage) -> dict[str, str]:
    return {key: storage.sha256(key) for key in storage.list("lake/quotes/")}


OTHER_YEAR = zipped(cotahist([Quote(date(2021, 1, 4))], 2021), "COTAHIST_A2021.TXT")
DISGUISED = zipped(cotahist([Quote(date(2021, 1, 4))], 2021), "COTAHIST_A2020.TXT")
TWICE = zipped(cotahist([Quote(DAY), Quote(DAY)], 2020, records=3), "COTAHIST_A2020.TXT")
CONTRADICTION = zipped(cotahist([Quote(DAY), Quote(DAY, close=11.0)], 2020), "COTAHIST_A2020.TXT")

FAULTS = {
    "truncated zip": (
        says(GOOD[: len(GOOD) * 2 // 3]),
        UnreadableFileError,
        "damaged or truncated",
    ),
    "wrong member": (says(two_members()), UnreadableFileError, "no COTAHIST file"),
    "web page as zip": (says(b"<html>Access denied</html>"), UnreadableFileError, "web page"),
    "web page by type": (
        says(b"ok", kind="text/html; charset=utf-8"),
        UnreadableFileError,
        "web page",
    ),
    "another type": (says(b"%PDF-1.7"), UnreadableFileError, "PDF"),
    "another year": (says(OTHER_YEAR), InvalidCotahistError, "2021"),
    "another year in disguise": (says(DISGUISED), InvalidCotahistError, "2021"),
    "lines twice": (says(TWICE), InvalidCotahistError, "3"),
    "lines that contradict each other": (says(CONTRADICTION), InvalidCotahistError, "PETR4"),
    "declared bomb": (says(bomb()), UnreadableFileError, "allowed"),
    "cut at half, always": (cut, SourceUnavailableError, "attempt 3"),
    "not found": (says(b"", status=404), NotPublishedError, "not there"),
    "forbidden": (says(b"", status=403), SourceUnavailableError, "403"),
    "ill, always": (says(b"", status=500), SourceUnavailableError, "status 500"),
    "slow to answer": (hangs, SourceUnavailableError, "timed out"),
    "slow to end": (drips, SourceUnavailableError, "not done after"),
    "too large by its word": (says(b"", Content_Length="9" * 12), UnreadableFileError, "allowed"),
    "empty": (says(b""), SourceUnavailableError, "empty"),
    "asks for an hour": (
        says(b"", status=429, Retry_After="3600"),
        SourceUnavailableError,
        "3600 s",
    ),
}


def test_a_full_disk_is_not_retried(tmp_path: Path) -> None:
    (tmp_path / "COTAHIST_A2020.ZIP").symlink_to("/dev/full")
    with exchange(says(GOOD)) as server:
        with pytest.raises(OSError, match=re.escape(os.strerror(errno.ENOSPC))):
            client(server, attempts=3).download(YEAR, tmp_path)
        assert len(server.asked) == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_and_the_lake_stays(storage: FolderStorage, fault: str) -> None:
    answer, error, words = FAULTS[fault]
    before = lake(storage)
    with exchange(answer) as server:
        served = client(
            server, attempts=3, read_seconds=0.3, total_seconds=0.5, max_bytes=10_000_000
        )
        with pytest.raises(error, match=words) as raised:
            Ingest(storage, served).period(YEAR)
    assert lake(storage) == before
    assert "COTAHIST_A2020" in raised.value.message
    records = {key for key in storage.list("lake/ingested/") if b'"failed"' in storage.read(key)}
    assert len(records) == (error is not NotPublishedError)


@pytest.mark.parametrize(
    ("answer", "words"), [(drips, "not done after"), (hangs, "timed out"), (says(b"", 503), "503")]
)
def test_the_callers_time_bounds_all_attempts_together(
    tmp_path: Path, answer: Answer, words: str
) -> None:
    waits: list[float] = []
    with exchange(answer) as server:
        served = client(server, waits, attempts=4, read_seconds=60.0, total_seconds=600.0)
        with pytest.raises(
            SourceUnavailableError, match=f"{words}.*attempt 1; no time for another in 1 s"
        ):
            served.download(YEAR, tmp_path, within=0.6)
        assert len(server.asked) == 1
    assert (waits, list(tmp_path.iterdir())) == ([], [])


def test_the_next_attempt_succeeds_after_a_fault(storage: FolderStorage) -> None:
    waits: list[float] = []
    script = says(b"", 500), cut, says(b"busy", 429, Retry_After="7"), says(GOOD)
    with exchange(*script) as server:
        done = Ingest(storage, client(server, waits, backoff_seconds=1.0)).period(YEAR)
        asked = server.asked
    assert (done.rows, done.changed) == (2, True)
    assert waits == [1.0, 2.0, 7.0]
    assert {path for path, _ in asked} == {"/SerHist/COTAHIST_A2020.ZIP"}
    assert len(asked) == 4
    assert all("b3-asset-predict" in headers["User-Agent"] for _, headers in asked)


def test_an_answer_without_a_length_is_counted_while_it_arrives(storage: FolderStorage) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        with suppress(OSError):
            handler.wfile.write(b"PK\x03\x04" + bytes(3_000_000))

    with (
        exchange(endless) as server,
        pytest.raises(UnreadableFileError, match="1,000,000 are allowed"),
    ):
        Ingest(storage, client(server, max_bytes=1_000_000)).period(YEAR)


def test_a_day_is_asked_for_by_its_name_and_a_redirect_is_followed(storage: FolderStorage) -> None:
    there = zipped(cotahist([Quote(DAY)], 2020, "20200106"), "COTAHIST_D06012020.TXT")
    with exchange(says(b"", 302, Location="/elsewhere.ZIP"), says(there)) as server:
        done = Ingest(storage, client(server)).period(daily(DAY))
        assert [path for path, _ in server.asked] == [
            "/SerHist/COTAHIST_D06012020.ZIP",
            "/elsewhere.ZIP",
        ]
    assert (done.first_session, done.last_session) == ("2020-01-06", "2020-01-06")


def test_a_server_that_does_not_answer_is_an_unavailable_source(storage: FolderStorage) -> None:
    with exchange(says(GOOD)) as server:
        gone = client(server, attempts=2)
    with pytest.raises(SourceUnavailableError, match="attempt 2"):
        Ingest(storage, gone).period(YEAR)


@pytest.mark.parametrize(
    "address",
    ["file:///{period}", "http://x/A2020", "http://x/{year}", "http://{period}/{period}", ""],
)
def test_an_address_without_a_place_for_the_period_is_refused(address: str) -> None:
    with pytest.raises(InvalidParameterError, match="period"):
        QuoteServer(address)


def test_any_bytes_raise_an_error_of_our_own(storage: FolderStorage, tmp_path: Path) -> None:
    for number, junk in enumerate((b"PK\x03\x04junk", b"\x1f\x8bjunk", b"00junk\r\n", b"")):
        path = tmp_path / f"{number}.ZIP"
        path.write_bytes(junk)
        with pytest.raises(B3Error, match=path.name):
            Ingest(storage).file(path)
