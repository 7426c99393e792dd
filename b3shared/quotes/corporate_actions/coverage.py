"""Tells for which days the announcements of each ticker are known."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, timedelta

import pandas as pd

from b3shared.core.clock import day_of
from b3shared.quotes.corporate_actions.announcements.table import Announcements
from b3shared.quotes.corporate_actions.papers import Papers

COVERAGE_TYPES: dict[str, str] = {
    "ticker": "VARCHAR",
    "known_from": "DATE",
    "known_until": "DATE",
}
"""Column -> DuckDB type; ``known_from`` is NULL where everything before is known too."""

SUPPLEMENT_REACH = timedelta(days=330)
"""How far back the payments of a supplement reach; the exchange lists about twelve months."""

HISTORY_LAG = timedelta(days=60)
"""How long before its fetch a history of payments is complete; it lags the supplement by weeks."""

ONE_DAY = timedelta(days=1)

type Span = tuple[date, date]
"""First and last day; ``date.min`` and ``date.max`` where it is open."""


def coverage_of(
    announcements: Announcements, papers: Papers, renames: pd.DataFrame
) -> pd.DataFrame:
    """Return the days for which all payments of each ticker are known, as spans.

    The history of payments knows everything up to :data:`HISTORY_LAG` before its fetch, and a
    supplement the :data:`SUPPLEMENT_REACH` before its own. The time under an earlier name is known
    by the answers about that name's root alone; where the archive joined it to its successor, also
    by the supplement of that one.

    Args:
        announcements: of the exchange.
        papers: of the lake.
        renames: ``old`` and ``new`` names of the lake's tickers, and ``date``, the first session
            after ``old``.

    Returns:
        Columns as in :data:`COVERAGE_TYPES`, sorted by ticker and day; the spans of a ticker do not
        touch each other. Only tickers with any such day.
    """
    known = _spans_of_roots(announcements.companies)
    names = _earlier_names(renames)

    rows = []
    for ticker, issuers in sorted(papers.roots.items()):
        spans = [
            (max(first, since), min(last, until))
            for root, first, last in _names(ticker, names[ticker])
            for issuer, since, until in known[root]
            if issuer in issuers
        ]
        rows += [(ticker, *span) for span in united_spans(spans)]

    table = pd.DataFrame(rows, columns=list(COVERAGE_TYPES)).astype({"ticker": "object"})
    for name in ("known_from", "known_until"):
        days = table[name].where(table[name] != date.min, None)
        table[name] = pd.to_datetime(days).astype("datetime64[s]")
    return table


def united_spans(spans: Iterable[Span]) -> list[Span]:
    """Return the same days as spans that neither overlap nor follow each other, sorted."""
    united: list[Span] = []
    for first, last in sorted(spans):
        if first > last:
            continue
        if united and first <= united[-1][1] + ONE_DAY:
            united[-1] = (united[-1][0], max(united[-1][1], last))
        else:
            united.append((first, last))
    return united


def _earlier_names(renames: pd.DataFrame) -> dict[str, list[tuple[date, str]]]:
    """Ticker -> (first day after it, name) of each earlier name, sorted."""
    names: dict[str, list[tuple[date, str]]] = defaultdict(list)
    for old, new, day in zip(renames["old"], renames["new"], renames["date"], strict=True):
        names[new].append((pd.Timestamp(day).date(), old))
    return defaultdict(list, {ticker: sorted(own) for ticker, own in names.items()})


def _names(ticker: str, earlier: list[tuple[date, str]]) -> Iterator[tuple[str, date, date]]:
    """Yield the root of each name of a ticker, with its first and last day."""
    first = date.min
    for after, name in earlier:
        yield name[:4], first, after - ONE_DAY
        first = after
    yield ticker[:4], first, date.max


def _spans_of_roots(companies: pd.DataFrame) -> dict[str, list[tuple[str, date, date]]]:
    """Root -> (issuer of its announcements, first day, last day) of what its answers know."""
    times = ["cash_fetched", "supplement_fetched"]
    answered = companies.groupby(["issuer", "root"], sort=True)[times].max().reset_index()
    supplements = {
        row["issuer"]: _supplement(row["supplement_fetched"])
        for row in answered[answered["issuer"] == answered["root"]].to_dict("records")
    }

    known: dict[str, list[tuple[str, date, date]]] = defaultdict(list)
    for row in answered.to_dict("records"):
        spans = [*_history(row["cash_fetched"]), *_supplement(row["supplement_fetched"])]
        spans += supplements.get(row["issuer"], [])
        known[row["root"]] += [(row["issuer"], *span) for span in united_spans(spans)]
    return known


def _history(fetched: pd.Timestamp) -> list[Span]:
    return [] if pd.isna(fetched) else [(date.min, _day(fetched) - HISTORY_LAG)]


def _supplement(fetched: pd.Timestamp) -> list[Span]:
    return [] if pd.isna(fetched) else [(_day(fetched) - SUPPLEMENT_REACH, _day(fetched))]


def _day(fetched: pd.Timestamp) -> date:
    """Return the day at the exchange of a UTC time without a zone."""
    return day_of(fetched.to_pydatetime().replace(tzinfo=UTC))
