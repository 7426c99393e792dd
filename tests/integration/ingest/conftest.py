"""The real template on the emulator, with a server of the exchange's files and a live version."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from cotahist_text import Quote, cotahist, zipped
from exchange_server import Exchange as Companies
from exchange_server import exchange_server
from paths import TEMPLATE
from pipeline_client import storage_of
from pipeline_world import PATIENT, write_small_lake
from small_run import SMALL
from waiting import until

from b3shared.registry.release import Release
from b3shared.storage import Storage
from infra.local import LocalStack


@dataclass
class Market:
    """The deployment, its bucket, and what the exchange publishes."""

    stack: LocalStack
    storage: Storage
    companies: Companies
    published: dict[str, bytes] = field(default_factory=dict)

    def day(self, day: date) -> bytes:
        """A daily file with a quote of every ticker."""
        return cotahist(
            [Quote(day, ticker, 30.0) for ticker in SMALL["tickers"]], day.year, f"{day:%Y%m%d}"
        )

    def zipped_day(self, day: date) -> bytes:
        """The daily file as the exchange sends it."""
        return zipped(self.day(day), f"COTAHIST_D{day:%d%m%Y}.TXT")

    def publish(self, year: int, days: list[date]) -> None:
        """Publish an annual file at the exchange."""
        quotes = [Quote(day, ticker, 30.0) for day in days for ticker in SMALL["tickers"]]
        self.published[f"/COTAHIST_A{year}.ZIP"] = zipped(
            cotahist(quotes, year), f"COTAHIST_A{year}.TXT"
        )

    def ended(self, before: int) -> str:
        """Status of the newest execution of the ingest, once more than ``before`` have ended."""
        until(
            lambda: len(self.executions()) > before and "RUNNING" not in self.executions(),
            "the end of the execution",
        )
        return self.executions()[0]

    def executions(self) -> list[str]:
        """Status of every execution of the ingest, newest first."""
        arn = self.stack.outputs["IngestArn"]
        found = self.stack.client("stepfunctions").list_executions(stateMachineArn=arn)[
            "executions"
        ]
        return [e["status"] for e in sorted(found, key=lambda e: e["startDate"], reverse=True)]

    def newest_error(self) -> dict[str, Any]:
        """Error and cause of the newest execution of the ingest."""
        client = self.stack.client("stepfunctions")
        found = client.list_executions(stateMachineArn=self.stack.outputs["IngestArn"])[
            "executions"
        ]
        newest: str = max(found, key=lambda e: e["startDate"])["executionArn"]
        return dict(client.describe_execution(executionArn=newest))


@pytest.fixture(scope="session")
def market() -> Iterator[Market]:
    """The real template on the emulator after a run, with the exchange on this machine."""
    published: dict[str, bytes] = {}

    class Exchange(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = published.get(self.path, b"")
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Exchange)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/COTAHIST_{{period}}.ZIP"
    with (
        exchange_server() as companies,
        LocalStack(
            TEMPLATE,
            PATIENT
            | {
                "CotahistAddress": address,
                "CompaniesAddress": companies.address,
                "CompaniesPace": "20",
            },
        ) as stack,
    ):
        storage = storage_of(stack)
        write_small_lake(stack)
        answer = requests.post(f"{stack.api_url}/api/b3/complete-pipeline", json=SMALL, timeout=60)
        assert answer.status_code == 202, answer.text
        machine = stack.client("stepfunctions")
        run = answer.json()["execution_arn"]
        until(
            lambda: machine.describe_execution(executionArn=run)["status"] != "RUNNING",
            "the end of the run",
            300,
        )
        assert Release(storage).state().snapshot
        yield Market(stack, storage, companies, published)
    server.shutdown()
    server.server_close()
