"""Writes the evaluations and requests of a run to a SQL warehouse (DuckDB or MotherDuck).

The tables are the reference project's, for people who read with SQL; nothing in this project reads
them. Without ``Settings.warehouse`` nothing is written.
"""

import json
from datetime import UTC, datetime
from typing import Any

import duckdb

from b3shared.core.errors import SourceUnavailableError
from b3shared.core.serialization import from_json, to_json
from b3shared.core.vocabulary import CLASSES
from b3shared.evaluation.files import METRICS_FILE, REPORT_FILE
from b3shared.params.steps import Step
from b3shared.runs.records import StepRecord
from b3shared.runs.run import Run
from b3shared.runs.state_machine import ALL, last_step_of
from b3shared.storage.database import first_line, open_database

EVALUATIONS = "b3_model_evaluation"
REQUESTS = "b3_training_requests"

_AVERAGES = ("macro_avg", "weighted_avg")
_SCORES = {"precision": "precision", "recall": "recall", "f1_score": "f1"}
"""Name of the column -> name of the metric of a class."""

_SCORE_COLUMNS = ", ".join(
    [f"{score}_{name} DOUBLE" for score in _SCORES for name in CLASSES]
    + [f"{average}_{score} DOUBLE" for average in _AVERAGES for score in _SCORES]
)

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS {EVALUATIONS} (
    evaluation_id VARCHAR PRIMARY KEY, model_name VARCHAR NOT NULL,
    evaluation_timestamp TIMESTAMP NOT NULL, dataset_type VARCHAR NOT NULL,
    visualization_path VARCHAR, metrics_json TEXT, {_SCORE_COLUMNS}, accuracy DOUBLE,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE SEQUENCE IF NOT EXISTS {REQUESTS}_log_id_seq;
CREATE TABLE IF NOT EXISTS {REQUESTS} (
    log_id INTEGER PRIMARY KEY DEFAULT nextval('{REQUESTS}_log_id_seq'), endpoint VARCHAR NOT NULL,
    request_payload JSON, response_payload JSON, status VARCHAR NOT NULL, error_message TEXT,
    timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
"""
"""The tables as the reference project creates them; existing ones are left as they are."""

Row = dict[str, Any]


def export_run(run: Run, execution: str, warehouse: str) -> dict[str, int]:
    """Write the evaluation and the outcome of an execution; writing them again changes nothing.

    Args:
        run: the run that the execution belongs to.
        execution: name of the execution.
        warehouse: DuckDB file or ``md:`` database.

    Returns:
        Number of rows written, by table.

    Raises:
        SourceUnavailableError: The warehouse cannot be opened or written.
    """
    evaluations = _evaluations(run)
    request = _request(run, execution)

    try:
        with open_database(warehouse, read_only=False) as connection:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)

            connection.execute("BEGIN")
            for row in evaluations:
                _insert(connection, EVALUATIONS, row, "INSERT OR REPLACE")
            connection.execute(
                f"DELETE FROM {REQUESTS} WHERE response_payload ->> 'execution' = ?", [execution]
            )
            _insert(connection, REQUESTS, request)
            connection.execute("COMMIT")
    except duckdb.Error as error:
        raise SourceUnavailableError(
            f"{warehouse} cannot be written: {first_line(error)}"
        ) from error
    return {EVALUATIONS: len(evaluations), REQUESTS: 1}


def _insert(
    connection: duckdb.DuckDBPyConnection, table: str, row: Row, verb: str = "INSERT"
) -> None:
    marks = ", ".join("?" for _ in row)
    connection.execute(
        f"{verb} INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values())
    )


def _evaluations(run: Run) -> list[Row]:
    """Return a row for the validation and one for the test part; none before the evaluation."""
    record = run.state()[Step.EVALUATE_MODEL].record
    if record is None:
        return []

    trained = run.effective_params(Step.TRAIN_MODEL)
    artifact = record.artifacts[METRICS_FILE]
    metrics = from_json(run.storage.read(artifact.key), artifact.key)["model"]

    return [
        {
            "evaluation_id": f"{run.run_id}-{record.input_hash[:16]}-{kind}",
            "model_name": trained.model_type,
            "evaluation_timestamp": _moment(record.finished_at),
            "dataset_type": kind,
            "visualization_path": _report(run, record),
            "metrics_json": json.dumps(metrics[part]),
            **_scores(metrics[part]),
        }
        for kind, part in (("validation", "val"), ("test", "test"))
    ]


def _scores(metrics: Row) -> Row:
    """Return precision, recall and F1 by class and on average, plain and weighted by support."""
    by_class = metrics["per_class"]
    row: Row = {}
    for column, metric in _SCORES.items():
        for name in CLASSES:
            row[f"{column}_{name}"] = by_class[name][metric]

    equal = [1] * len(CLASSES)
    support = [by_class[name]["support"] for name in CLASSES]
    for average, weights in zip(_AVERAGES, (equal, support), strict=True):
        for column, metric in _SCORES.items():
            weighted = (
                by_class[name][metric] * weight
                for name, weight in zip(CLASSES, weights, strict=True)
            )
            row[f"{average}_{column}"] = sum(weighted) / sum(weights)
    return row | {"accuracy": metrics["accuracy"]}


def _request(run: Run, execution: str) -> Row:
    """Return the row of an execution: what was asked for, and what came of it."""
    stop_after = last_step_of(execution)
    state = run.state()

    errors = [s.error for s in state.values() if s.error]
    error = max(errors, key=lambda found: str(found["at"]))["message"] if errors else None

    done = {
        str(step): s.record.summary for step, s in state.items() if s.record and s.status == "done"
    }
    last = list(done.values())[-1] if done else {}

    return {
        "endpoint": "complete-pipeline" if stop_after == ALL else stop_after.replace("_", "-"),
        "request_payload": to_json(run.params.model_dump(mode="json")).decode(),
        "response_payload": to_json(
            {"run_id": run.run_id, "execution": execution, "steps": list(done), "last": last}
        ).decode(),
        "status": "error" if error else "success",
        "error_message": error,
    }


def _report(run: Run, record: StepRecord) -> str:
    return f"{run.storage.url}/{record.artifacts[REPORT_FILE].key}"


def _moment(text: str) -> datetime:
    """Return a time in UTC without a zone, as the tables keep it."""
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
