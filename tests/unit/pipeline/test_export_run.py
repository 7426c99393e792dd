"""Evaluations and requests become SQL rows, once each; an unreachable warehouse is an error."""

import json
from pathlib import Path

import duckdb
import pytest
from small_run import SMALL

from b3shared.core.config import Settings
from b3shared.core.errors import SourceUnavailableError
from b3shared.core.serialization import from_json
from b3shared.core.vocabulary import CLASSES
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline import run_pipeline
from b3shared.pipeline.export_run import EVALUATIONS, REQUESTS, export_run
from b3shared.runs.run import Run
from b3shared.storage import open_storage


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("evaluated")
    run = Run.create(open_storage(folder), "first", PipelineParams.from_values(SMALL))
    run_pipeline(run, settings=Settings(storage=str(folder)), stop_after=Step.EVALUATE_MODEL)
    return run


@pytest.fixture
def warehouse(tmp_path: Path) -> str:
    return str(tmp_path / "b3.duckdb")


def rows(warehouse: str, table: str) -> list[dict]:
    with duckdb.connect(warehouse, read_only=True) as connection:
        return connection.execute(f"SELECT * FROM {table} ORDER BY 1").df().to_dict("records")


def test_both_parts_are_written_with_the_figures_of_the_evaluation(
    evaluated: Run, warehouse: str
) -> None:
    assert export_run(evaluated, "first.evaluate_model.1", warehouse) == {
        EVALUATIONS: 2,
        REQUESTS: 1,
    }

    test, validation = rows(warehouse, EVALUATIONS)

    assert (test["dataset_type"], validation["dataset_type"]) == ("test", "validation")

    record = evaluated.record(Step.EVALUATE_MODEL)
    key = record.artifacts["metrics.json"].key
    figures = from_json(evaluated.storage.read(key), key)["model"]
    for row, part in ((test, "test"), (validation, "val")):
        assert json.loads(row["metrics_json"]) == figures[part]
        assert row["accuracy"] == figures[part]["accuracy"]
        assert row["macro_avg_f1_score"] == pytest.approx(figures[part]["macro_f1"], abs=1e-12)
        assert row["weighted_avg_f1_score"] == pytest.approx(
            figures[part]["weighted_f1"], abs=1e-12
        )
        for name in CLASSES:
            assert row[f"recall_{name}"] == figures[part]["per_class"][name]["recall"]

    assert evaluated.storage.exists(
        test["visualization_path"].removeprefix(f"{evaluated.storage.url}/")
    )


def test_exporting_an_execution_twice_leaves_one_row_and_another_adds_one(
    evaluated: Run, warehouse: str
) -> None:
    for execution in ("first.evaluate_model.1", "first.evaluate_model.1", "first.all.1"):
        export_run(evaluated, execution, warehouse)
    assert len(rows(warehouse, EVALUATIONS)) == 2
    first, second = rows(warehouse, REQUESTS)
    assert (first["endpoint"], second["endpoint"]) == ("evaluate-model", "complete-pipeline")
    assert json.loads(first["request_payload"])["tickers"] == sorted(SMALL["tickers"])
    assert json.loads(first["response_payload"])["steps"][-1] == "evaluate_model"
    assert (first["status"], first["error_message"]) == ("success", None)


def test_a_run_that_failed_early_is_a_request_with_its_error_and_no_evaluation(
    tmp_path: Path, warehouse: str
) -> None:
    run = Run.create(open_storage(tmp_path / "store"), "failed", PipelineParams.from_values(SMALL))
    run.fail(Step.LOAD_DATA, "the source is 'away'; try later", code="SOURCE_UNAVAILABLE")
    assert export_run(run, "failed.all.1", warehouse) == {EVALUATIONS: 0, REQUESTS: 1}
    (row,) = rows(warehouse, REQUESTS)
    assert (row["status"], row["error_message"]) == ("error", "the source is 'away'; try later")


def test_an_execution_started_by_hand_is_recorded_as_a_request_for_all_steps(
    evaluated: Run, warehouse: str
) -> None:
    name = "5b0ad9a2-0d2e-4b6a-9d3c-0f6a4f2c7e11"
    export_run(evaluated, name, warehouse)
    (row,) = rows(warehouse, REQUESTS)
    assert (row["endpoint"], json.loads(row["response_payload"])["execution"]) == (
        "complete-pipeline",
        name,
    )


def test_tables_of_the_reference_project_with_rows_of_its_own_are_kept(
    evaluated: Run, warehouse: str
) -> None:
    with duckdb.connect(warehouse) as connection:
        connection.execute(f"CREATE SEQUENCE {REQUESTS}_log_id_seq")
        connection.execute(
            f"CREATE TABLE {REQUESTS} ("
            f"log_id INTEGER PRIMARY KEY DEFAULT nextval('{REQUESTS}_log_id_seq'), "
            "endpoint VARCHAR NOT NULL, request_payload JSON, response_payload JSON, "
            "status VARCHAR NOT NULL, error_message TEXT, "
            "timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP)"
        )
        connection.execute(
            f"INSERT INTO {REQUESTS} (endpoint, status) VALUES ('train-model', 'success')"
        )
    export_run(evaluated, "first.all.1", warehouse)

    assert [row["endpoint"] for row in rows(warehouse, REQUESTS)] == [
        "train-model",
        "complete-pipeline",
    ]


def test_a_warehouse_that_cannot_be_written_is_a_retryable_error(
    evaluated: Run, tmp_path: Path
) -> None:
    (tmp_path / "b3.duckdb").mkdir()
    with pytest.raises(SourceUnavailableError, match=r"b3\.duckdb cannot be opened"):
        export_run(evaluated, "first.all.1", str(tmp_path / "b3.duckdb"))
