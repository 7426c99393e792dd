"""The control API without HTTP, on a folder and a state machine in memory."""

import time

import pytest
from control_api import ControlApi
from fake_machine import FakeMachine
from records import finish

from b3shared.api.control import Control, Limits
from b3shared.core.errors import (
    B3Error,
    ConflictError,
    InvalidParameterError,
    RunFailedError,
    StepNotReadyError,
    TooManyRunsError,
    UnknownRunError,
)
from b3shared.params.steps import Step
from b3shared.runs.current import current_run
from b3shared.runs.run import Run, list_runs


@pytest.fixture
def control(storage, worker):
    """A control whose executions are done as soon as they are started."""
    return ControlApi(Control(storage, FakeMachine(worker), Limits(wait_seconds=5, max_running=2)))


@pytest.fixture
def idle(storage):
    """A control whose executions never end by themselves."""
    return ControlApi(Control(storage, FakeMachine(), Limits(wait_seconds=5, max_running=2)))


ORDER = [
    Step.LOAD_DATA,
    Step.PREPROCESS_DATA,
    Step.SPLIT_DATA,
    Step.TRAIN_MODEL,
    Step.EVALUATE_MODEL,
    Step.SAVE_MODEL,
]


def test_the_steps_in_order_are_each_answered(control):
    answers = [control.step(step, {}) for step in ORDER]
    assert [status for status, _ in answers] == [200] * 6
    assert len({body["run_id"] for _, body in answers}) == 1
    names = [name.split(".", 1)[1] for name in control.machine.inputs]
    assert names == [f"{step}.1" for step in ORDER[:-1]] + ["all.1"]  # saving also publishes


@pytest.mark.parametrize("step", ORDER[1:])
def test_without_a_current_run_a_step_names_what_to_call_first(control, step):
    with pytest.raises(StepNotReadyError) as caught:
        control.step(step, {})
    assert caught.value.details == {"missing": "load_data"}
    assert not control.machine.inputs


@pytest.mark.parametrize("done", range(1, 5))
def test_a_step_called_too_early_names_the_first_missing_step(control, run, finish_until, done):
    finish_until(run, ORDER[done - 1])
    for step in ORDER[done + 1 :]:
        with pytest.raises(StepNotReadyError) as caught:
            control.step(step, {"run_id": "r1"})
        assert caught.value.details == {"missing": str(ORDER[done])}


def test_overrides_go_to_the_step_that_was_asked_for(control):
    control.step(Step.LOAD_DATA, {"run_id": "a"})
    control.step(Step.PREPROCESS_DATA, {"run_id": "a", "horizon": 5, "input_key": ""})
    given = control.machine.inputs["a.preprocess_data.1"]
    assert given["steps"]["preprocess_data"] == {"overrides": {"horizon": 5}, "input_key": ""}
    assert all(
        not given["steps"][str(step)]["overrides"]
        for step in Step
        if step is not Step.PREPROCESS_DATA
    )


def test_a_new_runs_load_may_name_parameters_of_all_steps(control, storage):
    control.step(Step.LOAD_DATA, {"run_id": "a", "horizon": 5, "n_jobs": 2, "period": "3y"})
    params = Run.open(storage, "a").params
    assert (params.horizon, params.rf.n_jobs, params.period) == (5, 2, "3y")


def test_an_existing_runs_load_changes_what_load_owns(control):
    control.step(Step.LOAD_DATA, {"run_id": "a"})
    control.step(Step.LOAD_DATA, {"run_id": "a", "period": "3y"})
    assert control.machine.inputs["a.load_data.2"]["steps"]["load_data"]["overrides"] == {
        "period": "3y"
    }
    with pytest.raises(InvalidParameterError, match="horizon"):
        control.step(Step.LOAD_DATA, {"run_id": "a", "horizon": 5})


def test_a_call_that_waits_zero_seconds_is_answered_at_once(idle):
    started = time.monotonic()
    status, body = idle.step(Step.LOAD_DATA, {"run_id": "a", "wait_seconds": 0})
    assert time.monotonic() - started < 2
    assert (status, body["training_status"], body["execution_arn"]) == (
        202,
        "running",
        "a.load_data.1",
    )


def test_waiting_ends_two_seconds_before_the_function_does(storage):
    control = Control(storage, FakeMachine(), Limits(wait_seconds=3600), remaining=lambda: 2.2)
    status, _ = ControlApi(control).step(Step.LOAD_DATA, {"run_id": "a"})
    assert status == 202


def test_a_call_waits_for_the_step_before_and_then_goes_on(idle, run, tmp_path, monkeypatch):
    idle.machine.start("r1.load_data.1", {})
    idle.machine.work = lambda given: (finish(run, Step.PREPROCESS_DATA, tmp_path), "SUCCEEDED")[1]

    def running():
        """Executions that run when first listed and have ended when listed again."""
        found = list(FakeMachine.running(idle.machine))
        if found:
            finish(run, Step.LOAD_DATA, tmp_path)
            idle.machine.end("r1.load_data.1")
        return iter(found)

    monkeypatch.setattr(idle.machine, "running", running)
    status, body = idle.step(Step.PREPROCESS_DATA, {"run_id": "r1"})
    assert (status, body["features_shape"]) == (200, [900, 2])


