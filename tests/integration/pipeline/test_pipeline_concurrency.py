"""Several callers at once, and the same call more than once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from pipeline_client import error_of
from pipeline_world import FOREST, SLOW_FOREST, TICKERS
from waiting import until

from b3shared.params.steps import Step
from b3shared.runs.run import Run


@pytest.fixture(scope="module")
def long_run(api):
    """A complete pipeline of some seconds, started by six callers at the same time."""
    gate = threading.Barrier(6)

    def start(_):
        gate.wait()
        return api.post("complete-pipeline", {"run_id": "long-run", **SLOW_FOREST})

    with ThreadPoolExecutor(6) as pool:
        return list(pool.map(start, range(6)))


def test_racing_callers_start_one_execution_and_are_told_the_same(long_run, api):
    assert [response.status_code for response in long_run] == [202] * 6
    assert {response.json()["execution_arn"] for response in long_run} == {
        api.arn_of("long-run.all.1")
    }
    assert api.executions("long-run") == ["long-run.all.1"]


def test_while_it_runs_the_same_again_is_the_same_and_other_parameters_are_refused(long_run, api):
    assert api.status("long-run")["running"] == ["long-run.all.1"]
    assert api.status("long-run")["pipeline_state"]["training_status"] == "running"
    again = api.post("complete-pipeline", {"run_id": "long-run", **SLOW_FOREST})
    assert again.json()["execution_arn"] == api.arn_of("long-run.all.1")
    assert api.refused("complete-pipeline", {"run_id": "long-run", **FOREST})[:2] == (
        409,
        "CONFLICT",
    )
    assert api.executions("long-run") == ["long-run.all.1"]


def test_a_step_of_a_run_that_is_running_is_not_waited_for_longer_than_asked(long_run, api):
    response = api.post("evaluate-model", {"run_id": "long-run", "wait_seconds": 0})
    assert response.status_code == 202
    assert response.json()["training_status"] == "running"
    assert api.status("long-run")["running"] == ["long-run.all.1"]


def test_a_step_of_a_run_that_is_running_waits_for_it_and_then_answers(long_run, api):
    answer = api.ok("evaluate-model", {"run_id": "long-run"})
    assert answer["evaluation_results"]["skill"]
    assert api.status("long-run")["progress"] == 1.0


def test_a_step_that_need_not_be_waited_for_is_started_and_can_be_followed(api):
    response = api.post("load-data", {"run_id": "no-hurry", "wait_seconds": 0})
    assert response.status_code == 202
    assert response.json()["execution_arn"] == api.arn_of("no-hurry.load_data.1")
    assert api.ended("no-hurry")["steps"]["load_data"]["status"] == "done"


def test_two_users_with_runs_of_their_own_do_not_meet(api, storage):
    ana, rui = {"run_id": "ana"}, {"run_id": "rui"}
    loaded = (
        api.ok("load-data", {**ana, "tickers": TICKERS[:5]}),
        api.ok("load-data", {**rui, "period": "3y"}),
    )
    api.ok("preprocess-data", {**rui, "horizon": 5})
    api.ok("preprocess-data", {**ana, "horizon": 1})
    splits = api.ok("split-data", {**ana, "test_size": 0.3}), api.ok("split-data", rui)
    assert [answer["run_id"] for answer in (*loaded, *splits)] == ["ana", "rui"] * 2
    assert loaded[0]["data_shape"] != loaded[1]["data_shape"]
    used = [Run.open(storage, run).effective_params(Step.SPLIT_DATA) for run in ("ana", "rui")]
    assert [(params.horizon, params.test_size) for params in used] == [(1, 0.3), (5, 0.2)]


def test_clear_state_forgets_the_current_run_and_nothing_else(api):
    api.ok("load-data", {"run_id": "soon-forgotten", "period": "3y"})
    assert api.status()["run_id"] == "soon-forgotten"
    api.ok("clear-state")
    assert api.status()["run_id"] is None
    assert api.status()["pipeline_state"]["has_raw_data"] is False
    assert api.refused("preprocess-data")[:2] == (409, "STEP_NOT_READY")
    assert api.status("soon-forgotten")["steps"]["load_data"]["status"] == "done"


def test_a_load_that_is_refused_does_not_become_the_current_run(api):
    api.ok("load-data", {"run_id": "stays-current", "period": "3y"})
    api.refused("load-data", {"run_id": "stays-current", "test_size": 0.4})
    api.refused("load-data", {"run_id": "never-made", "test_size": 7})
    assert api.status()["run_id"] == "stays-current"


def test_the_same_idempotency_key_is_the_same_run(api):
    first = api.post("load-data", {"period": "3y"}, Idempotency_Key="monday")
    again = api.post("load-data", {"period": "3y"}, Idempotency_Key="monday")
    other = api.post("load-data", {"period": "3y"}, Idempotency_Key="tuesday")
    ids = [response.json()["run_id"] for response in (first, again, other)]
    assert ids[0] == ids[1] != ids[2]
    clash = api.post("load-data", {"period": "4y"}, Idempotency_Key="monday")
    assert error_of(clash)[:2] == (409, "CONFLICT")


def test_a_whole_run_is_not_started_under_a_run_that_does_a_single_step(api):
    body = {"run_id": "one-step", **SLOW_FOREST}
    api.ok("load-data", body)
    api.ok("preprocess-data", {"run_id": "one-step"})
    api.ok("split-data", {"run_id": "one-step"})
    assert api.post("train-model", {"run_id": "one-step", "wait_seconds": 0}).status_code == 202
    status, code, message = api.refused("complete-pipeline", {"run_id": "one-step"})
    assert (status, code) == (409, "CONFLICT")
    assert "train_model" in message
    until(lambda: not api.status("one-step")["running"], "the end of training")
