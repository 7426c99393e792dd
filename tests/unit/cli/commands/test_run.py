"""``b3 run``, and what ``predict``, ``models``, ``promote`` and ``rollback`` make of its result."""

import re
import subprocess
from pathlib import Path

import pytest
from command_line import WORDS, b3, b3_process

from b3shared.core.config import BUNDLED_QUOTES


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def ran(store: Path) -> subprocess.CompletedProcess[str]:
    return b3_process("--storage", str(store), "run", *WORDS, "--report", str(store / "report"))


def test_run_prints_data_progress_baselines_version_and_forecasts(
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


def test_predict_prints_one_line_per_ticker(
    ran: subprocess.CompletedProcess[str], store: Path
) -> None:
    said = b3(
        "--storage", str(store), "predict", "petr4", "--model-type", "rf", "vale3"
    ).stdout.splitlines()
    assert said[0] == f"quotes {BUNDLED_QUOTES}"
    assert [line.split()[0] for line in said[1:4]] == ["ticker", "PETR4", "VALE3"]


def test_every_forecast_is_printed_with_skill_and_age(
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
