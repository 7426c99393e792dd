"""Selects the rows of quotes that could be a corporate action, with facts on their neighbours.

DuckDB's window functions over many columns keep all their rows in memory, so the query runs on some
tickers at a time. The one fact that needs all tickers, the market's median gap of each date, is
computed first, from a few narrow columns. The results do not depend on how the tickers are grouped,
to the last bit.
"""

from collections.abc import Iterator

import duckdb
import pandas as pd

from b3shared.core.errors import InvalidQuotesError

ROWS_AT_ONCE = 500_000
"""Rows of the tickers, or dates, that one query looks at; a larger one gets a query of its own."""

SMALLEST_GAP = 0.08
"""Smallest jump that is a candidate without a mark or a change of DISMES or ISIN, as a log ratio.
Any share makes smaller ones now and then."""

CALM = 4.0
"""A jump of fewer volatilities than this is no candidate either."""

LATE_LISTING = 5
"""Sessions from a jump within which a listed factor of its size is the same action, misdated."""

EXPLAINED = 1.25
"""A listed factor or payout explains a jump if what remains of it is at most this ratio (or its
inverse), and at most half of the jump."""

GREAT_PAYOUT = 0.15
"""A payout of more than this part of the price leaves a trace on its day."""

FEWEST_PEERS = 20
"""Tickers of a session from which its median gap counts as the market's."""

_OPTIONAL = {
    "open": "DOUBLE",
    "high": "DOUBLE",
    "low": "DOUBLE",
    "volume": "DOUBLE",
    "type": "VARCHAR",
    "isin": "VARCHAR",
    "dismes": "INTEGER",
    "split_factor": "DOUBLE",
    "dividend": "DOUBLE",
}

_GAPS = "candidate_gaps"
_MARKET = "candidate_market"
_GAP = "ln(coalesce(open, close) / previous)"
_JUMPS = (
    f"abs(gap - market_gap) > {SMALLEST_GAP} "
    f"AND abs(gap - market_gap) > {CALM} * coalesce(usual_move, 0)"
)
_SESSIONS = 'PARTITION BY ticker ORDER BY "date"'


def candidate_rows(
    connection: duckdb.DuckDBPyConnection, relation: str, rows_at_once: int = ROWS_AT_ONCE
) -> Iterator[pd.DataFrame]:
    """Yield the candidates, some tickers at a time, by ticker and date; at least one frame.

    Args:
        connection: where the relation can be read; temporary tables are made in it, and dropped.
        relation: see :func:`b3shared.quotes.corporate_actions.detection.detect_actions`.
        rows_at_once: bounds the memory; the candidates are the same.

    Raises:
        InvalidQuotesError: The relation lacks a column.
        duckdb.Error: It cannot be read.
    """
    traded = _traded(connection, relation)
    tickers = spans(connection, f"{relation} WHERE ticker IS NOT NULL", "ticker", rows_at_once)
    try:
        connection.execute(f'CREATE TEMP TABLE {_GAPS} ("date" DATE, gap DOUBLE)')
        for span in tickers:
            connection.execute(f"INSERT INTO {_GAPS} {_gaps(traded)}", span)

        connection.execute(f'CREATE TEMP TABLE {_MARKET} ("date" DATE, market_gap DOUBLE)')
        for span in spans(connection, _GAPS, '"date"', rows_at_once):
            connection.execute(f"INSERT INTO {_MARKET} {_MEDIANS}", span)

        for span in tickers or [("", "")]:
            yield connection.execute(_candidates(traded), span).df()
    finally:
        for table in (_GAPS, _MARKET):
            connection.execute(f"DROP TABLE IF EXISTS temp.{table}")


def spans(
    connection: duckdb.DuckDBPyConnection, rows: str, key: str, at_once: int
) -> list[tuple[object, object]]:
    """Return the first and last key of each group of keys with about ``at_once`` rows together."""
    counted = f"SELECT {key} AS key, count(*) AS n FROM {rows} GROUP BY 1"
    numbered = f"SELECT key, (sum(n) OVER (ORDER BY key) - n) // {at_once} AS span FROM ({counted})"
    return connection.execute(
        f"SELECT min(key), max(key) FROM ({numbered}) GROUP BY span ORDER BY 1"
    ).fetchall()


