"""A run keeps the market with its quotes: the evaluation's inputs follow from its content."""

import json
from pathlib import Path

import pandas as pd
import pytest
from small_run import SMALL

from b3shared.core.config import BUNDLED_QUOTES, Settings
from b3shared.dataset.market import MARKET
from b3shared.evaluation.files import METRICS_FILE
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline.runner import run_pipeline, run_step
from b3shared.quotes.lake.write import write_lake
from b3shared.runs.run import Run
from b3shared.storage import FolderStorage

YEAR = {"start": "2022-07-01", "end": "2023-12-28"}


@pytest.fixture(scope="module")
def days(eight: pd.DataFrame) -> pd.Series:
    """Every session of the quotes."""
    return eight["date"].drop_duplicates().sort_values()


def rates(days: pd.Series, rate: float = 0.0005) -> bytes:
    return "".join(["date,rate\n", *(f"{day:%Y-%m-%d},{rate}\n" for day in days)]).encode()


@pytest.fixture
def deployment(tmp_path: Path, eight: pd.DataFrame) -> Settings:
    """A storage with a lake of eight tickers, none of them the Ibovespa's fund."""
    storage = FolderStorage(tmp_path)
    write_lake(eight[eight["date"] >= "2022-07-01"], storage)
    return Settings(storage=str(tmp_path), quotes=f"{tmp_path}/lake/quotes")


def loaded(settings: Settings, run_id: str) -> Run:
    params = PipelineParams.from_values(SMALL | YEAR)
    run = Run.create(FolderStorage(settings.storage), run_id, params)
    run_step(run, Step.LOAD_DATA, settings=settings)
    return run


def output_of(run: Run) -> str:
    record = run.record(Step.LOAD_DATA)
    assert record is not None
    return record.output_hash


def test_the_output_of_loading_follows_from_the_markets_content(
    deployment: Settings, days: pd.Series
) -> None:
    storage = FolderStorage(deployment.storage)
    bare = loaded(deployment, "bare")
    record = bare.record(Step.LOAD_DATA)
    assert record is not None
    assert set(record.artifacts) == {"quotes.parquet"}

    storage.put("market/cdi.csv", rates(days))
    with_rates = loaded(deployment, "with-rates")
    assert output_of(with_rates) != output_of(bare)
    storage.put("market/cdi.csv", rates(days) + b"2029-01-02,0.0001\n")
    assert output_of(loaded(deployment, "later-rates")) == output_of(with_rates)
    storage.put("market/cdi.csv", rates(days, 0.0006))
    assert output_of(loaded(deployment, "other-rates")) != output_of(with_rates)

    storage.delete("market/cdi.csv")
    assert output_of(loaded(deployment, "bare-again")) == output_of(bare)


def test_a_faulty_file_fails_the_load_by_its_row(deployment: Settings) -> None:
    storage = FolderStorage(deployment.storage)
    storage.put("market/cdi.csv", b"date,rate\n2023-01-02,0.05\n")
    with pytest.raises(Exception, match=r"market/cdi.csv, row 2: rate must be") as raised:
        loaded(deployment, "faulty")
    assert getattr(raised.value, "code", None) == "INVALID_MARKET"


def test_an_evaluation_reads_the_rates_that_were_kept_with_the_quotes(
    deployment: Settings, days: pd.Series
) -> None:
    storage = FolderStorage(deployment.storage)
    storage.put("market/cdi.csv", rates(days))
    run = loaded(deployment, "r")
    run_pipeline(run, settings=deployment, stop_after=Step.TRAIN_MODEL)

    storage.put("market/cdi.csv", rates(days, 0.0009))
    record = run_step(run, Step.EVALUATE_MODEL, settings=deployment)
    metrics = json.loads(storage.read(record.artifacts[METRICS_FILE].key))
    found = metrics["backtest"]["benchmarks"]["next_close"]
    assert found["cdi"]["annual_return"] == pytest.approx(1.0005**252 - 1, rel=0.05)
    assert found["market"]["name"] == "equal-weighted universe"
    assert record.summary["backtest"]["model"]["above_cdi_annual_return"] is not None


def test_files_beside_a_local_file_of_quotes_are_used(tmp_path: Path, days: pd.Series) -> None:
    quotes = tmp_path / "quotes.parquet"
    quotes.symlink_to(BUNDLED_QUOTES)
    (tmp_path / "cdi.csv").write_bytes(rates(days))
    run = loaded(Settings(storage=str(tmp_path / "store"), quotes=str(quotes)), "beside")
    record = run.record(Step.LOAD_DATA)
    assert record is not None
    assert MARKET in record.artifacts
