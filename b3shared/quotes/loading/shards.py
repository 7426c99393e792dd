"""Loads the quotes of a run in shards of whole tickers, so that they need not fit into memory.

What concerns the market as a whole (the calendar, gaps, thin sessions) is computed from counts of
all quotes. Rows and report are therefore the same for every size of shard.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from b3shared.core.arrays import Array
from b3shared.core.errors import InvalidQuotesError
from b3shared.params.run import PipelineParams
from b3shared.quotes.calendar import TradingActivity, calendar_findings, check_complete
from b3shared.quotes.corporate_actions.splits import Splits
from b3shared.quotes.findings import Finding, added
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.loading.cleaning import clean_part, gaps
from b3shared.quotes.loading.report import LoadSummary, load_report, with_history
from b3shared.quotes.loading.scope import Scope
from b3shared.quotes.loading.universe import select
from b3shared.quotes.sources.base import QuoteSource
from b3shared.quotes.sources.query import QuoteQuery

ONE_SHARD = sys.maxsize
"""Rows of a shard that holds every ticker."""


@dataclass(frozen=True)
class Loaded[T]:
    """The quotes of a run, kept shard by shard.

    Attributes:
        shards: what ``keep`` returned for each shard that has rows, in the order of their tickers.
        findings: data-quality findings of the whole.
        report: of the whole, see :func:`b3shared.quotes.loading.report.load_report`.
    """

    shards: list[T]
    findings: list[Finding]
    report: dict[str, Any]


def load_shards(
    source: QuoteSource, params: PipelineParams, folder: Path, shard_rows: int
) -> Loaded[Path]:
    """Load the quotes of a run into Parquet files of whole tickers.

    Args:
        source: where the quotes are.
        params: parameters of the run.
        folder: where the files are written.
        shard_rows: see :func:`load_each`.

    Raises:
        B3Error: See :func:`load_each`.
    """

    def write(number: int, frame: pd.DataFrame) -> Path:
        return write_parquet(frame, folder / f"quotes-{number:04d}.parquet")

    return load_each(source, params, shard_rows, keep=write)


def load_each[T](
    source: QuoteSource,
    params: PipelineParams,
    shard_rows: int,
    keep: Callable[[int, pd.DataFrame], T],
) -> Loaded[T]:
    """Read, clean and filter the quotes of a run, shard by shard.

    Args:
        source: its files are fetched once.
        params: parameters of the run.
        shard_rows: rows of the source in a shard, at most; a ticker with more is a shard of its
            own.
        keep: called with the number and the rows of each shard that has any.

    Raises:
        SourceUnavailableError, InvalidQuotesError: The source cannot be opened, or does not hold
            quotes.
        NoQuotesError: Nothing lies in the period.
        MissingSessionsError: The source lacks more sessions than ``params.max_missing_sessions``.
        UnknownTickerError: A requested ticker has no row in the period.
        InvalidParameterError: A requested ticker is of none of ``params.instruments``.
        TooLittleHistoryError: No ticker has the sessions that features, window and outcome need.
    """
    scope = Scope.from_source(source, params)
    with source.opened(scope.query) as opened:
        days = opened.days(scope.start, scope.end)
        check_complete(days, params.max_missing_sessions, source.name)
        tickers = opened.counts(scope.query, "ticker")
        scope.check_known(set(tickers.loc[tickers["dated"] > 0, "ticker"].dropna()))

        market = TradingActivity.from_counts(opened.counts(scope.query, "date"))
        splits = opened.splits(scope.query)
        shards = [
            _Shard.load(number, opened.read(query), splits, params, market, keep)
            for number, query in enumerate(cut(scope.query, tickers, shard_rows))
        ]

    rows_read = int(tickers["rows"].sum())
    findings = _joined_findings(shards)
    _check_selection(scope, shards, rows_read, findings)

    active = [shard.activity for shard in shards if len(shard.activity.newest_days)]
    findings += calendar_findings(days, TradingActivity.from_parts(active))
    summary = LoadSummary.from_parts([shard.summary for shard in shards])
    report = load_report(summary, findings, params, source=source.name, rows_read=rows_read)
    return Loaded([shard.kept for shard in shards if shard.kept is not None], findings, report)


def cut(query: QuoteQuery, tickers: pd.DataFrame, shard_rows: int) -> list[QuoteQuery]:
    """Cut a query into those of its shards.

    Args:
        query: of the whole.
        tickers: ``ticker`` (sorted, NULL last) and ``rows``.
        shard_rows: at most so many rows in a shard, unless a ticker has more.

    Returns:
        Queries of whole tickers; the last one also has the rows without a ticker.

    Raises:
        InvalidQuotesError: ``shard_rows`` is less than 1.
    """
    if shard_rows < 1:
        raise InvalidQuotesError(f"shard_rows must be an integer >= 1, got {shard_rows!r}")

    firsts: list[str] = []
    held = shard_rows
    named = tickers.dropna(subset=["ticker"])
    for ticker, rows in zip(named["ticker"], named["rows"], strict=True):
        if held + rows > shard_rows:
            firsts.append(str(ticker))
            held = 0
        held += rows

    bounds = [None, *firsts[1:], None]
    return [
        QuoteQuery(query.start, query.end, query.tickers, first, before)
        for first, before in pairwise(bounds)
    ]


@dataclass(frozen=True)
class _Shard[T]:
    """One shard after cleaning: what was kept, and what the whole needs to know of it.

    Attributes:
        kept: what ``keep`` returned; None where no ticker has enough history.
        summary: of what was kept.
        activity: of the rows of the run's instruments.
        split_findings: of the splits that were added or removed.
        cleaning_findings: in the order of :func:`clean_part`.
        other_instruments: of the rows that the selection of instruments left out.
        excluded: tickers that it left without a row.
        tickers: the tickers of all clean rows, sorted.
        lengths: (tickers,) clean rows of each.
        dates: (clean rows,) datetime64, in the order of the tickers.
    """

    kept: T | None
    summary: LoadSummary
    activity: TradingActivity
    split_findings: list[Finding]
    cleaning_findings: list[Finding]
    other_instruments: list[Finding]
    excluded: set[str]
    tickers: Array
    lengths: Array
    dates: Array

    @classmethod
    def load(
        cls,
        number: int,
        raw: pd.DataFrame,
        splits: Splits,
        params: PipelineParams,
        market: TradingActivity,
        keep: Callable[[int, pd.DataFrame], T],
    ) -> "_Shard[T]":
        """Clean and filter the rows of a shard, and keep what is left."""
        raw, split_findings = splits.applied(raw)
        frame, cleaning_findings = clean_part(raw, market)
        sizes = frame.groupby("ticker", sort=True).size()

        chosen, other_instruments = select(frame, params.instruments)
        kept, summary = with_history(chosen, params)
        return cls(
            kept=keep(number, kept) if len(kept) else None,
            summary=summary,
            activity=TradingActivity.from_frame(chosen),
            split_findings=split_findings,
            cleaning_findings=cleaning_findings,
            other_instruments=other_instruments,
            excluded=set(sizes.index) - set(chosen["ticker"]),
            tickers=sizes.index.to_numpy(dtype=object),
            lengths=sizes.to_numpy(),
            dates=frame["date"].to_numpy(),
        )

    def gaps(self, calendar: Array) -> Finding:
        """Return the holes in the rows of the tickers, given the market's dates."""
        rows = pd.DataFrame({"ticker": np.repeat(self.tickers, self.lengths), "date": self.dates})
        return gaps(rows, calendar)


def _joined_findings[T](shards: list[_Shard[T]]) -> list[Finding]:
    """Add up the findings of the shards, without those of no rows."""
    calendar = np.unique(np.concatenate([np.unique(shard.dates) for shard in shards]))
    of_market = shards[0].cleaning_findings[0]  # the same in every shard
    found = [
        *added([shard.split_findings for shard in shards]),
        of_market,
        *added([shard.cleaning_findings[1:] for shard in shards]),
        *added([[shard.gaps(calendar)] for shard in shards]),
        *added([shard.other_instruments for shard in shards if shard.other_instruments]),
    ]
    return [finding for finding in found if finding.rows]


def _check_selection[T](
    scope: Scope, shards: list[_Shard[T]], rows_read: int, findings: list[Finding]
) -> None:
    """Refuse a load whose selection lost a requested ticker, or that has no row left."""
    excluded = {ticker for shard in shards for ticker in shard.excluded}
    scope.check_selected(excluded, [f for f in findings if f.kind == "other_instrument"])
    if not any(len(shard.activity.newest_days) for shard in shards):
        raise scope.nothing_left(rows_read, findings)
