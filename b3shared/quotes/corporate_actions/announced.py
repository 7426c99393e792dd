"""Makes the events of a lake's tickers from the exchange's announcements.

A payment is listed in the history of payments, in the supplement, or in both; a share event once
for each ISIN that the issuer ever had. Both are united here. Equal rows of one list are
instalments: they add up.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from b3shared.core.arrays import Array
from b3shared.quotes.calendar import FIRST, sessions_after
from b3shared.quotes.corporate_actions.amounts import same_amount, unite_amounts
from b3shared.quotes.corporate_actions.announcements.table import Announcements
from b3shared.quotes.corporate_actions.labels import (
    CASH,
    GROUPING,
    GROWTH,
    SUBSCRIPTION,
    multiplier,
)
from b3shared.quotes.corporate_actions.papers import Papers
from b3shared.quotes.corporate_actions.table import (
    ACTION_TYPES,
    kind_of,
    no_actions,
    sorted_actions,
)

PAYMENTS = ("cash", "supplement_cash")
"""Answers whose rows are payments; the factor of the others is their number."""

LONGEST_PAUSE = 7
"""Calendar days from the last session with the right to the next of the lake; over more the lake
has a hole, and the exchange's calendar decides."""

YEAR = 366
"""Calendar days after the newest quote up to which the exchange's calendar is asked."""


@dataclass(frozen=True)
class Announced:
    """The events that were announced.

    Attributes:
        events: columns as in :data:`b3shared.quotes.corporate_actions.table.ACTION_TYPES`, state
            ``announced`` or ``unclear``.
        unplaced: number of announcements of papers that the lake has no quotes of.
    """

    events: pd.DataFrame
    unplaced: int


@dataclass(frozen=True)
class _Row:
    """An announcement with its ticker."""

    ticker: str
    answer: str
    issuer: str
    isin: str | None
    label: str
    last_cum: pd.Timestamp
    approved: pd.Timestamp
    amount: float
    issue_price: float

    @property
    def source(self) -> tuple[str, str, str]:
        """The list that it stands in: rows of one list are events of their own."""
        return self.issuer, self.answer, self.isin or ""


def announced_events(announcements: Announcements, papers: Papers, sessions: Array) -> Announced:
    """Make the events of the papers of a lake.

    Args:
        announcements: of the exchange.
        papers: of the lake.
        sessions: (sessions,) datetime64[D] of all the lake's tickers, sorted.
    """
    placed = list(_placed(announcements.rows, papers))
    groups: dict[tuple[str, str, str, pd.Timestamp], list[_Row]] = defaultdict(list)
    for row in placed:
        kind = "cash" if row.answer in PAYMENTS else "share"
        groups[row.ticker, kind, row.label, row.last_cum].append(row)

    events: list[dict[str, Any]] = []
    for (_, kind, label, _), rows in groups.items():
        if kind == "cash" and label in CASH:
            events += _payments(rows)
        elif label in GROWTH | GROUPING and kind == "share":
            events += _share_events(rows)
        else:
            events += _rights(rows)

    unplaced = len(announcements.rows) - len(placed)
    if not events:
        return Announced(no_actions(), unplaced)
    table = pd.DataFrame(events)
    table["date"] = ex_dates(table["last_cum"], sessions)
    table["known"] = table["known"].fillna(table["date"])
    table = table.assign(confidence=1.0, source="announced", revision=0)
    return Announced(sorted_actions(table[list(ACTION_TYPES)]), unplaced)


def ex_dates(last_cum: pd.Series, sessions: Array) -> pd.Series:
    """Return the next session of the exchange after each last session with the right.

    It is the lake's next session. Beyond the lake's quotes, and in a hole of them, it is that of
    the exchange's calendar. NaT stays NaT, and is the ex-date of days before the calendar or more
    than a year after the quotes.

    Args:
        last_cum: days.
        sessions: (sessions,) datetime64[D], sorted.
    """
    days = last_cum.to_numpy().astype("datetime64[D]")
    at = np.searchsorted(sessions, days, side="right")
    padded = np.append(sessions, np.datetime64("NaT", "D"))
    found = padded[np.minimum(at, len(sessions))]
    within = (found - days).astype("timedelta64[D]") <= np.timedelta64(LONGEST_PAUSE, "D")

    newest = sessions[-1] if len(sessions) else np.datetime64("NaT", "D")
    found[~within] = np.datetime64("NaT", "D")
    for place in np.flatnonzero(~within & (days <= newest + np.timedelta64(YEAR, "D"))):
        day: date = days[place].item()
        if day >= FIRST:
            found[place] = sessions_after(day, 1)[0]
    return pd.Series(found.astype("datetime64[s]"), index=last_cum.index)


