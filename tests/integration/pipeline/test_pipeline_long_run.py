"""A run that six callers start at once, whose training is killed, and that is then continued.

The tests follow the life of that one run: their order is the order of what happens to it.
"""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pipeline_client import finished_at
from pipeline_world import FOREST, SLOW_FOREST
from waiting import until

from b3shared.params.steps import Step

BODY = {"run_id": "long-run", **SLOW_FOREST}
PROGRESS = "runs/long-run/steps/train_model.progress.json"


@pytest.fixture(scope="module")
def started(api):
    """The answers to six callers who started the complete pipeline at the same time."""
    gate = threading.Barrier(6)

    def start(_):
        gate.wait()
        return api.post("complete-pipeline", BODY)

    with ThreadPoolExecutor(6) as pool:
        return list(pool.map(start, range(6)))


@pytest.fixture(scope="module")
def killed(started, api, storage):
    """Status of the run after its training was killed while it was at work."""
    until(lambda: storage.exists(PROGRESS), "training")
    victims = list(api.workers("train_rf"))
    assert victims
    for victim in victims:
        victim.kill()
    return api.ended("long-run")


@pytest.fixture(scope="module")
def resumed(killed, api):
    """Answers to the same call again, and to a caller of a later step who waits meanwhile."""
    again = api.post("complete-pipeline", {"run_id": "long-run"})
    evaluated = api.post("evaluate-model", {"run_id": "long-run"})
    return again, evaluated


# -- while it runs


def test_racing_callers_start_one_execution_and_get_the_same_answer(started, api):
    assert [response.status_code for response in started] == [202] * 6
    arn = api.arn_of("long-run.all.1")
    assert {response.json()["execution_arn"] for response in started} == {arn}
    assert api.executions("long-run") == ["long-run.all.1"]


def test_the_same_call_starts_nothing_and_other_parameters_are_refused(started, api):
    status = api.status("long-run")
    assert status["running"] == ["long-run.all.1"]
    assert status["pipeline_state"]["training_status"] == "running"

    again = api.post("complete-pipeline", BODY)
    assert again.json()["execution_arn"] == api.arn_of("long-run.all.1")
    other = api.refused("complete-pipeline", BODY | FOREST)
    assert other[:2] == (409, "CONFLICT")
    assert api.executions("long-run") == ["long-run.all.1"]


def test_a_caller_who_does_not_want_to_wait_for_the_run_is_answered_at_once(started, api):
    response = api.post("evaluate-model", {"run_id": "long-run", "wait_seconds": 0})
    assert response.status_code == 202
    assert response.json()["training_status"] == "running"
    assert api.status("long-run")["running"] == ["long-run.all.1"]


# -- after the training was killed


def test_the_crash_is_recorded_with_its_reason(killed, api):
    assert api.describe("long-run.all.1")["status"] == "FAILED"
    assert killed["pipeline_state"]["training_status"] == "failed"

    step = killed["steps"]["train_model"]
    assert step["status"] == "failed"
    assert step["error"]["code"] == "CRASH"
    assert "Runtime exited with error: signal: killed" in step["error"]["message"]
    assert killed["pipeline_state"]["training_error"] == step["error"]["message"]
    assert killed["progress"] == 3 / len(Step)


def test_the_killed_step_left_nothing_that_looks_finished(killed, storage):
    assert not storage.exists("runs/long-run/steps/train_model.json")


def test_a_step_after_the_killed_one_is_refused_naming_it(killed, api):
    response = api.post("evaluate-model", {"run_id": "long-run"})
    assert (response.status_code, response.json()["details"]) == (409, {"missing": "train_model"})


# -- when the same call is made again


def test_a_caller_of_a_later_step_waits_for_the_run_and_gets_its_answer(resumed):
    again, evaluated = resumed
    assert again.status_code == 202
    assert evaluated.status_code == 200, evaluated.text
    assert evaluated.json()["evaluation_results"]["skill"]


def test_the_same_call_goes_on_where_the_run_stopped(killed, resumed, api):
    status = api.ended("long-run")
    assert status["progress"] == 1.0
    assert status["pipeline_state"]["training_status"] == "completed"
    assert "training_error" not in status["pipeline_state"]

    done = (Step.LOAD_DATA, Step.PREPROCESS_DATA, Step.SPLIT_DATA)
    before = finished_at(killed)
    after = finished_at(status)
    assert [after[step] for step in done] == [before[step] for step in done]

    outputs = [
        json.loads(event["lambdaFunctionSucceededEventDetails"]["output"])
        for event in api.history("long-run.all.2")
        if event["type"] == "LambdaFunctionSucceeded"
    ]
    passed = {output["step"] for output in outputs if output.get("before")}
    assert passed == {str(step) for step in done}
