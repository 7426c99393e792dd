"""Starting executions: names, inputs, limits, and who wins a race."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from fake_machine import FakeMachine

from b3shared.core.errors import ConflictError, TooManyRunsError
from b3shared.core.serialization import to_json
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


def test_one_run_too_many_is_refused_naming_those_that_run(run, storage):
    machine = FakeMachine()
    starter = Starter(machine, 1)
    starter.start(run, None)
    with pytest.raises(TooManyRunsError) as caught:
        starter.start(Run.create(storage, "r2", PipelineParams()), None)
    assert caught.value.details["running"] == ["r1.all.1"]
    machine.end("r1.all.1")
    assert starter.start(Run.open(storage, "r2"), None).name == "r2.all.1"


def test_the_same_start_again_joins_what_runs_even_where_no_other_would_fit(run):
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


def test_a_racing_crowd_starts_one_execution(run):
    machine = FakeMachine()
    gate = threading.Barrier(12)

    def start(_):
        gate.wait()
        return Starter(machine, 1).start(run, None).name

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(start, range(12))) == {"r1.all.1"}
    assert list(machine.inputs) == ["r1.all.1"]


def test_a_claim_whose_owner_died_long_ago_is_passed_over(run):
    old = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    run.storage.create("runs/r1/attempts/r1.all.1.json", to_json({"at": old, "input": {}}))
    assert Starter(FakeMachine(), 4).start(run, None).name == "r1.all.2"


def test_a_claim_whose_owner_is_just_starting_is_waited_for(run, monkeypatch):
    machine = FakeMachine()
    given = execution_input(run, None, {}, {})
    claim = to_json({"at": datetime.now(UTC).isoformat(), "input": given})
    run.storage.create("runs/r1/attempts/r1.all.1.json", claim)

    def find(name):
        """What is not there when it is asked for the first time is there when it is asked for again."""
        found = FakeMachine.find(machine, name)
        if found is None:
            machine.start("r1.all.1", given)
        return found

    monkeypatch.setattr(machine, "find", find)
    assert Starter(machine, 4).start(run, None).name == "r1.all.1"
