"""Load what a run needs: the period, the tickers, clean rows, enough history; and say what was left out and why."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from b3shared.core.errors import InvalidParameterError, NoQuotesError, UnknownTickerError
from b3shared.params.run import PipelineParams
from b3shared.quotes.calendar import calendar_findings, check_complete
from b3shared.quotes.findings import Finding
from b3shared.quotes.loading.cleaning import clean
from b3shared.quotes.loading.report import load_report, with_history
from b3shared.quotes.loading.universe import select
from b3shared.quotes.schema import CASH_EQUITY
from b3shared.quotes.sources.base import QuoteSource
from b3shared.quotes.sources.query import QuoteQuery


@dataclass(frozen=True)
class Quotes:
    """Quotes ready for features.

    Attributes:
        frame: rows in the schema of :mod:`b3shared.quotes.schema`, sorted by ticker and date,
            unique.
        findings: data-quality findings.
        report: JSON-able facts: source, period, rows, tickers, what the source lacks, what was
            dropped, warnings.
    """

    frame: pd.DataFrame
    findings: list[Finding]
    report: dict[str, Any]


def load_quotes(source: QuoteSource, params: PipelineParams) -> Quotes:
    """Read, clean and filter the quotes of a run.

    Raises:
        SourceUnavailableError, InvalidQuotesError: The source cannot be opened, or does not hold
            quotes.
        NoQuotesError: Nothing lies in the period.
        MissingSessionsError: The source lacks more sessions than ``params.max_missing_sessions``.
        UnknownTickerError: A ticker that was asked for has no row in the period.
        InvalidParameterError: A ticker that was asked for is of none of ``params.instruments``.
        TooLittleHistoryError: No ticker has the sessions that features, window and outcome need.
    """
    scope = Scope.of(source, params)
    days = source.days(scope.start, scope.end)
    check_complete(days, params.max_missing_sessions, source.name)
    raw, split_findings = read_quotes(source, scope.query)
    scope.check_known(set(raw.dropna(subset=["ticker", "date"])["ticker"]))
    frame, findings = clean(raw)
    findings = [f for f in split_findings if f.rows] + findings
    cleaned = set(frame["ticker"])
    frame, others = select(frame, params.instruments)
    findings += others
    scope.check_selected(cleaned - set(frame["ticker"]), others)
    if frame.empty:
        raise scope.nothing_left(len(raw), findings)
    findings += calendar_findings(days, frame)
    return prepare_quotes(frame, findings, params, source=source.name, rows_read=len(raw))


def read_quotes(source: QuoteSource, query: QuoteQuery) -> tuple[pd.DataFrame, list[Finding]]:
    """Quotes of a source with their splits as its prices show them, not clean yet, and what that changed."""
    with source.opened(query) as held:
        return held.splits(query).applied(held.read(query))


@dataclass(frozen=True)
class Scope:
    """Which quotes of a source a run asks for."""

    source: str
    params: PipelineParams
    newest: date
    start: date
    end: date

    @classmethod
    def of(cls, source: QuoteSource, params: PipelineParams) -> "Scope":
        """The period that the parameters mean, given the source's newest session."""
        newest = source.newest()
        end = min(params.end or newest, newest)
        return cls(
            source.name, params, newest, params.start or period_start(end, params.period), end
        )

    @property
    def query(self) -> QuoteQuery:
        """To the end that was asked for, if any: rows of the future are counted too."""
        return QuoteQuery(self.start, self.params.end, self.params.tickers)

    def check_known(self, tickers: set[str]) -> None:
        """Refuse a period without quotes, and tickers without any; ``tickers`` have dated rows."""
        if not tickers:
            raise NoQuotesError(
                f"{self.source} has no quote{self._of} from {self.start} to {self.end}; its newest is of {self.newest}",
                source=self.source,
            )
        if self.params.tickers and (unknown := sorted(set(self.params.tickers) - tickers)):
            raise UnknownTickerError(
                f"no quotes of {', '.join(unknown)} in {self.source} from {self.start} to {self.end}",
                tickers=unknown,
            )

    def check_selected(self, lost: set[str], others: list[Finding]) -> None:
        """Refuse a ticker that was asked for and is of none of the instruments that were."""
        instruments = self.params.instruments
        if self.params.tickers and instruments and lost:
            raise InvalidParameterError(
                f"{', '.join(others[0].examples)}: not among instruments = {', '.join(instruments)}; "
                "add the kind, or leave the ticker out",
                parameters=["instruments", "tickers"],
                tickers=sorted(lost),
            )

    def nothing_left(self, rows: int, findings: list[Finding]) -> NoQuotesError:
        """The error when every row was dropped."""
        return NoQuotesError(
            f"{self.source}: all {rows} rows{self._of} were dropped: {dropped_words(findings)}",
            source=self.source,
        )

    @property
    def _of(self) -> str:
        return f" of {', '.join(self.params.tickers)}" if self.params.tickers else ""


def prepare_quotes(
    frame: pd.DataFrame,
    findings: list[Finding],
    params: PipelineParams,
    *,
    source: str,
    rows_read: int,
) -> Quotes:
    """Keep the tickers with enough history, and write the report."""
    kept, facts = with_history(frame, params)
    return Quotes(
        kept, findings, load_report(facts, findings, params, source=source, rows_read=rows_read)
    )


def period_start(end: date, period: str) -> date:
    """First day of a period like ``250d``, ``18m`` or ``5y`` (calendar days) that ends on ``end``, never before year 1."""
    count = int(period[:-1])
    offset = {
        "d": pd.DateOffset(days=count),
        "m": pd.DateOffset(months=count),
        "y": pd.DateOffset(years=count),
    }[period[-1]]
    try:
        return (pd.Timestamp(end) - offset + pd.Timedelta(days=1)).date()
    except (ValueError, OverflowError):  # there is none so long ago
        return date.min


def dropped_words(findings: list[Finding]) -> str:
    """How many rows were dropped for which reason, with an example of each, and how a ticker should look."""
    dropped = [f for f in findings if f.action == "dropped" and f.rows]
    told = ", ".join(f"{f.rows} {f.kind} (such as {f.examples[0]})" for f in dropped)
    odd = [f for f in dropped if f.kind == "not_a_cash_equity"]
    return told + (f"; {_how_named(odd[0].examples[0].split(' ')[0])}" if odd else "")


def _how_named(ticker: str) -> str:
    """How a ticker that is not one of the exchange's should look."""
    plain = ticker.upper().split(".")[0]
    example = plain if re.fullmatch(CASH_EQUITY, plain) else "PETR4"
    return f"tickers must be as the exchange writes them, such as {example}, got {ticker!r}"
