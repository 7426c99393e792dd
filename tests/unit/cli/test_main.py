"""The program ``b3``: usage errors, one line for every other error, help without heavy imports."""

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import b3, b3_process, parse
from paths import ROOT

import b3shared
from b3shared.cli.main import COMMANDS


def test_arguments_may_stand_before_and_after_options() -> None:
    words = ["horizon=5", "--run-id", "x", "n_jobs=1", "--report", "r", "period=3y"]
    values = parse("run", *words)
    assert values["words"] == ("horizon=5", "n_jobs=1", "period=3y")
    assert (values["run_id"], values["report"]) == ("x", Path("r"))

    tickers = parse("predict", "PETR4", "--model-type", "lstm", "VALE3")["tickers"]
    assert tickers == ("PETR4", "VALE3")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (
            ["run", "horizon=5", "--horizons", "3"],
            "No such option '--horizons'. Did you mean '--horizon'?",
        ),
        (["ingest", "--year", "2020", "--partial", "2021"], "Got unexpected extra argument (2021)"),
        (["promote", "one", "two"], "Got unexpected extra argument (two)"),
    ],
)
def test_unknown_options_and_extra_words_are_usage_errors(words: list[str], named: str) -> None:
    refused = b3(*words)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"Usage: b3 {words[0]} ")
    assert f"Error: {named}" in refused.stderr


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
    command = b3_process if code == "NOTHING_LIVE" else b3
    said = command("--storage", str(tmp_path), *words)
    assert said.returncode == 2
    assert said.stderr.startswith(f"{code}: ")
    assert len(said.stderr.splitlines()) == 1


@pytest.mark.parametrize("at", ["program", "command"])
def test_places_may_stand_before_or_after_the_command(at: str, tmp_path: Path) -> None:
    storage = ("--storage", str(tmp_path))
    words = (*storage, "models") if at == "program" else ("models", *storage)
    listed = b3(*words)
    assert (listed.returncode, listed.stdout) == (0, "nothing is live\n")


def test_every_command_of_the_list_has_help() -> None:
    listed = b3("--help").stdout
    for name, entry in COMMANDS.items():
        assert f"  {name:<10}{entry.summary}" in listed
        shown = b3(name, "--help").stdout
        assert shown.startswith(f"Usage: b3 {name} ")
        assert "--storage PATH" in shown


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, b3shared.cli.main as m; m.main(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    loaded = set(done.stdout.rpartition("\n\n")[2].split())
    assert "click" in loaded
    assert not loaded & {"pandas", "numpy", "sklearn", "torch", "boto3", "matplotlib"}


def test_the_version_of_the_package_is_printed() -> None:
    assert b3("--version").stdout == f"b3, version {b3shared.__version__}\n"
