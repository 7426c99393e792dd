"""Parses the exchange's answers into rows; unknown labels are kept as they are."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from b3shared.quotes.corporate_actions.announcements.announcement import Announcement, Details
from b3shared.quotes.corporate_actions.announcements.calls import Call, Company, is_issuer
from b3shared.quotes.corporate_actions.announcements.values import (
    Field,
    class_of_isin,
    class_of_type,
    read_date,
    read_isin,
    read_number,
    read_optional,
    read_text,
)

ALL_COMPANIES = "all companies"
"""Stands for the issuer in errors of the list of companies."""

_SECTOR_PARTS = 3


def decode(body: bytes, field: Field) -> Any:
    """Return the JSON value of an answer's body.

    Raises:
        InvalidAnnouncementsError: It is empty, a web page or no JSON.
    """
    text = body.decode("utf-8-sig", errors="replace").strip()
    if not text:
        raise field.error("JSON; an empty body answers a malformed question", "")
    if text.startswith("<"):
        raise field.error("JSON, not a web page", text)
    try:
        value = json.loads(text)
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        raise field.error("JSON", text) from None


def rows_of(call: Call, issuer: str, pages: list[Any]) -> list[Announcement]:
    """Return the announcements of a complete answer of SUPPLEMENT or CASH, one per line.

    Raises:
        InvalidAnnouncementsError: The answer has another shape, or an unreadable value.
    """
    if call is Call.CASH:
        return list(_cash_rows(issuer, pages))
    return list(_supplement_rows(issuer, pages))


def check_answer(call: Call, issuer: str, pages: list[Any]) -> None:
    """Read a complete answer of a company's call to the end.

    Raises:
        InvalidAnnouncementsError: The answer has another shape, or an unreadable value.
    """
    if call is Call.DETAILS:
        details_of(issuer, pages)
    else:
        rows_of(call, issuer, pages)


def joined(pages: list[Any], field: Field) -> list[dict[str, Any]]:
    """Return the results of all pages of an answer, which are to be complete.

    Raises:
        InvalidAnnouncementsError: The pages contradict their own counts, or each other.
    """
    results: list[dict[str, Any]] = []
    heads = [page_head(page, field) for page in pages]
    for number, (page, head) in enumerate(zip(pages, heads, strict=True), 1):
        if head.number != number:
            raise field.of("page.pageNumber").error(f"{number}", head.number)
        if (head.records, head.pages) != (heads[0].records, heads[0].pages):
            counts = f"{heads[0].records} records on {heads[0].pages} pages on every page"
            raise field.of("page").error(counts, f"{head.records} on {head.pages}")
        if number > 1 and page["results"] == pages[number - 2]["results"]:
            raise field.of("results").error(f"others on page {number}", "those of the page before")
        results += page["results"]

    announced = heads[0]
    if len(pages) != max(announced.pages, 1):
        raise field.of("page.totalPages").error(f"{len(pages)}, as came", announced.pages)
    if len(results) != announced.records:
        raise field.of("page.totalRecords").error(f"{len(results)}, as came", announced.records)
    return results


@dataclass(frozen=True)
class PageHead:
    """The counts of a page: its number, and all records and pages of the answer."""

    number: int
    records: int
    pages: int


def page_head(page: Any, field: Field) -> PageHead:
    """Return the counts of a page.

    Raises:
        InvalidAnnouncementsError: It is no page of results, or its counts contradict each other.
    """
    head = page.get("page") if isinstance(page, dict) else None
    results = page.get("results") if isinstance(page, dict) else None
    if not isinstance(head, dict) or not isinstance(results, list):
        raise field.error("an object with page and results", page)
    if not all(isinstance(row, dict) for row in results):
        raise field.of("results").error("a list of objects", results)

    names = ("pageNumber", "pageSize", "totalRecords", "totalPages")
    counts = {name: _count(head.get(name), field.of(f"page.{name}")) for name in names}
    size = max(counts["pageSize"], 1)
    expected = -(-counts["totalRecords"] // size)
    if max(counts["totalPages"], 1) != max(expected, 1):
        allowed = f"{expected} for {counts['totalRecords']} records of {size} a page"
        raise field.of("page.totalPages").error(allowed, counts["totalPages"])
    return PageHead(counts["pageNumber"], counts["totalRecords"], counts["totalPages"])


def companies_of(pages: list[Any]) -> list[Company]:
    """Return the companies of the exchange's list, in its order.

    Entries without a root of tickers are left out: nothing of theirs is traded.

    Raises:
        InvalidAnnouncementsError: The answer has another shape.
    """
    whole = Field(ALL_COMPANIES, Call.LIST)
    companies = []
    for number, row in enumerate(joined(pages, whole), 1):
        field = whole.of(f"row {number}")
        issuer = read_optional(row.get("issuingCompany"), field.of("issuingCompany"))
        if issuer is None or not is_issuer(issuer):
            continue
        name = read_text(row.get("tradingName"), field.of("tradingName"))
        code = read_optional(row.get("codeCVM"), field.of("codeCVM"))
        companies.append(Company(issuer, name, code if code and code.strip("0") else ""))
    return companies


def details_of(issuer: str, pages: list[Any]) -> Details:
    """Return a company's tickers and sector.

    Raises:
        InvalidAnnouncementsError: The answer has another shape, or is of another company.
    """
    whole = Field(issuer, Call.DETAILS)
    (answer,) = pages
    if not isinstance(answer, dict) or "industryClassification" not in answer:
        raise whole.error("an object with industryClassification", answer)
    named = read_optional(answer.get("issuingCompany"), whole.of("issuingCompany"))
    if named != issuer:
        raise whole.of("issuingCompany").error(issuer, named)

    others = _list(answer, "otherCodes", whole)
    papers = {
        read_text(row.get("code"), field.of("code")): read_isin(row.get("isin"), field.of("isin"))
        for row, field in others
    }
    code = read_optional(answer.get("code"), whole.of("code"))
    if code is not None:
        papers.setdefault(code, None)
    return Details(tuple(papers.items()), *_sector(answer, whole))


def _sector(answer: dict[str, Any], whole: Field) -> list[str | None]:
    """Split "sector / subsector / segment"."""
    field = whole.of("industryClassification")
    text = read_optional(answer["industryClassification"], field) or ""
    parts: list[str | None] = [part.strip() or None for part in text.split(" / ")]
    if len(parts) > _SECTOR_PARTS:
        raise field.error("sector / subsector / segment", text)
    return parts + [None] * (_SECTOR_PARTS - len(parts))


def _cash_rows(issuer: str, pages: list[Any]) -> Iterator[Announcement]:
    whole = Field(issuer, Call.CASH)

    for number, row in enumerate(joined(pages, whole), 1):
        field = whole.of(f"row {number}")
        yield Announcement(
            answer="cash",
            isin=None,
            share_class=class_of_type(read_text(row.get("typeStock"), field.of("typeStock"))),
            label=read_text(row.get("corporateAction"), field.of("corporateAction")),
            last_cum=read_date(row.get("lastDatePriorEx"), field.of("lastDatePriorEx")),
            approved=read_date(row.get("dateApproval"), field.of("dateApproval")),
            value=read_number(row.get("valueCash"), field.of("valueCash")) / _lot(row, field),
        )


def _lot(row: dict[str, Any], field: Field) -> float:
    """Return how many shares an amount is for: 1, or 1000 in older rows."""
    field = field.of("quotedPerShares")
    if read_optional(row.get("quotedPerShares"), field) is None:
        return 1.0
    lot = read_number(row["quotedPerShares"], field)
    if lot < 1:
        raise field.error("a number >= 1", row["quotedPerShares"])
    return lot


def _supplement_rows(issuer: str, pages: list[Any]) -> Iterator[Announcement]:
    whole = Field(issuer, Call.SUPPLEMENT)
    (answer,) = pages
    company = answer[0] if isinstance(answer, list) and len(answer) == 1 else answer
    if not isinstance(company, dict) or "stockDividends" not in company:
        raise whole.error("one company with cashDividends and stockDividends", answer)
    named = read_optional(company.get("code"), whole.of("code"))
    if named not in (None, issuer):
        raise whole.of("code").error(issuer, named)

    for name, (answer_name, amounts) in _LISTS.items():
        for row, field in _list(company, name, whole):
            isin = read_isin(row.get("isinCode"), field.of("isinCode"))
            yield Announcement(
                answer=answer_name,
                isin=isin,
                share_class=class_of_isin(isin),
                label=read_text(row.get("label"), field.of("label")),
                last_cum=read_date(row.get("lastDatePrior"), field.of("lastDatePrior")),
                approved=read_date(row.get("approvedOn"), field.of("approvedOn")),
                **amounts(row, field),
            )


def _cash_amounts(row: dict[str, Any], field: Field) -> dict[str, float]:
    return {"value": read_number(row.get("rate"), field.of("rate"))}


def _stock_amounts(row: dict[str, Any], field: Field) -> dict[str, float]:
    return {"factor": read_number(row.get("factor"), field.of("factor"))}


def _subscription_amounts(row: dict[str, Any], field: Field) -> dict[str, float]:
    return {
        "factor": read_number(row.get("percentage"), field.of("percentage")),
        "issue_price": read_number(row.get("priceUnit"), field.of("priceUnit")),
    }


_Amounts = Callable[[dict[str, Any], Field], dict[str, float]]
_LISTS: dict[str, tuple[str, _Amounts]] = {
    "cashDividends": ("supplement_cash", _cash_amounts),
    "stockDividends": ("supplement_stock", _stock_amounts),
    "subscriptions": ("supplement_subscription", _subscription_amounts),
}
"""List of a supplement -> its name in the table, and how its amounts are read."""


def _list(
    company: dict[str, Any], name: str, whole: Field
) -> Iterator[tuple[dict[str, Any], Field]]:
    """Yield the objects of a list that may be missing, each with its place."""
    rows = company.get(name)
    for number, row in enumerate(_checked_list(rows, whole.of(name)), 1):
        yield row, whole.of(f"{name} row {number}")


def _checked_list(rows: Any, field: Field) -> list[dict[str, Any]]:
    if rows is None:
        return []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise field.error("a list of objects", rows)
    return rows


def _count(value: Any, field: Field) -> int:
    number = read_number(value, field)
    if number < 0 or number != int(number):
        raise field.error("an integer >= 0", value)
    return int(number)
