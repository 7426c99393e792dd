"""Tables of the reference project's warehouse that a deployment may keep beside its bucket: evaluations and requests.

They are for those who look on with SQL; nothing in this project reads them. Without
``Settings.warehouse`` nothing is written.
"""

import json
from datetime import UTC, datetime
from typing import Any

import duckdb

from b3shared.core.errors import SourceUnavailableError
from b3shared.core.serialization import from_json, to_json
from b3shared.core.vocabulary import CLASSES
from b3shared.params.steps import Step
from b3shared.runs.records import StepRecord
from b3shared.runs.run import Run
from b3shared.runs.state_machine import ALL, last_step_of
from b3shared.storage.database import first_line, open_database

EVALUATIONS, REQUESTS = "b3_model_evaluation", "b3_training_requests"

_AVERAGES = ("macro_avg", "weighted_avg")
_SCORES = {"precision": "precision", "recall": "recall", "f1_score": "f1"}
"""Column's name -> figure of a class."""

_FIGURES = ", ".join(
    [f"{score}_{name} DOUBLE" for score in _SCORES for name in CLASSES]
    + [f"{average}_{score} DOUBLE" for average in _AVERAGES for score in _SCORES]
)

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS {EVALUATIONS} (
    evaluation_id VARCHAR PRIMARY KEY, model_name VARCHAR NOT NULL, evaluation_timestamp TIMESTAMP NOT NULL,
    dataset_type VARCHAR NOT NULL, visualization_path VARCHAR, metrics_json TEXT, {_FIGURES}, accuracy DOUBLE,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
CREATE SEQUENCE IF NOT EXISTS {REQUESTS}_log_id_seq;
CREATE TABLE IF NOT EXISTS {REQUESTS} (
    log_id INTEGER PRIMARY KEY DEFAULT nextval('{REQUESTS}_log_id_seq'), endpoint VARCHAR NOT NULL, request_payload JSON,
    response_payload JSON, status VARCHAR NOT NULL, error_message TEXT, timestamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
"""
"""As the reference project creates them; which exist already are left as they are."""

Row = dict[str, Any]


def export_run(run: Run, execution: str, warehouse: str) -> dict[str, int]:
    """Write what came of an execution; the same again changes nothing.

    Args:
        run: the run that it belongs to.
        execution: its name.
        warehouse: DuckDB file or ``md:`` database.

    Returns:
        Rows by table.

    Raises:
        SourceUnavailableError: The warehouse cannot be opened or written.
    """
    evaluations, request = _evaluations(run), _request(run, execution)
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
    """A row for the validation and one for the test part; none before the evaluation."""
    record = run.state()[Step.EVALUATE_MODEL].record
    if record is None:
        return []
    trained = run.effective_params(Step.TRAIN_MODEL)
    artifact = record.artifacts["metrics.json"]
    figures = from_json(run.storage.read(artifact.key), artifact.key)["model"]
    return [
        {
            "evaluation_id": f"{run.run_id}-{record.input_hash[:16]}-{kind}",
            "model_name": trained.model_type,
            "evaluation_timestamp": _moment(record.finished_at),
            "dataset_type": kind,
            "visualization_path": _report(run, record),
            "metrics_json": json.dumps(figures[part]),
            **_averages(figures[part]),
        }
        for kind, part in (("validation", "val"), ("test", "test"))
    ]


def _averages(figures: Row) -> Row:
    """Precision, recall and F1 by class, and their means, plain and weighted with the class's rows."""
    by_class = figures["per_class"]
    row: Row = {f"{c}_{name}": by_class[name][f] for c, f in _SCORES.items() for name in CLASSES}
    rows = [by_class[name]["support"] for name in CLASSES]
    for average, weights in zip(_AVERAGES, ([1] * len(CLASSES), rows), strict=True):
        for column, figure in _SCORES.items():
            values = [
                by_class[name][figure] * weight
                for name, weight in zip(CLASSES, weights, strict=True)
            ]
            row[f"{average}_{column}"] = sum(values) / sum(weights)
    return row | {"accuracy": figures["accuracy"]}


def _request(run: Run, execution: str) -> Row:
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
    return f"{run.storage.url}/{record.artifacts['report.html'].key}"


def _moment(text: str) -> datetime:
    """UTC without a zone, as the tables keep it."""
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
