"""A training that is interrupted and called again, and other attempts at the same time."""

import shutil
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from small_run import SMALL

from b3shared.api.answers import status_answer
from b3shared.core.config import Settings
from b3shared.core.errors import InvalidParameterError, SupersededError, TooManySlicesError
from b3shared.models.base import Unfinished
from b3shared.params.models import CATALOGUE, model_spec
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline import run_pipeline, run_step
from b3shared.pipeline.checkpoint import StepCheckpoint
from b3shared.pipeline.requests import RESERVE, StepRequest, perform, slice_clock
from b3shared.runs.records import StepRecord
from b3shared.runs.run import Run
from b3shared.storage import FolderStorage, open_storage

TRAIN = StepRequest(run_id="first", step=Step.TRAIN_MODEL)


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage with the run ``first`` up to the split. Read-only: copy it."""
    folder = tmp_path_factory.mktemp("split")
    run = Run.create(open_storage(folder), "first", PipelineParams.from_values(SMALL))
    run_pipeline(run, settings=Settings(storage=str(folder)), stop_after=Step.SPLIT_DATA)
    return folder


@pytest.fixture
def run(split: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    sliced = replace(model_spec("rf"), implementation="sliced_forest:SlicedForest")
    monkeypatch.setitem(CATALOGUE, "rf", sliced)
    return Run.open(FolderStorage(shutil.copytree(split, tmp_path / "store")), "first")


def settings_of(run: Run, **more: Any) -> Settings:
    return Settings(storage=run.storage.url, **more)


def train(run: Run, **more: Any) -> StepRecord:
    return run_step(run, Step.TRAIN_MODEL, settings=settings_of(run), **more)


def no_time() -> float:
    return 0.0


def checkpoints(run: Run) -> list[str]:
    return [key for key in run.storage.list(run.prefix) if key.endswith("/checkpoint")]


def test_an_interrupted_training_is_no_failure_and_says_how_far_it_is(run: Run) -> None:
    with pytest.raises(Unfinished):
        train(run, seconds_left=no_time)

    state = run.state()[Step.TRAIN_MODEL]

    assert (state.status, state.error) == ("missing", None)
    assert state.progress is not None
    assert {name: state.progress[name] for name in ("phase", "epoch", "epochs")} == {
        "phase": "train",
        "epoch": 1,
        "epochs": 3,
    }
    said = status_answer(run, ["first.all.1"]).body()
    assert said["steps"]["train_model"]["progress"]["epoch"] == 1
    assert said["pipeline_state"]["training_status"] == "running"

    (key,) = checkpoints(run)

    assert key == "runs/first/train_model/checkpoint"


def test_a_training_in_slices_makes_the_files_of_an_uninterrupted_one(
    run: Run, split: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        with pytest.raises(Unfinished):
            train(run, seconds_left=no_time)
    heard: list[dict[str, Any]] = []
    record = train(run, seconds_left=no_time, progress=heard.append)

    assert [words["epoch"] for words in heard if "epoch" in words] == [3]
    assert checkpoints(run) == []

    other = Run.open(FolderStorage(shutil.copytree(split, tmp_path / "straight")), "first")
    straight = train(other)

    assert record.artifacts.keys() == straight.artifacts.keys()

    for name in ("model.onnx", "predictions.npz"):
        assert record.artifacts[name].sha256 == straight.artifacts[name].sha256


def test_the_time_of_a_step_counts_from_its_first_call(run: Run) -> None:
    with pytest.raises(Unfinished):
        train(run, seconds_left=no_time)
    key = checkpoints(run)[0]
    first = StepCheckpoint(run.storage, key)
    first.load()
    record = train(run)
    assert record.seconds == pytest.approx(_seconds(record.finished_at) - first.started, abs=0.01)
    assert _seconds(record.started_at) == pytest.approx(first.started, abs=0.01)


def _seconds(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()


def test_a_training_with_other_parameters_starts_anew(run: Run) -> None:
    with pytest.raises(Unfinished):
        train(run, seconds_left=no_time)
    heard: list[dict[str, Any]] = []
    run_step(
        run, Step.TRAIN_MODEL, {"random_state": 5}, settings=settings_of(run), progress=heard.append
    )
    assert [words["epoch"] for words in heard if "epoch" in words] == [1, 2, 3]
    assert checkpoints(run) == []


def test_the_time_of_a_step_does_not_count_an_abandoned_training(run: Run) -> None:
    with pytest.raises(Unfinished):
        train(run, seconds_left=no_time)
    last_year = StepCheckpoint(run.storage, checkpoints(run)[0])
    work = last_year.load()
    last_year._head["started"] -= 365 * 86_400
    last_year.save(work or b"")
    record = run_step(run, Step.TRAIN_MODEL, {"random_state": 5}, settings=settings_of(run))
    assert record.seconds < 86_400
    assert _seconds(record.started_at) > last_year.started + 86_400


def test_parameters_without_effect_on_the_training_continue_it(run: Run) -> None:
    with pytest.raises(Unfinished):
        train(run, seconds_left=no_time)
    heard: list[dict[str, Any]] = []
    run_step(run, Step.TRAIN_MODEL, {"n_jobs": 2}, settings=settings_of(run), progress=heard.append)
    assert [words["epoch"] for words in heard if "epoch" in words] == [2, 3]


def test_a_superseded_attempt_stops_and_records_nothing(run: Run) -> None:
    def taken_over(words: dict[str, Any]) -> None:
        if words.get("epoch") == 1:
            StepCheckpoint(run.storage, checkpoints(run)[0]).load()

    with pytest.raises(SupersededError):
        train(run, progress=taken_over)
    state = run.state()[Step.TRAIN_MODEL]
    assert (state.status, state.error) == ("missing", None)
    assert len(checkpoints(run)) == 1
    assert train(run).summary


def test_a_superseded_attempt_returns_the_record_of_the_attempt_that_finished(run: Run) -> None:
    done: list[StepRecord] = []

    def overtaken(words: dict[str, Any]) -> None:
        if words.get("epoch") == 2 and not done:
            done.append(train(Run.open(run.storage, "first")))

    assert train(run, progress=overtaken) == done[0]
    assert checkpoints(run) == []
    assert run.state()[Step.TRAIN_MODEL].status == "done"


def test_a_training_that_fails_keeps_its_checkpoint_and_its_reason(run: Run) -> None:
    with pytest.raises(TooManySlicesError):
        run_step(run, Step.TRAIN_MODEL, {"random_state": 13}, settings=settings_of(run))
    assert run.state()[Step.TRAIN_MODEL].error["code"] == "TOO_MANY_SLICES"  # type: ignore[index]
    assert len(checkpoints(run)) == 1


def test_the_function_answers_partial_until_the_training_is_done(run: Run) -> None:
    answers = [
        perform(Step.TRAIN_MODEL, TRAIN, settings_of(run, slice_seconds=0.0)) for _ in range(4)
    ]

    assert [answer["status"] for answer in answers] == ["partial", "partial", "done", "done"]

    first = answers[0]

    assert first == {
        "run_id": "first",
        "step": "train_model",
        "status": "partial",
        "seconds": first["seconds"],
        "progress": {"phase": "train", "epoch": 1, "epochs": 3},
    }
    assert [answer.get("before") for answer in answers] == [None, None, False, True]


def test_the_training_stops_when_the_functions_time_is_nearly_up(run: Run) -> None:
    left = iter([10.0, 10.0, RESERVE * 10.0])
    assert (
        perform(Step.TRAIN_MODEL, TRAIN, settings_of(run), lambda: next(left))["status"]
        == "partial"
    )
    assert perform(Step.TRAIN_MODEL, TRAIN, settings_of(run), lambda: 10.0)["status"] == "done"


def test_the_clock_of_a_slice_runs_out_at_the_setting_or_at_the_reserve_whichever_comes_first() -> (
    None
):
    remaining = [100.0]
    clock = slice_clock(float("inf"), lambda: remaining[0])
    assert clock() == pytest.approx(100 * (1 - RESERVE))
    remaining[0] = 100 * RESERVE
    assert clock() == pytest.approx(0)
    assert slice_clock(5.0, lambda: 100.0)() == pytest.approx(5.0, abs=1)
    assert slice_clock(float("inf"), lambda: float("inf"))() == float("inf")


def test_a_refit_is_interrupted_and_continued_too(run: Run) -> None:
    train(run)
    run_step(run, Step.EVALUATE_MODEL, settings=settings_of(run))
    request = StepRequest(run_id="first", step=Step.REFIT_MODEL)
    answers = [
        perform(Step.REFIT_MODEL, request, settings_of(run, slice_seconds=0.0)) for _ in range(3)
    ]
    assert [answer["status"] for answer in answers] == ["partial", "partial", "done"]
    assert checkpoints(run) == []


def test_a_function_of_several_steps_does_those_and_no_other() -> None:
    both = (Step.TRAIN_MODEL, Step.REFIT_MODEL)
    assert TRAIN.step_among(*both) is Step.TRAIN_MODEL
    for given in (None, "save_model"):
        with pytest.raises(InvalidParameterError, match="one of train_model, refit_model"):
            StepRequest.from_event({"run_id": "first", "step": given}).step_among(*both)
    with pytest.raises(InvalidParameterError, match="step"):
        StepRequest.from_event({"run_id": "first", "step": "fly"})
