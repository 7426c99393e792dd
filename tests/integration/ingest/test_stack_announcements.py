"""The evening fetches the exchange's announcements; what fails there keeps no quotes back."""

import json
from datetime import date

import pytest
from exchange_answers import cash_row, details, supplement
from exchange_server import Exchange, says
from small_run import SMALL

from b3shared.quotes.corporate_actions.announcements.archive import (
    announcements_state,
    read_announcements,
    read_index,
)
from b3shared.quotes.corporate_actions.announcements.calls import Company
from b3shared.quotes.lake.lake import Lake

ROOTS = sorted({ticker[:4] for ticker in SMALL["tickers"]})


@pytest.fixture
def companies(market) -> Exchange:
    """The exchange with every company of the lake."""
    exchange: Exchange = market.companies
    exchange.companies.clear()

    for number, root in enumerate(ROOTS, 1):
        company = Company(root, f"{root} S/A", str(number))
        exchange.has(
            company,
            cash=[cash_row("01/06/2023", "1", "ON")],
            supplement=supplement(root),
            details=details(company, f"BR{root}ACNOR0"),
        )
    yield exchange
    exchange.companies.clear()


def start(market, day: date) -> tuple[str, dict]:
    """Status and description of an execution that ingests one day's file."""
    market.published[f"/COTAHIST_D{day:%d%m%Y}.ZIP"] = market.zipped_day(day)
    ended = len(market.executions())
    market.stack.client("stepfunctions").start_execution(
        stateMachineArn=market.stack.outputs["IngestArn"],
        input=json.dumps({"periods": [f"D{day:%d%m%Y}"]}),
    )
    return market.ended(before=ended), market.newest_error()


def lake_has(market, day: date) -> bool:
    (file,) = Lake(market.storage).manifest().years[day.year]
    return file.first <= str(day) <= file.last


def test_a_failing_company_is_told_and_quotes_and_the_others_are_kept(
    market, companies: Exchange
) -> None:
    last = ROOTS[-1]
    companies.answers["GetListedCashDividends", f"{last} SA"] = [cash_row("01/06/2023", "1.5")]
    status, found = start(market, date(2022, 3, 2))
    assert (status, found["error"]) == ("FAILED", "IncompleteIngestError")
    (failed,) = json.loads(found["cause"])
    assert (failed["issuer"], failed["code"]) == (last, "INVALID_ANNOUNCEMENTS")
    assert read_index(market.storage).keys() == set(ROOTS)
    assert lake_has(market, date(2022, 3, 2))

    companies.answers["GetListedCashDividends", f"{last} SA"] = [cash_row("01/06/2023", "1")]
    before = announcements_state(market.storage)
    companies.companies.append(Company(ROOTS[0], "ANOTHER", "99"))
    status, found = start(market, date(2022, 3, 3))
    assert status == "SUCCEEDED"
    output = json.loads(found["output"])
    (finding,) = output["detected"]["findings"]
    assert finding.startswith(f"{ROOTS[0]}: the exchange's list has it as")
    assert output["plan"]["batches"] == []
    assert announcements_state(market.storage) != before
    tables = read_announcements(market.storage)
    assert sorted(tables.rows["issuer"]) == ROOTS
    assert set(tables.companies["sector"]) == {"A"}


def test_a_server_that_answers_with_pages_is_told_and_quotes_are_kept(
    market, companies: Exchange
) -> None:
    before = announcements_state(market.storage)
    companies.script = [says(b"<html>", kind="text/html")]
    status, found = start(market, date(2022, 3, 4))
    assert (status, found["error"]) == ("FAILED", "InvalidAnnouncementsError")
    assert "all companies GetInitialCompanies" in found["cause"]
    assert announcements_state(market.storage) == before
    assert lake_has(market, date(2022, 3, 4))
