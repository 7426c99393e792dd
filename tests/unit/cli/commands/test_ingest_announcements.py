"""``b3 ingest``: announcements of the exchange, fetched or from saved answers."""

import json
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from command_line import b3
from cotahist_text import Quote, daily
from exchange_answers import ABEV, PETR, cash_row, details, page, supplement
from exchange_server import Exchange, exchange_server, says

from b3shared.core.clock import today
from b3shared.quotes.calendar import sessions
from b3shared.quotes.corporate_actions.announcements.archive import read_announcements
from b3shared.quotes.ingest.ingest import Ingest
from b3shared.storage import FolderStorage

LAST = sessions(today() - timedelta(days=20), today()).tolist()[-1]
"""A lake that ends here lacks nothing, so that a plain ingest fetches no quotes."""


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exchange]:
    with exchange_server() as server:
        monkeypatch.setenv("B3_COMPANIES_ADDRESS", server.address)
        monkeypatch.setenv("B3_COMPANIES_PACE", "20")
        monkeypatch.setenv("B3_COTAHIST_ADDRESS", "http://127.0.0.1:9/{period}")
        for company in (ABEV, PETR):
            server.has(
                company,
                cash=[cash_row("01/06/2023", "1", "ON")],
                supplement=supplement(company.issuer),
                details=details(company, "BRABEVACNOR1"),
            )
        yield server


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage whose lake has every session of the look-back."""
    folder = tmp_path_factory.mktemp("filled")
    for day in sessions(LAST - timedelta(days=15), LAST).tolist():
        daily(folder, day, [Quote(day), Quote(day, "ABEV3", 15.0)])
    list(Ingest(FolderStorage(folder / "store")).folder(folder))
    return folder / "store"


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> str:
    return str(shutil.copytree(filled, tmp_path / "store"))


def issuers(store: str) -> list[str]:
    return read_announcements(FolderStorage(store)).companies["issuer"].tolist()


def test_a_plain_ingest_fetches_what_is_due_after_the_quotes(
    exchange: Exchange, store: str
) -> None:
    done = b3("--storage", store, "ingest")
    assert done.returncode == 0, done.stderr
    assert f"newest session {LAST}" in done.stdout
    assert "announcements of 2 companies: ABEV, PETR" in done.stdout
    assert issuers(store) == ["ABEV", "PETR"]
    again = b3("--storage", store, "ingest", "--announcements")
    assert "announcements nothing was due" in again.stdout
    assert "newest session" not in again.stdout


def test_a_named_company_is_fetched_at_once(exchange: Exchange, store: str) -> None:
    for _ in range(2):
        done = b3("--storage", store, "ingest", "--announcements", "--company", "ABEV")
        assert "announcements of 1 companies: ABEV" in done.stdout, done.stderr
    assert issuers(store) == ["ABEV"]


def test_they_may_be_left_out(exchange: Exchange, store: str) -> None:
    done = b3("--storage", store, "ingest", "--no-announcements")
    assert (done.returncode, exchange.asked) == (0, [])
    assert "announcements" not in done.stdout


def test_a_failing_company_is_named_after_all_else_is_done(exchange: Exchange, store: str) -> None:
    exchange.answers["GetListedCashDividends", "PETROBRAS"] = [cash_row("01/06/2023", "1.5")]
    done = b3("--storage", store, "ingest")
    assert done.returncode == 2
    assert f"newest session {LAST}" in done.stdout
    assert done.stderr.startswith("INCOMPLETE_INGEST: announcements of 1 of 2 companies")
    assert "PETR GetListedCashDividends: row 1.valueCash" in done.stderr
    assert done.stderr.count("\n") == 1
    assert issuers(store) == ["ABEV", "PETR"]


def test_a_server_that_refuses_is_one_line(exchange: Exchange, store: str) -> None:
    exchange.script = [says(b"", 403)]
    done = b3("--storage", store, "ingest", "--announcements")
    assert done.returncode == 2
    assert done.stderr.startswith("SOURCE_UNAVAILABLE: ")
    assert done.stderr.count("\n") == 1


def test_saved_answers_are_imported_without_a_server(tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    good = json.dumps(page([cash_row("01/06/2023", "1", "ON")]))
    (folder / "ABEV_GetListedCashDividends.json").write_text(good)
    words = ["--storage", f"{tmp_path}/store", "ingest", "--announcements-folder", str(folder)]
    done = b3(*words)
    assert done.returncode == 0, done.stderr
    assert "announcements of 1 companies: ABEV" in done.stdout

    (folder / "PETR_GetListedCashDividends.json").write_text("<html>")
    refused = b3(*words)
    assert refused.returncode == 2
    assert refused.stderr.startswith("INCOMPLETE_INGEST: 1 of 2 files not taken in, the others")
    assert "PETR_GetListedCashDividends.json: INVALID_ANNOUNCEMENTS" in refused.stderr


def test_announcements_of_an_empty_lake_are_an_error(exchange: Exchange, tmp_path: Path) -> None:
    done = b3("--storage", str(tmp_path / "none"), "ingest", "--announcements")
    assert (done.returncode, done.stderr.split(":")[0]) == (2, "NO_QUOTES")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--company", "ABEV"), "--company is for --announcements"),
        (("--announcements", "--announcements-folder", "x"), "exclude each other"),
    ],
    ids=["a company without announcements", "two origins"],
)
def test_options_that_contradict_each_other_are_refused(words: tuple[str, ...], said: str) -> None:
    refused = b3("ingest", *words)
    assert refused.returncode == 2
    assert said in refused.stderr


def test_a_missing_bundle_is_named(
    exchange: Exchange, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("B3_CA_BUNDLE", "/nowhere/bundle.pem")
    for words in (("--announcements",), ("--since", str(date(2020, 1, 6)))):
        done = b3("--storage", store, "ingest", *words)
        assert done.stderr.startswith("INVALID_PARAMETER: B3_CA_BUNDLE must be the path")
