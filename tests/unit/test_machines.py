"""The state machines' definitions are those of their source, and complete."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from paths import ROOT
from pipeline_world import faulty_template

from b3shared.params.models import model_types
from b3shared.params.steps import Step
from b3shared.quotes.ingest.announcements import CONCURRENCY
from infra.machines import ingest, pipeline
from infra.machines.files import FILES, text_of
from infra.machines.pipeline import TRAINERS

MACHINES = [pipeline.machine(), ingest.machine()]


def states_of(machine: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for state in machine["States"].values():
        yield state
        yield from states_of(state.get("ItemProcessor", {"States": {}}))


def lambdas(machine: dict[str, Any]) -> list[dict[str, Any]]:
    return [s for s in states_of(machine) if s.get("Resource", "").endswith("FunctionArn}")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_definition_file_is_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == text_of(path), "run python -m infra.machines"
    assert yaml.safe_load(text_of(path)) == FILES[path].machine()
    assert "&id" not in text_of(path)


@pytest.mark.parametrize("machine", MACHINES, ids=["pipeline", "ingest"])
def test_every_function_is_called_again_when_it_is_throttled_or_not_ready(
    machine: dict[str, Any],
) -> None:
    assert len(lambdas(machine)) > 1
    for state in lambdas(machine):
        by_error = {name: retry for retry in state["Retry"] for name in retry["ErrorEquals"]}
        assert by_error["Lambda.TooManyRequestsException"]["MaxAttempts"] == 20
        assert by_error["Lambda.ResourceNotReadyException"]["MaxAttempts"] == 6
        assert "Lambda.ServiceException" in by_error


@pytest.mark.parametrize("machine", MACHINES, ids=["pipeline", "ingest"])
def test_every_state_that_is_named_exists_and_every_error_is_caught(
    machine: dict[str, Any],
) -> None:
    names = machine["States"].keys()
    for state in machine["States"].values():
        rules = [*state.get("Choices", []), *state.get("Catch", []), state]
        assert {rule["Next"] for rule in rules if "Next" in rule} <= names
        assert state.get("Default", machine["StartAt"]) in names
        if state["Type"] in ("Task", "Map"):
            assert [catch["ErrorEquals"] for catch in state["Catch"]] == [["States.ALL"]]


@pytest.mark.parametrize("name", ["ChooseModel", "ChooseRefit"])
def test_every_model_type_has_its_trainer_and_no_other_is_trained(name: str) -> None:
    state = MACHINES[0]["States"][name]
    assert [rule["StringEquals"] for rule in state["Choices"]] == list(model_types())
    assert state["Default"] == "UnknownModelType"
    assert TRAINERS.keys() <= set(model_types())


def test_the_steps_follow_each_other_in_their_order() -> None:
    overrides = [
        state["Parameters"]["overrides.$"].split(".")[2]
        for state in MACHINES[0]["States"].values()
        if "overrides.$" in state.get("Parameters", {})
    ]
    assert list(dict.fromkeys(overrides)) == list(Step)


def test_shards_leave_half_of_a_new_accounts_concurrency_to_others() -> None:
    assert MACHINES[0]["States"]["PreprocessShards"]["MaxConcurrency"] == 5


def test_an_empty_substitution_stays_text() -> None:
    (path, _) = FILES
    filled = yaml.safe_load(path.read_text(encoding="utf-8").replace("${Warehouse}", ""))
    assert filled["States"]["Ended"]["Result"] == {"name": ""}


def test_a_copy_with_faults_retries_our_own_error_sooner_and_longer(tmp_path: Path) -> None:
    copy = faulty_template(ROOT, tmp_path).with_name("infra") / "pipeline.asl.yaml"
    machine = yaml.safe_load(copy.read_text(encoding="utf-8"))
    for state in lambdas(machine):
        (ours,) = (r for r in state["Retry"] if r["ErrorEquals"] == ["SourceUnavailableError"])
        assert (ours["IntervalSeconds"], ours["MaxAttempts"]) == (1, 10)


def test_whatever_fails_before_predictions_are_refreshed_and_it_is_told() -> None:
    states = MACHINES[1]["States"]
    for name in ("IngestQuotes", "PlanAnnouncements", "FetchAnnouncements", "DetectActions"):
        (catch,) = states[name]["Catch"]
        assert catch["Next"] in ("RefreshServing", "DropBatches")
        told = [
            rule["Next"]
            for rule in states["AfterRefreshServing"]["Choices"]
            if rule["Variable"] == catch["ResultPath"]
        ]
        assert len(told) == 1
        assert told[0] == "Notify" or states[told[0]]["Next"] == "Notify"

    assert states["DropBatches"]["Next"] == "DetectActions"
    assert states["DetectActions"]["Next"] == "RefreshServing"


def test_the_plans_batches_leave_the_state_and_its_findings_do_not() -> None:
    states = MACHINES[1]["States"]
    fetch = states["FetchAnnouncements"]
    ways = {fetch["Next"], *(catch["Next"] for catch in fetch["Catch"])}
    assert ways == {"DropBatches"}
    drop = states["DropBatches"]
    assert (drop["ResultPath"], drop["Result"]) == (fetch["ItemsPath"], [])
    assert states["DetectActions"]["Parameters"]["findings.$"] == "$.plan.findings"


def test_batches_of_announcements_share_the_pace() -> None:
    assert MACHINES[1]["States"]["FetchAnnouncements"]["MaxConcurrency"] == CONCURRENCY
