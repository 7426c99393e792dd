"""Makes the tables of announcements and companies from the records of the archive."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import pandas as pd

from b3shared.quotes.corporate_actions.announcements.calls import Call
from b3shared.quotes.corporate_actions.announcements.company_record import CompanyRecord
from b3shared.quotes.corporate_actions.announcements.table import (
    ANNOUNCEMENT_TYPES,
    COMPANY_TYPES,
    Announcements,
)

_DTYPES = {
    "VARCHAR": "object",
    "DATE": "datetime64[s]",
    "DOUBLE": "float64",
    "TIMESTAMP": "datetime64[us]",
}


def to_tables(records: Iterable[CompanyRecord]) -> Announcements:
    """Return the tables of some companies' records, in their order."""
    records = list(records)
    rows = [row for record in records for row in _rows(record)]
    companies = [row for record in records for row in _companies(record)]
    return Announcements(_frame(rows, ANNOUNCEMENT_TYPES), _frame(companies, COMPANY_TYPES))


def _rows(record: CompanyRecord) -> Iterator[dict[str, Any]]:
    for row in record.rows:
        line = row.line

        yield {
            "issuer": record.company.issuer,
            "answer": line.answer,
            "isin": line.isin,
            "share_class": line.share_class,
            "label": line.label,
            "last_cum": line.last_cum,
            "approved": line.approved,
            "value": line.value,
            "factor": line.factor,
            "issue_price": line.issue_price,
            "first_fetched": _naive(row.first_fetched),
            "fetched": _naive(row.fetched),
        }


def _companies(record: CompanyRecord) -> Iterator[dict[str, Any]]:
    details = record.details
    papers = details.papers if details is not None else ()

    company = record.company
    for ticker, isin in papers or ((None, None),):
        yield {
            "issuer": company.issuer,
            "root": company.issuer,
            "trading_name": company.trading_name,
            "code_cvm": company.code_cvm or None,
            "ticker": ticker,
            "isin": isin,
            "sector": None if details is None else details.sector,
            "subsector": None if details is None else details.subsector,
            "segment": None if details is None else details.segment,
            "details_fetched": _naive(record.fetched(Call.DETAILS)),
            "cash_fetched": _naive(record.fetched(Call.CASH)),
            "supplement_fetched": _naive(record.fetched(Call.SUPPLEMENT)),
        }
    for earlier in record.earlier:
        times = {
            "cash_fetched": _naive(earlier.fetched(Call.CASH)),
            "supplement_fetched": _naive(earlier.fetched(Call.SUPPLEMENT)),
        }
        yield (
            dict.fromkeys(COMPANY_TYPES)
            | times
            | {
                "issuer": company.issuer,
                "root": earlier.company.issuer,
                "trading_name": earlier.company.trading_name,
                "code_cvm": company.code_cvm,
            }
        )


def _frame(rows: list[dict[str, Any]], types: dict[str, str]) -> pd.DataFrame:
    """Return rows as columns of their types; None stays None in text."""
    return pd.DataFrame(
        {
            name: pd.Series([row[name] for row in rows], dtype=_DTYPES[kind])
            for name, kind in types.items()
        }
    )


def _naive(time: datetime | None) -> datetime | None:
    return None if time is None else time.replace(tzinfo=None)
