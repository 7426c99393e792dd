"""Attempts at a step that fail or are killed leave finished ones alone, and are reported."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest
from run_steps import STEPS, finish, statuses, up_to

from b3shared.core.errors import (
    ArtifactNotFoundError,
    InvalidParameterError,
    NoQuotesError,
    StepNotReadyError,
)
from b3shared.params.steps import Step
from b3shared.runs.run import Run
from b3shared.storage import FolderStorage


class Killed(BaseException):
    pass


class DiesBeforeTheStepFile(FolderStorage):
    def put(self, key, data):
        raise Killed(key)


def test_artifacts_without_a_step_file_do_not_make_a_step_done(run, tmp_path):
    doomed = Run.open(DiesBeforeTheStepFile(run.storage.url), "r1")
    with pytest.raises(Killed, match=r"steps/load_data\.json"):
        finish(doomed, doomed.plan(Step.LOAD_DATA), tmp_path)
    assert any(key.endswith("/artifact.bin") for key in run.storage.list())
    assert statuses(run)[Step.LOAD_DATA] == "missing"
    assert run.plan(Step.LOAD_DATA).record is None
    with pytest.raises(StepNotReadyError):
        run.plan(Step.PREPROCESS_DATA)


def test_an_attempt_killed_halfway_leaves_the_artifacts_of_a_finished_one_alone(run, tmp_path):
    plan = run.plan(Step.LOAD_DATA)
    finish(run, plan, tmp_path, b"finished")
    doomed = Run.open(DiesBeforeTheStepFile(run.storage.url), "r1")
    with pytest.raises(Killed):
        finish(doomed, plan, tmp_path, b"not quite the same")
    assert (
        run.fetch(Step.LOAD_DATA, tmp_path / "out") / "artifact.bin"
    ).read_bytes() == b"finished"


def test_a_missing_artifact_or_a_summary_that_is_no_json_leaves_the_step_not_done(run, tmp_path):
    plan = run.plan(Step.LOAD_DATA)
    for artifacts, summary, error in (
        ([tmp_path / "absent"], {}, ArtifactNotFoundError),
        ([], {"loss": float("nan")}, InvalidParameterError),
        ([], {"when": date(2020, 1, 1)}, InvalidParameterError),
        ([tmp_path / "a" / "same", tmp_path / "b" / "same"], {}, InvalidParameterError),
    ):
        with pytest.raises(error):
            run.finish(plan, artifacts, summary, time.time())
    assert run.storage.list() == ["runs/r1/params.json"]


def test_parallel_steps_do_not_overwrite_each_others_files(run, do, tmp_path):
    for step in up_to(Step.SPLIT_DATA):
        do(step)
    gate = threading.Barrier(8)
    plan = run.plan(Step.TRAIN_MODEL)

    def work(number):
        folder = tmp_path / str(number)
        folder.mkdir()
        gate.wait()
        if number % 2:
            finish(
                run, plan, folder, b"%d" % number
            )  # attempts at the same step, not quite reproducible
        else:
            run.progress(STEPS[number], {"rows": number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert statuses(run)[Step.TRAIN_MODEL] == "done"
    content = (
        run.fetch(Step.TRAIN_MODEL, tmp_path / "out") / "artifact.bin"
    ).read_bytes()  # checks the recorded hash
    assert content in (b"1", b"3", b"5", b"7")
    state = run.state()
    assert [state[STEPS[n]].progress["rows"] for n in (4, 6)] == [4, 6]


def test_a_failure_is_reported_with_its_reason_until_the_step_finishes(run, do):
    run.fail(Step.LOAD_DATA, NoQuotesError("no row passes", rows=0))
    state = run.state()[Step.LOAD_DATA]

    assert state.status == "failed"
    assert {k: state.error[k] for k in ("code", "message", "details")} == {
        "code": "NO_QUOTES",
        "message": "no row passes",
        "details": {"rows": 0},
    }
    run.progress(Step.LOAD_DATA, {"rows": 10})
    do(Step.LOAD_DATA)
    state = run.state()[Step.LOAD_DATA]
    assert (state.status, state.error, state.progress) == ("done", None, None)
    assert run.storage.list("runs/r1/steps/") == ["runs/r1/steps/load_data.json"]


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (KeyError("close"), None, ("INTERNAL", "KeyError: 'close'")),
        (
            "Task timed out after 900.00 seconds",
            "TIMEOUT",
            ("TIMEOUT", "Task timed out after 900.00 seconds"),
        ),
        (
            NoQuotesError("details are not JSON", when=date(2020, 1, 1)),
            None,
            ("NO_QUOTES", "details are not JSON"),
        ),
    ],
)
def test_any_failure_can_be_recorded(run, error, code, expected):
    run.fail(Step.TRAIN_MODEL, error, code)
    found = run.state()[Step.TRAIN_MODEL].error
    assert (found["code"], found["message"]) == expected


def test_a_failed_attempt_with_other_parameters_leaves_the_finished_one_standing(run, do):
    do(Step.LOAD_DATA)
    run.fail(Step.LOAD_DATA, NoQuotesError("nothing so far back"))
    state = run.state()[Step.LOAD_DATA]
    assert (state.status, state.error["code"]) == ("done", "NO_QUOTES")
    do(Step.PREPROCESS_DATA)


def test_an_old_failure_that_a_killed_finish_left_behind_is_not_reported(run, do):
    run.fail(Step.LOAD_DATA, NoQuotesError("before"))
    key = "runs/r1/steps/load_data.error.json"
    old = run.storage.read(key)
    do(Step.LOAD_DATA)
    run.storage.put(key, old)
    assert run.state()[Step.LOAD_DATA].error is None


def test_progress_is_reported_while_a_step_works_and_never_stops_it(run, caplog):
    run.progress(Step.LOAD_DATA, {"rows": 10})
    run.progress(Step.LOAD_DATA, {"rows": 20})
    state = run.state()[Step.LOAD_DATA]
    assert (state.status, state.progress["rows"]) == ("missing", 20)
    run.progress(Step.LOAD_DATA, {"rows": float("nan")})
    assert "progress of r1 load_data not written" in caplog.text