def _traded(connection: duckdb.DuckDBPyConnection, relation: str) -> str:
    """SQL of the tables ``traded`` and ``one_a_day``: the quotes of a span of tickers.

    ``one_a_day`` has one row per ticker and session.
    """
    found = {
        str(row[0]).lower()
        for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    }
    if missing := {"ticker", "date", "close"} - found:
        raise InvalidQuotesError(
            f"{relation} lacks {', '.join(sorted(missing))}: actions cannot be looked for"
        )

    values = {name: f'"{name}"' if name in found else "NULL" for name in _OPTIONAL}
    columns = ", ".join(
        f'CAST({values[name]} AS {kind}) AS "{name}"' for name, kind in _OPTIONAL.items()
    )
    is_traded = "close > 0" + (" AND coalesce(volume, 1) > 0" if "volume" in found else "")
    mark = r"'(?:\s|^.{4})E([ABCDGJRSX]{1,3})(?:\s|$)'"
    return f"""
    WITH traded AS (
        SELECT ticker, CAST("date" AS DATE) AS "date", CAST(close AS DOUBLE) AS close, {columns}
        FROM {relation} WHERE ticker BETWEEN ? AND ? AND {is_traded} AND "date" IS NOT NULL
    ), one_a_day AS (
        SELECT * REPLACE (CASE WHEN open > 0 THEN open END AS open),
            regexp_extract(coalesce(type, ''), {mark}, 1) AS mark
        FROM traded
        QUALIFY row_number() OVER (PARTITION BY ticker, "date" ORDER BY volume DESC NULLS LAST) = 1
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
    """SQL of the mean over the sessions before a row.

    It is computed in whole units of 1e-9: a sum of floats would depend on where it begins.
    """
    window = f"w ROWS BETWEEN {sessions} PRECEDING AND 1 PRECEDING"
    return f"avg(TRY_CAST({value} * 1e9 AS BIGINT)) OVER ({window}) / 1e9"


def _candidates(traded: str) -> str:
    """SQL of the candidates with the facts on their neighbours.

    ``gap`` is what remains of the gap at the open after the payout that a list gives (``paid``).
    """
    own = "CASE WHEN split_factor > 0 AND split_factor <> 1 THEN split_factor END"
    following = f"w ROWS BETWEEN CURRENT ROW AND {LATE_LISTING} FOLLOWING"
    unexplained = _JUMPS.replace("gap - market_gap", "unexplained - market_gap")

    return f"""{traded}, {_FRESH}, lagged AS (
        SELECT *, lag("date") OVER w AS previous_date, lag(close) OVER w AS previous,
            lag(fresh, 2 IGNORE NULLS) OVER w AS previous_2,
            lag(fresh, 3 IGNORE NULLS) OVER w AS previous_3,
            lead(fresh, 1 IGNORE NULLS) OVER w AS next_1,
            lead(fresh, 2 IGNORE NULLS) OVER w AS next_2,
            lag(type) OVER w AS previous_type,
            lag(isin) OVER w AS previous_isin,
            lag(dismes) OVER w AS previous_dismes,
            lag(mark) OVER w AS previous_mark,
            coalesce(split_factor, 1) <> 1 OR coalesce(lag(split_factor) OVER w, 1) <> 1
                OR coalesce(lead(split_factor) OVER w, 1) <> 1 AS listed,
            last_value({own} IGNORE NULLS) OVER (w ROWS {LATE_LISTING} PRECEDING) AS listed_before,
            first_value({own} IGNORE NULLS) OVER ({following}) AS listed_after,
            lag(payout, 1, 0) OVER w AS payout_before, lead(payout, 1, 0) OVER w AS payout_after,
            CASE WHEN high > low AND low > 0 THEN greatest(ln(high / low), 1e-3) END AS spread
        FROM fresh WINDOW w AS ({_SESSIONS})
    ), usual AS (
        SELECT *, {_GAP} AS gap,
            {_usual("least(abs(ln(close / previous)), 0.25)", 60)} AS usual_move,
            {_usual("ln(volume)", 20)} AS usual_volume,
            {_usual("ln(spread)", 20)} AS usual_spread
        FROM lagged WINDOW w AS ({_SESSIONS})
    ), {_PAID}
    SELECT paying.* EXCLUDE (unexplained) REPLACE (unexplained AS gap), market_gap
    FROM paying JOIN {_MARKET} USING ("date")
    WHERE previous IS NOT NULL AND (
        ({_JUMPS} AND {unexplained})
        OR dismes <> previous_dismes OR isin <> previous_isin
        OR (mark <> '' AND mark <> previous_mark)
    )
    ORDER BY ticker, "date" """


_STILL = " AND ".join(f"coalesce({price}, close) = close" for price in ("open", "high", "low"))
_FRESH = f"""fresh AS (
        SELECT *,
            CASE WHEN {_STILL} AND lag({_STILL}) OVER w AND close = lag(close) OVER w THEN NULL
                ELSE close END AS fresh,
            CASE WHEN dividend > 0 AND isfinite(dividend) THEN dividend ELSE 0 END AS payout
        FROM one_a_day WINDOW w AS ({_SESSIONS})
    )"""
"""SQL of the quotes with ``fresh``: the close, or NULL where a session without a range repeats the
price of another one. A stuck price is evidence of a level only once."""


def _remaining_gap(payout: str) -> str:
    """SQL of what remains of a gap after a payout has left the price."""
    return f"ln(coalesce(open, close) / (previous - {payout}))"


def _explains(payout: str) -> str:
    """SQL of whether a listed payout explains the session's gap."""
    known = f"{payout} > 0 AND {payout} < previous"
    rest = f"abs(CASE WHEN {known} THEN {_remaining_gap(payout)} END)"
    return f"coalesce({rest} < least(ln({EXPLAINED}), abs(gap) / 2), FALSE)"


