"""The command line: what a person types and reads."""

import io
import re
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from cotahist_text import Quote, daily
from paths import ROOT
from small_run import SMALL

from b3shared.cli.main import main, parse, parse_params
from b3shared.core.config import BUNDLED_QUOTES
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery

WORDS = [
    f"{name}={','.join(value) if isinstance(value, list) else value}"
    for name, value in SMALL.items()
]


def b3(*words: str) -> subprocess.CompletedProcess[str]:
    """A command in this process: another one would import everything again, which takes longer than most commands."""
    out, err = io.StringIO(), io.StringIO()
    with chdir(ROOT), redirect_stdout(out), redirect_stderr(err):
        status = main(list(words))
    return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())


def typed(*words: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, as a person starts it."""
    return subprocess.run(
        [sys.executable, "-m", "b3shared", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def ran(store: Path) -> subprocess.CompletedProcess[str]:
    return typed("--storage", str(store), "run", *WORDS, "--report", str(store / "report"))


def test_run_shows_data_progress_baselines_version_and_forecasts(
    ran: subprocess.CompletedProcess[str], store: Path
) -> None:
    assert ran.returncode == 0, ran.stderr
    for words in (
        "quotes of 8 tickers",
        "incomplete features",
        "evaluate_model",
        "logistic regression",
        "is live: first version",
        "PETR4",
        "VALE3",
    ):
        assert words in ran.stdout
    assert (store / "report" / "report.html").read_text().startswith("<!doctype html>")


def test_models_promote_and_rollback(ran: subprocess.CompletedProcess[str], store: Path) -> None:
    first = b3("--storage", str(store), "models").stdout.split()[1]
    assert b3("--storage", str(store), "run", *WORDS, "random_state=1").returncode == 0
    listed = b3("--storage", str(store), "models").stdout.splitlines()
    assert len(listed) == 2
    second = next(line.split()[0] for line in listed if not line.startswith("*"))
    assert b3("--storage", str(store), "promote", second).stdout == f"live: {second}\n"
    assert b3("--storage", str(store), "rollback").stdout == f"live: {first}\n"
    refused = b3("--storage", str(store), "promote", "20000101-00000000")
    assert refused.returncode == 2
    assert first in refused.stderr


def test_predict_answers_one_line_a_ticker(
    ran: subprocess.CompletedProcess[str], store: Path
) -> None:
    said = b3(
        "--storage", str(store), "predict", "petr4", "--model-type", "rf", "vale3"
    ).stdout.splitlines()
    assert said[0] == f"quotes {BUNDLED_QUOTES}"
    assert [line.split()[0] for line in said[1:4]] == ["ticker", "PETR4", "VALE3"]


def test_skill_and_age_stand_beside_every_forecast(
    ran: subprocess.CompletedProcess[str], store: Path
) -> None:
    said = b3("--storage", str(store), "predict", "petr4").stdout
    for words in (ran.stdout.rpartition("ticker ")[2], said):
        assert re.search(r"^skill (none|weak|proven): the model ", words, re.MULTILINE)
        assert re.search(
            r"^data of 2023-12-28: [\d,]+ sessions of the exchange since then$", words, re.MULTILINE
        )
        assert re.search(r"^buy or sell is a leaning", words, re.MULTILINE)


def test_predict_uses_the_quotes_that_the_version_was_made_from(tmp_path: Path) -> None:
    lake = f"{tmp_path}/lake/quotes"
    b3("--storage", str(tmp_path), "lake")
    b3("--storage", str(tmp_path), "--quotes", lake, "run", *WORDS)
    assert b3("--storage", str(tmp_path), "predict", "PETR4").stdout.startswith(
        f"quotes {lake}\nticker"
    )
    assert b3(
        "--storage", str(tmp_path), "--quotes", str(BUNDLED_QUOTES), "predict", "PETR4"
    ).stdout.startswith(f"quotes {BUNDLED_QUOTES}\nticker")


def test_words_may_stand_on_all_sides_of_an_option() -> None:
    options = parse(["run", "horizon=5", "--run-id", "x", "n_jobs=1", "--report", "r", "period=3y"])
    assert options.params == ["horizon=5", "n_jobs=1", "period=3y"]
    assert (options.run_id, options.report) == ("x", Path("r"))
    assert parse(["predict", "PETR4", "--model-type", "lstm", "VALE3"]).tickers == [
        "PETR4",
        "VALE3",
    ]


@pytest.mark.parametrize("value", ["[" * 100_000, "9" * 5000, "{"], ids=["nested", "digits", "cut"])
def test_a_value_that_is_no_json_is_text_for_the_parameters_to_refuse(value: str) -> None:
    assert parse_params([f"period={value}"]) == {"period": value}


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["run", "horizon=5", "--horizons", "3"], "--horizons"),
        (["ingest", "--year", "2020", "--partial", "2021"], "2021"),
        (["promote", "one", "two"], "two"),
    ],
)
def test_what_a_command_does_not_take_is_refused_by_name(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(words)
    assert f"unrecognized arguments: {named}" in capsys.readouterr().err


def test_lake_puts_the_quotes_there_one_file_a_year(tmp_path: Path) -> None:
    *said, note = b3("--storage", str(tmp_path), "lake").stdout.splitlines()
    assert [path.rsplit("/", 2)[1] for path in said] == [
        f"year={year}" for year in range(2019, 2024)
    ]
    assert note == "  note: the source has no avg, best_buy, best_sell, trades, turnover"
    again = ParquetSource(tmp_path / "lake" / "quotes").read(QuoteQuery())
    pd.testing.assert_frame_equal(again, ParquetSource(BUNDLED_QUOTES).read(QuoteQuery()))


@pytest.mark.parametrize("module", ["b3shared", "infra.run_local"])
def test_quotes_without_splits_and_dividends_are_told_so_when_they_are_a_lake(
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
    assert said.stderr.startswith(f"INVALID_PARAMETER: quotes = {store}/lake/quotes: this is ")


@pytest.mark.parametrize("module", ["b3shared", "infra.run_local"])
def test_a_file_without_rows_is_named_before_it_is_a_lake(module: str, tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("run", "horizons=3"), "INVALID_PARAMETER"),
        (("run", "horizon"), "INVALID_PARAMETER"),
        (("--quotes", "nowhere.parquet", "run"), "SOURCE_UNAVAILABLE"),
        (("--quotes", "LICENSE", "run"), "INVALID_QUOTES"),
        (("run", "tickers=PETR4"), "INVALID_QUOTES"),
        (("predict", "XXXX3"), "NOTHING_LIVE"),
    ],
)
def test_an_error_is_one_line_with_its_code_and_no_traceback(
    words: tuple[str, ...], code: str, tmp_path: Path
) -> None:
    command = typed if code == "NOTHING_LIVE" else b3
    said = command("--storage", str(tmp_path), *words)
    assert said.returncode == 2
    assert said.stderr.startswith(f"{code}: ")
    assert len(said.stderr.splitlines()) == 1


def test_ingest_says_what_came_of_every_file_and_where_the_lake_is(tmp_path: Path) -> None:
    day = date(2020, 1, 6)
    daily(tmp_path, day, [Quote(day), Quote(day, "VALE3", 50.0)])
    store = str(tmp_path / "store")
    for change in ("2020: 2 new", "nothing new"):
        done = b3("--storage", store, "ingest", "--folder", str(tmp_path))
        assert done.returncode == 0, done.stderr
        assert "COTAHIST_D06012020.TXT" in done.stdout
        assert f"2 quotes, 2020-01-06: {change}" in done.stdout
    assert (
        f"{store}/lake/quotes: newest session 2020-01-06; use it with --quotes {store}/lake/quotes"
        in done.stdout
    )


def test_ingest_says_which_sessions_it_keeps_from_a_newer_file_and_force_replaces_them(
    tmp_path: Path,
) -> None:
    day = date(2020, 1, 6)
    older = daily(tmp_path, day, [Quote(day, close=10.0)]).rename(tmp_path / "older.TXT")
    newer = daily(tmp_path, day, [Quote(day, close=10.5)], created="20200110")
    ingest = ("--storage", str(tmp_path / "store"), "ingest")
    assert "2020: 1 new" in b3(*ingest, "--file", str(newer)).stdout
    assert (
        "nothing new; 2020-01-06 kept as a newer file has it"
        in b3(*ingest, "--file", str(older)).stdout
    )
    assert "2020: 1 corrected\n" in b3(*ingest, "--file", str(older), "--force").stdout
    refused = b3(*ingest, "--year", "2020", "--force")
    assert (refused.returncode, refused.stderr.split(":")[0]) == (2, "INVALID_PARAMETER")


def test_ingest_says_that_the_users_table_changed_the_lake_and_which_row_did_not(
    tmp_path: Path,
) -> None:
    day = date(2020, 1, 6)
    daily(tmp_path, day, [Quote(day), Quote(day, "VALE3", 50.0)])
    store = tmp_path / "store"
    b3("--storage", str(store), "ingest", "--folder", str(tmp_path))
    (store / "lake" / "actions").mkdir(parents=True)
    table = "ticker,date,dividend\nPETR4,2020-01-06,1\nITUB4,2020-01-06,1\n"
    (store / "lake" / "actions" / "overrides.csv").write_text(table)
    said = b3("--storage", str(store), "ingest", "--folder", str(tmp_path)).stdout
    assert "2 quotes, 2020-01-06: corporate actions made anew" in said
    assert "nothing new" not in said
    assert "override without effect: ITUB4 2020-01-06: the lake has no quote of it" in said
    assert "override without effect: PETR4" not in said


def test_ingest_refuses_what_is_no_quotes_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "COTAHIST_A2020.ZIP"
    path.write_text("<html></html>")
    for words, code in (
        (("--file", str(path)), "UNREADABLE_FILE"),
        (("--year", "1970"), "INVALID_PARAMETER"),
        (("--year", "2020", "--partial"), "INVALID_PARAMETER"),
        (("--since", "2020-01-02", "--partial"), "INVALID_PARAMETER"),
        ((), "NO_QUOTES"),
    ):
        refused = b3("--storage", str(tmp_path / "store"), "ingest", *words)
        assert refused.returncode == 2
        assert refused.stderr.startswith(f"{code}: ")
        assert refused.stderr.count("\n") == 1
