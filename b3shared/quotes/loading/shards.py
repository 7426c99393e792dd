"""Loading more quotes than fit into memory at once: in shards of whole tickers, a Parquet file each.

A shard is what :func:`b3shared.quotes.loading.load.load_quotes` makes of its tickers; what looks at
the market as a whole (the calendar, gaps, thin sessions) is given the market's own numbers, so the
rows and the report are those of one load.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from b3shared.core.arrays import Array
from b3shared.core.errors import InvalidQuotesError
from b3shared.params.run import PipelineParams
from b3shared.quotes.calendar import Attendance, calendar_findings, check_complete
from b3shared.quotes.corporate_actions.splits import Splits
from b3shared.quotes.findings import Finding, added
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.loading.cleaning import clean_part, gaps
from b3shared.quotes.loading.load import Scope
from b3shared.quotes.loading.report import Facts, load_report, with_history
from b3shared.quotes.loading.universe import select
from b3shared.quotes.sources.base import QuoteSource
from b3shared.quotes.sources.query import QuoteQuery


@dataclass(frozen=True)
class Loaded:
    """Quotes on disk, ready for features.

    Attributes:
        files: a Parquet file for every shard, in the order of their tickers.
        report: of the whole, see :class:`b3shared.quotes.loading.load.Quotes`.
    """

    files: list[Path]
    report: dict[str, Any]


def load_shards(
    source: QuoteSource, params: PipelineParams, folder: Path, shard_rows: int
) -> Loaded:
    """Read, clean and filter the quotes of a run, shard by shard.

    Args:
        source: its files are fetched once.
        params: of the run.
        folder: for the shards.
        shard_rows: rows of the source in a shard, at most; a ticker with more is a shard of its
            own.

    Raises:
        B3Error: As :func:`b3shared.quotes.loading.load.load_quotes`.
    """
    scope = Scope.of(source, params)
    with source.opened(scope.query) as held:
        days = held.days(scope.start, scope.end)
        check_complete(days, params.max_missing_sessions, source.name)
        tickers = held.counts(scope.query, "ticker")
        scope.check_known(set(tickers.loc[tickers["dated"] > 0, "ticker"].dropna()))
        by_day = held.counts(scope.query, "date")
        market = Attendance(
            by_day["date"].to_numpy().astype("datetime64[D]"), by_day["rows"].to_numpy(), {}
        )
        splits = held.splits(scope.query)
        shards: list[_Shard] = []
        for query in cut(scope.query, tickers, shard_rows):
            path = folder / f"quotes-{len(shards):04d}.parquet"
            shards.append(_Shard.load(held.read(query), splits, params, market, path))
    rows_read = int(tickers["rows"].sum())
    dropped = _joined_findings(shards)
    scope.check_selected(
        {t for s in shards for t in s.lost}, [f for f in dropped if f.kind == "other_instrument"]
    )
    if not any(len(shard.attendance.newest) for shard in shards):
        raise scope.nothing_left(rows_read, dropped)
    present = [shard.attendance for shard in shards if len(shard.attendance.newest)]
    findings = [*dropped, *calendar_findings(days, Attendance.joined(present))]
    report = load_report(
        Facts.joined([s.facts for s in shards]),
        findings,
        params,
        source=source.name,
        rows_read=rows_read,
    )
    return Loaded([shard.path for shard in shards if shard.path.exists()], report)


def cut(query: QuoteQuery, tickers: pd.DataFrame, shard_rows: int) -> list[QuoteQuery]:
    """The queries of the shards: every ticker in one of them, rows without a ticker in the last.

    Args:
        query: of the whole.
        tickers: ``ticker`` (sorted, NULL last) and ``rows``.
        shard_rows: at most so many rows in a shard, unless a ticker has more.
    """
    if shard_rows < 1:
        raise InvalidQuotesError(f"shard_rows = {shard_rows}: at least 1 is needed")
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
class _Shard:
    """One shard, written, and what it says of itself.

    It is left unwritten where no ticker has enough history.
    """

    path: Path
    facts: Facts
    attendance: Attendance
    corrected: list[Finding]
    findings: list[Finding]
    others: list[Finding]
    lost: set[str]
    tickers: Array
    lengths: Array
    dates: Array

    @classmethod
    def load(
        cls,
        raw: pd.DataFrame,
        splits: Splits,
        params: PipelineParams,
        market: Attendance,
        path: Path,
    ) -> "_Shard":
        raw, corrected = splits.applied(raw)
        frame, findings = clean_part(raw, market)
        sizes = frame.groupby("ticker", sort=True).size()
        dates = frame["date"].to_numpy()
        chosen, others = select(frame, params.instruments)
        lost = set(sizes.index) - set(chosen["ticker"])
        kept, facts = with_history(chosen, params)
        if len(kept):
            write_parquet(kept, path)
        names = sizes.index.to_numpy(dtype=object)
        return cls(
            path,
            facts,
            Attendance.of(chosen),
            corrected,
            findings,
            others,
            lost,
            names,
            sizes.to_numpy(),
            dates,
        )

    def gaps(self, calendar: Array) -> Finding:
        """Holes in the rows of the tickers, given the market's dates."""
        return gaps(
            pd.DataFrame({"ticker": np.repeat(self.tickers, self.lengths), "date": self.dates}),
            calendar,
        )


def _joined_findings(shards: list[_Shard]) -> list[Finding]:
    """Those of one load, in its order, empty ones left out."""
    calendar = np.unique(np.concatenate([np.unique(shard.dates) for shard in shards]))
    found = added([shard.corrected for shard in shards])
    found += [shards[0].findings[0], *added([shard.findings[1:] for shard in shards])]
    found += added([[shard.gaps(calendar)] for shard in shards])
    if others := [shard.others for shard in shards if shard.others]:
        return [f for f in found if f.rows] + added(others)
    return [f for f in found if f.rows]
