"""Running single steps: results, failures, changed parameters and the user's own data."""

import json
import shutil
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest
from small_run import SMALL

from b3shared.core.config import Settings
from b3shared.core.errors import (
    ArtifactCorruptError,
    ArtifactNotFoundError,
    InvalidParameterError,
    InvalidQuotesError,
    StepNotReadyError,
    UnknownTickerError,
)
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline import run_pipeline, run_step
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.loading.cleaning import clean
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.registry.release import Release
from b3shared.registry.versions import Registry
from b3shared.runs.records import StepRecord
from b3shared.runs.run import Run
from b3shared.storage import FolderStorage, open_storage


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage with the run ``first`` up to the evaluation. Read-only: copy it."""
    folder = tmp_path_factory.mktemp("evaluated")
    run = Run.create(open_storage(folder), "first", PipelineParams.from_values(SMALL))
    run_pipeline(run, settings=Settings(storage=str(folder)), stop_after=Step.REFIT_MODEL)
    return folder


@pytest.fixture
def run(evaluated: Path, tmp_path: Path) -> Run:
    return Run.open(FolderStorage(shutil.copytree(evaluated, tmp_path / "store")), "first")


@pytest.fixture
def fresh(tmp_path: Path) -> Run:
    return Run.create(FolderStorage(tmp_path / "fresh"), "first", PipelineParams.from_values(SMALL))


def do(run: Run, step: Step, overrides: dict[str, Any] | None = None, **more: Any) -> StepRecord:
    return run_step(run, step, overrides, settings=Settings(storage=run.storage.url), **more)


def status(run: Run) -> list[str]:
    return [state.status for state in run.state().values()]


def give(run: Run, frame: pd.DataFrame, key: str, tmp_path: Path) -> str:
    run.storage.upload(write_parquet(frame, tmp_path / "given.parquet"), key)
    return key


def quotes_of(run: Run, folder: Path) -> pd.DataFrame:
    return ParquetSource(run.fetch(Step.LOAD_DATA, folder) / "quotes.parquet").read(QuoteQuery())


def test_a_failed_step_is_recorded_with_code_and_message_and_raises(fresh: Run) -> None:
    with pytest.raises(UnknownTickerError, match="XXXX3") as caught:
        do(fresh, Step.LOAD_DATA, {"tickers": ["XXXX3", "PETR4"]})

    state = fresh.state()[Step.LOAD_DATA]

    assert state.status == "failed"
    assert state.record is None
    assert {name: state.error[name] for name in ("code", "message", "details")} == {
        "code": "UNKNOWN_TICKER",
        "message": caught.value.message,
        "details": {"tickers": ["XXXX3"]},
    }
    assert fresh.storage.list("runs/first/load_data") == []
    assert do(fresh, Step.LOAD_DATA).summary["tickers"] == 8
    assert fresh.state()[Step.LOAD_DATA].error is None


def test_an_unexpected_error_is_recorded_too(run: Run) -> None:
    def told(words: dict[str, Any]) -> None:
        raise ZeroDivisionError("of the one who watches")

    with pytest.raises(ZeroDivisionError):
        do(run, Step.TRAIN_MODEL, {"n_estimators": 13}, progress=told)
    state = run.state()[Step.TRAIN_MODEL]
    assert (state.error["code"], state.error["message"]) == (
        "INTERNAL",
        "ZeroDivisionError: of the one who watches",
    )
    assert state.record.params["rf"]["n_estimators"] == 12  # what was done before still stands
    assert status(run)[:4] == ["done"] * 4


def test_an_invalid_request_is_refused_before_the_step_starts(run: Run) -> None:
    before = run.storage.list()
    for overrides, words in (
        ({"horizon": 5}, "belongs to preprocess_data"),
        ({"tree": 1}, "tree"),
        ({"test_size": 9}, "9"),
    ):
        with pytest.raises(InvalidParameterError, match=words):
            do(run, Step.SPLIT_DATA, overrides)
    with pytest.raises(StepNotReadyError, match="save_model"):
        do(run, Step.PUBLISH_SERVING)
    assert run.storage.list() == before


def test_a_finished_step_returns_at_once(run: Run) -> None:
    before = {key: run.storage.sha256(key) for key in run.storage.list()}
    heard: list[dict[str, Any]] = []
    for step in list(Step)[:6]:
        assert do(run, step, progress=heard.append) == run.record(step)
    missing = Settings(storage=run.storage.url, quotes="of which there are none.parquet")
    assert run_step(run, Step.LOAD_DATA, {"period": "5y"}, settings=missing) == run.record(
        Step.LOAD_DATA
    )
    assert heard == []
    assert {key: run.storage.sha256(key) for key in run.storage.list()} == before


def test_progress_reaches_the_caller_and_the_run_and_ends_with_the_step(run: Run) -> None:
    heard: list[dict[str, Any]] = []
    stored: list[Any] = []

    def listen(words: dict[str, Any]) -> None:
        heard.append(words)
        stored.append(run.state()[Step.TRAIN_MODEL].progress)

    do(run, Step.TRAIN_MODEL, {"n_estimators": 6}, progress=listen)
    assert heard
    assert {words["step"] for words in heard} == {"train_model"}
    assert [{n: v for n, v in words.items() if n != "at"} for words in stored] == [
        {n: v for n, v in words.items() if n != "step"} for words in heard
    ]
    assert run.state()[Step.TRAIN_MODEL].progress is None


def test_parameters_given_at_split_and_train_are_used_and_make_the_later_steps_stale(
    run: Run, tmp_path: Path
) -> None:
    first = run.record(Step.SPLIT_DATA).summary
    second = do(run, Step.SPLIT_DATA, {"test_size": 0.1, "val_size": 0.1}).summary

    assert second["test_size"] < 0.6 * first["test_size"]
    assert second["train_size"] > first["train_size"]
    assert status(run) == ["done"] * 3 + ["stale"] * 3 + ["missing"] * 2
    with pytest.raises(StepNotReadyError, match="train_model, which is out of date"):
        do(run, Step.EVALUATE_MODEL)

    trained = do(run, Step.TRAIN_MODEL, {"n_estimators": 5, "random_state": 3})

    assert (trained.params["rf"]["n_estimators"], trained.params["rf"]["max_depth"]) == (5, [4])

    forest = joblib.load(run.fetch(Step.TRAIN_MODEL, tmp_path) / "b3_model.joblib")

    assert (len(forest.estimators_), forest.max_depth, forest.random_state) == (5, 4, 3)
    assert status(run) == ["done"] * 4 + ["stale"] * 2 + ["missing"] * 2
    assert (
        do(run, Step.SPLIT_DATA).summary == second
    )  # without overrides it keeps what it last ran with


def test_going_back_to_the_old_parameters_makes_the_later_steps_done_again(run: Run) -> None:
    do(run, Step.SPLIT_DATA, {"embargo_days": 20})
    assert "stale" in status(run)
    do(run, Step.SPLIT_DATA, {"embargo_days": 5})
    assert status(run) == ["done"] * 6 + ["missing"] * 2


def test_the_name_and_the_namespace_given_at_save_are_those_of_the_version(
    run: Run, tmp_path: Path
) -> None:
    summary = do(
        run, Step.SAVE_MODEL, {"model_name": "forest_2024.joblib", "model_dir": "mine"}
    ).summary
    registry = Registry(run.storage, "mine")
    folder = registry.fetch("rf", summary["model_version"], tmp_path)

    assert [path.name for path in folder.glob("*.joblib")] == ["forest_2024.joblib"]
    assert len(joblib.load(folder / "forest_2024.joblib").estimators_) == 12
    assert summary["model_path"].endswith(
        f"/models/mine/rf/{summary['model_version']}/forest_2024.joblib"
    )
    assert (
        registry.manifest("rf", summary["model_version"])["params"]["model_name"]
        == "forest_2024.joblib"
    )
    assert run.storage.folders("models/") == ["mine"]


def test_quotes_of_the_users_own_are_loaded_in_place_of_the_deployments(
    run: Run, eight: pd.DataFrame, tmp_path: Path
) -> None:
    loaded = run.record(Step.LOAD_DATA)
    given = eight[eight["ticker"].isin(["PETR4", "VALE3", "WEGE3"])].assign(company="of my own")
    key = give(run, given, "uploads/mine.parquet", tmp_path)
    record = do(run, Step.LOAD_DATA, {"tickers": ["PETR4", "VALE3"]}, input_key=key)

    assert (record.input.key, record.input.sha256) == (key, run.storage.sha256(key))

    frame = quotes_of(run, tmp_path)

    assert set(frame["ticker"]) == {"PETR4", "VALE3"}  # filtered as the deployment's would be
    assert set(frame["company"]) == {"of my own"}
    assert record.summary["source"] == key
    assert record.output_hash != loaded.output_hash
    assert status(run) == ["done"] + ["stale"] * 5 + ["missing"] * 2

    back = do(run, Step.LOAD_DATA, {"tickers": SMALL["tickers"]}, input_key="")

    assert back.input is None
    assert back.output_hash == loaded.output_hash
    assert status(run) == ["done"] * 6 + ["missing"] * 2


def test_edited_quotes_are_preprocessed_in_place_of_those_loaded(
    run: Run, eight: pd.DataFrame, tmp_path: Path
) -> None:
    before = run.record(Step.PREPROCESS_DATA)
    edited = eight[eight["ticker"] != "MGLU3"].copy()
    edited.loc[edited.index[100], "close"] = -1.0  # what cannot be a quote is dropped here too
    key = give(run, edited, "uploads/edited.parquet", tmp_path)
    record = do(run, Step.PREPROCESS_DATA, input_key=key)

    assert record.summary["tickers"] == 7
    assert len(clean(edited)[0]) == len(edited) - 1

    sizes = do(run, Step.SPLIT_DATA).summary

    assert (
        sum(sizes[f"{part}_size"] for part in ("train", "validation", "test"))
        < record.summary["labelled_rows"]
    )

    document = json.loads(run.storage.read("runs/first/steps/preprocess_data.json"))

    assert document["input"] == {"key": key, "sha256": run.storage.sha256(key)}
    assert do(run, Step.PREPROCESS_DATA) == record  # it keeps what it was given
    assert record.input_hash != before.input_hash


def test_the_users_data_reach_the_lineage_of_the_version(
    run: Run, eight: pd.DataFrame, tmp_path: Path
) -> None:
    key = give(run, eight[eight["ticker"] != "MGLU3"], "uploads/edited.parquet", tmp_path)
    do(run, Step.PREPROCESS_DATA, input_key=key)
    for step in list(Step)[2:7]:
        summary = do(run, step).summary
    lineage = Registry(run.storage, "models").manifest("rf", summary["model_version"])["lineage"]
    assert lineage["given"] == {"preprocess_data": {"key": key, "sha256": run.storage.sha256(key)}}
    assert lineage["steps"]["preprocess_data"] == run.record(Step.PREPROCESS_DATA).output_hash
    do(run, Step.PREPROCESS_DATA, input_key="")
    assert run.record(Step.PREPROCESS_DATA).output_hash != lineage["steps"]["preprocess_data"]


@pytest.mark.parametrize("step", [Step.LOAD_DATA, Step.PREPROCESS_DATA])
def test_data_that_changed_since_they_were_given_are_not_used_under_the_old_hash(
    run: Run, eight: pd.DataFrame, tmp_path: Path, step: Step
) -> None:
    key = give(run, eight, "uploads/mine.parquet", tmp_path)
    record = do(run, step, input_key=key)
    give(run, eight[eight["ticker"] != "MGLU3"], key, tmp_path)
    changed = {"tickers": SMALL["tickers"][:7]} if step is Step.LOAD_DATA else {"horizon": 5}
    with pytest.raises(ArtifactCorruptError, match="uploads/mine"):
        do(run, step, changed)
    assert run.state()[step].error["code"] == "ARTIFACT_CORRUPT"
    again = do(run, step, changed, input_key=key)  # given anew, they are what they are now
    assert again.input.sha256 != record.input.sha256
    assert again.summary["tickers"] == 7


def test_data_that_are_not_there_or_not_quotes_are_refused(run: Run) -> None:
    with pytest.raises(ArtifactNotFoundError, match="uploads/none"):
        do(run, Step.PREPROCESS_DATA, input_key="uploads/none")
    run.storage.put("uploads/page", b"<html>")
    with pytest.raises(InvalidQuotesError, match=r"^uploads/page cannot be read as quotes"):
        do(run, Step.PREPROCESS_DATA, input_key="uploads/page")
    state = run.state()[Step.PREPROCESS_DATA]
    assert (state.status, state.error["code"]) == ("done", "INVALID_QUOTES")


@pytest.mark.parametrize("step", list(Step)[2:])
def test_a_step_that_does_not_read_the_users_data_refuses_them(run: Run, step: Step) -> None:
    run.storage.put("uploads/mine", b"data")
    before = run.storage.list()
    with pytest.raises(InvalidParameterError, match="for load_data and preprocess_data only"):
        do(run, step, input_key="uploads/mine")
    assert run.storage.list() == before


def test_run_pipeline_passes_finished_steps_through_and_stops_where_it_is_told(run: Run) -> None:
    seen: list[tuple[str, bool]] = []
    records = run_pipeline(
        run,
        settings=Settings(storage=run.storage.url),
        stop_after=Step.SAVE_MODEL,
        finished=lambda record, before: seen.append((str(record.step), before)),
    )
    assert seen == [(str(step), step is not Step.SAVE_MODEL) for step in list(Step)[:7]]
    assert list(records) == list(Step)[:7]
    assert run.record(Step.PUBLISH_SERVING) is None


@pytest.mark.parametrize("refit", [True, False])
def test_the_rule_that_was_evaluated_is_the_rule_that_is_served(
    run: Run, tmp_path: Path, refit: bool
) -> None:
    do(run, Step.EVALUATE_MODEL, {"decision": "argmax"})
    do(run, Step.REFIT_MODEL, {"refit": refit})
    model = json.loads((run.fetch(Step.REFIT_MODEL, tmp_path) / "model.json").read_text())
    assert model["decision"] == "argmax"


def test_a_version_that_is_suspected_of_a_leak_is_registered_and_does_not_go_live(run: Run) -> None:
    record = run.record(Step.EVALUATE_MODEL)
    assert record is not None
    suspected = record.model_copy(update={"summary": record.summary | {"leak_suspected": True}})
    run.storage.put("runs/first/steps/evaluate_model.json", suspected.model_dump_json().encode())
    saved = do(run, Step.SAVE_MODEL).summary
    assert not saved["live"]
    assert "a leak is suspected" in saved["decision"]
    assert Registry(run.storage, "models").manifest("rf", saved["model_version"])
    assert Release(run.storage).state().live == {}
