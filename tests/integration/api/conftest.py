"""The real template on the emulator with one finished run of eight tickers, for everything that is asked over HTTP."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from api_stack import ORIGIN, bucket
from paths import ROOT
from schemathesis.pytest.plugin import SchemathesisFunction
from small_run import SMALL
from waiting import until

from b3shared.core.config import BUNDLED_QUOTES
from b3shared.quotes.lake.write import write_lake
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from infra.local import LocalStack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Schemathesis gives the tests of all operations one id; of tests with one id pytest-xdist does the first only."""
    for item in items:
        if isinstance(item, SchemathesisFunction):
            item._id = item.id.with_params(item.operation_label)


@pytest.fixture(scope="session")
def served() -> Iterator[LocalStack]:
    """The stack, after a run: a version is live and a snapshot is published."""
    parameters = {
        "Environment": "LOCAL",
        "WaitSeconds": "20",
        "ApiTimeout": "60",
        "MaxRunning": "1",
        "AllowedOrigin": ORIGIN,
    }
    with LocalStack(ROOT / "template.yaml", parameters) as stack:
        write_lake(
            ParquetSource(BUNDLED_QUOTES).read(QuoteQuery(tickers=tuple(SMALL["tickers"]))),
            bucket(stack),
        )
        forest = {name: value for name, value in SMALL.items() if name != "tickers"}
        started = requests.post(
            f"{stack.api_url}/api/b3/complete-pipeline", json=forest, timeout=60
        )
        assert started.status_code == 202, started.text

        def ended() -> dict[str, Any] | None:
            status = requests.get(f"{stack.api_url}/api/b3/pipeline-status", timeout=60).json()
            return None if status["pipeline_state"]["training_status"] == "running" else status

        status = until(ended, "the end of the run", 300)
        assert status["pipeline_state"]["training_status"] == "completed", status
        yield stack
