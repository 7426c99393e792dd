"""A handler that is killed in the middle of its work: the run says so, and goes on from there when asked again."""

import json

import pytest
from pipeline_client import finished_at
from pipeline_world import SLOW_FOREST
from waiting import until

from b3shared.params.steps import Step

PROGRESS = "runs/killed/steps/train_model.progress.json"


@pytest.fixture(scope="module")
def killed(api, storage):
    """Status of a run whose training was killed while it was at it."""
    assert api.post("complete-pipeline", {"run_id": "killed", **SLOW_FOREST}).status_code == 202
    until(lambda: storage.exists(PROGRESS), "training")
    victims = list(api.workers("train_rf"))
    assert victims
    for victim in victims:
        victim.kill()
    return api.ended("killed")


def test_the_crash_is_recorded_with_its_reason(killed, api):
    assert api.describe("killed.all.1")["status"] == "FAILED"
    assert killed["pipeline_state"]["training_status"] == "failed"
    step = killed["steps"]["train_model"]
    assert step["status"] == "failed"
    assert step["error"]["code"] == "CRASH"
    assert "Runtime exited with error: signal: killed" in step["error"]["message"]
    assert killed["pipeline_state"]["training_error"] == step["error"]["message"]
    assert killed["progress"] == 3 / len(Step)


def test_the_step_left_nothing_that_looks_finished(killed, storage):
    assert not storage.exists("runs/killed/steps/train_model.json")


def test_a_step_after_the_killed_one_is_refused_naming_it(killed, api):
    response = api.post("evaluate-model", {"run_id": "killed"})
    assert (response.status_code, response.json()["details"]) == (409, {"missing": "train_model"})


def test_the_same_call_again_goes_on_where_it_stopped(killed, api):
    before = finished_at(killed)
    assert api.post("complete-pipeline", {"run_id": "killed"}).status_code == 202
    status = api.ended("killed")
    after = finished_at(status)
    assert status["progress"] == 1.0
    assert status["pipeline_state"]["training_status"] == "completed"
    assert "training_error" not in status["pipeline_state"]
    done = (Step.LOAD_DATA, Step.PREPROCESS_DATA, Step.SPLIT_DATA)
    assert [after[step] for step in done] == [before[step] for step in done]
    answers = [
        json.loads(event["lambdaFunctionSucceededEventDetails"]["output"])
        for event in api.history("killed.all.2")
        if event["type"] == "LambdaFunctionSucceeded"
    ]
    assert {answer["step"] for answer in answers if answer.get("before")} == {
        str(step) for step in done
    }
