"""With a warehouse, every execution leaves its SQL rows there, successful or not."""

import json
from pathlib import Path

import duckdb
import pytest
from waiting import until

from b3shared.pipeline.export_run import EVALUATIONS, REQUESTS


def rows(warehouse: Path, sql: str, value: str) -> list[dict]:
    """Rows of a query, as soon as no execution writes: DuckDB opens a file for one process only."""

    def read() -> tuple[list[dict]] | None:
        try:
            with duckdb.connect(str(warehouse), read_only=True) as connection:
                return (connection.execute(sql, [value]).df().to_dict("records"),)
        except duckdb.IOException:
            return None

    (found,) = until(read, f"reading {warehouse}")
    return found


def requests_of(warehouse: Path, execution: str) -> list[dict]:
    return rows(
        warehouse, f"SELECT * FROM {REQUESTS} WHERE response_payload ->> 'execution' = ?", execution
    )


def test_a_successful_run_is_exported_with_both_evaluations(full_run, warehouse):
    (request,) = requests_of(warehouse, "full-run.all.1")

    assert (request["endpoint"], request["status"], request["error_message"]) == (
        "complete-pipeline",
        "success",
        None,
    )
    assert json.loads(request["response_payload"])["last"]["published"] is True
    found = rows(
        warehouse,
        f"SELECT * FROM {EVALUATIONS} WHERE evaluation_id LIKE ? ORDER BY 1",
        "full-run-%",
    )
    assert [(row["dataset_type"], row["model_name"]) for row in found] == [
        ("test", "rf"),
        ("validation", "rf"),
    ]


def test_a_failed_run_is_exported_with_its_reason_and_stays_failed(api, warehouse):
    api.post("complete-pipeline", {"run_id": "never-there", "tickers": ["ZZZZ3"]})
    status = api.ended("never-there")
    assert status["pipeline_state"]["training_status"] == "failed"
    (request,) = requests_of(warehouse, "never-there.all.1")
    assert request["status"] == "error"
    assert "ZZZZ3" in request["error_message"]


@pytest.fixture
def lost_warehouse(warehouse):
    """The warehouse cannot be opened for a while: a folder lies where its file was."""
    kept = warehouse.with_suffix(".kept")
    if warehouse.exists():
        warehouse.rename(kept)
    warehouse.mkdir()
    yield
    warehouse.rmdir()
    if kept.exists():
        kept.rename(warehouse)


@pytest.fixture
def notified(stack):
    """A function that waits for messages of the failure topic and gives them by subject."""
    sqs = stack.client("sqs")
    queue = sqs.create_queue(QueueName="onlooker")["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    arn = found["Attributes"]["QueueArn"]
    topic = stack.outputs["FailureTopicArn"]
    answer = stack.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    subscription = answer["SubscriptionArn"]

    def received():
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        return {
            body["Subject"]: body["Message"]
            for body in (json.loads(message["Body"]) for message in found)
        }

    yield lambda: until(received, "a notification")
    stack.client("sns").unsubscribe(SubscriptionArn=subscription)
    sqs.delete_queue(QueueUrl=queue)


def test_a_run_that_cannot_be_exported_ends_as_usual_and_is_notified(api, lost_warehouse, notified):
    api.ok("load-data", {"run_id": "kept-back"})
    messages = notified()
    assert list(messages) == ["B3 Asset Predict run kept-back not exported"]
    reason = json.loads(messages["B3 Asset Predict run kept-back not exported"])
    assert reason["Error"] == "SourceUnavailableError"
    assert "b3.duckdb cannot be opened" in reason["Cause"]
    until(lambda: not api.status("kept-back")["running"], "the end of the run")
    assert api.describe("kept-back.load_data.1")["status"] == "SUCCEEDED"
    assert "error" not in api.status("kept-back")["steps"]["load_data"]
