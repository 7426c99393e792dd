"""A real local server that answers as the exchange's pages of listed companies do."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from exchange_answers import page

from b3shared.quotes.corporate_actions.announcements.calls import Call, Company

Reply = Callable[[BaseHTTPRequestHandler], None]

NAMES = {
    Call.CASH: "tradingName",
    Call.SUPPLEMENT: "issuingCompany",
    Call.DETAILS: "codeCVM",
}
"""Call -> the field of its question that names the company."""


class Exchange:
    """What the server answers, and what it was asked.

    Attributes:
        companies: of the list.
        answers: (call, what names the company) -> JSON value, or rows of a paged call.
        script: replies that come first, one a request, before any answer.
        asked: (call, question) of every request.
        page_size: rows a page; the question's own by default.
        over: set when the server ends, for replies that wait.
    """

    def __init__(self) -> None:
        self.companies: list[Company] = []
        self.answers: dict[tuple[str, str], Any] = {}
        self.script: list[Reply] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.page_size: int | None = None
        self.over = threading.Event()
        self.address = ""

    def has(self, company: Company, **answers: Any) -> None:
        """List a company with its answers: cash (rows), supplement and details (JSON values)."""
        self.companies.append(company)
        sent = company.trading_name.replace("/", "")
        names = {"cash": (Call.CASH, sent), "supplement": (Call.SUPPLEMENT, company.issuer)}
        names["details"] = (Call.DETAILS, company.code_cvm)
        for name, value in answers.items():
            self.answers[names[name]] = value

    def value(self, call: str, asked: dict[str, Any]) -> Any:
        """The JSON value of an answer; None for an empty body."""
        if asked.get("pageSize", 1) > 120:
            return None
        if call == Call.LIST:
            rows = [
                {
                    "issuingCompany": company.issuer,
                    "companyName": company.trading_name,
                    "tradingName": company.trading_name,
                    "codeCVM": company.code_cvm,
                }
                for company in self.companies
            ]
            return self._paged(rows, asked)
        found = self.answers.get((call, asked[NAMES[Call(call)]]))
        return self._paged(found, asked) if call == Call.CASH and found is not None else found

    def _paged(self, rows: list[dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
        size = self.page_size or asked["pageSize"]
        first = (asked["pageNumber"] - 1) * size
        part = rows[first : first + size]
        return page(part, asked["pageNumber"], records=len(rows), size=size)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Any = self.server
        exchange: Exchange = server.exchange
        _, _, call, query = self.path.rsplit("/", 3)
        asked = json.loads(base64.b64decode(query))
        exchange.asked.append((call, asked))
        exchange.headers.append(dict(self.headers))
        if exchange.script:
            exchange.script.pop(0)(self)
            return
        value = exchange.value(call, asked)
        says(b"" if value is None else json.dumps(value).encode())(self)

    def log_message(self, *_: object) -> None:
        pass


def says(body: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> Reply:
    """Reply with a body; the names of headers have "_" for "-"."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        sent = {"Content-Type": kind, "Content-Length": str(len(body))}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in sent.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return reply


def answers(value: Any) -> Reply:
    """Reply with a JSON value."""
    return says(json.dumps(value).encode())


def cut(handler: BaseHTTPRequestHandler) -> None:
    """Announce more than is sent."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"page": {"pageNumber": 1, ')
    handler.close_connection = True


def hangs(handler: BaseHTTPRequestHandler) -> None:
    """Answer nothing until the test is over."""
    server: Any = handler.server
    server.exchange.over.wait(30)
    handler.close_connection = True


@contextmanager
def exchange_server(port: int = 0) -> Iterator[Exchange]:
    """Serve an empty exchange."""
    exchange = Exchange()
    server: Any = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
    server.exchange = exchange
    exchange.address = f"http://127.0.0.1:{server.server_port}/CompanyCall/{{call}}/{{query}}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield exchange
    finally:
        exchange.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
