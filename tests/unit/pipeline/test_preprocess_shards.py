"""Preprocessing in shards makes the same files as in one piece, to the byte."""

from pathlib import Path

import duckdb
import numpy as np
import pytest
from small_run import SMALL

from b3shared.core.config import BUNDLED_QUOTES, Settings
from b3shared.core.errors import InvalidParameterError, InvalidQuotesError
from b3shared.dataset.table import Dataset
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline.preprocess_shards import ShardRequest, perform_shard
from b3shared.pipeline.runner import run_step
from b3shared.runs.records import StepRecord
from b3shared.runs.run import Run
from b3shared.storage import FolderStorage

PARAMS = {name: value for name, value in SMALL.items() if name != "tickers"}


@pytest.fixture(scope="module")
def quotes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty tickers with a book that only some have, one without volume, and an early end."""
    path = tmp_path_factory.mktemp("quotes") / "quotes.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE q AS FROM '{BUNDLED_QUOTES}'")
        connection.execute(
            "DELETE FROM q WHERE ticker NOT IN (SELECT DISTINCT ticker FROM q ORDER BY 1 LIMIT 20)"
        )
        connection.execute("DELETE FROM q WHERE ticker = 'BRAP4' AND date > '2022-02-01'")
        connection.execute("UPDATE q SET volume = NULL WHERE ticker = 'BEEF3'")
        book = (
            "if(ticker = 'CSAN3', close - 0.01, NULL) AS best_buy, "
            "if(ticker = 'CSAN3', close + 0.01, NULL) AS best_sell"
        )
        connection.execute(f"COPY (SELECT *, {book} FROM q) TO '{path}' (FORMAT parquet)")

    return path


def without_volume(quotes: Path, path: Path) -> Path:
    """Write the quotes with an empty column of volumes."""
    rows = f"SELECT * REPLACE (NULL::BIGINT AS volume) FROM '{quotes}'"
    duckdb.execute(f"COPY ({rows}) TO '{path}' (FORMAT parquet)")
    return path


def settings(folder: Path, quotes: Path, shard_rows: int) -> Settings:
    return Settings(storage=str(folder), quotes=str(quotes), shard_rows=shard_rows)


def made(folder: Path, quotes: Path, shard_rows: int, **params: object) -> tuple[Run, StepRecord]:
    run = Run.create(FolderStorage(folder), "run", PipelineParams.from_values(PARAMS | params))
    run_step(run, Step.LOAD_DATA, settings=settings(folder, quotes, shard_rows))
    return run, run_step(run, Step.PREPROCESS_DATA, settings=settings(folder, quotes, shard_rows))


def hashes(record: StepRecord) -> dict[str, str]:
    return {name: artifact.sha256 for name, artifact in record.artifacts.items()}


@pytest.mark.parametrize(
    "params", [{}, {"features": "v1", "label": "triple_barrier"}, {"min_turnover": 150_000_000.0}]
)
def test_files_and_report_equal_those_of_one_shard(
    tmp_path: Path, quotes: Path, params: dict
) -> None:
    (_, whole), (run, sharded) = (
        made(tmp_path / str(rows), quotes, rows, **params) for rows in (10**9, 3_000)
    )
    loaded = run.record(Step.LOAD_DATA)
    assert loaded
    assert loaded.summary["shards"] == len(loaded.artifacts) > 5
    assert hashes(sharded) == hashes(whole)
    assert sharded.summary == whole.summary


def test_stored_shards_are_not_made_again(tmp_path: Path, quotes: Path) -> None:
    _, whole = made(tmp_path / "whole", quotes, 10**9)
    storage, setting = FolderStorage(tmp_path / "run"), settings(tmp_path / "run", quotes, 3_000)
    run = Run.create(storage, "run", PipelineParams.from_values(PARAMS))
    shards = run_step(run, Step.LOAD_DATA, settings=setting).summary["shards"]
    for number in range(shards):
        answer = perform_shard(ShardRequest(run_id="run", shard=number), setting)
        assert answer == {"run_id": "run", "shard": number, "made": True}

    assert perform_shard(ShardRequest(run_id="run", shard=0), setting)["made"] is False

    loads = [a.key for a in run.record(Step.LOAD_DATA).artifacts.values()]
    for key in loads:  # nothing is left to be made of them
        storage.delete(key)

    assert hashes(run_step(run, Step.PREPROCESS_DATA, settings=setting)) == hashes(whole)
    assert perform_shard(ShardRequest(run_id="run", shard=1), setting)["made"] is False


def test_a_shard_without_its_completion_mark_is_made_again(tmp_path: Path, quotes: Path) -> None:
    storage, setting = FolderStorage(tmp_path), settings(tmp_path, quotes, 3_000)
    run = Run.create(storage, "run", PipelineParams.from_values(PARAMS))
    run_step(run, Step.LOAD_DATA, settings=setting)
    perform_shard(ShardRequest(run_id="run", shard=2), setting)
    (mark,) = (
        key for key in storage.list("runs/run/preprocess_data/") if key.endswith("shards/0002.json")
    )
    storage.delete(mark)
    assert perform_shard(ShardRequest(run_id="run", shard=2), setting)["made"] is True


def test_a_shard_number_out_of_range_is_refused(tmp_path: Path, quotes: Path) -> None:
    setting = settings(tmp_path, quotes, 3_000)
    run = Run.create(FolderStorage(tmp_path), "run", PipelineParams.from_values(PARAMS))
    run_step(run, Step.LOAD_DATA, settings=setting)
    with pytest.raises(InvalidParameterError, match=r"shard must be .* got 99"):
        perform_shard(ShardRequest(run_id="run", shard=99), setting)


def test_a_users_own_quotes_are_not_sharded(tmp_path: Path, quotes: Path) -> None:
    storage, setting = FolderStorage(tmp_path), settings(tmp_path, quotes, 3_000)
    storage.upload(quotes, "inputs/own.parquet")
    run = Run.create(storage, "run", PipelineParams.from_values(PARAMS))
    run_step(run, Step.LOAD_DATA, settings=setting)
    assert not perform_shard(
        ShardRequest(run_id="run", shard=0, input_key="inputs/own.parquet"), setting
    )["made"]
    record = run_step(run, Step.PREPROCESS_DATA, settings=setting, input_key="inputs/own.parquet")
    assert record.summary["rows"] > 1_000


def test_a_column_that_only_one_shard_has_is_used_for_all(tmp_path: Path, quotes: Path) -> None:
    _, record = made(tmp_path, quotes, 3_000, features="v1")
    assert "best_buy_sell_spread" in record.summary["feature_names"]


def test_a_source_that_has_no_volume_at_all_is_refused_in_shards_too(
    tmp_path: Path, quotes: Path
) -> None:
    empty = without_volume(quotes, tmp_path / "empty.parquet")
    with pytest.raises(InvalidQuotesError, match="no volume"):
        made(tmp_path / "run", empty, 3_000)


def test_the_error_of_a_failed_shard_is_recorded_in_the_run(tmp_path: Path, quotes: Path) -> None:
    empty = without_volume(quotes, tmp_path / "empty.parquet")
    setting = settings(tmp_path / "run", empty, 3_000)
    run = Run.create(FolderStorage(tmp_path / "run"), "run", PipelineParams.from_values(PARAMS))
    run_step(run, Step.LOAD_DATA, settings=setting)
    with pytest.raises(InvalidQuotesError):
        perform_shard(ShardRequest(run_id="run", shard=1), setting)
    assert run.state()[Step.PREPROCESS_DATA].error["code"] == "INVALID_QUOTES"


def test_a_stored_table_is_mapped_not_read(tmp_path: Path, quotes: Path) -> None:
    run, _ = made(tmp_path / "run", quotes, 3_000)
    data = Dataset.load(run.fetch(Step.PREPROCESS_DATA, tmp_path / "out"))
    for name in ("X", "date", "close", "label_end", "label"):
        column = getattr(data, name)
        assert not column.flags.owndata
        assert not column.flags.writeable
    assert (np.diff(np.unique(data.ticker, return_index=True)[1]) > 0).all()


def test_shard_rows_must_be_a_number_of_at_least_one() -> None:
    assert Settings.from_environment({"B3_SHARD_ROWS": "5000"}).shard_rows == 5_000
    for wrong in ("0", "-1", "many", "1.5"):
        with pytest.raises(InvalidParameterError, match="B3_SHARD_ROWS"):
            Settings.from_environment({"B3_SHARD_ROWS": wrong})
