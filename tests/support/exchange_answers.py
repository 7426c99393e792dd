"""Answers of the exchange's pages of listed companies, in the form of the real ones."""

from datetime import UTC, datetime
from typing import Any

from b3shared.quotes.corporate_actions.announcements.archive import Answer
from b3shared.quotes.corporate_actions.announcements.calls import Call, Company

ABEV = Company("ABEV", "AMBEV S/A", "23264")
PETR = Company("PETR", "PETROBRAS", "9512")


def at(text: str) -> datetime:
    """A UTC time from its ISO text."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def cash_row(
    last: str, value: str, share_class: str = "PN", label: str = "DIVIDENDO", **fields: Any
) -> dict[str, Any]:
    """A payment, as GetListedCashDividends lists it."""
    return {
        "typeStock": share_class,
        "dateApproval": "11/05/2026",
        "valueCash": value,
        "ratio": "1",
        "corporateAction": label,
        "lastDatePriorEx": last,
        "dateClosingPricePriorExDate": last,
        "closingPricePriorExDate": "47,34",
        "quotedPerShares": "1",
        **fields,
    }


def page(
    results: list[dict[str, Any]],
    number: int = 1,
    *,
    records: int | None = None,
    pages: int | None = None,
    size: int = 120,
) -> dict[str, Any]:
    """A page of results; by default the only one."""
    records = len(results) if records is None else records
    return {
        "page": {
            "pageNumber": number,
            "pageSize": size,
            "totalRecords": records,
            "totalPages": -(-records // size) if pages is None else pages,
        },
        "results": results,
    }


def stock_row(isin: str, label: str, factor: str, last: str, **fields: Any) -> dict[str, Any]:
    """A share event, as the supplement lists it."""
    return {
        "assetIssued": isin,
        "factor": factor,
        "approvedOn": "02/02/2024",
        "isinCode": isin,
        "label": label,
        "lastDatePrior": last,
        "remarks": "",
        **fields,
    }


def paid_row(isin: str, rate: str, last: str, label: str = "DIVIDENDO") -> dict[str, Any]:
    """A payment, as the supplement lists it."""
    return {
        "assetIssued": isin,
        "paymentDate": "20/08/2026",
        "rate": rate,
        "relatedTo": "Anual/2026",
        "approvedOn": "11/05/2026",
        "isinCode": isin,
        "label": label,
        "lastDatePrior": last,
        "remarks": "",
    }


def supplement(
    issuer: str,
    stock: list[dict[str, Any]] | None = None,
    cash: list[dict[str, Any]] | None = None,
    rights: list[dict[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """An answer of GetListedSupplementCompany."""
    return [
        {
            "tradingName": issuer,
            "code": issuer,
            "codeCVM": "1",
            "cashDividends": cash or [],
            "stockDividends": stock or [],
            "subscriptions": rights or [],
        }
    ]


def details(company: Company, isin: str, sector: str = "A / B / C") -> dict[str, Any]:
    """An answer of GetDetailsCompany with one ticker."""
    code = f"{company.issuer}3"
    return {
        "issuingCompany": company.issuer,
        "tradingName": company.trading_name,
        "industryClassification": sector,
        "code": code,
        "codeCVM": company.code_cvm,
        "otherCodes": [{"code": code, "isin": isin}],
    }


def cash_answer(company: Company, fetched: str, *rows: dict[str, Any]) -> Answer:
    """A complete answer of GetListedCashDividends on one page."""
    return Answer(Call.CASH, company.trading_name, [page(list(rows))], at(fetched))


def supplement_answer(company: Company, fetched: str, **lists: Any) -> Answer:
    """A complete answer of GetListedSupplementCompany."""
    value = supplement(company.issuer, **lists)
    return Answer(Call.SUPPLEMENT, company.issuer, [value], at(fetched))