def _placed(rows: pd.DataFrame, papers: Papers) -> Iterable[_Row]:
    """Yield the announcements of papers that the lake has."""
    for row in rows.to_dict("records"):
        isin = row["isin"] if isinstance(row["isin"], str) else None
        day = row["last_cum"]
        if isin is not None:
            ticker = papers.of_isin(isin, day)
        else:
            ticker = papers.of_class(row["issuer"], row["share_class"], day)
        if ticker is None:
            continue

        amount = row["value"] if row["answer"] in PAYMENTS else row["factor"]
        yield _Row(
            ticker=ticker,
            answer=row["answer"],
            issuer=row["issuer"],
            isin=isin,
            label=row["label"],
            last_cum=day,
            approved=row["approved"],
            amount=0.0 if pd.isna(amount) else float(amount),
            issue_price=float(row["issue_price"]),
        )


def _payments(rows: list[_Row]) -> list[dict[str, Any]]:
    """Return an event for each amount of a ticker, label and last session with the right."""
    amounts: Counter[float] = Counter()
    for listed in _by_source(rows).values():
        amounts = unite_amounts(amounts, [row.amount for row in listed])

    events = []
    for amount, count in sorted(amounts.items()):
        if amount == 0:
            continue
        same = [row for row in rows if same_amount(row.amount, amount)]
        answers = sorted({row.answer for row in same})
        facts = {"value": amount, "instalments": count, "answers": answers}
        good = np.isfinite(amount) and amount > 0
        values = {
            "kind": "dividend",
            "factor": 1.0,
            "dividend": amount * count if good else 0.0,
            "state": "announced" if good else "unclear",
        }
        events.append(_event(same, "cash", amount, facts) | values)
    return events


def _share_events(rows: list[_Row]) -> list[dict[str, Any]]:
    """Return the event of a ticker, label and last session with the right.

    It is listed once per ISIN. Several rows of one ISIN, or different factors under several, leave
    open what happened: they are ``unclear`` and never applied.
    """
    lists = _by_source(rows)
    factors = sorted({row.amount for row in rows})
    single = len(factors) == 1 and all(len(listed) == 1 for listed in lists.values())

    events = []
    for number, factor in enumerate(factors):
        same = [row for row in rows if row.amount == factor]
        times = max(Counter(row.source for row in same).values())
        published = {"published": factor, "times": times}
        facts = published | {"isins": sorted({row.isin for row in same if row.isin})}
        share = multiplier(same[0].label, factor)
        clear = single and share is not None
        shown = share if share is not None else 1.0
        values = {
            "kind": str(kind_of(np.array([shown]))[0]) if shown != 1 else "right",
            "factor": shown,
            "dividend": 0.0,
            "state": "announced" if clear else "unclear",
        }
        events.append(_event(same, "share", factor, facts | {"row": number}) | values)
    return events


def _rights(rows: list[_Row]) -> list[dict[str, Any]]:
    """Return an event without factor and payment for each number of a label that tells neither."""
    events = []
    for amount in sorted({row.amount for row in rows}):
        same = [row for row in rows if row.amount == amount]
        facts: dict[str, Any] = {"published": amount}
        price = same[0].issue_price
        if same[0].label in SUBSCRIPTION and np.isfinite(price):
            facts["issue_price"] = price
        values = {"kind": "right", "factor": 1.0, "dividend": 0.0, "state": "announced"}
        events.append(_event(same, "right", amount, facts) | values)
    return events


def _event(rows: list[_Row], name: str, amount: float, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that every announced event has."""
    first = rows[0]
    day = "not set" if pd.isna(first.last_cum) else str(first.last_cum.date())
    approved = [row.approved for row in rows if pd.notna(row.approved)]
    if approved and min(approved) > first.last_cum:
        facts = facts | {"approved": str(min(approved).date())}

    return {
        "ticker": first.ticker,
        "last_cum": first.last_cum,
        "known": min(approved, default=pd.NaT),
        "label": first.label,
        "evidence": json.dumps(_finite(facts)),
        "event": f"{name} {first.label} {day} {amount:.12g}",
    }


def _finite(facts: dict[str, Any]) -> dict[str, Any]:
    """Replace numbers that JSON cannot write by None."""
    return {
        name: None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in facts.items()
    }


def _by_source(rows: list[_Row]) -> dict[tuple[str, str, str], list[_Row]]:
    lists: dict[tuple[str, str, str], list[_Row]] = defaultdict(list)
    for row in rows:
        lists[row.source].append(row)
    return lists
