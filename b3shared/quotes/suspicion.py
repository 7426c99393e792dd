"""The rows of unadjusted daily quotes that could be a corporate action, with facts about their neighbours.

DuckDB's window functions over many columns need memory for all their rows, whatever may go to disk: so they see some tickers
at a time. What all of them tell together, the market's median gap of each date, is found before, from a few narrow columns.
No number depends on which tickers are looked at together, to the last bit.
"""

from collections.abc import Iterator

import duckdb
import pandas as pd

from b3shared.errors import InvalidQuotesError

ROWS_AT_ONCE = 500_000
"""Of the tickers that are looked at together, and of the dates; a ticker or date with more is one of its own."""
SMALLEST_GAP = 0.08
"""Without a mark or a change of DISMES or ISIN a smaller jump is not looked at: any share makes it now and then."""
CALM = 4.0
"""Nor is one of less than this many volatilities."""
GREATEST_PAYOUT = 0.95
"""Part of the last close that a listed payout may be; one of more is a mistake of the list, and explains nothing."""
LATE_LISTING = 5
"""Sessions from a jump within which a vendor's own factor of that size is the same action, listed late or early."""
FEWEST_PEERS = 20
"""Tickers of a session from which its median gap counts as the market's."""

_OPTIONAL = {"open": "DOUBLE", "high": "DOUBLE", "low": "DOUBLE", "volume": "DOUBLE", "type": "VARCHAR", "isin": "VARCHAR"}
_OPTIONAL |= {"dismes": "INTEGER", "split_factor": "DOUBLE", "dividend": "DOUBLE"}

_GAPS, _MARKET = "suspicion_gaps", "suspicion_market"
_GAP = "ln(coalesce(open, close) / previous)"
_SESSIONS = 'PARTITION BY ticker ORDER BY "date"'


def suspicious_rows(
    connection: duckdb.DuckDBPyConnection, relation: str, rows_at_once: int = ROWS_AT_ONCE
) -> Iterator[pd.DataFrame]:
    """The suspicious rows, some tickers at a time, in the order of tickers and dates; at least one frame.

    Args:
        connection: where the relation can be read; temporary tables are made in it, and dropped.
        relation: see :func:`b3shared.quotes.detection.detect_actions`.
        rows_at_once: bounds the memory; the rows that are found are the same.

    Raises:
        InvalidQuotesError: The relation lacks a column.
        duckdb.Error: It cannot be read.
    """
    traded = _traded(connection, relation)
    tickers = _spans(connection, f"{relation} WHERE ticker IS NOT NULL", "ticker", rows_at_once)
    try:
        connection.execute(f'CREATE TEMP TABLE {_GAPS} ("date" DATE, gap DOUBLE)')
        for span in tickers:
            connection.execute(f"INSERT INTO {_GAPS} {_gaps(traded)}", span)
        connection.execute(f'CREATE TEMP TABLE {_MARKET} ("date" DATE, market_gap DOUBLE)')
        for span in _spans(connection, _GAPS, '"date"', rows_at_once):
            connection.execute(f"INSERT INTO {_MARKET} {_MEDIANS}", span)
        for span in tickers or [("", "")]:
            yield connection.execute(_suspicious(traded), span).df()
    finally:
        for table in (_GAPS, _MARKET):
            connection.execute(f"DROP TABLE IF EXISTS temp.{table}")


def _spans(connection: duckdb.DuckDBPyConnection, rows: str, key: str, at_once: int) -> list[tuple[object, object]]:
    """First and last of the keys that follow each other and together have about so many rows."""
    counted = f"SELECT {key} AS key, count(*) AS n FROM {rows} GROUP BY 1"
    numbered = f"SELECT key, (sum(n) OVER (ORDER BY key) - n) // {at_once} AS span FROM ({counted})"
    return connection.execute(f"SELECT min(key), max(key) FROM ({numbered}) GROUP BY span ORDER BY 1").fetchall()


def _traded(connection: duckdb.DuckDBPyConnection, relation: str) -> str:
    """SQL of the tables ``traded`` and ``one_a_day``: the quotes of the tickers from one to another, one row a session."""
    found = {str(row[0]).lower() for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}
    if missing := {"ticker", "date", "close"} - found:
        raise InvalidQuotesError(f"{relation} lacks {', '.join(sorted(missing))}: actions cannot be looked for")
    values = {name: f'"{name}"' if name in found else "NULL" for name in _OPTIONAL}
    columns = ", ".join(f'CAST({values[name]} AS {kind}) AS "{name}"' for name, kind in _OPTIONAL.items())
    is_traded = "close > 0" + (" AND coalesce(volume, 1) > 0" if "volume" in found else "")
    return f"""
    WITH traded AS (
        SELECT ticker, CAST("date" AS DATE) AS "date", CAST(close AS DOUBLE) AS close, {columns}
        FROM {relation} WHERE ticker BETWEEN ? AND ? AND {is_traded} AND "date" IS NOT NULL
    ), one_a_day AS (
        SELECT * REPLACE (CASE WHEN open > 0 THEN open END AS open),
            regexp_extract(coalesce(type, ''), '(?:\\s|^.{{4}})E([ABCDGJRSX]{{1,3}})(?:\\s|$)', 1) AS mark,
            coalesce(high = low, true) AS flat
        FROM traded QUALIFY row_number() OVER (PARTITION BY ticker, "date" ORDER BY volume DESC NULLS LAST) = 1
    )"""


