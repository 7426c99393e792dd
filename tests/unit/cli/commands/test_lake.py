"""``b3 lake`` and ``make run DATA=...``: quotes of another source as a lake."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from command_line import WORDS, b3
from cotahist_text import Quote, daily
from paths import ROOT
from small_run import SMALL

from b3shared.core.config import BUNDLED_QUOTES
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery


def test_the_quotes_are_written_one_file_per_year(tmp_path: Path) -> None:
    *said, note = b3("--storage", str(tmp_path), "lake").stdout.splitlines()
    quotes = [path for path in said if path.endswith(".parquet")]
    assert [path.rsplit("/", 2)[1] for path in quotes] == [
        f"year={year}" for year in range(2014, 2024)
    ]
    assert note == "  note: the source has no avg, best_buy, best_sell, trades, turnover"
    again = ParquetSource(tmp_path / "lake" / "quotes").read(QuoteQuery())
    pd.testing.assert_frame_equal(again, ParquetSource(BUNDLED_QUOTES).read(QuoteQuery()))


@pytest.mark.parametrize("module", ["b3shared", "infra.run_local"])
def test_missing_splits_and_dividends_are_noted_when_quotes_become_a_lake(
    module: str, tmp_path: Path
) -> None:
    bare, store = tmp_path / "nosplit.parquet", str(tmp_path / "store")
    chosen = f"FROM '{BUNDLED_QUOTES}' WHERE list_contains({SMALL['tickers']}, ticker)"
    duckdb.execute(
        f"COPY (SELECT * EXCLUDE (split_factor, dividend) {chosen}) TO '{bare}' (FORMAT parquet)"
    )
    lacks = "the source has no avg, best_buy, best_sell, trades, turnover"
    ways = {
        "b3shared": ["--quotes", str(bare), "--storage", store, "lake"],
        "infra.run_local": [
            "--data",
            str(bare),
            "--no-serve",
            "--port",
            "0",
            "horizon=0",
        ],  # no run follows
    }
    command = [sys.executable, "-m", module, *ways[module]]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)

    assert said.returncode == (0 if module == "b3shared" else 1), said.stderr
    assert f"note: {lacks}, split_factor, dividend\n" in said.stdout
    assert "note: splits and bonuses were looked for in the prices" in said.stdout

    if module == "b3shared":
        ran = b3("--quotes", f"{store}/lake/quotes", "--storage", store, "run", *WORDS)
        assert f"note: {lacks}, dividend\n" in ran.stdout


@pytest.mark.parametrize("module", ["b3shared", "infra.run_local"])
def test_a_lake_is_refused_as_the_source_of_a_lake(module: str, tmp_path: Path) -> None:
    day, store = date(2020, 1, 6), str(tmp_path / "store")
    daily(tmp_path, day, [Quote(day)])
    b3("--storage", store, "ingest", "--folder", str(tmp_path))
    ways = {
        "b3shared": ["--quotes", f"{store}/lake/quotes", "--storage", store, "lake"],
        "infra.run_local": ["--data", f"{store}/lake/quotes", "--no-serve", "--port", "0"],
    }
    said = subprocess.run(
        [sys.executable, "-m", module, *ways[module]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert said.returncode == 2

    refused = {
        "b3shared": "quotes must be other than the lake ",
        "infra.run_local": "quotes must not be a lake, ",
    }
    assert said.stderr.startswith(f"INVALID_PARAMETER: {refused[module]}")


@pytest.mark.parametrize("module", ["b3shared", "infra.run_local"])
def test_a_file_without_rows_is_refused_by_its_own_name(module: str, tmp_path: Path) -> None:
    rowless = tmp_path / "rowless.parquet"
    duckdb.execute(f"COPY (FROM '{BUNDLED_QUOTES}' LIMIT 0) TO '{rowless}' (FORMAT parquet)")
    ways = {
        "b3shared": ["--quotes", str(rowless), "--storage", str(tmp_path / "store"), "lake"],
        "infra.run_local": ["--data", str(rowless), "--no-serve", "--port", "0"],
    }
    command = [sys.executable, "-m", module, *ways[module]]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert said.returncode == 2
    assert said.stderr.startswith(f"NO_QUOTES: {rowless} holds no rows")
    assert "s3://" not in said.stderr
