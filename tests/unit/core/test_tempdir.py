"""Errors of a disk that is really full name the step, the free space and the setting to raise."""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import duckdb
import joblib
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from moto import mock_aws
from paths import ROOT
from small_disk import small_disk
from small_run import SMALL

from b3shared.api.errors import HTTP_STATUS
from b3shared.core import errors
from b3shared.core.config import Settings
from b3shared.core.errors import (
    B3Error,
    DiskFullError,
    NoQuotesError,
    OutOfMemoryError,
    SourceUnavailableError,
)
from b3shared.core.tempdir import temporary_cache, temporary_directory
from b3shared.dataset.npz import write_npz
from b3shared.models.base import Unfinished
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline import run_step
from b3shared.pipeline.preprocess_shards import ShardRequest, perform_shard
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.runs.run import Run
from b3shared.storage import FolderStorage, S3Storage
from b3shared.storage.database import connect

VALUES = np.random.default_rng(0).random(1 << 18)
"""Two MiB that do not compress."""


def test_libraries_keep_files_in_the_temporary_cache_unless_a_variable_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TOLD", "/somewhere")
    monkeypatch.delenv("UNTOLD", raising=False)
    with pytest.raises(ZeroDivisionError), temporary_cache("TOLD", "UNTOLD"):  # noqa: PT012
        assert os.environ["TOLD"] == "/somewhere"
        (Path(os.environ["UNTOLD"]) / "kept").write_text("x")
        raise ZeroDivisionError
    assert os.environ["TOLD"] == "/somewhere"
    assert "UNTOLD" not in os.environ
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 1 MiB, for temporary files."""
    with small_disk(tmp_path / "disk") as folder:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        yield folder


def spilt(folder: Path) -> None:
    with duckdb.connect(
        config={"temp_directory": str(folder / "spill"), "memory_limit": "30MB", "threads": 1}
    ) as connection:
        connection.execute(
            "CREATE TABLE values AS SELECT random() AS a, random() AS b FROM range(3_000_000)"
        )


WRITERS: dict[str, Callable[[Path], Any]] = {
    "Python": lambda folder: (folder / "x").write_bytes(VALUES.tobytes()),
    "a NumPy array": lambda folder: np.save(folder / "x.npy", VALUES),
    "a NumPy archive": lambda folder: np.savez(folder / "x.npz", x=VALUES),
    "our archive": lambda folder: write_npz(folder / "x.npz", {"x": VALUES}),
    "Parquet": lambda folder: write_parquet(pd.DataFrame({"x": VALUES}), folder / "x.parquet"),
    "a DuckDB that spills": spilt,
    "a network": lambda folder: torch.save({"x": torch.tensor(VALUES)}, folder / "x.pt"),
    "a forest": lambda folder: joblib.dump(VALUES, folder / "x.joblib"),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_writing_to_a_full_disk_raises_disk_full(disk: Path, write: Callable[[Path], Any]) -> None:
    with (
        pytest.raises(
            DiskFullError, match=r"^split_data: .* of 1\.0 MiB are free in .*ScratchSize"
        ) as caught,
        temporary_directory("split_data") as folder,
    ):
        write(folder)
    assert caught.value.details["folder"] == str(disk)
    assert caught.value.details["who"] == "split_data"
    assert not list(disk.iterdir())


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_downloading_to_a_full_disk_raises_disk_full(
    disk: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="bucket")
        storage = FolderStorage(tmp_path / "store") if kind == "folder" else S3Storage("bucket")
        with monkeypatch.context() as roomy:
            roomy.setattr(
                tempfile, "tempdir", str(tmp_path)
            )  # moto keeps its objects in temporary files
            storage.put("a/b", VALUES.tobytes() * 8)
        with (
            pytest.raises(DiskFullError, match=r"^evaluate_model: "),
            temporary_directory("evaluate_model") as folder,
        ):
            storage.download("a/b", folder / "b")


def test_a_step_on_a_full_disk_fails_and_resumes_on_a_larger_one(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run.create(FolderStorage(tmp_path / "store"), "first", PipelineParams.from_values(SMALL))
    settings = Settings(storage=str(tmp_path / "store"), shard_rows=3_000)
    with monkeypatch.context() as roomy:
        roomy.setattr(tempfile, "tempdir", str(tmp_path))
        assert run_step(run, Step.LOAD_DATA, settings=settings).summary["shards"] > 2

    for who, work in {
        "preprocess_data": lambda: run_step(run, Step.PREPROCESS_DATA, settings=settings),
        "preprocess_shard": lambda: perform_shard(ShardRequest(run_id="first", shard=0), settings),
    }.items():
        (disk / "others").write_bytes(bytes(shutil.disk_usage(disk).free - 100_000))
        with pytest.raises(DiskFullError, match=f"^{who}: ") as caught:
            work()
        error = run.state()[Step.PREPROCESS_DATA].error
        assert (error["code"], error["message"]) == ("DISK_FULL", caught.value.message)
        assert error["details"]["total_mib"] == 1.0
        (disk / "others").unlink()

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert run_step(run, Step.PREPROCESS_DATA, settings=settings).summary["rows"] > 0


def test_other_errors_pass_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    errors = (
        OSError(errno.EIO, os.strerror(errno.EIO)),
        OSError("no number"),
        RuntimeError("x"),
        NoQuotesError("x"),
        Unfinished({}),
        KeyboardInterrupt(),
    )

    for error in errors:
        with pytest.raises(type(error)) as caught, temporary_directory("load_data"):
            raise error
        assert caught.value is error


def test_an_error_caused_by_a_full_disk_becomes_disk_full() -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(DiskFullError), temporary_directory("load_data"):
        raise SourceUnavailableError("not to be read") from full


@pytest.mark.parametrize("what", ["numpy", "duckdb"])
def test_too_little_memory_raises_out_of_memory_with_advice(what: str) -> None:
    def exhaust() -> None:
        if what == "numpy":
            np.empty(1 << 60, dtype=np.uint8)
        with connect(memory_limit="1MB") as connection:
            connection.execute(
                "CREATE TABLE t AS SELECT i, md5(i::VARCHAR) FROM range(1_000_000) t(i)"
            )

    with (
        pytest.raises(
            OutOfMemoryError, match=r"load_data: the memory is too small: .* more memory"
        ),
        temporary_directory("load_data"),
    ):
        exhaust()
    assert HTTP_STATUS[OutOfMemoryError.code] == 507


def test_disk_full_is_http_507_and_is_never_retried() -> None:
    assert HTTP_STATUS[DiskFullError.code] == 507
    ours = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, B3Error)
    }
    machine = yaml.safe_load((ROOT / "infra" / "pipeline.asl.yaml").read_text(encoding="utf-8"))
    tried_again = {
        name
        for state in _states(machine)
        for retry in state.get("Retry", [])
        for name in retry["ErrorEquals"]
    }

    assert "SourceUnavailableError" in tried_again
    assert not tried_again & {"States.ALL", "States.TaskFailed"}
    assert all(ours[name].retryable for name in tried_again & ours.keys())
    assert "DiskFullError" not in (ROOT / "infra" / "ingest.asl.yaml").read_text(encoding="utf-8")


def _states(machine: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for state in machine["States"].values():
        yield state
        if "ItemProcessor" in state:
            yield from _states(state["ItemProcessor"])
