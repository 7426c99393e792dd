"""Today's code serves, promotes from and resumes a store that an earlier version made."""

import tarfile
from datetime import date
from pathlib import Path

import pytest
from paths import DATA

from b3shared.core.config import Settings
from b3shared.params.steps import Step
from b3shared.pipeline.runner import run_pipeline
from b3shared.registry.key import ModelKey
from b3shared.registry.promotion import promote
from b3shared.registry.release import Release
from b3shared.registry.versions import Registry
from b3shared.runs.run import Run
from b3shared.serving.live import Live
from b3shared.serving.predictor import Predictor
from b3shared.storage import FolderStorage, Storage

RF = ModelKey("models", "rf")

STORE = DATA / "earlier_store" / "store.tar.xz"
TICKERS = ["PETR4", "VALE3", "ITUB4", "BBDC4", "ABEV3"]


@pytest.fixture
def store(tmp_path: Path) -> Storage:
    """The store, unpacked for one test."""
    with tarfile.open(STORE) as archive:
        archive.extractall(tmp_path / "store", filter="data")
    return FolderStorage(tmp_path / "store")


def predictor(store: Storage) -> Predictor:
    """A predictor of the store on the day after its newest session."""
    live = Live(store, moment=60, cold=60)
    live.refresh()
    return Predictor(live, today=lambda: date(2023, 12, 29))


@pytest.mark.parametrize("model_type", ["rf", "lstm"])
def test_live_versions_of_an_earlier_store_answer_without_degraded(
    store: Storage, model_type: str
) -> None:
    answers = predictor(store)
    for ticker in TICKERS:
        answer = answers.predict(ticker, model_type)
        assert answer["status"] == "success"
        assert answer["degraded"] is False, answer["degraded_reasons"]


def test_a_version_that_is_not_live_can_be_promoted_and_then_answers(store: Storage) -> None:
    before = Release(store).state().live[RF]
    (other,) = {v["version"] for v in Registry(store, "models").versions("rf")} - {before}
    promote(store, "models", "rf", other, who="maria", why="a second look")

    answer = predictor(store).predict("PETR4", "rf")
    assert answer["model_version"] == other
    assert answer["degraded"] is False


@pytest.mark.parametrize("run_id", ["trained-only", "cut-network"])
def test_an_unfinished_run_goes_on_where_it_ended(store: Storage, run_id: str) -> None:
    run = Run.open(store, run_id)
    before = {step: state.record for step, state in run.state().items() if state.status == "done"}
    assert 0 < len(before) < len(Step)
    cut = store.list(f"runs/{run_id}/train_model/checkpoint")

    records = run_pipeline(run, settings=Settings(storage=store.url, quotes=f"{store.url}/lake"))

    assert {step: records[step] for step in before} == before
    assert all(state.status == "done" for state in run.state().values())
    assert bool(cut) is (run_id == "cut-network")
    assert not store.list(f"runs/{run_id}/train_model/checkpoint")


def test_a_finished_run_has_nothing_left_to_do(store: Storage) -> None:
    run = Run.open(store, "second-forest")
    before = {step: state.record for step, state in run.state().items()}
    assert (
        run_pipeline(run, settings=Settings(storage=store.url, quotes=f"{store.url}/lake"))
        == before
    )
