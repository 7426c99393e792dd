"""Faults of a run: an unavailable source, a time-out, too many runs; and who is notified."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from pipeline_world import SLOW_FOREST, TICKERS
from waiting import until

from b3shared.params.run import PipelineParams
from b3shared.runs.run import Run
from b3shared.runs.starter import execution_input


@pytest.fixture(scope="module")
def notified(faulty):
    """A function that waits for what a subscriber of the failure topic gets about a run."""
    sqs = faulty.stack.client("sqs")
    sns = faulty.stack.client("sns")
    queue = sqs.create_queue(QueueName="operator")["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    arn = found["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=faulty.stack.outputs["FailureTopicArn"], Protocol="sqs", Endpoint=arn)
    received = []

    def of(run_id):
        subject = f"B3 Asset Predict run {run_id} failed"

        def arrived():
            answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
            received.extend(json.loads(m["Body"]) for m in answer.get("Messages", []))
            return [message for message in received if message["Subject"] == subject]

        return until(arrived, f"a notification of {run_id}")

    return of


def retries(faulty, execution):
    return [e["type"] for e in faulty.api.history(execution)].count("LambdaFunctionFailed")


@pytest.fixture(scope="module")
def waiting(faulty):
    """Answers to callers while a run waits for its source, which comes back meanwhile."""
    faulty.lose_quotes()
    api = faulty.api

    with ThreadPoolExecutor(2) as pool:
        load = pool.submit(
            api.post, "load-data", {"run_id": "patient", **SLOW_FOREST, "tickers": TICKERS}
        )
        until(lambda: api.executions("patient"), "the start of the run")
        until(lambda: retries(faulty, "patient.load_data.1"), "a failure of the source")
        at_once = api.post("preprocess-data", {"run_id": "patient", "wait_seconds": 0})
        one_too_many = api.post("load-data", {"run_id": "impatient"})
        next_step = pool.submit(api.post, "preprocess-data", {"run_id": "patient"})
        still_running = api.status("patient")["running"]
        faulty.bring_quotes()
        return {
            "load": load.result(),
            "at_once": at_once,
            "one_too_many": one_too_many,
            "next": next_step.result(),
            "still_running": still_running,
        }


def test_an_unavailable_source_is_retried_until_it_answers(waiting, faulty):
    assert waiting["load"].status_code == 200, waiting["load"].text
    assert retries(faulty, "patient.load_data.1") >= 1
    assert faulty.api.executions("patient")[0] == "patient.load_data.1"
    assert faulty.api.describe("patient.load_data.1")["status"] == "SUCCEEDED"


def test_a_retry_that_succeeds_leaves_no_failure(waiting, faulty):
    state = faulty.api.status("patient")
    assert "error" not in state["steps"]["load_data"]
    assert "training_error" not in state["pipeline_state"]


def test_a_caller_who_does_not_want_to_wait_is_answered_at_once(waiting):
    assert waiting["at_once"].status_code == 202
    assert waiting["at_once"].json()["execution_arn"].endswith(":patient.load_data.1")


def test_a_caller_of_the_next_step_waits_for_the_one_before(waiting):
    assert waiting["still_running"] == ["patient.load_data.1"]
    assert waiting["next"].status_code == 200, waiting["next"].text
    assert waiting["next"].json()["features_shape"]


def test_one_run_more_than_allowed_is_refused(waiting, faulty):
    assert waiting["one_too_many"].status_code == 429
    assert waiting["one_too_many"].json()["code"] == "TOO_MANY_RUNS"
    assert waiting["one_too_many"].json()["details"] == {"running": ["patient.load_data.1"]}
    assert faulty.api.executions("impatient") == []


def test_a_time_out_is_recorded_and_notified(waiting, faulty, notified):
    api = faulty.api
    api.ok("split-data", {"run_id": "patient"})
    status, code, message = api.refused("train-model", {"run_id": "patient"})
    assert (status, code) == (500, "TIMEOUT")
    assert "timed out after 1.00 seconds" in message
    assert api.describe("patient.train_model.1")["error"] == "Sandbox.Timedout"
    assert api.status("patient")["steps"]["train_model"]["error"]["code"] == "TIMEOUT"
    (notification,) = notified("patient")
    message = json.loads(notification["Message"])
    assert (message["step"], message["code"]) == ("train_model", "TIMEOUT")
    assert message["message"] == api.status("patient")["pipeline_state"]["training_error"]


def test_a_failure_that_cannot_be_recorded_is_notified_all_the_same(faulty, notified):
    # never created: there is nowhere to record anything
    run = Run(faulty.storage, "nobody-s", PipelineParams(), {})
    assert faulty.api.start("nobody-s.all.1", execution_input(run, None, {}, {})) == "FAILED"
    assert faulty.api.describe("nobody-s.all.1")["error"] == "UnknownRunError"
    assert "nobody-s" in notified("nobody-s")[0]["Message"]


def test_a_permanent_error_is_not_retried(waiting, faulty, notified):
    api = faulty.api
    assert api.refused("load-data", {"run_id": "hopeless", "tickers": ["ZZZZ9"]})[0] == 422
    assert retries(faulty, "hopeless.load_data.1") == 1
    assert json.loads(notified("hopeless")[0]["Message"])["code"] == "NO_QUOTES"
