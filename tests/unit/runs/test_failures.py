"""What a run says about an execution that failed."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from b3shared.core.errors import MissingSessionsError, NoQuotesError, RunFailedError
from b3shared.params.steps import Step
from b3shared.runs.failures import failed_step, reason, record_failure
from b3shared.runs.state_machine import Execution

BEFORE = "2020-01-01T00:00:00.000Z"


def later():
    return (datetime.now(UTC) + timedelta(seconds=1)).isoformat()


def lambda_error(kind, message):
    return {
        "Error": kind,
        "Cause": json.dumps({"errorMessage": message, "errorType": kind, "stackTrace": ["secret"]}),
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (
            lambda_error(
                "Runtime.ExitError", "RequestId: 1 Error: Runtime exited with error: signal: killed"
            ),
            "CRASH",
        ),
        (
            lambda_error(
                "Sandbox.Timedout", "RequestId: 1 Error: Task timed out after 1.00 seconds"
            ),
            "TIMEOUT",
        ),
        ({"Error": "States.Timeout", "Cause": ""}, "TIMEOUT"),
        ({"Error": "TOO_MANY_RUNS", "Cause": "a code already"}, "TOO_MANY_RUNS"),
        (lambda_error("TooManySlicesError", "48 calls"), "TOO_MANY_SLICES"),
        (lambda_error("ArtifactNotFoundError", "there is no 'inputs/x'"), "ARTIFACT_NOT_FOUND"),
        (lambda_error("InvalidParameterError", "not a step's request"), "INVALID_PARAMETER"),
        (lambda_error("Lambda.TooManyRequestsException", "Rate exceeded"), "RUN_FAILED"),
        ({}, "RUN_FAILED"),
    ],
)
def test_an_error_gets_the_code_that_it_has_elsewhere(run, finish_until, error, code):
    finish_until(run, Step.SPLIT_DATA)
    said = record_failure(run, error, BEFORE, Step.TRAIN_MODEL)
    assert (said["step"], said["code"]) == ("train_model", code)
    recorded = run.state()[Step.TRAIN_MODEL]
    assert recorded.status == "failed"
    assert recorded.error["code"] == code
    assert recorded.error["message"]
    assert "secret" not in json.dumps(recorded.error)


@pytest.mark.parametrize(
    ("last", "step"),
    [
        (None, "load_data"),
        ({"step": "split_data", "status": "done"}, "train_model"),
        ({"step": "train_model", "status": "partial"}, "train_model"),
        ({"step": "refit_model", "status": "partial"}, "refit_model"),
        ({"step": "save_model", "status": "done"}, "publish_serving"),
    ],
)
def test_the_failed_step_is_the_one_after_the_last_that_was_done_or_the_partial_one(last, step):
    assert failed_step(last) == step


def test_a_step_that_crashes_when_it_is_run_again_failed_although_its_last_record_holds(
    run, finish_until
):
    finish_until(run, Step.EVALUATE_MODEL)
    said = record_failure(
        run, lambda_error("Runtime.ExitError", "killed"), BEFORE, Step.TRAIN_MODEL
    )
    assert said["step"] == "train_model"
    assert run.state()[Step.TRAIN_MODEL].error["code"] == "CRASH"
    assert run.state()[Step.REFIT_MODEL].error is None


def test_an_error_that_the_step_recorded_in_this_execution_stays(run):
    run.fail(Step.LOAD_DATA, NoQuotesError("nothing there", source="lake"))
    said = record_failure(run, lambda_error("NoQuotesError", "other words"), BEFORE, Step.LOAD_DATA)
    assert said == {
        "run_id": "r1",
        "step": "load_data",
        "code": "NO_QUOTES",
        "message": "nothing there",
    }
    assert run.state()[Step.LOAD_DATA].error["details"] == {"source": "lake"}


def test_an_error_of_an_earlier_execution_is_replaced(run):
    run.fail(Step.LOAD_DATA, NoQuotesError("nothing there"))
    assert (
        record_failure(run, {"Error": "States.Timeout"}, later(), Step.LOAD_DATA)["code"]
        == "TIMEOUT"
    )


def test_a_crash_after_a_recorded_and_retried_error_is_the_reason(run):
    run.fail(Step.LOAD_DATA, NoQuotesError("first attempt"))
    assert (
        record_failure(run, lambda_error("Runtime.ExitError", "killed"), BEFORE, Step.LOAD_DATA)[
            "code"
        ]
        == "CRASH"
    )


def test_the_reason_of_an_execution_is_the_newest_error_of_its_run(run, finish_until):
    finish_until(run, Step.TRAIN_MODEL)
    run.fail(Step.TRAIN_MODEL, "an earlier attempt with other parameters", code="CRASH")
    run.fail(Step.EVALUATE_MODEL, "this one", code="SINGLE_CLASS")
    error = reason(run, Execution("a", "r1.evaluate_model.1", "FAILED"))
    assert (error.code, error.message) == ("SINGLE_CLASS", "evaluate_model: this one")


def test_the_reason_of_an_execution_without_a_recorded_error_is_how_it_ended(run):
    error = reason(run, Execution("a", "r1.all.1", "ABORTED"))
    assert error.code == "RUN_FAILED"
    assert "r1.all.1" in error.message
    assert "ABORTED" in error.message


def test_the_reason_has_the_recorded_code_and_does_not_change_the_error_class(run):
    run.fail(Step.LOAD_DATA, MissingSessionsError("two are missing", missing=["2023-12-27"]))
    error = reason(run, Execution("a", "r1.load_data.1", "FAILED"))
    assert (error.code, error.details) == ("MISSING_SESSIONS", {"missing": ["2023-12-27"]})
    assert type(error).code == RunFailedError.code == "RUN_FAILED"
