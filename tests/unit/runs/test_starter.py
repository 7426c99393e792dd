"""Starting executions: names, inputs, limits, and races between starters."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from fake_machine import FakeMachine

from b3shared.core.errors import ConflictError, TooManyRunsError
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.runs.run import Run
from b3shared.runs.starter import Starter, execution_input


def test_an_execution_is_named_after_its_run_its_last_step_and_its_attempt(run):
    machine = FakeMachine()
    assert Starter(machine, 4).start(run, Step.SPLIT_DATA).name == "r1.split_data.1"
    machine.end("r1.split_data.1")
    assert Starter(machine, 4).start(run, Step.SPLIT_DATA).name == "r1.split_data.2"
    assert Starter(machine, 4).start(run, None).name == "r1.all.1"


def test_the_longest_run_id_still_makes_a_name_that_step_functions_takes(storage):
    run = Run.create(storage, "r" * 48, PipelineParams())
    machine = FakeMachine(lambda given: "FAILED")
    names = [Starter(machine, 4).start(run, step).name for step in Step]
    assert max(map(len, names)) + len("999") <= 80


def test_the_input_has_every_path_that_the_definition_reads(run):
    given = execution_input(
        run, Step.TRAIN_MODEL, {Step.TRAIN_MODEL: {"n_jobs": 2}}, {Step.TRAIN_MODEL: "inputs/x"}
    )
    assert given["run_id"] == "r1"
    assert given["stop_after"] == "train_model"
    assert given["model_type"] == "rf"
    assert given["last"] is None
    assert set(given["steps"]) == {str(step) for step in Step}
    assert given["steps"]["train_model"] == {"overrides": {"n_jobs": 2}, "input_key": "inputs/x"}
    assert given["steps"]["load_data"] == {"overrides": {}, "input_key": None}


def test_the_model_type_in_the_input_is_the_one_that_training_is_asked_for(run):
    assert (
        execution_input(run, None, {Step.TRAIN_MODEL: {"model_type": "lstm_mtl"}}, {})["model_type"]
        == "lstm"
    )


def test_a_run_above_the_limit_is_refused_naming_those_that_run(run, storage):
    machine = FakeMachine()
    starter = Starter(machine, 1)
    starter.start(run, None)
    with pytest.raises(TooManyRunsError) as caught:
        starter.start(Run.create(storage, "r2", PipelineParams()), None)
    assert caught.value.details["running"] == ["r1.all.1"]
    machine.end("r1.all.1")
    assert starter.start(Run.open(storage, "r2"), None).name == "r2.all.1"


def test_the_same_start_again_returns_what_is_running_at_the_limit_too(run):
    machine = FakeMachine()
    starter = Starter(machine, 1)
    assert starter.start(run, None) == starter.start(run, None)
    assert list(machine.inputs) == ["r1.all.1"]


def test_the_same_start_with_other_parameters_is_refused_while_the_first_runs(run):
    machine = FakeMachine()
    starter = Starter(machine, 4)
    starter.start(run, Step.TRAIN_MODEL, {Step.TRAIN_MODEL: {"n_estimators": 10}})
    with pytest.raises(ConflictError, match="other parameters"):
        starter.start(run, Step.TRAIN_MODEL, {Step.TRAIN_MODEL: {"n_estimators": 20}})
    machine.end("r1.train_model.1")
    assert (
        starter.start(run, Step.TRAIN_MODEL, {Step.TRAIN_MODEL: {"n_estimators": 20}}).name
        == "r1.train_model.2"
    )


def test_racing_starters_with_the_same_input_start_one_execution(run):
    machine = FakeMachine()
    gate = threading.Barrier(12)

    def start(_):
        gate.wait()
        return Starter(machine, 1).start(run, None).name

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(start, range(12))) == {"r1.all.1"}
    assert list(machine.inputs) == ["r1.all.1"]


def test_of_racing_starters_with_different_inputs_one_starts_and_the_others_conflict(run):
    machine = FakeMachine()
    gate = threading.Barrier(12)

    def start(trees):
        gate.wait()
        try:
            return Starter(machine, 1).start(
                run, Step.TRAIN_MODEL, {Step.TRAIN_MODEL: {"n_estimators": trees}}
            )
        except ConflictError as error:
            return error

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(start, range(10, 22)))

    started = [answer for answer in answers if not isinstance(answer, ConflictError)]
    refused = [answer for answer in answers if isinstance(answer, ConflictError)]
    assert [execution.name for execution in started] == ["r1.train_model.1"]
    assert {error.details["execution"] for error in refused} == {"r1.train_model.1"}
    assert list(machine.inputs) == ["r1.train_model.1"]


def test_an_execution_that_ends_while_it_is_asked_for_again_is_followed_by_the_next(
    run, monkeypatch
):
    machine = FakeMachine()
    Starter(machine, 4).start(run, None)

    def running():
        """The running executions, listed just before the execution ends."""
        found = list(FakeMachine.running(machine))
        machine.end("r1.all.1", "FAILED")
        return iter(found)

    monkeypatch.setattr(machine, "running", running)
    assert Starter(machine, 1).start(run, None).name == "r1.all.2"


def test_a_name_that_is_taken_but_not_found_yet_was_just_started(run, monkeypatch):
    machine = FakeMachine()
    machine.start("r1.all.1", {"run_id": "r1", "with": "another input"})
    monkeypatch.setattr(machine, "find", lambda name: None)
    with pytest.raises(ConflictError, match="other parameters"):
        Starter(machine, 4).start(run, None)
    assert list(machine.inputs) == ["r1.all.1"]


def test_starting_leaves_nothing_in_the_storage(run):
    before = run.storage.list()
    Starter(FakeMachine(), 4).start(run, None)
    assert run.storage.list() == before
