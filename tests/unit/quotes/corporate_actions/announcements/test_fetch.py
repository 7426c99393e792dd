"""Who is due is asked for; a failing company is named, and a server that is down stops early."""

from datetime import timedelta
from pathlib import Path

import pytest
from exchange_answers import ABEV, PETR, cash_answer, cash_row, details, paid_row, supplement
from exchange_server import Exchange, says

from b3shared.core.clock import now
from b3shared.core.errors import SourceUnavailableError
from b3shared.quotes.corporate_actions.announcements.archive import (
    Answer,
    announcements_state,
    keep_answers,
    read_announcements,
    read_index,
)
from b3shared.quotes.corporate_actions.announcements.calls import Call, Company
from b3shared.quotes.corporate_actions.announcements.fetch import (
    COMPANY_SECONDS,
    DOWN_AFTER,
    due_companies,
    fetch_companies,
)
from b3shared.quotes.corporate_actions.announcements.server import CompanyServer
from b3shared.storage import FolderStorage

ROW = cash_row("01/06/2023", "0,35048636")
ISIN = "BRABEVACNOR1"


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "store")


@pytest.fixture
def server(exchange: Exchange) -> CompanyServer:
    return CompanyServer(exchange.address, 1000.0, sleep=lambda seconds: None)


def give(exchange: Exchange, company: Company) -> None:
    exchange.has(
        company,
        cash=[ROW],
        supplement=supplement(company.issuer),
        details=details(company, ISIN),
    )


def test_all_answers_of_a_company_are_kept(
    exchange: Exchange, server: CompanyServer, storage: FolderStorage
) -> None:
    give(exchange, ABEV)
    told: list[object] = []
    result = fetch_companies(storage, server, [ABEV], progress=told.append)
    assert (result.fetched, result.failed, result.left) == (["ABEV"], [], [])
    tables = read_announcements(storage)
    assert tables.rows["value"].tolist() == [0.35048636]
    (row,) = tables.companies.to_dict("records")
    assert (row["sector"], row["ticker"]) == ("A", "ABEV3")
    assert told == [{"step": "announcements", "phase": "ABEV", "done": 1, "total": 1}]


def test_the_sector_is_asked_for_once_a_month(
    exchange: Exchange, server: CompanyServer, storage: FolderStorage
) -> None:
    give(exchange, ABEV)
    for _ in range(2):
        fetch_companies(storage, server, [ABEV])
    assert [call for call, _ in exchange.asked].count(Call.DETAILS) == 1


def test_a_failing_company_is_named_and_the_others_are_fetched(
    exchange: Exchange, server: CompanyServer, storage: FolderStorage
) -> None:
    give(exchange, ABEV)
    exchange.has(PETR, supplement="nonsense", cash=[cash_row("01/06/2023", "1.5")])
    wege = Company("WEGE", "WEG")
    give(exchange, wege)
    result = fetch_companies(storage, server, [ABEV, PETR, wege])
    assert result.fetched == ["ABEV", "WEGE"]
    failures = result.failures()
    assert {failure["issuer"] for failure in failures} == {"PETR"}
    assert {failure["code"] for failure in failures} == {"INVALID_ANNOUNCEMENTS"}
    assert "PETR GetListedCashDividends: row 1.valueCash" in failures[1]["message"]
    assert read_index(storage).keys() == {"ABEV", "WEGE"}


def test_one_failing_call_leaves_the_other_calls_answers(
    exchange: Exchange, server: CompanyServer, storage: FolderStorage
) -> None:
    exchange.has(ABEV, supplement=supplement("ABEV"), cash=[ROW])
    result = fetch_companies(storage, server, [ABEV])
    assert [error.details["call"] for _, error in result.failed] == [Call.DETAILS]
    companies = read_announcements(storage).companies
    assert companies["cash_fetched"].notna().all()
    assert companies["details_fetched"].isna().all()


def test_a_server_that_is_down_stops_the_fetch_and_keeps_what_came(
    exchange: Exchange, server: CompanyServer, storage: FolderStorage
) -> None:
    give(exchange, ABEV)
    others = [Company(f"AA{letter}A", letter) for letter in "ABCDEFGHIJ"]
    for company in others:
        exchange.has(company)
    with pytest.raises(SourceUnavailableError, match=f"{DOWN_AFTER} companies in a row") as caught:
        fetch_companies(storage, server, [ABEV, *others])
    assert caught.value.details["fetched"] == 1
    assert read_index(storage).keys() == {"ABEV"}
    asked = {question.get("issuingCompany") for _, question in exchange.asked} - {None}
    assert asked == {"ABEV", *(company.issuer for company in others[:DOWN_AFTER])}


def test_a_source_that_is_unreachable_is_asked_once_a_company(
    exchange: Exchange, server: CompanyServer, storage: FolderStorage
) -> None:
    exchange.script = [says(b"", 403)] * 100
    companies = [Company(f"AA{letter}A", letter) for letter in "ABCDEFGHIJ"]
    with pytest.raises(SourceUnavailableError, match="status 403"):
        fetch_companies(storage, server, companies)
    assert len(exchange.asked) == DOWN_AFTER
    assert announcements_state(storage) == ""


