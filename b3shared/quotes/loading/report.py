"""Report of a load: what was kept and left out, in numbers that add up over its shards."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from b3shared.core.arrays import Array
from b3shared.core.errors import TooLittleHistoryError
from b3shared.params.run import PipelineParams
from b3shared.quotes.findings import Finding
from b3shared.quotes.loading.known_dividends import known_until
from b3shared.quotes.schema import CASH_EQUITY

FEW_ROWS = 1_000
"""A ticker with fewer rows is named in the report, because its own metrics will be noise."""


FEW_TICKERS = 20
"""Up to so many tickers the report names each with the day up to which dividends are known."""


@dataclass(frozen=True)
class LoadSummary:
    """Counts of the clean quotes of some tickers.

    Attributes:
        sessions: rows by ticker, also of tickers without enough history.
        days: (days,) datetime64[D], dates of the rows that were kept, sorted.
        columns: names of the columns.
        missing: those that the source lacks.
        splits: splits among the rows that were kept.
        dividends: dividends among them.
        unknown_dividends: rows among them whose dividend is not known, by ticker that has any.
        dividends_until: last day of the newest known dividends, by ticker; NaT where none are.
        known: columns with a value in any of them.
    """

    sessions: dict[str, int]
    days: Array
    columns: tuple[str, ...]
    missing: tuple[str, ...]
    splits: int
    dividends: int
    unknown_dividends: dict[str, int]
    dividends_until: dict[str, pd.Timestamp]
    known: frozenset[str]

    @classmethod
    def from_parts(cls, parts: Sequence["LoadSummary"]) -> "LoadSummary":
        """Add up the counts of parts, which are in the order of their tickers."""
        return cls(
            {ticker: rows for part in parts for ticker, rows in part.sessions.items()},
            np.unique(np.concatenate([part.days for part in parts])),
            parts[0].columns,
            parts[0].missing,
            sum(part.splits for part in parts),
            sum(part.dividends for part in parts),
            {ticker: rows for part in parts for ticker, rows in part.unknown_dividends.items()},
            {ticker: day for part in parts for ticker, day in part.dividends_until.items()},
            frozenset().union(*(part.known for part in parts)),
        )


def with_history(frame: pd.DataFrame, params: PipelineParams) -> tuple[pd.DataFrame, LoadSummary]:
    """Keep the rows of tickers with enough history.

    Returns:
        The rows that were kept, with a fresh index, and the counts.
    """
    missing = frame.attrs.get("missing", [])
    sessions = frame.groupby("ticker", sort=True).size()
    kept = frame[frame["ticker"].isin(sessions.index[sessions >= params.min_history])].reset_index(
        drop=True
    )
    kept.attrs = {"missing": missing}
    unknown = kept["dividend"].isna().groupby(kept["ticker"], sort=True).sum()

    return kept, LoadSummary(
        {str(ticker): int(rows) for ticker, rows in sessions.items()},
        np.unique(kept["date"].to_numpy().astype("datetime64[D]")),
        tuple(kept.columns),
        tuple(missing),
        int((kept["split_factor"] != 1).sum()),
        int((kept["dividend"].fillna(0.0) != 0).sum()),
        {str(ticker): int(rows) for ticker, rows in unknown[unknown > 0].items()},
        {str(ticker): day for ticker, day in known_until(kept).items()},
        frozenset(str(column) for column in kept.columns if kept[column].notna().any()),
    )


def load_report(
    summary: LoadSummary,
    findings: list[Finding],
    params: PipelineParams,
    *,
    source: str,
    rows_read: int,
) -> dict[str, Any]:
    """Report what was loaded and left out, as JSON types.

    Raises:
        TooLittleHistoryError: No ticker has enough history.
    """
    short = {ticker: rows for ticker, rows in summary.sessions.items() if rows < params.min_history}
    kept = {ticker: rows for ticker, rows in summary.sessions.items() if ticker not in short}
    if not kept:
        longest = max(summary.sessions, key=lambda ticker: summary.sessions[ticker])
        raise TooLittleHistoryError(
            f"no ticker has {params.min_history} sessions (252 + lookback {params.lookback} + "
            f"horizon {params.horizon}); the longest, {longest}, has {summary.sessions[longest]}: "
            "choose a longer period or a smaller lookback",
            needed=params.min_history,
            longest=summary.sessions[longest],
        )

    return {
        "source": source,
        "first_session": str(summary.days[0]),
        "last_session": str(summary.days[-1]),
        "sessions": len(summary.days),
        "rows_read": rows_read,
        "rows": sum(kept.values()),
        "columns": list(summary.columns),
        "tickers": len(kept),
        "missing_columns": list(summary.missing),
        "empty_columns": [column for column in summary.columns if column not in summary.known],
        "dropped": {f.kind: f.rows for f in findings if f.action == "dropped"}
        | ({"too_little_history": sum(short.values())} if short else {}),
        "tickers_with_too_little_history": short,
        "tickers_with_few_rows": {ticker: rows for ticker, rows in kept.items() if rows < FEW_ROWS},
        "corporate_actions": {"splits": summary.splits, "dividends": summary.dividends},
        "dividends_known": _dividends_known(summary),
        "findings": [f.to_json() for f in findings if f.rows],
    }


def _dividends_known(summary: LoadSummary) -> dict[str, Any]:
    """Report how far dividends are known, as JSON types.

    ``dividends_known_until`` names the tickers one by one where they are few.
    """
    days = {ticker: _iso(day) for ticker, day in summary.dividends_until.items()}
    known = sorted(day for day in days.values() if day)
    return {
        "tickers_with_unknown": len(summary.unknown_dividends),
        "rows_unknown": sum(summary.unknown_dividends.values()),
        "earliest_until": known[0] if known else None,
        "latest_until": known[-1] if known else None,
        "tickers_never_known": sum(day is None for day in days.values()),
        "dividends_known_until": days if len(days) <= FEW_TICKERS else {},
    }


def _iso(day: pd.Timestamp) -> str | None:
    return None if pd.isna(day) else str(day.date())


def describe_dropped(findings: Sequence[Finding]) -> str:
    """Say how many rows were dropped for which reason, with an example of each.

    Where tickers are not written as the exchange writes them, the text says how they should look.
    """
    dropped = [f for f in findings if f.action == "dropped" and f.rows]
    reasons = ", ".join(f"{f.rows} {f.kind} (such as {f.examples[0]})" for f in dropped)
    odd = [f for f in dropped if f.kind == "not_a_cash_equity"]
    return reasons + (f"; {_ticker_form(odd[0].examples[0].split(' ')[0])}" if odd else "")


def _ticker_form(ticker: str) -> str:
    """Say how a ticker that is not one of the exchange's should look."""
    plain = ticker.upper().split(".")[0]
    example = plain if re.fullmatch(CASH_EQUITY, plain) else "PETR4"
    return f"tickers must be as the exchange writes them, such as {example}, got {ticker!r}"
