"""Which quotes a run asks for, and the errors for a source that does not have them."""

from dataclasses import dataclass
from datetime import date

import pandas as pd

from b3shared.core.errors import InvalidParameterError, NoQuotesError, UnknownTickerError
from b3shared.params.run import PipelineParams
from b3shared.quotes.findings import Finding
from b3shared.quotes.loading.report import describe_dropped
from b3shared.quotes.sources.base import QuoteSource
from b3shared.quotes.sources.query import QuoteQuery


@dataclass(frozen=True)
class Scope:
    """The period and the tickers that a run asks a source for.

    Attributes:
        source: name of the source, for errors.
        params: parameters of the run.
        newest: last session of the source.
        start: first day of the period.
        end: last day of the period, never after ``newest``.
    """

    source: str
    params: PipelineParams
    newest: date
    start: date
    end: date

    @classmethod
    def from_source(cls, source: QuoteSource, params: PipelineParams) -> "Scope":
        """Resolve the period of the parameters against the source's newest session."""
        newest = source.newest()
        end = min(params.end or newest, newest)
        start = params.start or period_start(end, params.period)
        return cls(source.name, params, newest, start, end)

    @property
    def query(self) -> QuoteQuery:
        """The query of the run.

        It ends where the user asked for it, not at the newest session, so that rows dated in the
        future are counted too.
        """
        return QuoteQuery(self.start, self.params.end, self.params.tickers)

    def check_known(self, tickers: set[str]) -> None:
        """Refuse a period without quotes, and requested tickers without any.

        Args:
            tickers: those with dated rows in the period.

        Raises:
            NoQuotesError: There are none.
            UnknownTickerError: A requested ticker is not among them.
        """
        if not tickers:
            raise NoQuotesError(
                f"{self.source} has no quote{self._of_tickers} from {self.start} to {self.end}; "
                f"its newest is of {self.newest}",
                source=self.source,
            )

        if unknown := sorted(set(self.params.tickers or ()) - tickers):
            raise UnknownTickerError(
                f"no quotes of {', '.join(unknown)} in {self.source} "
                f"from {self.start} to {self.end}",
                tickers=unknown,
            )

    def check_selected(self, excluded: set[str], other_instruments: list[Finding]) -> None:
        """Refuse requested tickers that are of none of the requested instruments.

        Args:
            excluded: tickers that the selection of instruments left without a row.
            other_instruments: findings of that selection.

        Raises:
            InvalidParameterError: Tickers were requested, and some were excluded.
        """
        instruments = self.params.instruments
        if self.params.tickers and instruments and excluded:
            raise InvalidParameterError(
                f"{', '.join(other_instruments[0].examples)}: not among instruments = "
                f"{', '.join(instruments)}; add the kind, or leave the ticker out",
                parameters=["instruments", "tickers"],
                tickers=sorted(excluded),
            )

    def nothing_left(self, rows: int, findings: list[Finding]) -> NoQuotesError:
        """Return the error for a load that dropped every row."""
        return NoQuotesError(
            f"{self.source}: all {rows} rows{self._of_tickers} were dropped: "
            f"{describe_dropped(findings)}",
            source=self.source,
        )

    @property
    def _of_tickers(self) -> str:
        return f" of {', '.join(self.params.tickers)}" if self.params.tickers else ""


def period_start(end: date, period: str) -> date:
    """Return the first day of a period that ends on ``end``, at the earliest 0001-01-01.

    Args:
        end: last day of the period.
        period: count and unit, such as ``250d`` (calendar days), ``18m`` or ``5y``.
    """
    count = int(period[:-1])
    offset = {
        "d": pd.DateOffset(days=count),
        "m": pd.DateOffset(months=count),
        "y": pd.DateOffset(years=count),
    }[period[-1]]

    try:
        return (pd.Timestamp(end) - offset + pd.Timedelta(days=1)).date()
    except (ValueError, OverflowError):  # the calendar does not reach so far back
        return date.min