def test_a_call_that_waits_in_vain_for_the_step_before_starts_nothing(idle, run):
    idle.machine.start("r1.load_data.1", {})
    status, body = idle.step(Step.PREPROCESS_DATA, {"run_id": "r1", "wait_seconds": 0})
    assert (status, body["execution_arn"]) == (202, "r1.load_data.1")
    assert list(idle.machine.inputs) == ["r1.load_data.1"]


@pytest.mark.parametrize("seconds", ["5", None, -1, float("nan"), True, [1]])
def test_a_call_with_an_invalid_wait_is_refused(control, seconds):
    with pytest.raises(InvalidParameterError, match="wait_seconds"):
        control.step(Step.LOAD_DATA, {"wait_seconds": seconds})


def test_a_failed_step_is_answered_with_its_own_error(control, storage):
    with pytest.raises(B3Error) as caught:
        control.step(Step.LOAD_DATA, {"run_id": "a", "input_key": "inputs/not-there"})
    assert caught.value.code == "ARTIFACT_NOT_FOUND"
    assert Run.open(storage, "a").state()[Step.LOAD_DATA].status == "failed"


def test_an_execution_that_succeeds_without_a_record_is_an_error(idle):
    idle.machine.work = lambda given: "SUCCEEDED"
    with pytest.raises(RunFailedError, match="no record"):
        idle.step(Step.LOAD_DATA, {})


def test_a_complete_run_is_started_once_and_becomes_the_current_one(idle, storage):
    first = idle.complete_pipeline({"run_id": "a", "horizon": 5})
    assert (
        first
        == idle.complete_pipeline({"run_id": "a", "horizon": 5})
        == idle.complete_pipeline({"run_id": "a"})
    )
    assert first[0] == 202
    assert list(idle.machine.inputs) == ["a.all.1"]
    assert current_run(storage) == "a"


def test_a_complete_run_with_other_parameters_needs_another_id(idle):
    idle.complete_pipeline({"run_id": "a", "horizon": 5})
    for params in ({"horizon": 6}, {"rf": {"n_jobs": 2}}):
        with pytest.raises(ConflictError):
            idle.complete_pipeline({"run_id": "a", **params})


def test_a_complete_run_resumes_one_that_was_begun_step_by_step(control):
    control.step(Step.LOAD_DATA, {"run_id": "a", "period": "3y", "n_jobs": 2})
    assert control.complete_pipeline({"run_id": "a"})[0] == 202
    assert control.status("a")[1]["progress"] == 1.0


def test_a_complete_run_conflicts_with_an_execution_up_to_a_step(idle):
    idle.step(Step.LOAD_DATA, {"run_id": "a", "wait_seconds": 0})
    with pytest.raises(ConflictError, match="load_data"):
        idle.complete_pipeline({"run_id": "a"})


def test_a_complete_run_may_be_given_data_of_the_users_own(idle):
    idle.complete_pipeline({"run_id": "a", "input_key": "inputs/mine.parquet"})
    assert (
        idle.machine.inputs["a.all.1"]["steps"]["load_data"]["input_key"] == "inputs/mine.parquet"
    )
    with pytest.raises(ConflictError, match="other parameters"):
        idle.complete_pipeline({"run_id": "a", "input_key": "inputs/other.parquet"})


@pytest.mark.parametrize("call", ["complete_pipeline", "load_data"])
def test_an_idempotency_key_names_one_run(control, storage, call):
    def ask(body, key):
        return (
            control.complete_pipeline(body, key)
            if call == "complete_pipeline"
            else control.step(Step.LOAD_DATA, body, key)
        )

    runs = [ask({"horizon": 5}, key)[1]["run_id"] for key in ("k", "k", "l")]
    assert runs[0] == runs[1] != runs[2]
    with pytest.raises(ConflictError):
        ask({"horizon": 6}, "k")
    assert len(list_runs(storage)) == 2


def test_a_run_above_the_limit_is_refused_and_does_not_become_the_current_one(idle, storage):
    idle.complete_pipeline({"run_id": "a"})
    idle.complete_pipeline({"run_id": "b"})
    for call in (idle.complete_pipeline, lambda body: idle.step(Step.LOAD_DATA, body)):
        with pytest.raises(TooManyRunsError):
            call({"run_id": "c"})
    assert current_run(storage) == "b"


@pytest.mark.parametrize("name", ["lstm", "lstm_mtl"])
def test_the_lstm_can_be_trained_by_either_of_its_names(control, storage, name):
    control.complete_pipeline({"run_id": "a", "model_type": name})
    assert Run.open(storage, "a").params.model_type == "lstm"
    for step in ORDER[:3]:
        control.step(step, {"run_id": "b"})
    assert control.step(Step.TRAIN_MODEL, {"run_id": "b", "model_type": name})[0] == 200
    given = control.machine.inputs["b.train_model.1"]
    assert given["model_type"] == "lstm"


def test_the_status_without_a_current_run_has_all_flags_false(control):
    status, body = control.status(None)
    assert (status, body["run_id"], body["progress"]) == (200, None, 0.0)
    assert not any(
        value for name, value in body["pipeline_state"].items() if name.startswith("has_")
    )


def test_the_status_of_a_run_that_does_not_exist_is_an_error(control):
    with pytest.raises(UnknownRunError):
        control.status("nobody-s")


def test_clearing_the_state_leaves_runs_alone(control, storage):
    control.step(Step.LOAD_DATA, {"run_id": "a"})
    control.clear_state()
    assert control.status(None)[1]["run_id"] is None
    assert list_runs(storage) == ["a"]