def test_a_fetch_ends_in_time_and_says_what_is_left(
    exchange: Exchange, server: CompanyServer, storage: FolderStorage
) -> None:
    give(exchange, ABEV)
    give(exchange, PETR)
    seconds = iter([500.0, 99.0])
    result = fetch_companies(
        storage, server, [ABEV, PETR], seconds_left=lambda: next(seconds), reserve=100.0
    )
    assert (result.fetched, result.left) == (["ABEV"], [PETR])


def test_companies_that_failed_before_count_for_a_server_that_is_down(
    exchange: Exchange, server: CompanyServer, storage: FolderStorage
) -> None:
    exchange.script = [says(b"", 403)] * 100
    companies = [Company(f"AA{letter}A", letter) for letter in "ABC"]
    before = DOWN_AFTER - 2
    first = fetch_companies(storage, server, companies[:1], in_a_row=before)
    assert first.in_a_row == DOWN_AFTER - 1
    for earlier, asked in ((before, 2), (DOWN_AFTER + 3, 1)):
        with pytest.raises(SourceUnavailableError, match="companies in a row") as caught:
            fetch_companies(storage, server, companies, in_a_row=earlier)
        assert caught.value.details["not_asked"] == len(companies) - asked


def test_a_company_that_is_answered_ends_the_count_of_failures(
    exchange: Exchange, server: CompanyServer, storage: FolderStorage
) -> None:
    give(exchange, ABEV)
    assert fetch_companies(storage, server, [ABEV], in_a_row=DOWN_AFTER - 1).in_a_row == 0


def test_all_calls_of_a_company_share_its_time(
    exchange: Exchange, server: CompanyServer, storage: FolderStorage
) -> None:
    """The first call uses up the company's time: neither of the others is asked."""
    give(exchange, ABEV)
    times = iter([0.0, 0.0, COMPANY_SECONDS + 1.0])
    result = fetch_companies(storage, server, [ABEV], clock=lambda: next(times))
    (failure,) = result.failures()
    assert (failure["code"], result.fetched) == (SourceUnavailableError.code, [])
    assert "no time is left to ask" in failure["message"]
    assert [call for call, _ in exchange.asked] == [Call.SUPPLEMENT]


def test_a_name_under_which_nothing_is_found_is_no_empty_history(
    exchange: Exchange, server: CompanyServer, storage: FolderStorage
) -> None:
    """KLABIN finds a dead registrant or nothing; the supplement shows that there were payments."""
    klbn = Company("KLBN", "KLABIN")
    paid = paid_row("BRKLBNACNOR6", "0,10", "01/06/2023")
    exchange.has(klbn, supplement=supplement("KLBN", cash=[paid]), cash=[])
    result = fetch_companies(storage, server, [klbn])
    (failure,) = result.failures()
    assert "tradingName must be a name with payments" in failure["message"]
    assert "'KLABIN'" in failure["message"]
    companies = read_announcements(storage).companies
    assert companies["cash_fetched"].isna().all()
    assert companies["supplement_fetched"].notna().all()


def test_a_new_payment_that_only_the_supplement_has_is_no_fault(
    exchange: Exchange, server: CompanyServer, storage: FolderStorage
) -> None:
    last = f"{now().date() - timedelta(days=20):%d/%m/%Y}"
    paid = paid_row("BRABEVACNOR1", "0,10", last)
    exchange.has(Company("ABEV", "AMBEV"), supplement=supplement("ABEV", cash=[paid]), cash=[])
    result = fetch_companies(storage, server, exchange.companies)
    assert result.fetched == ["ABEV"]


def test_a_company_renamed_between_two_fetches_has_both_histories_once(
    exchange: Exchange, server: CompanyServer, storage: FolderStorage
) -> None:
    before, after = Company("VIIA", "VIAVAREJO", "6505"), Company("VIIA", "VIA", "6505")
    old, both = cash_row("28/12/2020", "1", "ON"), cash_row("26/04/2021", "2", "ON")
    exchange.has(before, cash=[old, both], supplement=supplement("VIIA"))
    exchange.has(after, cash=[both, cash_row("27/12/2021", "3", "ON")])
    exchange.answers[Call.DETAILS, "6505"] = details(after, "BRVVARACNOR1")
    for company in (before, after, after):
        fetch_companies(storage, server, [company])
    tables = read_announcements(storage)
    assert tables.rows["value"].tolist() == [1.0, 2.0, 3.0]
    assert tables.companies["trading_name"].tolist() == ["VIA"]


def test_due_is_who_was_never_answered_or_some_days_ago(storage: FolderStorage) -> None:
    fetched = now() - timedelta(days=2)
    for company in (ABEV, PETR):
        keep_answers(
            storage,
            company,
            [
                Answer(Call.CASH, "X", cash_answer(company, "2023-01-01", ROW).pages, fetched),
                Answer(Call.SUPPLEMENT, "X", [supplement(company.issuer)], fetched),
            ],
        )
    half = Company("HALF", "HALF")
    keep_answers(storage, half, [Answer(Call.CASH, "X", [{**_empty()}], fetched)])
    everyone = [ABEV, PETR, half, Company("WEGE", "WEG")]

    def due(days: float) -> list[str]:
        return [company.issuer for company in due_companies(everyone, read_index(storage), days)]

    assert due(3) == ["HALF", "WEGE"]
    assert due(2) == ["ABEV", "PETR", "HALF", "WEGE"]
    assert due(0) == ["ABEV", "PETR", "HALF", "WEGE"]


def _empty() -> dict[str, object]:
    return cash_answer(PETR, "2023-01-01").pages[0]
