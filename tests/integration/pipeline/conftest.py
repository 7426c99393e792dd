"""Stacks of the real template, each started once for all tests of this folder."""

# ruff: noqa: S113 - the reference's script gives its calls no time-out

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from paths import TEMPLATE
from pipeline_client import Client, storage_of
from pipeline_world import FOREST, PATIENT, faulty_template, write_small_lake

from b3shared.core.config import BUNDLED_QUOTES
from b3shared.storage import Storage
from infra.local import LocalStack


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory) -> Path:
    """The DuckDB file that the stack's runs are exported to."""
    return tmp_path_factory.mktemp("warehouse") / "b3.duckdb"


@pytest.fixture(scope="session")
def stack(warehouse) -> Iterator[LocalStack]:
    """The template as it is, with the small lake."""
    parameters = PATIENT | {"MaxRunning": "4", "Warehouse": str(warehouse)}
    with LocalStack(TEMPLATE, parameters) as stack:
        write_small_lake(stack)
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
    """The answer to complete-pipeline, and the status of its run at the end."""
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
    statuses = {name: answer.status_code for name, answer in answers.items()}
    assert set(statuses.values()) == {200}, statuses

    return {name: answer.json() for name, answer in answers.items()}


@pytest.fixture(scope="session")
def faulty(tmp_path_factory) -> Iterator["Faulty"]:
    """A stack with real faults: its file of quotes may be absent, training ends after a second."""
    root = tmp_path_factory.mktemp("faulty")
    with LocalStack(faulty_template(TEMPLATE.parent, root), PATIENT | {"MaxRunning": "1"}) as stack:
        yield Faulty(stack, root / "quotes.parquet")


class Faulty:
    """The stack with faults and its one file of quotes."""

    def __init__(self, stack: LocalStack, quotes: Path) -> None:
        self.stack = stack
        self.api = Client(stack)
        self.storage = storage_of(stack)
        self._quotes = quotes

    def lose_quotes(self) -> None:
        """Remove the file: the source is unavailable."""
        self._quotes.unlink(missing_ok=True)

    def empty_quotes(self) -> None:
        """Make the file unreadable for good."""
        self._quotes.write_bytes(b"")

    def bring_quotes(self) -> None:
        """Put the bundled quotes there, in one move."""
        arriving = self._quotes.with_suffix(".arriving")
        arriving.write_bytes(BUNDLED_QUOTES.read_bytes())
        arriving.replace(self._quotes)
