"""Errors of the disk, the network and AWS are told in one line that names the place."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from command_line import WORDS
from paths import ROOT

from b3shared.cli import main as cli
from b3shared.cli.errors import system_reason, was_interrupted
from b3shared.core.errors import NoQuotesError
from b3shared.pipeline.export_run import EVALUATIONS, REQUESTS
from b3shared.services import B3Model

CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CONFIG_FILE",
)
COMMAND = [sys.executable, "-m", "b3shared"]


def b3(
    *words: str, largest: int | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The command line; ``largest``: bytes that a file may have, as on a disk that is full."""

    def limit() -> None:
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    return subprocess.run(
        [*COMMAND, *words],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in CREDENTIALS}
        | environment,
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=300,
    )


def rows(warehouse: Path, sql: str) -> list[tuple]:
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_a_run_is_written_to_the_warehouse_and_the_rows_are_counted(tmp_path: Path) -> None:
    warehouse = tmp_path / "b3.duckdb"
    said = b3(
        "--storage",
        str(tmp_path / "s"),
        "run",
        "--run-id",
        "first",
        *WORDS,
        B3_WAREHOUSE=str(warehouse),
    )

    assert said.returncode == 0, said.stderr
    assert f"warehouse {warehouse}: 2 rows of {EVALUATIONS}, 1 row of {REQUESTS}\n" in said.stdout
    assert rows(warehouse, f"SELECT dataset_type FROM {EVALUATIONS} ORDER BY 1") == [
        ("test",),
        ("validation",),
    ]

    ((endpoint, status, response),) = rows(
        warehouse, f"SELECT endpoint, status, response_payload FROM {REQUESTS}"
    )
    assert (endpoint, status, json.loads(response)["run_id"]) == (
        "complete-pipeline",
        "success",
        "first",
    )


def test_a_warehouse_that_cannot_be_written_is_a_warning_and_the_run_succeeds(
    tmp_path: Path,
) -> None:
    said = b3("--storage", str(tmp_path / "s"), "run", *WORDS, B3_WAREHOUSE="/nowhere/b3.duckdb")
    assert said.returncode == 0
    assert "is live: first version" in said.stdout
    assert said.stderr.startswith(
        "warning: the run is not in the warehouse: SOURCE_UNAVAILABLE: /nowhere/b3.duckdb cannot"
    )
    assert said.stderr.count("\n") == 1


def test_a_run_that_fails_is_in_the_warehouse_with_its_reason(tmp_path: Path) -> None:
    warehouse = tmp_path / "b3.duckdb"
    said = b3(
        "--storage", str(tmp_path / "s"), "run", "tickers=PETR4,ZZZZ3", B3_WAREHOUSE=str(warehouse)
    )
    assert (said.returncode, said.stderr.split(":")[0]) == (2, "UNKNOWN_TICKER")
    ((status, message),) = rows(warehouse, f"SELECT status, error_message FROM {REQUESTS}")
    assert status == "error"
    assert "ZZZZ3" in message


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    said = b3("--storage", "/proc/nowhere", "run")
    assert (said.returncode, said.stderr) == (
        2,
        "SYSTEM_ERROR: /proc/nowhere: No such file or directory\n",
    )


def test_a_failed_write_names_the_file(tmp_path: Path) -> None:
    said = b3("--storage", str(tmp_path), "lake", largest=100_000)
    assert said.returncode == 2
    assert said.stderr.startswith("SYSTEM_ERROR: IO Error: Could not write file")
    assert said.stderr.count("\n") == 1


def test_missing_credentials_name_the_storage(tmp_path: Path) -> None:
    nobody = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    said = b3("--storage", "s3://bucket-x/b3", "models", **nobody)
    assert (said.returncode, said.stderr) == (
        2,
        "SYSTEM_ERROR: s3://bucket-x/b3: Unable to locate credentials\n",
    )


def test_an_unreadable_folder_is_not_reported_as_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def denied(path: Path) -> list[str]:  # nothing is denied to root
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "listdir", denied)
    assert cli.main(["--storage", str(tmp_path / "s"), "ingest", "--folder", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"SYSTEM_ERROR: {tmp_path}: Permission denied\n"


def test_ctrl_c_prints_one_word_and_exits_as_in_a_shell(tmp_path: Path) -> None:
    command = [*COMMAND, "--storage", str(tmp_path), "run", "--run-id", "stopped", "n_iter=50"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        while "split_data" not in running.stdout.readline():
            pass
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=120)
    assert said == "interrupted\n"
    assert running.returncode == 130


def test_duckdbs_own_error_for_ctrl_c_is_recognised() -> None:
    def interrupted() -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise RuntimeError("Query interrupted") from error

    with pytest.raises(RuntimeError) as caught:
        interrupted()
    assert was_interrupted(caught.value)
    wrapped = NoQuotesError("cannot be read")
    wrapped.__cause__ = duckdb.InterruptException("Interrupted!")
    assert was_interrupted(wrapped)
    assert not was_interrupted(NoQuotesError("nothing there"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/a/b"), "/a/b: Permission denied"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "/store or /quotes.parquet or /tmp: No space left on device",
        ),
        (MemoryError(), "the memory is full"),
        (duckdb.IOException("IO Error: No space left\nmore"), "IO Error: No space left"),
        (NoCredentialsError(), "AWS: Unable to locate credentials"),
        (
            EndpointConnectionError(endpoint_url="http://x"),
            'AWS: Could not connect to the endpoint URL: "http://x"',
        ),
        (
            ClientError({"Error": {"Code": "403", "Message": "No"}}, "Get"),
            "AWS: An error occurred (403) when calling the Get",
        ),
        (ValueError("a fault of ours"), None),
        (duckdb.BinderException("a fault of ours"), None),
        (KeyError("a fault of ours"), None),
    ],
)
def test_system_errors_have_a_one_line_reason_and_faults_of_the_program_have_none(
    error: Exception, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    line = system_reason(error, ("/store", "/quotes.parquet"))
    assert line is None if said is None else str(line).startswith(said)


def test_a_fault_of_the_program_keeps_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(B3Model, "newest_quotes", faulty)
    with pytest.raises(ZeroDivisionError):
        cli.main(["--storage", str(tmp_path), "predict"])
