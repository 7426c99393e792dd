"""The real template on the emulator with one finished run of eight tickers, for everything that is asked over HTTP."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from api_stack import ORIGIN, bucket
from small_run import SMALL

from b3shared.config import BUNDLED_QUOTES
from b3shared.quotes.lake import write_lake
from b3shared.quotes.sources import ParquetSource, QuoteQuery
from infra.local import LocalStack

ROOT = Path(__file__).resolve().parents[3]


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
        write_lake(ParquetSource(BUNDLED_QUOTES).read(QuoteQuery(tickers=tuple(SMALL["tickers"]))), bucket(stack))
        forest = {name: value for name, value in SMALL.items() if name != "tickers"}
        started = requests.post(f"{stack.api_url}/api/b3/complete-pipeline", json=forest, timeout=60)
        assert started.status_code == 202, started.text
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            status = requests.get(f"{stack.api_url}/api/b3/pipeline-status", timeout=60).json()
            if status["pipeline_state"]["training_status"] != "running":
                break
            time.sleep(0.3)
        assert status["pipeline_state"]["training_status"] == "completed", status
        yield stack
