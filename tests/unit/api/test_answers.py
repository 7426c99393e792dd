"""The answers of the control API, filled from a run's records."""

import inspect

import pytest
from control_api import checked

from b3shared.api.answers import status_answer, step_answer
from b3shared.api.errors import HTTP_STATUS, error_body
from b3shared.core import errors
from b3shared.core.errors import B3Error, NoQuotesError
from b3shared.params.steps import Step


def test_an_error_has_one_form():
    assert error_body("X", "why") == {"status": "error", "code": "X", "message": "why"}
    assert error_body("X", "why", {"a": 1})["details"] == {"a": 1}


def test_every_error_but_four_has_an_http_status():
    ours = {
        e.code for _, e in inspect.getmembers(errors, inspect.isclass) if issubclass(e, B3Error)
    }
    assert ours - HTTP_STATUS.keys() == {
        "B3_ERROR",
        "RUN_FAILED",
        "PARITY_FAILED",
        "ARTIFACT_CORRUPT",
    }
    assert set(HTTP_STATUS.values()) <= {404, 409, 413, 422, 429, 503, 507}


def test_the_steps_answer_with_the_fields_of_the_reference(run, finish_until):
    finish_until(run, Step.PUBLISH_SERVING)
    fields = {
        Step.LOAD_DATA: {"data_shape": [1000, 3], "columns": ["ticker", "date", "close"]},
        Step.PREPROCESS_DATA: {
            "features_shape": [900, 2],
            "target_distribution": {"buy": 300, "sell": 300, "hold": 300},
        },
        Step.SPLIT_DATA: {"train_size": 540, "validation_size": 180, "test_size": 180},
        Step.TRAIN_MODEL: {"model_type": "rf", "training_status": "completed"},
        Step.SAVE_MODEL: {"model_path": "models/rf/v/b3_model.joblib"},
    }
    for step, expected in fields.items():
        _, answer = checked(step_answer(run, step, run.record(step)))
        assert answer.items() >= ({"status": "success", "run_id": "r1"} | expected).items()
    _, answer = checked(step_answer(run, Step.EVALUATE_MODEL, run.record(Step.EVALUATE_MODEL)))

    assert answer["evaluation_results"]["skill"] == "none"
    assert list(answer["report_paths"]) == ["evaluate_model.bin"]


def state(run, running=()):
    return checked(status_answer(run, list(running)))[1]


def test_progress_counts_the_steps_that_are_done(run, finish_until):
    assert state(run)["progress"] == 0
    finish_until(run, Step.SPLIT_DATA)
    assert state(run)["progress"] == 0.375
    assert state(run)["pipeline_state"]["training_status"] == "not started"
    finish_until(run, Step.PUBLISH_SERVING)
    assert state(run)["progress"] == 1
    assert state(run)["pipeline_state"]["training_status"] == "completed"


def test_a_failure_is_reported_until_the_run_goes_on_from_there(run, finish_until):
    finish_until(run, Step.LOAD_DATA)
    run.fail(Step.PREPROCESS_DATA, NoQuotesError("none left"))
    assert state(run)["pipeline_state"]["training_status"] == "failed"
    assert state(run)["pipeline_state"]["training_error"] == "none left"
    assert state(run)["steps"]["preprocess_data"]["error"]["code"] == "NO_QUOTES"
    finish_until(run, Step.PREPROCESS_DATA)
    assert state(run)["pipeline_state"]["training_status"] == "not started"
    assert "training_error" not in state(run)["pipeline_state"]


def test_a_failed_second_attempt_at_a_step_is_forgotten_once_a_later_step_has_finished(
    run, finish_until
):
    finish_until(run, Step.TRAIN_MODEL)
    run.fail(Step.TRAIN_MODEL, "with other parameters", code="CRASH")
    assert state(run)["pipeline_state"]["training_status"] == "failed"
    finish_until(run, Step.PUBLISH_SERVING)
    assert state(run)["pipeline_state"]["training_status"] == "completed"
    assert "training_error" not in state(run)["pipeline_state"]


def test_the_newest_of_several_failures_is_reported(run, finish_until):
    finish_until(run, Step.TRAIN_MODEL)
    run.fail(Step.EVALUATE_MODEL, "older")
    run.fail(Step.TRAIN_MODEL, "newer")
    assert state(run)["pipeline_state"]["training_error"] == "newer"


def test_a_running_run_does_not_report_an_earlier_failure(run):
    run.fail(Step.LOAD_DATA, "before")
    told = state(run, ["r1.all.2"])
    assert told["pipeline_state"]["training_status"] == "running"
    assert told["running"] == ["r1.all.2"]
    assert "training_error" not in told["pipeline_state"]


@pytest.mark.parametrize("words", [{"phase": "search", "done": 3, "total": 18}])
def test_progress_inside_a_step_is_passed_on(run, words):
    run.progress(Step.LOAD_DATA, words)
    assert state(run)["steps"]["load_data"]["progress"].items() >= words.items()
