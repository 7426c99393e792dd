"""Schedules of the template, fired by hand: one run per model type and week, never the current."""

from datetime import UTC, datetime

import pytest
from waiting import until

from b3shared.params.models import model_types
from b3shared.params.run import PipelineParams
from b3shared.runs.run import Run, list_runs

SUNDAY = datetime(2024, 1, 7, 9, tzinfo=UTC)
NEXT_SUNDAY = datetime(2024, 1, 14, 9, tzinfo=UTC)


def fire(faulty, moment, model_type="rf"):
    """Fire a model type's schedule and wait until the starter has answered."""
    log = faulty.stack.logs("StartRunFunction", 1000).count('"message":"schedule"')
    fired = faulty.stack.fire_schedules(f"retrain-{model_type}", at=moment)
    assert len(fired) == 1
    until(
        lambda: faulty.stack.logs("StartRunFunction", 1000).count('"message":"schedule"') > log,
        "the starter's answer",
    )


def test_the_schedule_starts_one_run_per_week_whatever_becomes_of_it(faulty):
    faulty.empty_quotes()  # the runs fail soon: only which of them exist is asked here
    api = faulty.api
    api.ok("clear-state")
    fire(faulty, SUNDAY)
    fire(faulty, SUNDAY)
    api.ended("scheduled-rf-2024w01")
    fire(faulty, SUNDAY)

    assert api.executions("scheduled-rf-2024w01") == ["scheduled-rf-2024w01.all.1"]
    fire(faulty, NEXT_SUNDAY)
    assert api.executions("scheduled-rf-2024w02") == ["scheduled-rf-2024w02.all.1"]
    api.ended("scheduled-rf-2024w02")
    # on AWS at the same time as the forest's; here one run is allowed at once
    fire(faulty, SUNDAY, "lstm")
    api.ended("scheduled-lstm-2024w01")
    scheduled = [run for run in list_runs(faulty.storage) if run.startswith("scheduled-")]
    assert scheduled == ["scheduled-lstm-2024w01", "scheduled-rf-2024w01", "scheduled-rf-2024w02"]
    for model_type in ("rf", "lstm"):
        run = Run.open(faulty.storage, f"scheduled-{model_type}-2024w01")
        assert run.params == PipelineParams(model_type=model_type)
        assert run.meta == {"trigger": "schedule", "scheduled_time": "2024-01-07T09:00:00Z"}
    assert api.status()["run_id"] is None


def test_every_type_of_model_has_its_schedule(faulty):
    names = [
        schedule["Name"]
        for schedule in faulty.stack.client("scheduler").list_schedules()["Schedules"]
    ]
    assert {name.rpartition("-retrain-")[2] for name in names if "-retrain-" in name} == set(
        model_types()
    )


@pytest.mark.parametrize("model_type", sorted(model_types()))
def test_a_scheduled_run_that_failed_says_why(faulty, model_type):
    status = faulty.api.status(f"scheduled-{model_type}-2024w01")
    assert status["steps"]["load_data"]["error"]["code"] == "NO_QUOTES"
    assert status["pipeline_state"]["training_status"] == "failed"
