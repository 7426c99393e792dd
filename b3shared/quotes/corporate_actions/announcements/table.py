"""The tables of announcements: one row per line of an answer, and one per company.

Values are as published, in plain numbers and dates; nothing is judged or added up here. Equal rows
of one answer are instalments, not duplicates, and each is kept.
"""

from dataclasses import dataclass

import pandas as pd

ANNOUNCEMENT_TYPES: dict[str, str] = {
    "issuer": "VARCHAR",
    "answer": "VARCHAR",
    "isin": "VARCHAR",
    "share_class": "VARCHAR",
    "label": "VARCHAR",
    "last_cum": "DATE",
    "approved": "DATE",
    "value": "DOUBLE",
    "factor": "DOUBLE",
    "issue_price": "DOUBLE",
    "first_fetched": "TIMESTAMP",
    "fetched": "TIMESTAMP",
}
"""Column -> DuckDB type.

``issuer``: root of four letters. ``answer``: ``cash`` (GetListedCashDividends),
``supplement_cash``, ``supplement_stock`` or ``supplement_subscription``
(GetListedSupplementCompany). ``isin``: None in ``cash``. ``share_class``: ON, PN, PNA, ..., UNT,
without the listing segment; from the ISIN where an answer has no class, None if that has none.
``label``: as published, such as ``JRS CAP PROPRIO``. ``last_cum``: last session with the right; NaT
where the exchange has not set it. ``approved``: when it became known; NaT if not given. ``value``:
gross R$ per share of ``last_cum``. ``factor``: the published number of a stock dividend (300 is 4
for 1 of a DESDOBRAMENTO), or the per cent of a subscription. ``issue_price``: R$ of a subscription.
``first_fetched``, ``fetched``: UTC times of the first and the newest answer with the row.
"""

COMPANY_TYPES: dict[str, str] = {
    "issuer": "VARCHAR",
    "root": "VARCHAR",
    "trading_name": "VARCHAR",
    "code_cvm": "VARCHAR",
    "ticker": "VARCHAR",
    "isin": "VARCHAR",
    "sector": "VARCHAR",
    "subsector": "VARCHAR",
    "segment": "VARCHAR",
    "details_fetched": "TIMESTAMP",
    "cash_fetched": "TIMESTAMP",
    "supplement_fetched": "TIMESTAMP",
}
"""Column -> DuckDB type; one row per company and ticker, and one per earlier root.

``issuer``: the newest root, under which the announcements are. ``root``: the one that was asked
for; in the row of an earlier root, which has no ticker, it is that one. ``ticker``, ``isin``: of
GetDetailsCompany, None where it was not fetched. ``*_fetched``: UTC time of the newest usable
answer, NaT if there was none: up to then the announcements are known.
"""


@dataclass(frozen=True)
class Announcements:
    """What is kept of the exchange's answers.

    Attributes:
        rows: columns as in :data:`ANNOUNCEMENT_TYPES`; dates as datetime64[s], times as
            datetime64[us] in UTC without a zone.
        companies: columns as in :data:`COMPANY_TYPES`.
    """

    rows: pd.DataFrame
    companies: pd.DataFrame
