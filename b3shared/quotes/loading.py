"""Load what a run needs: the period, the tickers, clean rows, enough history; and say what was left out and why."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from b3shared.errors import NoQuotesError, TooLittleHistoryError, UnknownTickerError
from b3shared.params import PipelineParams
from b3shared.quotes.quality import Finding, clean
from b3shared.quotes.sources import QuoteQuery, QuoteSource

FEW_ROWS = 1_000
"""Rows of a ticker under which the load warns: its own figures will be noise."""


@dataclass(frozen=True)
class Quotes:
    """Quotes ready for features.

    Attributes:
        frame: rows in the schema of :mod:`b3shared.quotes.schema`, sorted by ticker and date, unique.
        findings: data-quality findings.
        report: JSON-able facts: source, period, rows, tickers, what the source lacks, what was dropped, warnings.
    """

    frame: pd.DataFrame
    findings: list[Finding]
    report: dict[str, Any]


def load_quotes(source: QuoteSource, params: PipelineParams) -> Quotes:
    """Read, clean and filter the quotes of a run.

    Raises:
        SourceUnavailableError, InvalidQuotesError: The source cannot be opened, or does not hold quotes.
        NoQuotesError: Nothing lies in the period.
        UnknownTickerError: A ticker that was asked for has no row in the period.
        TooLittleHistoryError: No ticker has the sessions that features, window and outcome need.
    """
    newest = source.newest()
    end = min(params.end or newest, newest)
    start = params.start or period_start(end, params.period)
    raw = source.read(QuoteQuery(start, params.end, params.tickers))  # not `end`: rows of the future are counted too
    known = raw.dropna(subset=["ticker", "date"])
    of = f" of {', '.join(params.tickers)}" if params.tickers else ""
    if known.empty:
        raise NoQuotesError(
            f"{source.name} has no quote{of} from {start} to {end}; its newest is of {newest}", source=source.name
        )
    if params.tickers and (unknown := sorted(set(params.tickers) - set(known["ticker"]))):
        raise UnknownTickerError(
            f"no quotes of {', '.join(unknown)} in {source.name} from {start} to {end}", tickers=unknown
        )
    frame, findings = clean(raw)
    if frame.empty:
        raise NoQuotesError(f"{source.name}: all {len(raw)} rows{of} were dropped: {_counts(findings)}", source=source.name)
    return prepare_quotes(frame, findings, params, source=source.name, rows_read=len(raw))


def prepare_quotes(
    frame: pd.DataFrame, findings: list[Finding], params: PipelineParams, *, source: str, rows_read: int
) -> Quotes:
    """Keep the tickers with enough history, and write the report."""
    missing = frame.attrs.get("missing", [])
    sessions = frame.groupby("ticker", sort=True).size()
    short = sessions[sessions < params.min_history]
    kept = frame[~frame["ticker"].isin(short.index)].reset_index(drop=True)
    if kept.empty:
        raise TooLittleHistoryError(
            f"no ticker has {params.min_history} sessions (252 + lookback {params.lookback} + horizon {params.horizon}); "
            f"the longest, {sessions.idxmax()}, has {sessions.max()}: choose a longer period or a smaller lookback",
            needed=params.min_history,
            longest=int(sessions.max()),
        )
    kept.attrs = {"missing": missing}
    few = sessions[(sessions >= params.min_history) & (sessions < FEW_ROWS)]
    report = {
        "source": source,
        "first_session": _day(kept["date"].min()),
        "last_session": _day(kept["date"].max()),
        "sessions": int(kept["date"].nunique()),
        "rows_read": rows_read,
        "rows": len(kept),
        "columns": list(kept.columns),
        "tickers": int(kept["ticker"].nunique()),
        "missing_columns": missing,
        "dropped": {f.kind: f.rows for f in findings if f.action == "dropped"}
        | ({"too_little_history": int(short.sum())} if len(short) else {}),
        "tickers_with_too_little_history": {str(t): int(n) for t, n in short.items()},
        "tickers_with_few_rows": {str(t): int(n) for t, n in few.items()},
        "corporate_actions": {
            "splits": int((kept["split_factor"] != 1).sum()),
            "dividends": int((kept["dividend"] != 0).sum()),
        },
        "findings": [f.to_json() for f in findings],
    }
    return Quotes(kept, findings, report)


def period_start(end: date, period: str) -> date:
    """First day of a period such as ``250d``, ``18m`` or ``5y`` that ends on ``end`` (calendar days)."""
    count = int(period[:-1])
    offset = {"d": pd.DateOffset(days=count), "m": pd.DateOffset(months=count), "y": pd.DateOffset(years=count)}[period[-1]]
    return (pd.Timestamp(end) - offset + pd.Timedelta(days=1)).date()


def _counts(findings: list[Finding]) -> str:
    return ", ".join(f"{f.rows} {f.kind}" for f in findings if f.action == "dropped")


def _day(value: Any) -> str:
    return str(pd.Timestamp(value).date())