_WITHOUT_TRACE = f"""coalesce(
                payout > {GREAT_PAYOUT} * previous AND payout < previous
                AND abs(gap) <= {SMALLEST_GAP}, FALSE)"""
"""SQL of whether a great payout is listed on a session whose price did not fall."""

_PAID = f"""fallen AS (
        SELECT *, {_explains("payout")} AS falls, {_explains("payout_before")} AS falls_late,
            {_explains("payout_after")} AS falls_early, {_WITHOUT_TRACE} AS without_trace
        FROM usual
    ), paid AS (
        SELECT * EXCLUDE (falls, falls_late, falls_early, without_trace), CASE
            WHEN previous IS NULL OR abs(gap) <= {SMALLEST_GAP} THEN 0
            WHEN falls_late AND NOT falls AND NOT coalesce(lag(falls) OVER w, FALSE)
                THEN payout_before
            WHEN falls_early AND NOT falls AND NOT coalesce(lead(falls) OVER w, FALSE)
                THEN payout_after
            WHEN payout = 0 AND payout_before < previous
                    AND coalesce(lag(without_trace) OVER w, FALSE) THEN payout_before
            WHEN payout = 0 AND payout_after < previous
                    AND coalesce(lead(without_trace) OVER w, FALSE) THEN payout_after
            WHEN payout < previous THEN payout ELSE 0 END AS paid
        FROM fallen WINDOW w AS ({_SESSIONS})
    ), paying AS (
        SELECT * EXCLUDE (payout, payout_before, payout_after, fresh),
            {_remaining_gap("paid")} AS unexplained
        FROM paid
    )"""
"""SQL of the listed payout that each jump is reduced by.

It is the payout of the session itself, or of the session beside it if this one fell by that amount
and the listed one did not: vendors date payouts on the ex-date or on the last session with the
right. A great payout whose own session did not fall is that of a jump beside it too, whatever else
happened there. A session that did not jump needs no explanation.
"""
