"""Tells for which days the announcements of each ticker are known."""

import numpy as np
import pandas as pd

from b3shared.quotes.corporate_actions.announcements.table import Announcements
from b3shared.quotes.corporate_actions.papers import Papers

COVERAGE_TYPES: dict[str, str] = {
    "ticker": "VARCHAR",
    "known_from": "DATE",
    "known_until": "DATE",
}
"""Column -> DuckDB type; ``known_from`` is NULL where everything before is known too."""

SUPPLEMENT_REACH = pd.Timedelta(days=330)
"""How far back the payments of a supplement reach; the exchange lists about twelve months."""


def coverage_of(announcements: Announcements, papers: Papers) -> pd.DataFrame:
    """Return the days for which all payments of each ticker are known.

    The history of payments knows everything up to the day it was fetched. A supplement that is at
    most :data:`SUPPLEMENT_REACH` newer extends that to its own day; without a history it knows only
    that span before it. Where several companies stand for a ticker, one after the other, the newest
    day counts.

    Args:
        announcements: of the exchange.
        papers: of the lake.

    Returns:
        Columns as in :data:`COVERAGE_TYPES`, sorted by ticker; only tickers with any such day.
    """
    spans = _spans(announcements.companies)
    rows = []
    for ticker, roots in sorted(papers.roots.items()):
        own = spans[spans["issuer"].isin(roots)]
        if len(own):
            newest = own.sort_values("known_until", kind="stable").iloc[-1]
            rows.append((ticker, newest["known_from"], newest["known_until"]))

    table = pd.DataFrame(rows, columns=list(COVERAGE_TYPES)).astype({"ticker": "object"})
    for name in ("known_from", "known_until"):
        table[name] = pd.to_datetime(table[name]).astype("datetime64[s]")
    return table


def _spans(companies: pd.DataFrame) -> pd.DataFrame:
    """``issuer``, ``known_from`` and ``known_until`` of the companies with a usable answer."""
    one = companies.groupby("issuer", sort=True)[["cash_fetched", "supplement_fetched"]].max()
    cash = one["cash_fetched"].dt.floor("D")
    supplement = one["supplement_fetched"].dt.floor("D")
    joined = supplement.notna() & cash.notna() & (supplement - cash <= SUPPLEMENT_REACH)
    alone = supplement.notna() & cash.isna()

    until = cash.mask(joined, np.maximum(cash, supplement)).mask(alone, supplement)
    since = (supplement - SUPPLEMENT_REACH).where(alone)
    spans = pd.DataFrame({"known_from": since, "known_until": until}).reset_index()
    return spans[spans["known_until"].notna()].reset_index(drop=True)
