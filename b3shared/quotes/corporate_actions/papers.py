"""Tells which ticker of a lake an announcement is about."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import duckdb
import pandas as pd

from b3shared.quotes.corporate_actions.announcements.values import class_of_isin

CLASS_OF_NUMBER = {
    "3": "ON",
    "4": "PN",
    "5": "PNA",
    "6": "PNB",
    "7": "PNC",
    "8": "PND",
    "11": "UNT",
}
"""Number of a ticker -> its class, for quotes without ESPECI."""

NOT_SHARES = frozenset({"1", "2", "9", "10"})
"""Numbers of rights and receipts, whose ESPECI names the class of the share they are for."""

_PAPERS = """
    SELECT ticker, {isin} AS isin, upper(trim(split_part(trim({type}), ' ', 1), ' *')) AS class,
        min(CAST("date" AS DATE)) AS first, max(CAST("date" AS DATE)) AS last
    FROM {relation} WHERE "date" IS NOT NULL AND ticker IS NOT NULL GROUP BY ALL ORDER BY ALL
"""


@dataclass(frozen=True)
class Paper:
    """A ticker as it was quoted under one ISIN.

    Attributes:
        ticker: its newest name.
        isin: None where the quotes have none.
        share_class: ON, PN, PNA, ..., UNT; None for others.
        first: its first session.
        last: its last one.
    """

    ticker: str
    isin: str | None
    share_class: str | None
    first: pd.Timestamp
    last: pd.Timestamp

    def distance(self, day: pd.Timestamp) -> int:
        """Return how many days lie between a day and the sessions; 0 within them."""
        return 0 if pd.isnull(day) else max((self.first - day).days, (day - self.last).days, 0)


class Papers:
    """The papers of a lake, to be found by ISIN, or by issuer and class.

    Args:
        papers: one for each ticker and ISIN.
        roots: ticker -> roots of four letters that it and its earlier names had.
        isins: ISIN -> ticker, of the companies' details; for tickers whose quotes have no ISIN.
    """

    def __init__(
        self, papers: list[Paper], roots: dict[str, set[str]], isins: dict[str, str]
    ) -> None:
        self.roots = roots
        with_isin = {paper.ticker for paper in papers if paper.isin}
        self._by_isin: dict[str, list[Paper]] = defaultdict(list)
        self._by_class: dict[tuple[str, str], list[Paper]] = defaultdict(list)
        self._without_isin: set[str] = {paper.ticker for paper in papers} - with_isin
        self._names = {paper.ticker: paper for paper in papers}

        for paper in papers:
            if paper.isin:
                self._by_isin[paper.isin].append(paper)
            if paper.share_class:
                for root in roots[paper.ticker]:
                    self._by_class[root, paper.share_class].append(paper)
        for isin, ticker in isins.items():
            if ticker in self._without_isin:
                self._by_isin[isin].append(self._names[ticker])

    def of_class(self, issuer: str, share_class: str | None, day: pd.Timestamp) -> str | None:
        """Return the ticker of a company's class that was quoted nearest to a day."""
        found = self._by_class.get((issuer, share_class or ""), [])
        return _nearest(found, day, issuer)

    def of_isin(self, isin: str, day: pd.Timestamp) -> str | None:
        """Return the ticker that was quoted under an ISIN; None if none was.

        Where the quotes of a ticker have no ISIN, the class and the issuer of a share's or a unit's
        own ISIN decide; those of rights, receipts and other series are no share's.
        """
        found = self._by_isin.get(isin)
        if found:
            return _nearest(found, day, isin[2:6])
        if not is_share_isin(isin):
            return None
        ticker = self.of_class(isin[2:6], class_of_isin(isin), day)
        return ticker if ticker in self._without_isin else None


def is_share_isin(isin: str) -> bool:
    """Return whether an ISIN is that of a share (ACN) or a unit, and not of a right or receipt."""
    return isin[6:9] in ("ACN", "CDA", "UNT")


def read_papers(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    renames: pd.DataFrame,
    companies: pd.DataFrame,
) -> Papers:
    """Read the papers of a lake's quotes.

    Args:
        connection: where the relation can be read.
        relation: the quotes, renamed tickers under their newest name.
        renames: ``old`` and ``new``.
        companies: as in
            :data:`b3shared.quotes.corporate_actions.announcements.table.COMPANY_TYPES`.
    """
    columns = {
        str(row[0]).lower()
        for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    }
    absent = "CAST(NULL AS VARCHAR)"
    names = {name: name if name in columns else absent for name in ("isin", "type")}
    rows = connection.execute(_PAPERS.format(relation=relation, **names)).fetchall()

    roots: dict[str, set[str]] = defaultdict(set)
    papers = []
    for ticker, isin, share_class, first, last in rows:
        roots[ticker].add(ticker[:4])
        if isin and is_share_isin(isin):
            roots[ticker].add(isin[2:6])
        found = _class(ticker, share_class)
        papers.append(Paper(ticker, isin or None, found, pd.Timestamp(first), pd.Timestamp(last)))
    for old, new in zip(renames["old"], renames["new"], strict=True):
        roots[new].add(old[:4])

    # a company under a new root: its announcements are listed under that one, the old ones too
    issuer_of = dict(zip(companies["root"], companies["issuer"], strict=True))
    for own in roots.values():
        own |= {issuer_of[root] for root in own if root in issuer_of}

    newest = dict(zip(renames["old"], renames["new"], strict=True))
    named = companies.dropna(subset=["ticker", "isin"])
    isins = {
        isin: newest.get(ticker, ticker)
        for ticker, isin in zip(named["ticker"], named["isin"], strict=True)
    }
    return Papers(papers, roots, isins)


def _class(ticker: str, especi: str | None) -> str | None:
    """Return the class of a ticker, from ESPECI or else from its number; None if it is no share."""
    number = ticker[4:].rstrip("B")
    if number in NOT_SHARES:
        return None
    if not especi:
        return CLASS_OF_NUMBER.get(number)
    return especi if especi in ("ON", "UNT") or especi.startswith("PN") else None


def _nearest(papers: list[Paper], day: pd.Timestamp, issuer: str) -> str | None:
    """Return the ticker of the paper nearest to a day; of equal ones the issuer's own."""

    def order(paper: Paper) -> tuple[Any, ...]:
        return paper.distance(day), paper.ticker[:4] != issuer, -paper.last.value, paper.ticker

    return min(papers, key=order).ticker if papers else None
