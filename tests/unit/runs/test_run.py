"""Runs: resume, staleness, who owns a parameter, and what a crash leaves."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest
from run_steps import STEPS, finish, statuses, up_to

from b3shared.core.errors import (
    ArtifactCorruptError,
    ArtifactNotFoundError,
    ConflictError,
    InvalidParameterError,
    StepNotReadyError,
    UnknownRunError,
)
from b3shared.params.random_forest import RandomForestParams
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.runs.run import CODE_VERSION, Run, list_runs, new_run_id


def test_a_run_opens_with_the_parameters_and_meta_it_was_created_with(storage):
    params = PipelineParams(
        tickers=("VALE3", "PETR4"),
        start=date(2019, 1, 2),
        rf=RandomForestParams(max_features=(0.3, "sqrt")),
    )
    Run.create(storage, "r1", params, owner="maria")
    run = Run.open(storage, "r1")
    assert run.params == params
    assert run.meta == {"owner": "maria"}


def test_creating_a_run_again_with_the_same_parameters_returns_it(storage):
    Run.create(storage, "r1", PipelineParams(horizon=3), owner="maria")
    again = Run.create(storage, "r1", PipelineParams(horizon=3), owner="joao")
    assert again.meta == {"owner": "maria"}


def test_creating_a_run_again_with_other_parameters_conflicts_and_names_them(storage):
    Run.create(storage, "r1", PipelineParams(horizon=3))
    with pytest.raises(ConflictError, match="horizon, test_size") as caught:
        Run.create(storage, "r1", PipelineParams(horizon=4, test_size=0.3))
    assert caught.value.details["parameters"] == ["horizon", "test_size"]
    assert Run.open(storage, "r1").params.horizon == 3


def test_racing_starters_of_one_run_with_different_parameters_have_one_winner(storage):
    gate = threading.Barrier(8)

    def start(horizon):
        gate.wait()
        try:
            return Run.create(storage, "r1", PipelineParams(horizon=horizon)).params.horizon
        except ConflictError:
            return None

    with ThreadPoolExecutor(8) as pool:
        winners = [h for h in pool.map(start, range(1, 9)) if h]
    assert winners == [Run.open(storage, "r1").params.horizon]


def test_an_unknown_run_is_named(storage):
    with pytest.raises(UnknownRunError, match="'r9'"):
        Run.open(storage, "r9")


@pytest.mark.parametrize("run_id", ["", "UP", "a/b", "../a", "-a", "a" * 49, "a\n"])
def test_a_malformed_run_id_is_refused(storage, run_id):
    with pytest.raises(InvalidParameterError, match="run_id"):
        Run.create(storage, run_id, PipelineParams())
    with pytest.raises(InvalidParameterError, match="run_id"):
        Run.open(storage, run_id)
    assert storage.list() == []


def test_new_run_ids_are_valid_distinct_and_sort_by_time(storage):
    ids = []
    for _ in range(20):
        ids.append(new_run_id("weekly-rf"))
        made = datetime.now(UTC)
        while datetime.now(UTC) == made:
            pass
    assert ids == sorted(set(ids))
    Run.create(storage, ids[0], PipelineParams())
    with pytest.raises(InvalidParameterError):
        new_run_id("p" * 30)


def test_runs_are_listed_by_id(storage):
    assert list_runs(storage) == []
    for run_id in ("b", "a"):
        Run.create(storage, run_id, PipelineParams())
    storage.put("runs/not-a-run/steps/load_data.json", b"{}")
    assert list_runs(storage) == ["a", "b"]


def test_a_fresh_run_has_every_step_missing(run):
    assert set(statuses(run).values()) == {"missing"}
    assert run.record(Step.LOAD_DATA) is None


def test_a_step_is_refused_until_the_one_before_it_has_finished(run, do):
    with pytest.raises(
        StepNotReadyError, match="needs load_data, which has not finished"
    ) as caught:
        run.plan(Step.SPLIT_DATA)
    assert caught.value.details["missing"] == "load_data"
    do(Step.LOAD_DATA)
    with pytest.raises(StepNotReadyError, match="needs preprocess_data"):
        run.plan(Step.SPLIT_DATA)


def test_a_finished_step_is_recorded_with_all_that_it_did(run, tmp_path):
    plan = run.plan(Step.LOAD_DATA, {"tickers": "PETR4,VALE3"})

    assert plan.record is None
    record = finish(run, plan, tmp_path, b"quotes", "quotes.parquet")
    assert run.record(Step.LOAD_DATA) == record
    assert record.params == plan.params.owned_by(Step.LOAD_DATA)
    assert record.params["tickers"] == ["PETR4", "VALE3"]
    assert record.summary == {"rows": 1}
    artifact = record.artifacts["quotes.parquet"]
    assert artifact.key.startswith(plan.prefix + "/")
    assert plan.prefix.startswith("runs/r1/load_data/")
    assert (artifact.bytes, run.storage.read(artifact.key)) == (6, b"quotes")
    assert record.started_at <= record.finished_at
    assert record.seconds >= 0


def test_a_step_asked_for_again_is_done_already(run, do):
    for step in STEPS:
        do(step)
    assert set(statuses(run).values()) == {"done"}
    for step in STEPS:
        assert run.plan(step).record == run.record(step)


def test_a_run_resumes_in_another_process_with_what_was_recorded(run, do, storage):
    do(Step.LOAD_DATA, period="2y")
    do(Step.PREPROCESS_DATA, horizon=5)
    resumed = Run.open(storage, "r1")
    plan = resumed.plan(Step.PREPROCESS_DATA)
    assert plan.record is not None
    assert (plan.params.period, plan.params.horizon) == ("2y", 5)
    assert resumed.effective_params(Step.LOAD_DATA).horizon == PipelineParams().horizon


def test_later_steps_are_stale_after_an_earlier_one_ran_with_other_parameters(run, do):
    for step in up_to(Step.EVALUATE_MODEL):
        do(step)
    do(Step.SPLIT_DATA, test_size=0.3)

    assert statuses(run) == {
        **dict.fromkeys(up_to(Step.SPLIT_DATA), "done"),
        Step.TRAIN_MODEL: "stale",
        Step.EVALUATE_MODEL: "stale",
        Step.REFIT_MODEL: "missing",
        Step.SAVE_MODEL: "missing",
        Step.PUBLISH_SERVING: "missing",
    }
    with pytest.raises(StepNotReadyError, match="train_model, which is out of date") as caught:
        run.plan(Step.EVALUATE_MODEL)
    assert caught.value.details["missing"] == "train_model"
    plan = run.plan(Step.TRAIN_MODEL)
    assert plan.record is None
    assert plan.params.test_size == 0.3


def test_going_back_to_the_old_parameters_with_the_same_result_makes_later_steps_done_again(
    run, do
):
    for step in up_to(Step.TRAIN_MODEL):
        do(step)
    do(Step.SPLIT_DATA, embargo_days=9)
    assert statuses(run)[Step.TRAIN_MODEL] == "stale"
    do(Step.SPLIT_DATA, embargo_days=5)
    assert statuses(run)[Step.TRAIN_MODEL] == "done"
    do(Step.SPLIT_DATA, embargo_days=9)
    do(Step.SPLIT_DATA, content=b"another result", embargo_days=5)
    assert statuses(run)[Step.TRAIN_MODEL] == "stale"


def test_a_new_version_of_a_steps_code_makes_it_and_all_after_it_stale(run, do, monkeypatch):
    for step in up_to(Step.TRAIN_MODEL):
        do(step)
    monkeypatch.setitem(CODE_VERSION, Step.SPLIT_DATA, 99)
    assert [s for s, status in statuses(run).items() if status == "stale"] == [
        Step.SPLIT_DATA,
        Step.TRAIN_MODEL,
    ]
    assert run.plan(Step.SPLIT_DATA).record is None


def test_a_step_file_that_is_no_record_is_named(run):
    run.storage.put("runs/r1/steps/load_data.json", b'{"step": "load_data"}')
    with pytest.raises(ArtifactCorruptError, match=r"steps/load_data\.json"):
        run.state()


def test_fetch_brings_the_artifacts_that_are_asked_for(run, tmp_path):
    files = []
    for name in ("a.bin", "b.bin"):
        files.append(tmp_path / name)
        files[-1].write_bytes(name.encode())
    run.finish(run.plan(Step.LOAD_DATA), files, {}, time.time())
    folder = run.fetch(Step.LOAD_DATA, tmp_path / "some", ["b.bin"])

    assert folder == tmp_path / "some" / "load_data"
    assert [p.name for p in folder.iterdir()] == ["b.bin"]
    folder = run.fetch(Step.LOAD_DATA, tmp_path / "all")
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {
        "a.bin": b"a.bin",
        "b.bin": b"b.bin",
    }
    with pytest.raises(ArtifactNotFoundError, match=r"c\.bin.*a\.bin, b\.bin"):
        run.fetch(Step.LOAD_DATA, tmp_path / "all", ["c.bin"])
    with pytest.raises(StepNotReadyError, match="split_data"):
        run.fetch(Step.SPLIT_DATA, tmp_path / "all")


def test_fetch_refuses_an_artifact_whose_bytes_changed(run, do, tmp_path):
    record = do(Step.LOAD_DATA)
    run.storage.put(record.artifacts["artifact.bin"].key, b"tampered")
    with pytest.raises(ArtifactCorruptError):
        run.fetch(Step.LOAD_DATA, tmp_path / "out")
    assert not (tmp_path / "out" / "load_data" / "artifact.bin").exists()


def test_a_plan_keeps_to_the_data_it_was_made_for_when_an_earlier_step_runs_again(
    run, do, tmp_path
):
    do(Step.LOAD_DATA, content=b"old")
    plan = run.plan(Step.PREPROCESS_DATA)
    do(Step.LOAD_DATA, content=b"new", period="2y")
    folder = run.fetch(Step.LOAD_DATA, tmp_path / "in", plan=plan)
    assert (folder / "artifact.bin").read_bytes() == b"old"
    finish(run, plan, tmp_path)
    assert statuses(run)[Step.PREPROCESS_DATA] == "stale"
