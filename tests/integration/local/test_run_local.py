"""``make run`` on the command line: the parameters that it gives the stack, and its report."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from paths import ROOT
from small_run import SMALL

from b3shared.core.config import BUNDLED_MARKET, BUNDLED_QUOTES, Settings
from b3shared.pipeline.export_run import EVALUATIONS, REQUESTS
from b3shared.storage import FolderStorage
from infra.run_local import export_status, upload_market, warehouse_of


def test_a_warehouse_of_the_environment_is_written_and_reported(tmp_path: Path) -> None:
    words = [
        f"{name}={','.join(value) if isinstance(value, list) else value}"
        for name, value in SMALL.items()
    ]
    command = [
        sys.executable,
        "-m",
        "infra.run_local",
        "--no-serve",
        "model_type=rf",
        "--report",
        str(tmp_path),
        *words,
    ]
    environment = {**os.environ, "B3_WAREHOUSE": "b3.duckdb", "PYTHONPATH": str(ROOT)}
    said = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )

    assert said.returncode == 0, said.stderr

    warehouse = tmp_path / "b3.duckdb"

    assert f"warehouse {warehouse}: 2 rows of {EVALUATIONS}, 1 row of {REQUESTS}\n" in said.stdout
    assert "is live: first version of this type" in said.stdout
    assert "cdi.csv, ibovespa.csv, sectors.csv from beside the quotes" in said.stdout

    with duckdb.connect(str(warehouse), read_only=True) as connection:
        assert connection.execute(f"SELECT endpoint, status FROM {REQUESTS}").fetchall() == [
            ("complete-pipeline", "success")
        ]


def test_files_of_the_market_go_where_the_quotes_that_they_lie_beside_go(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "store")
    (tmp_path / "quotes.parquet").write_bytes(b"")
    for elsewhere in (str(tmp_path / "quotes.parquet"), "md:b3"):
        upload_market(elsewhere, storage)
        assert storage.list() == []

    upload_market(str(BUNDLED_QUOTES), storage)
    assert storage.list() == [f"market/{name}" for name in BUNDLED_MARKET]
    for name in BUNDLED_MARKET:
        assert storage.read(f"market/{name}") == (BUNDLED_QUOTES.parent / name).read_bytes()


@pytest.mark.parametrize(
    ("told", "parameter"),
    [
        ("", ""),
        ("md:b3", "md:b3"),
        ("/a/b.duckdb", "/a/b.duckdb"),
        ("b.duckdb", f"{Path.cwd()}/b.duckdb"),
    ],
    ids=["none", "MotherDuck", "absolute", "relative"],
)
def test_the_template_gets_a_file_of_the_warehouse_as_an_absolute_path(
    told: str, parameter: str
) -> None:
    assert warehouse_of(replace(Settings(), warehouse=told)) == parameter


def test_a_failed_export_is_reported_with_its_reason() -> None:
    cause = json.dumps(
        {"errorMessage": "/x/b3.duckdb cannot be opened", "errorType": "SourceUnavailableError"}
    )
    ended = {"unexported": {"Error": "SourceUnavailableError", "Cause": cause}}
    assert (
        export_status("/x/b3.duckdb", ended)
        == "warning: the run is not in the warehouse: /x/b3.duckdb cannot be opened"
    )
    assert export_status("/w", {"unexported": {"Error": "States.Timeout", "Cause": ""}}).endswith(
        "the warehouse: States.Timeout"
    )
