"""A real local server that answers as the central bank's series of the CDI does."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd

from b3shared.core.config import CDI_ADDRESS
from b3shared.quotes.market.central_bank import PATIENCE, RateServer


class Bank:
    """A server of rates: what it answers next, and the periods that it was asked for.

    It may also have files of quotes, by path.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.answers: list[tuple[int, bytes]] = []
        self.files: dict[str, bytes] = {}
        self.waits: list[float] = []
        self.address = ""

    def server(self, **bounds: Any) -> RateServer:
        return RateServer(self.address, replace(PATIENCE, **bounds), sleep=self.waits.append)

    def answer(self, start: str, end: str) -> tuple[int, bytes]:
        """The next answer that a test gave, else a rate for every weekday up to 2023-12-28."""
        self.asked.append((start, end))
        if self.answers:
            return self.answers.pop(0)
        days = pd.bdate_range(*(pd.to_datetime([start, end], format="%d/%m/%Y")))
        rows = [
            {"data": f"{day:%d/%m/%Y}", "valor": "0.043739"} for day in days[days <= "2023-12-28"]
        ]
        return (200, json.dumps(rows).encode()) if rows else (404, b'{"erro":"not found"}')


@contextmanager
def serving_bank() -> Iterator[Bank]:
    """Serve rates on this machine."""
    found = Bank()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            if query:
                status, body = found.answer(query["dataInicial"][0], query["dataFinal"][0])
            else:
                body = found.files.get(self.path, b"")
                status = 200 if body else 404
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    found.address = CDI_ADDRESS.replace(
        "https://api.bcb.gov.br", f"http://127.0.0.1:{server.server_port}"
    )
    yield found
    server.shutdown()
    server.server_close()
    thread.join()
