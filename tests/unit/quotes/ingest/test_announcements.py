"""The step of announcements: who of the lake's companies is asked for, and in which batches."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from cotahist_text import Quote, daily
from exchange_answers import ABEV, PETR, cash_row, details, supplement
from exchange_server import Exchange, exchange_server

from b3shared.core.config import Settings
from b3shared.core.errors import InvalidParameterError, SourceUnavailableError
from b3shared.quotes.corporate_actions.announcements.archive import read_index
from b3shared.quotes.corporate_actions.announcements.calls import Company
from b3shared.quotes.ingest import announcements
from b3shared.quotes.ingest.announcements import (
    AnnouncementsRequest,
    perform_announcements,
    plan_announcements,
    share_roots,
)
from b3shared.quotes.ingest.ingest import Ingest
from b3shared.quotes.lake.lake import LAKE
from b3shared.quotes.sources.lake import LakeSource
from b3shared.storage import FolderStorage

DAY = date(2020, 1, 6)
WEGE = Company("WEGE", "WEG", "5410")
QUOTES = [
    Quote(DAY),
    Quote(DAY, "ABEV3", 15.0),
    Quote(DAY, "WEGE3", 30.0),
    Quote(DAY, "GONE3", 1.0),
    Quote(DAY, "HGLG11", 100.0, type="CI"),
    Quote(DAY, "AAPL34", 50.0, type="DR3"),
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    storage = FolderStorage(tmp_path / "store")
    Ingest(storage).file(daily(tmp_path, DAY, QUOTES))
    return Settings(storage=storage.url, companies_pace=1e6)


@pytest.fixture
def exchange(settings: Settings):  # type: ignore[no-untyped-def]
    with exchange_server() as server:
        for company in (ABEV, PETR, WEGE):
            server.has(
                company,
                cash=[cash_row("01/06/2023", "1")],
                supplement=supplement(company.issuer),
                details=details(company, "BRABEVACNOR1"),
            )
        server.companies.append(Company("HGLG", "FII HGLG", "1"))
        yield server


@pytest.fixture
def served(settings: Settings, exchange: Exchange) -> Settings:
    return replace(settings, companies_address=exchange.address)


def test_companies_are_those_of_the_lakes_shares_and_units(settings: Settings) -> None:
    lake = LakeSource(f"{settings.storage}/{LAKE}")
    assert share_roots(lake) == ["ABEV", "GONE", "PETR", "WEGE"]


def test_the_plan_has_who_is_listed_and_due_in_batches(
    served: Settings, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcements, "BATCH", 2)
    plan = perform_announcements(AnnouncementsRequest(), served)
    batches = [[c["issuer"] for c in batch["companies"]] for batch in plan["batches"]]
    assert batches == [["ABEV", "PETR"], ["WEGE"]]
    for batch in plan["batches"]:
        answer = perform_announcements(AnnouncementsRequest.from_event(batch), served)
        assert (answer["status"], answer["failed"]) == ("done", [])
    assert read_index(FolderStorage(served.storage)).keys() == {"ABEV", "PETR", "WEGE"}
    assert perform_announcements(AnnouncementsRequest(), served)["batches"] == []


def test_named_companies_are_asked_for_however_new_and_others_are_told(
    served: Settings,
) -> None:
    for _ in range(2):
        plan = plan_announcements(served, ["petr", "XXXX", "HGLG"])
        assert [company.issuer for company in plan.companies] == ["PETR", "HGLG"]
        (finding,) = plan.findings()
        assert finding.startswith("XXXX: not in the exchange's list")
        batch = {"companies": [plan.companies[0].model_dump()]}
        perform_announcements(AnnouncementsRequest.from_event(batch), served)
    with pytest.raises(InvalidParameterError, match="'PETR4'"):
        plan_announcements(served, ["PETR4"])


def test_a_root_that_is_listed_twice_is_a_finding(served: Settings, exchange: Exchange) -> None:
    """A shortened name may be that of a dead registrant."""
    exchange.companies.append(Company("WEGE", "WEG ANTIGA", "77"))
    exchange.companies.append(PETR)
    plan = plan_announcements(served)
    assert [company.issuer for company in plan.companies] == ["ABEV", "PETR"]
    (finding,) = plan.findings()
    assert "WEG (5410) and WEG ANTIGA (77)" in finding


def test_a_batch_without_time_leaves_the_rest_for_another_call(served: Settings) -> None:
    batch = {"companies": [ABEV.to_json(), PETR.to_json()], "failed": [{"issuer": "AAAA"}]}
    answer = perform_announcements(
        AnnouncementsRequest.from_event(batch), served, seconds_left=lambda: 10.0
    )
    assert answer["status"] == "partial"
    assert answer["request"] == {"companies": [PETR.to_json()], "failed": [{"issuer": "AAAA"}]}
    last = perform_announcements(AnnouncementsRequest.from_event(answer["request"]), served)
    assert (last["status"], last["failed"]) == ("done", [{"issuer": "AAAA"}])


def test_a_company_that_fails_is_in_the_answer(served: Settings, exchange: Exchange) -> None:
    exchange.answers["GetListedCashDividends", "WEG"] = [cash_row("01/06/2023", "1.5")]
    batch = {"companies": [WEGE.to_json()]}
    answer = perform_announcements(AnnouncementsRequest.from_event(batch), served)
    (failure,) = answer["failed"]
    assert (failure["issuer"], failure["code"]) == ("WEGE", "INVALID_ANNOUNCEMENTS")


def test_an_empty_lake_has_nobody_to_ask_for(tmp_path: Path) -> None:
    plan = perform_announcements(AnnouncementsRequest(), Settings(storage=str(tmp_path / "none")))
    assert plan["batches"] == []
    assert "put quotes into the lake first" in plan["reason"]


def test_a_list_that_cannot_be_fetched_is_an_unavailable_source(served: Settings) -> None:
    gone = replace(served, companies_address="http://127.0.0.1:9/{call}/{query}")
    with pytest.raises(SourceUnavailableError, match="no time for another"):
        perform_announcements(AnnouncementsRequest(), gone, seconds_left=lambda: 0.1)


@pytest.mark.parametrize("event", [{"other": 1}, {"companies": [{"issuer": 1}]}, "x", None])
def test_an_event_of_another_form_is_refused(event: object) -> None:
    with pytest.raises(InvalidParameterError, match="not a request for announcements"):
        AnnouncementsRequest.from_event(event)
