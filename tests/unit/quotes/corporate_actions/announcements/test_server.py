"""Faults of the exchange's server are named, and those that pass are tried again, politely."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from exchange_answers import ABEV, PETR, cash_row, details, page, stock_row, supplement
from exchange_server import Exchange, Reply, answers, cut, hangs, says

from b3shared.core.errors import (
    B3Error,
    InvalidAnnouncementsError,
    InvalidParameterError,
    SourceUnavailableError,
    UnreadableFileError,
)
from b3shared.quotes.corporate_actions.announcements.calls import Call, Company
from b3shared.quotes.corporate_actions.announcements.server import PATIENCE, CompanyServer

ROW = cash_row("01/06/2026", "0,35048636")


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def client(exchange: Exchange, clock: Clock | None = None, **bounds: Any) -> CompanyServer:
    """A client that draws the longest pause and never really waits."""
    clock = clock or Clock()
    patience = replace(PATIENCE, **bounds)
    pace = bounds.pop("pace", 1000.0)
    return CompanyServer(
        exchange.address,
        pace,
        patience=patience,
        sleep=clock.pause,
        clock=clock,
        draw=lambda least, most: most,
    )


def test_all_pages_come_in_order(exchange: Exchange) -> None:
    rows = [cash_row(f"{day:02}/06/2026", f"0,{day}") for day in range(1, 8)]
    exchange.has(PETR, cash=rows)
    exchange.page_size = 3
    answer = client(exchange).ask(Call.CASH, PETR)
    assert [row for part in answer.pages for row in part["results"]] == rows
    assert [asked["pageNumber"] for _, asked in exchange.asked] == [1, 2, 3]
    assert {asked["pageSize"] for _, asked in exchange.asked} == {120}
    assert answer.name == "PETROBRAS"


def test_a_name_with_a_slash_is_sent_without_it(exchange: Exchange) -> None:
    exchange.has(ABEV, cash=[ROW], supplement=supplement("ABEV"), details=details(ABEV, ISIN))
    for call in (Call.CASH, Call.SUPPLEMENT, Call.DETAILS):
        client(exchange).ask(call, ABEV)
    asked = [question for _, question in exchange.asked]
    assert [asked[0]["tradingName"], asked[1]["issuingCompany"], asked[2]["codeCVM"]] == [
        "AMBEV SA",
        "ABEV",
        "23264",
    ]
    assert {question["language"] for question in asked} == {"pt-br"}
    assert all("b3-asset-predict" in headers["User-Agent"] for headers in exchange.headers)


def test_the_list_has_every_company_with_a_root(exchange: Exchange) -> None:
    exchange.companies = [ABEV, PETR, Company("WEGE", "WEG", "0")]
    exchange.page_size = 2
    found = client(exchange).companies()
    assert found == [ABEV, PETR, Company("WEGE", "WEG", "")]


ISIN = "BRABEVACNOR1"
FAULTS: dict[str, tuple[Reply, type[B3Error], str]] = {
    "web page by type": (
        says(b"<html>", kind="text/html; charset=utf-8"),
        InvalidAnnouncementsError,
        "JSON, not a web page, got 'text/html'",
    ),
    "web page as JSON": (says(b"<html>no"), InvalidAnnouncementsError, "not a web page"),
    "empty body": (says(b""), InvalidAnnouncementsError, "malformed question"),
    "half of JSON": (says(b'{"page": '), InvalidAnnouncementsError, "must be JSON, got"),
    "another shape": (answers([1, 2]), InvalidAnnouncementsError, "with page and results"),
    "rows of text": (answers(page(["x"])), InvalidAnnouncementsError, "a list of objects"),  # type: ignore[list-item]
    "fewer rows than counted": (
        answers(page([ROW], records=2)),
        InvalidAnnouncementsError,
        r"page.totalRecords must be 1, as came, got 2",
    ),
    "more pages than records fill": (
        answers(page([ROW], records=1, pages=7)),
        InvalidAnnouncementsError,
        "page.totalPages must be 1 for 1 records of 120 a page, got 7",
    ),
    "no end of pages": (
        answers(page([ROW], records=120 * 300)),
        InvalidAnnouncementsError,
        "page.totalPages must be at most 200, got 300",
    ),
    "another page": (
        answers(page([ROW], 2)),
        InvalidAnnouncementsError,
        "page.pageNumber must be 1, got 2",
    ),
    "unreadable number": (
        answers(page([cash_row("01/06/2026", "9.9")])),
        InvalidAnnouncementsError,
        r"row 1.valueCash must be a number such as '9.900,00000000000', got '9.9'",
    ),
    "unreadable date": (
        answers(page([cash_row("2026-06-01", "9,9")])),
        InvalidAnnouncementsError,
        "row 1.lastDatePriorEx must be a date dd/mm/yyyy, got '2026-06-01'",
    ),
    "too large": (says(b"{}", Content_Length="9" * 10), UnreadableFileError, "are allowed"),
    "forbidden": (says(b"", 403), SourceUnavailableError, "status 403"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_stays_is_named_at_once(exchange: Exchange, fault: str) -> None:
    reply, error, words = FAULTS[fault]
    exchange.script = [reply]
    with pytest.raises(error, match=words) as raised:
        client(exchange).ask(Call.CASH, PETR)
    assert len(exchange.asked) == 1
    if error is InvalidAnnouncementsError:
        assert raised.value.message.startswith("PETR GetListedCashDividends:")
        assert raised.value.details["issuer"] == "PETR"


PASSING = {
    "cut": (cut, "IncompleteRead"),
    "slow": (hangs, "timed out"),
    "520": (says(b"", 520), "status 520"),
    "503": (says(b"", 503), "status 503"),
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_passing_fault_is_tried_again_with_growing_pauses(exchange: Exchange, fault: str) -> None:
    reply, words = PASSING[fault]
    exchange.has(PETR, cash=[ROW])
    clock = Clock()
    exchange.script = [reply, reply]
    answer = client(exchange, clock, read_seconds=0.3).ask(Call.CASH, PETR)
    assert answer.pages[0]["results"] == [ROW]
    assert clock.waits == [2.0, 4.0]

    exchange.script = [reply] * 4
    with pytest.raises(SourceUnavailableError, match=f"{words}.*attempt 4"):
        client(exchange, read_seconds=0.3).ask(Call.CASH, PETR)


def test_the_server_says_how_long_to_wait(exchange: Exchange) -> None:
    exchange.has(PETR, cash=[ROW])
    clock = Clock()
    exchange.script = [says(b"", 429, Retry_After="7")]
    client(exchange, clock).ask(Call.CASH, PETR)
    assert clock.waits == [7.0]

    exchange.script = [says(b"", 429, Retry_After="3600")]
    with pytest.raises(SourceUnavailableError, match="attempt 1; it asks to wait 3600 s"):
        client(exchange).ask(Call.CASH, PETR)


def test_pauses_are_drawn_between_nothing_and_the_longest(exchange: Exchange) -> None:
    exchange.has(PETR, cash=[ROW])
    exchange.script = [says(b"", 520)] * 3
    clock = Clock()
    drawn: list[tuple[float, float]] = []

    def draw(least: float, most: float) -> float:
        drawn.append((least, most))
        return 0.25

    CompanyServer(exchange.address, 1000.0, sleep=clock.pause, clock=clock, draw=draw).ask(
        Call.CASH, PETR
    )
    assert drawn == [(0.0, 2.0), (0.0, 4.0), (0.0, 8.0)]
    assert clock.waits == [0.25] * 3


def test_requests_keep_the_pace_attempts_included(exchange: Exchange) -> None:
    exchange.has(PETR, cash=[cash_row("01/06/2026", f"0,{number}") for number in range(3)])
    exchange.page_size = 1
    exchange.script = [says(b"", 520)]
    clock = Clock()
    served = CompanyServer(
        exchange.address, 0.5, sleep=clock.pause, clock=clock, draw=lambda least, most: 0.5
    )
    served.ask(Call.CASH, PETR)
    assert len(exchange.asked) == 4
    assert clock.waits == [0.5, 1.5, 2.0, 2.0]


def test_the_callers_time_bounds_all_pages_and_attempts(exchange: Exchange) -> None:
    exchange.has(PETR, cash=[ROW, ROW])
    exchange.page_size = 1
    exchange.script = [says(b"", 520), says(b"", 520)]
    clock = Clock()
    with pytest.raises(SourceUnavailableError, match="attempt 2; no time for another in 5 s"):
        client(exchange, clock).ask(Call.CASH, PETR, within=5)
    assert clock.waits == [2.0]


def test_pages_that_come_twice_or_change_are_refused(exchange: Exchange) -> None:
    first = page([ROW], 1, records=2, size=1)
    exchange.script = [answers(first), answers(page([ROW], 2, records=2, size=1))]
    with pytest.raises(InvalidAnnouncementsError, match="others on page 2"):
        client(exchange).ask(Call.CASH, PETR)

    grown = page([cash_row("02/06/2026", "1")], 2, records=3, size=1)
    exchange.script = [answers(first), answers(grown)]
    with pytest.raises(InvalidAnnouncementsError, match="2 records on 2 pages on every page"):
        client(exchange).ask(Call.CASH, PETR)


def test_equal_rows_of_one_page_are_no_duplicates(exchange: Exchange) -> None:
    exchange.has(PETR, cash=[ROW, ROW])
    assert client(exchange).ask(Call.CASH, PETR).pages[0]["results"] == [ROW, ROW]


def test_a_supplement_of_another_company_is_refused(exchange: Exchange) -> None:
    other = supplement("VALE", [stock_row("BRVALEACNOR0", "DESDOBRAMENTO", "100", "01/06/2026")])
    exchange.has(PETR, supplement=other)
    with pytest.raises(InvalidAnnouncementsError, match=r"PETR .*: code must be PETR, got 'VALE'"):
        client(exchange).ask(Call.SUPPLEMENT, PETR)


def test_no_company_at_all_is_no_answer(exchange: Exchange) -> None:
    exchange.script = [answers([])]
    with pytest.raises(InvalidAnnouncementsError, match="must be one company with"):
        client(exchange).ask(Call.SUPPLEMENT, PETR)


def test_a_server_that_is_gone_is_an_unavailable_source(exchange: Exchange) -> None:
    gone = Exchange()
    gone.address = "http://127.0.0.1:9/{call}/{query}"
    with pytest.raises(SourceUnavailableError, match="attempt 4"):
        client(gone).companies()


@pytest.mark.parametrize(
    "address",
    ["", "file:///{call}/{query}", "http://x/{call}", "http://x/{query}/{query}/{call}"],
)
def test_an_address_without_places_is_refused(address: str) -> None:
    with pytest.raises(InvalidParameterError, match=r"call.*query"):
        CompanyServer(address)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_missing_or_bad_ca_bundle_is_a_clear_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidParameterError, match=r"B3_CA_BUNDLE .*bundle.pem"):
        CompanyServer("https://x/{call}/{query}", ca_bundle=str(path))
