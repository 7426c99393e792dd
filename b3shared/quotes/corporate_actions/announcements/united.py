"""Unites a company's answers of different times: what was announced stays, corrections replace it.

The newest answer with a line's key (answer, class or ISIN, label, last session with the right)
gives all lines of that key, so a corrected amount replaces the earlier one, and equal lines of one
answer, its instalments, are counted as that answer has them. A key that a newer answer lacks is
kept if it was ex when it was last seen, since lists cover some months only; it is withdrawn if it
was still to come. An empty list withdraws nothing, nor does the answer to another trading name.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime

from b3shared.core.clock import day_of
from b3shared.quotes.corporate_actions.announcements.announcement import Announcement


@dataclass(frozen=True)
class KeptRow:
    """A line of an answer that is kept.

    Attributes:
        line: as published.
        name: what the exchange was asked for: a trading name or the root of the tickers.
        first_fetched: UTC time of the first answer with this very line.
        fetched: UTC time of the newest.
    """

    line: Announcement
    name: str
    first_fetched: datetime
    fetched: datetime


def unite(
    kept: list[KeptRow], lines: Iterable[Announcement], name: str, fetched: datetime
) -> list[KeptRow]:
    """Return what is kept after a newer complete answer.

    Args:
        kept: before it, sorted as :func:`in_order` does.
        lines: of the answer.
        name: what the exchange was asked for.
        fetched: UTC time of the answer, later than those of ``kept``.
    """
    new = list(lines)
    answered = {line.answer for line in new}
    keys = {line.key for line in new}

    seen: dict[Announcement, list[datetime]] = defaultdict(list)
    stays = []
    for row in kept:
        if row.line.key in keys:
            seen[row.line].append(row.first_fetched)
        elif row.line.answer not in answered or row.name != name or _was_ex(row):
            stays.append(row)

    for line in new:
        before = seen[line]
        stays.append(KeptRow(line, name, before.pop(0) if before else fetched, fetched))
    return in_order(stays)


def unite_successor(kept: list[KeptRow], predecessor: list[KeptRow]) -> list[KeptRow]:
    """Return the rows of a company and of what it was listed as before, each key once.

    Args:
        kept: of the company under its newest root.
        predecessor: of the same registrant under an earlier root.
    """
    keys = {row.line.key for row in kept}
    first = {row.line: row.first_fetched for row in reversed(predecessor)}
    known = [
        replace(row, first_fetched=min(row.first_fetched, first.get(row.line, row.first_fetched)))
        for row in kept
    ]
    return in_order([*known, *(row for row in predecessor if row.line.key not in keys)])


def in_order(rows: list[KeptRow]) -> list[KeptRow]:
    """Return rows sorted by answer, last session, paper and label; equal ones by their times."""
    return sorted(rows, key=_order)


def _order(row: KeptRow) -> tuple[str, date, str, str, float, datetime]:
    line = row.line
    amount = line.value if line.value is not None else line.factor
    paper = line.isin or line.share_class or ""
    last = line.last_cum or date.max
    return line.answer, last, paper, line.label, amount or 0.0, row.first_fetched


def _was_ex(row: KeptRow) -> bool:
    """Whether the shares were without the right when the row was last seen."""
    return row.line.last_cum is not None and row.line.last_cum < day_of(row.fetched)
