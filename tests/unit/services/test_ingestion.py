"""Files that the exchange lacks are reported, and it is an error if it has none."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cotahist_text import Quote, cotahist, zipped

from b3shared.cli import main as cli
from b3shared.core.clock import today
from b3shared.core.config import Settings
from b3shared.core.errors import NotPublishedError
from b3shared.quotes.calendar import sessions
from b3shared.services import B3IngestionService

LAST = sessions(today() - timedelta(days=20), today()).tolist()[-3:]
"""Few enough that daily files are asked for, unless a month begins among them."""


@dataclass
class Exchange:
    """A server with the files that a test gives it; all others are 404."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)

    def publish(self, day: date) -> None:
        name = f"D{day:%d%m%Y}"
        self.files[name] = zipped(cotahist([Quote(day)], day.year), f"COTAHIST_{name}.TXT")


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    told = Exchange()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = told.files.get(self.path.removeprefix("/").removesuffix(".ZIP"))
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    told.address = f"http://127.0.0.1:{server.server_port}/{{period}}.ZIP"
    yield told
    server.shutdown()
    server.server_close()
    thread.join()


def service(exchange: Exchange, tmp_path: Path) -> B3IngestionService:
    return B3IngestionService(Settings(storage=str(tmp_path), cotahist_address=exchange.address))


def test_a_day_from_which_nothing_is_published_is_an_error_that_says_what_was_asked_for(
    exchange: Exchange, tmp_path: Path
) -> None:
    asking = service(exchange, tmp_path)
    with pytest.raises(
        NotPublishedError, match=f"since = {LAST[0]}: of .* files asked for, the first .* none is"
    ) as caught:
        list(asking.ingest_published(since=LAST[0]))
    assert exchange.address in caught.value.message
    assert {f"D{day:%d%m%Y}" for day in LAST} <= set(asking.not_published)
    assert caught.value.details == {"not_published": asking.not_published}


def test_files_that_are_not_published_beside_others_are_told(
    exchange: Exchange, tmp_path: Path
) -> None:
    exchange.publish(LAST[0])
    asking = service(exchange, tmp_path)
    assert [file["first_session"] for file in asking.ingest_published(since=LAST[0])] == [
        str(LAST[0])
    ]
    assert {f"D{day:%d%m%Y}" for day in LAST[1:]} <= set(asking.not_published)
    assert f"D{LAST[0]:%d%m%Y}" not in asking.not_published
    assert list(asking.ingest_published()) == [], "what the lake lacks may come later: no error"
    assert {f"D{day:%d%m%Y}" for day in LAST[1:]} <= set(asking.not_published)


def test_the_command_line_says_what_is_not_published(
    exchange: Exchange,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("B3_COTAHIST_ADDRESS", exchange.address)
    words = ["--storage", str(tmp_path), "ingest"]
    assert cli.main([*words, "--since", str(LAST[0])]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"NOT_PUBLISHED: since = {LAST[0]}: of ")
    assert said.err.count("\n") == 1
    exchange.publish(LAST[0])
    assert cli.main([*words, "--since", str(LAST[0])]) == 0
    assert f"D{LAST[2]:%d%m%Y}" in capsys.readouterr().out.partition("not published: ")[2]
