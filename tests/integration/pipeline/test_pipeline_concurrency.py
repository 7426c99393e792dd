"""Several callers with runs of their own, and the same call more than once."""

from pipeline_client import error_of
from pipeline_world import SLOW_FOREST, TICKERS
from waiting import until

from b3shared.params.steps import Step
from b3shared.runs.run import Run


def test_a_step_called_without_waiting_is_started_and_can_be_followed(api):
    response = api.post("load-data", {"run_id": "no-hurry", "wait_seconds": 0})
    assert response.status_code == 202
    assert response.json()["execution_arn"] == api.arn_of("no-hurry.load_data.1")
    assert api.ended("no-hurry")["steps"]["load_data"]["status"] == "done"


def test_runs_of_two_users_do_not_affect_each_other(api, storage):
    ana = {"run_id": "ana"}
    rui = {"run_id": "rui"}
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
