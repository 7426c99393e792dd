"""The step of announcements: who of the lake's companies is asked for, and in which batches."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cotahist_text import Quote, daily
from exchange_answers import ABEV, PETR, cash_row, details, supplement
from exchange_server import Exchange, exchange_server, says

from b3shared.core.clock import now
from b3shared.core.config import Settings
from b3shared.core.errors import InvalidParameterError, SourceUnavailableError
from b3shared.quotes.corporate_actions.announcements import fetch
from b3shared.quotes.corporate_actions.announcements.archive import read_index
from b3shared.quotes.corporate_actions.announcements.calls import Company
from b3shared.quotes.corporate_actions.announcements.fetch import DOWN_AFTER
from b3shared.quotes.ingest import announcements
from b3shared.quotes.ingest.announcements import (
    FAILURES_SHOWN,
    FINDINGS_SHOWN,
    perform_announcements,
    plan_announcements,
    share_roots,
)
from b3shared.quotes.ingest.announcements_request import AnnouncementsRequest
from b3shared.quotes.ingest.failures import MESSAGE_LENGTH
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
    rest = {"companies": [PETR.to_json()], "failed": [{"issuer": "AAAA"}], "in_a_row": 0}
    assert answer["request"] == rest
    last = perform_announcements(AnnouncementsRequest.from_event(answer["request"]), served)
    assert (last["status"], last["failed"]) == ("done", [{"issuer": "AAAA"}])


def perform(settings: Settings, seconds: float = 900.0, **event: object) -> dict[str, Any]:
    """What the function answers to an event."""
    request = AnnouncementsRequest.from_event(event)
    return perform_announcements(request, settings, seconds_left=lambda: seconds)


def unreachable(count: int) -> list[dict[str, str]]:
    """Companies of which the exchange answers nothing."""
    return [Company(f"Q{number:03}", f"Q{number}").to_json() for number in range(count)]


def test_the_evenings_batches_have_an_hour_and_those_of_named_companies_do_not(
    served: Settings,
) -> None:
    (batch,) = perform(served)["batches"]
    assert batch.keys() == {"companies", "until"}
    left = datetime.fromisoformat(batch["until"]) - now()
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    (named,) = perform(served, issuers=["PETR"])["batches"]
    assert named.keys() == {"companies"}


def test_a_batch_after_its_deadline_is_done_and_tells_how_many_were_not_asked(
    served: Settings, exchange: Exchange
) -> None:
    failed = [{"issuer": "AAAA", "message": "x"}]
    late = (now() - timedelta(seconds=1)).isoformat()
    companies = [ABEV.to_json(), PETR.to_json()]
    answer = perform(served, companies=companies, until=late, failed=failed)
    told = {"code": "NO_TIME", "message": "no time for 2 companies; the next evening asks"}
    assert (answer["status"], answer["failed"]) == ("done", [told, *failed])
    assert exchange.asked == []


def test_a_batch_ends_at_its_deadline_though_its_function_has_time(
    served: Settings, exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = now()
    monkeypatch.setattr(
        announcements, "now", lambda: start + timedelta(hours=1) * (len(exchange.asked) > 0)
    )
    until = (start + timedelta(minutes=5)).isoformat()
    answer = perform(served, companies=[ABEV.to_json(), PETR.to_json()], until=until)
    assert (answer["status"], answer["fetched"]) == ("done", 1)
    assert [failure["code"] for failure in answer["failed"]] == ["NO_TIME"]
    assert read_index(FolderStorage(served.storage)).keys() == {"ABEV"}


def test_slices_pass_on_their_deadline_and_how_many_failed_in_a_row(
    served: Settings, exchange: Exchange
) -> None:
    exchange.script = [says(b"", 403)] * 100
    until = (now() + timedelta(hours=1)).isoformat()
    answer: dict[str, Any] = {"request": {"companies": unreachable(9), "until": until}}
    for number in range(1, DOWN_AFTER):
        answer = perform(served, 10.0, **answer["request"])
        assert answer["request"]["in_a_row"] == number
        assert datetime.fromisoformat(answer["request"]["until"]) == datetime.fromisoformat(until)

    answer = perform(served, 10.0, **answer["request"])
    assert answer["status"] == "done"
    down, *failed = answer["failed"]
    message = "the server is down for 4 companies; the next evening asks"
    assert down == {"code": "SOURCE_UNAVAILABLE", "message": message}
    assert [failure["issuer"] for failure in failed] == [f"Q{n:03}" for n in range(DOWN_AFTER)]


def test_a_batch_names_few_failures_and_counts_the_others(
    served: Settings, exchange: Exchange, caplog: pytest.LogCaptureFixture
) -> None:
    failed = [{"issuer": f"Q{number:03}", "message": "x" * 999} for number in range(15)]
    exchange.answers["GetListedCashDividends", "WEG"] = [cash_row("01/06/2023", "1.5")]
    answer = perform(served, companies=[WEGE.to_json()], failed=failed)
    *named, more = answer["failed"]
    assert len(named) == FAILURES_SHOWN
    assert {len(failure["message"]) for failure in named} == {MESSAGE_LENGTH}
    assert more["message"] == "and 6 more"
    assert "WEGE could not be fetched: INVALID_ANNOUNCEMENTS: WEGE GetListed" in caplog.text


def test_a_batch_that_is_repeated_asks_only_for_who_was_not_answered(
    served: Settings, exchange: Exchange
) -> None:
    (batch,) = perform(served)["batches"]
    perform(served, **(batch | {"companies": batch["companies"][:1]}))
    exchange.asked.clear()
    answer = perform(served, **batch)
    assert (answer["status"], answer["fetched"]) == ("done", 2)
    asked = {question.get("issuingCompany") for _, question in exchange.asked} - {None}
    assert asked == {"PETR", "WEGE"}

    exchange.asked.clear()
    answer = perform(served, companies=batch["companies"])
    assert (answer["fetched"], len(exchange.asked) > 0) == (3, True)


def test_a_storage_that_does_not_answer_is_an_error_to_try_again(
    served: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise SourceUnavailableError("the bucket answered 503", key="index.json")

    monkeypatch.setattr(fetch, "keep_answers", refuse)
    with pytest.raises(SourceUnavailableError, match="the bucket answered 503"):
        perform(served, companies=[ABEV.to_json()])


def test_the_plan_passes_on_few_findings_and_counts_the_others(
    served: Settings,
) -> None:
    unknown = [f"Q{number:03}" for number in range(FINDINGS_SHOWN + 5)]
    *named, more = perform(served, issuers=unknown)["findings"]
    assert (len(named), more) == (FINDINGS_SHOWN, "and 5 more")


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
