"""The schedule: one run per type and week of São Paulo."""

import pytest
from fake_machine import FakeMachine

from b3shared.core.errors import InvalidParameterError
from b3shared.runs.current import current_run
from b3shared.runs.run import Run, list_runs
from b3shared.runs.schedule import start_scheduled
from b3shared.runs.starter import Starter

SUNDAY = "2024-01-07T09:00:00Z"
QUOTES = "md:b3"


def test_a_schedule_fired_twice_in_a_week_starts_one_run(storage):
    machine = FakeMachine(lambda given: "FAILED")
    first = start_scheduled(storage, Starter(machine, 4), "rf", SUNDAY, QUOTES)
    again = start_scheduled(
        storage, Starter(machine, 4), "random_forest", "2024-01-05T01:00:00Z", QUOTES
    )

    assert first == {
        "run_id": "scheduled-rf-2024w01",
        "execution": "scheduled-rf-2024w01.all.1",
        "started": True,
    }
    assert again == first | {"started": False}
    assert list(machine.inputs) == ["scheduled-rf-2024w01.all.1"]


def test_two_weeks_are_two_runs(storage):
    machine = FakeMachine()
    for moment in (SUNDAY, "2024-01-14T09:00:00Z"):
        start_scheduled(storage, Starter(machine, 4), "rf", moment, QUOTES)
    assert list_runs(storage) == ["scheduled-rf-2024w01", "scheduled-rf-2024w02"]


@pytest.mark.parametrize(
    ("moment", "week"),
    [
        ("2024-01-08T02:59:59Z", "2024w01"),
        ("2024-01-08T03:00:00Z", "2024w02"),
        ("2024-12-30T12:00:00Z", "2025w01"),
    ],
)
def test_the_week_is_the_iso_week_of_sao_paulo(storage, moment, week):
    assert (
        start_scheduled(storage, Starter(FakeMachine(), 4), "rf", moment, QUOTES)["run_id"]
        == f"scheduled-rf-{week}"
    )


def test_an_interrupted_start_is_completed_by_the_next_firing(storage):
    start_scheduled(storage, Starter(FakeMachine(), 4), "rf", SUNDAY, QUOTES)
    assert start_scheduled(storage, Starter(FakeMachine(), 4), "rf", SUNDAY, QUOTES)["started"]


def test_a_scheduled_run_records_its_trigger_and_is_not_the_current_run(storage):
    start_scheduled(storage, Starter(FakeMachine(), 4), "rf", SUNDAY, QUOTES)
    assert Run.open(storage, "scheduled-rf-2024w01").meta == {
        "trigger": "schedule",
        "scheduled_time": SUNDAY,
    }
    assert current_run(storage) is None


@pytest.mark.parametrize(("model_type", "moment"), [("rf", "sunday"), ("svm", SUNDAY)])
def test_a_malformed_schedule_is_refused_and_starts_nothing(storage, model_type, moment):
    machine = FakeMachine()
    with pytest.raises(InvalidParameterError):
        start_scheduled(storage, Starter(machine, 4), model_type, moment, QUOTES)
    assert not machine.inputs
    assert list_runs(storage) == []


def test_an_empty_lake_is_skipped_until_it_has_quotes(storage):
    machine = FakeMachine()
    lake = f"{storage.url}/lake/quotes"
    skipped = start_scheduled(storage, Starter(machine, 4), "rf", SUNDAY, lake)
    assert skipped == {"started": False, "skipped": "the lake is empty"}
    assert (list(machine.inputs), list_runs(storage)) == ([], [])
    storage.put("lake/quotes/year=2023/part-0.parquet", b"")
    assert start_scheduled(storage, Starter(machine, 4), "rf", SUNDAY, lake)["started"]


@pytest.mark.parametrize(("model_type", "moment"), [("rf", "sunday"), ("svm", SUNDAY)])
def test_a_malformed_schedule_is_refused_over_an_empty_lake_too(storage, model_type, moment):
    with pytest.raises(InvalidParameterError):
        start_scheduled(
            storage, Starter(FakeMachine(), 4), model_type, moment, f"{storage.url}/lake/quotes"
        )
