"""The real template on the emulator, with a small lake of real quotes, once for all tests of this folder."""

# ruff: noqa: S113 - the reference's script gives its calls no time-out

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from paths import TEMPLATE
from pipeline_client import Client, storage_of
from pipeline_world import FOREST, TICKERS, faulty_template

from b3shared.core.config import BUNDLED_QUOTES
from b3shared.quotes.lake.write import write_lake
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage import Storage
from infra.local import LocalStack

LOCAL = {"Environment": "LOCAL", "WaitSeconds": "600", "ApiTimeout": "900"}


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory) -> Path:
    """The DuckDB file that the stack's runs are exported to."""
    return tmp_path_factory.mktemp("warehouse") / "b3.duckdb"


@pytest.fixture(scope="session")
def stack(warehouse) -> Iterator[LocalStack]:
    with LocalStack(TEMPLATE, LOCAL | {"MaxRunning": "4", "Warehouse": str(warehouse)}) as stack:
        write_lake(
            ParquetSource(BUNDLED_QUOTES).read(QuoteQuery(tickers=TICKERS)), storage_of(stack)
        )
        yield stack


@pytest.fixture(scope="session")
def storage(stack) -> Storage:
    """The stack's bucket."""
    return storage_of(stack)


@pytest.fixture(scope="session")
def api(stack) -> Client:
    return Client(stack)


@pytest.fixture(scope="session")
def full_run(api):
    """A run that complete-pipeline started and that has ended: the answer to the call, and the status at the end."""
    response = api.post("complete-pipeline", {"run_id": "full-run", **FOREST})
    return response, api.ended("full-run")


@pytest.fixture(scope="session")
def script(stack):
    """Every answer to the reference project's script: six POSTs in order, without polling."""
    api = f"{stack.api_url.replace('127.0.0.1', 'localhost')}/api/b3"
    answers = {
        "load": requests.post(f"{api}/load-data"),
        "preprocess": requests.post(f"{api}/preprocess-data"),
        "split": requests.post(f"{api}/split-data", json={"test_size": 0.2, "val_size": 0.2}),
        "train": requests.post(f"{api}/train-model", json=FOREST | {"n_jobs": 2}),
        "evaluate": requests.post(f"{api}/evaluate-model"),
        "save": requests.post(
            f"{api}/save-model",
            json={"model_dir": "models", "model_name": "b3_model_step_by_step.joblib"},
        ),
    }
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(
        answers, 200
    )
    return {name: answer.json() for name, answer in answers.items()}


@pytest.fixture(scope="session")
def faulty(tmp_path_factory) -> Iterator["Faulty"]:
    """A second stack whose faults are real: quotes in a file that need not be there, training cut after a second."""
    root = tmp_path_factory.mktemp("faulty")
    with LocalStack(faulty_template(TEMPLATE.parent, root), LOCAL | {"MaxRunning": "1"}) as stack:
        yield Faulty(stack, root / "quotes.parquet")


class Faulty:
    """The second stack and its one file of quotes."""

    def __init__(self, stack: LocalStack, quotes: Path) -> None:
        self.stack, self.api, self.storage, self._quotes = (
            stack,
            Client(stack),
            storage_of(stack),
            quotes,
        )

    def lose_quotes(self) -> None:
        self._quotes.unlink(missing_ok=True)

    def empty_quotes(self) -> None:
        """No quotes, and no hope that there will be some."""
        self._quotes.write_bytes(b"")

    def bring_quotes(self) -> None:
        arriving = self._quotes.with_suffix(".arriving")
        arriving.write_bytes(BUNDLED_QUOTES.read_bytes())
        arriving.replace(self._quotes)
