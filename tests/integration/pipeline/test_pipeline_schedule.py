"""The schedule of the template, fired by hand: one run per model type and week, and nobody's current run."""

from datetime import UTC, datetime

from pipeline_client import until

from b3shared.params import PipelineParams
from b3shared.runs import Run, list_runs

SUNDAY = datetime(2024, 1, 7, 9, tzinfo=UTC)
NEXT_SUNDAY = datetime(2024, 1, 14, 9, tzinfo=UTC)


def strike(faulty, moment):
    """Let the schedule strike and wait until the starter has dealt with it."""
    log = faulty.stack.logs("StartRunFunction", 1000).count('"message":"schedule"')
    fired = faulty.stack.fire_schedules("retrain", at=moment)
    assert len(fired) == 1
    until(lambda: faulty.stack.logs("StartRunFunction", 1000).count('"message":"schedule"') > log, "the starter's answer")


def test_the_schedule_starts_one_run_per_week_whatever_becomes_of_it(faulty):
    faulty.empty_quotes()  # the runs fail soon: here is only asked which of them there are
    api = faulty.api
    api.ok("clear-state")
    strike(faulty, SUNDAY)
    strike(faulty, SUNDAY)
    api.ended("scheduled-rf-2024w01")
    strike(faulty, SUNDAY)
    assert api.executions("scheduled-rf-2024w01") == ["scheduled-rf-2024w01.all.1"]
    strike(faulty, NEXT_SUNDAY)
    assert api.executions("scheduled-rf-2024w02") == ["scheduled-rf-2024w02.all.1"]
    scheduled = [run for run in list_runs(faulty.storage) if run.startswith("scheduled-")]
    assert scheduled == ["scheduled-rf-2024w01", "scheduled-rf-2024w02"]
    run = Run.open(faulty.storage, "scheduled-rf-2024w01")
    assert run.params == PipelineParams()
    assert run.meta == {"trigger": "schedule", "scheduled_time": "2024-01-07T09:00:00Z"}
    assert api.status()["run_id"] is None
    api.ended("scheduled-rf-2024w02")


def test_a_scheduled_run_that_failed_says_why(faulty):
    status = faulty.api.status("scheduled-rf-2024w01")
    assert status["steps"]["load_data"]["error"]["code"] == "NO_QUOTES"
    assert status["pipeline_state"]["training_status"] == "failed"
