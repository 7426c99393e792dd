"""Findings about corporate actions: what a person should look at, by ticker and date."""

from dataclasses import dataclass

import pandas as pd

from b3shared.quotes.findings import EXAMPLES, Finding

EVENT_FINDINGS = (
    "event_contradicted",
    "event_unclear",
    "event_without_step",
    "step_without_event",
    "unknown_label",
    "right_not_known",
    "known_after_ex_date",
)
"""``event_contradicted``: an announced event that the price contradicts; not applied.
``event_unclear``: announced rows whose composition is not established; not applied.
``event_without_step``: DISMES did not rise on the ex-date. ``step_without_event``: DISMES rose or
an ex-mark appeared, and no list has the event. ``unknown_label``: an announcement whose label is
not known; not applied. ``right_not_known``: a subscription, spin-off or merger, whose worth is not
announced. ``known_after_ex_date``: an event that was approved after the last session with the
right; it is applied."""

FINDING_TYPES: dict[str, str] = {
    "kind": "VARCHAR",
    "ticker": "VARCHAR",
    "date": "DATE",
    "text": "VARCHAR",
}
"""Column -> DuckDB type; ``date`` is NULL where the event has no ex-date yet."""


@dataclass(frozen=True)
class EventFinding:
    """One finding.

    Attributes:
        kind: one of :data:`EVENT_FINDINGS`.
        ticker: newest name.
        date: ex-date, or session of the quotes; NaT where it is not set yet.
        text: what is odd.
    """

    kind: str
    ticker: str
    date: pd.Timestamp
    text: str


def to_table(findings: list[EventFinding]) -> pd.DataFrame:
    """Return findings as a table, columns as in :data:`FINDING_TYPES`, in a fixed order."""
    rows = [(f.kind, f.ticker, f.date, f.text) for f in findings]
    table = pd.DataFrame(rows, columns=list(FINDING_TYPES)).astype(
        {"kind": "object", "ticker": "object", "text": "object"}
    )
    table["date"] = pd.to_datetime(table["date"]).astype("datetime64[s]")
    return table.sort_values(["ticker", "date", "kind", "text"], ignore_index=True)


def sentences(table: pd.DataFrame) -> list[str]:
    """Return findings as sentences, newest first."""
    newest = table.sort_values("date", ascending=False, kind="stable", na_position="first")
    return [_sentence(*row) for row in newest[list(FINDING_TYPES)].itertuples(index=False)]


def report(table: pd.DataFrame) -> list[Finding]:
    """Return a finding of quotes for each of :data:`EVENT_FINDINGS`, also of none."""
    found = []
    for kind in EVENT_FINDINGS:
        own = table[table["kind"] == kind]
        found.append(Finding(kind, len(own), "kept", tuple(sentences(own)[:EXAMPLES])))
    return found


def _sentence(kind: str, ticker: str, day: pd.Timestamp, text: str) -> str:
    return f"{ticker} {'no day yet' if pd.isna(day) else day.date()}: {text} ({kind})"