def _gaps(traded: str) -> str:
    """SQL of every session's gap at the open."""
    return f"""{traded}, lagged AS (
        SELECT "date", open, close, lag(close) OVER ({_SESSIONS}) AS previous FROM one_a_day
    ) SELECT "date", {_GAP} FROM lagged WHERE previous IS NOT NULL"""


_MEDIANS = f"""
    SELECT "date", CASE WHEN count(gap) >= {FEWEST_PEERS} THEN median(gap) ELSE 0 END
    FROM {_GAPS} WHERE "date" BETWEEN ? AND ? GROUP BY 1"""


def _usual(value: str, sessions: int) -> str:
    """SQL of the mean of the sessions before a row; in whole 1e-9, because a sum of floats depends on where it begins."""
    return f"avg(TRY_CAST({value} * 1e9 AS BIGINT)) OVER (w ROWS BETWEEN {sessions} PRECEDING AND 1 PRECEDING) / 1e9"


def _suspicious(traded: str) -> str:
    """SQL of the suspicious rows with the facts about their neighbours.

    A price that stays the same for some sessions without a range is one session for its neighbours: a
    vendor's wrong price that lasts is told from a new level by what comes before and after all of it.

    A listed payout is taken off the closes before it, per old share, so only the rest of a fall is judged.
    """
    own = "CASE WHEN split_factor > 0 AND split_factor <> 1 THEN split_factor END"
    run = "PARTITION BY ticker ORDER BY run"
    return f"""{traded}, numbered AS (
        SELECT *, sum(CASE WHEN stuck THEN 0 ELSE 1 END) OVER w AS run FROM (
            SELECT *, coalesce(flat AND lag(flat) OVER w AND close = lag(close) OVER w, false) AS stuck
            FROM one_a_day WINDOW w AS ({_SESSIONS})
        ) WINDOW w AS ({_SESSIONS})
    ), runs AS (
        SELECT ticker, run, lag(close) OVER r AS back_1, lag(close, 2) OVER r AS back_2, lag(close, 3) OVER r AS back_3,
            lead(close) OVER r AS next_1, lead(close, 2) OVER r AS next_2
        FROM (SELECT ticker, run, any_value(close) AS close FROM numbered GROUP BY ALL) WINDOW r AS ({run})
    ), lagged AS (
        SELECT numbered.*, lag("date") OVER w AS previous_date, lag(close) OVER w AS last_close,
            lag(type) OVER w AS previous_type,
            lag(isin) OVER w AS previous_isin, lag(dismes) OVER w AS previous_dismes, lag(mark) OVER w AS previous_mark,
            coalesce(split_factor, 1) <> 1 OR coalesce(lag(split_factor) OVER w, 1) <> 1
                OR coalesce(lead(split_factor) OVER w, 1) <> 1 AS listed,
            last_value({own} IGNORE NULLS) OVER (w ROWS {LATE_LISTING} PRECEDING) AS listed_before,
            first_value({own} IGNORE NULLS) OVER (w ROWS BETWEEN CURRENT ROW AND {LATE_LISTING} FOLLOWING) AS listed_after,
            lag(dividend) OVER w AS payout_before, lead(dividend) OVER w AS payout_after,
            CASE WHEN high >= low AND low > 0 THEN greatest(ln(high / low), 1e-3) END AS spread
        FROM numbered WINDOW w AS ({_SESSIONS})
    ), paid AS (
        SELECT lagged.*, next_1, next_2,
            CASE WHEN dividend > 0 AND dividend < {GREATEST_PAYOUT} * last_close THEN dividend ELSE 0 END AS payout,
            last_close - payout AS previous,
            greatest(CASE WHEN stuck THEN back_1 ELSE back_2 END - payout, 0.01) AS previous_2,
            greatest(CASE WHEN stuck THEN back_2 ELSE back_3 END - payout, 0.01) AS previous_3
        FROM lagged JOIN runs USING (ticker, run)
    ), usual AS (
        SELECT *, {_GAP} AS gap,
            {_usual("least(abs(ln(close / previous)), 0.25)", 60)} AS usual_move,
            {_usual("ln(volume)", 20)} AS usual_volume,
            {_usual("ln(spread)", 20)} AS usual_spread
        FROM paid WINDOW w AS ({_SESSIONS})
    )
    SELECT usual.*, market_gap FROM usual JOIN {_MARKET} USING ("date")
    WHERE previous IS NOT NULL AND (
        (abs(gap - market_gap) > {SMALLEST_GAP} AND abs(gap - market_gap) > {CALM} * coalesce(usual_move, 0))
        OR dismes <> previous_dismes OR isin <> previous_isin OR (mark <> '' AND mark <> previous_mark)
    )
    ORDER BY ticker, "date" """
