"""Finds pairs of tickers that may be one renamed share: many companies get a new ISIN as well.

Nothing in the exchange's files links the two. A rename leaves these traces: the old ticker ends,
and the new one begins on the next session, of the same class, at the same price and with as much
trade. A pair is a finding for a person and never links anything by itself.
"""

import duckdb

SAME_PRICE = 0.05
"""Greatest log ratio of the new ticker's first price to the old one's last close."""

SAME_TRADE = 5.0
"""Greatest ratio of their mean turnovers, either way."""

AROUND = 5
"""Sessions on each side that are looked at; both tickers must have traded on all but one of them.
A share that seldom trades ends and begins by chance."""

LONGEST_BREAK = 7
"""Most calendar days between two successive sessions; over more the lake has a hole."""

FIRST_NUMBER = 101
"""Greatest first DISMES of the new ticker: a new ISIN begins at 100, and a right may have left on
the first day."""

_SHARES = "[A-Z0-9]{4}(?:3|4|5|6|7|8|11)B?"
_OPTIONAL = {"open": "DOUBLE", "volume": "DOUBLE", "type": "VARCHAR", "dismes": "INTEGER"}


def possible_renames(connection: duckdb.DuckDBPyConnection, relation: str) -> list[str]:
    """Find the pairs of tickers of which one ends on the session before the other begins.

    Args:
        connection: where the relation can be read.
        relation: what may stand after FROM: quotes with ticker, date and close, known renames under
            their newest name; open, volume, type (ESPECI) and dismes are used where they are there.

    Returns:
        A sentence for each pair, by date, with the row that would link it.
    """
    rows = connection.execute(_sql(connection, relation)).fetchall()
    return [
        f"{old} ended on {last} at {closed:.2f}, {new} began on {first} at {opened:.2f}: "
        f"if they are one share, add {old},{new},{first}"
        for old, new, last, first, closed, opened in rows
    ]


def _sql(connection: duckdb.DuckDBPyConnection, relation: str) -> str:
    found = {
        str(row[0]).lower()
        for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    }
    columns = ", ".join(
        f'CAST({name if name in found else "NULL"} AS {kind}) AS "{name}"'
        for name, kind in _OPTIONAL.items()
    )
    before = f"quoted.session BETWEEN pairs.session - {AROUND} AND pairs.session - 1"
    after = f"quoted.session BETWEEN pairs.session AND pairs.session + {AROUND - 1}"
    day = 'CAST("date" AS DATE)'
    sessions_left = "(SELECT max(session) FROM sessions) - session + 1"
    return f"""
    WITH sessions AS MATERIALIZED (
        SELECT day, row_number() OVER (ORDER BY day) AS session,
            lag(day) OVER (ORDER BY day) AS day_before
        FROM (SELECT DISTINCT {day} AS day FROM {relation}) WHERE day IS NOT NULL
    ), spans AS MATERIALIZED (
        SELECT ticker, min({day}) AS first, max({day}) AS last FROM {relation}
        WHERE regexp_full_match(ticker, '{_SHARES}') AND close > 0 GROUP BY ticker
    ), pairs AS MATERIALIZED (
        SELECT old.ticker AS old, new.ticker AS new, old.last, new.first, session
        FROM spans AS new
            JOIN sessions ON new.first = day
            JOIN spans AS old ON old.last = day_before
        WHERE day - day_before <= {LONGEST_BREAK} AND substr(old.ticker, 5) = substr(new.ticker, 5)
            AND old.first < old.last
    ), quoted AS MATERIALIZED (
        SELECT ticker, session, close, {columns}
        FROM {relation} AS quotes JOIN sessions ON {day} = day
        WHERE close > 0 AND ticker IN (SELECT old FROM pairs UNION SELECT new FROM pairs)
    ), {_side("ended", "old", before)},
    {_side("begun", "new", after)},
    near AS (
        SELECT pairs.*, ended.closed, begun.opened, abs(ln(begun.opened / ended.closed)) AS apart
        FROM pairs JOIN ended USING (old, new) JOIN begun USING (old, new)
        WHERE apart <= {SAME_PRICE} AND ended.traded >= least({AROUND}, session - 1) - 1
            AND begun.traded >= least({AROUND}, {sessions_left}) - 1
            AND coalesce(abs(ln(begun.turnover / ended.turnover)) <= ln({SAME_TRADE}), TRUE)
            AND coalesce(begun.class = ended.class, TRUE)
            AND coalesce(begun.number <= {FIRST_NUMBER}, TRUE)
        QUALIFY row_number() OVER (PARTITION BY old ORDER BY apart, new) = 1
            AND row_number() OVER (PARTITION BY new ORDER BY apart, old) = 1
    )
    SELECT old, new, last, first, closed, opened FROM near ORDER BY first, old"""


def _side(name: str, ticker: str, around: str) -> str:
    """SQL of how one ticker of each pair traded around the change."""
    return f"""{name} AS (
        SELECT old, new, count(DISTINCT quoted.session) AS traded,
            arg_max(close, quoted.session) AS closed,
            arg_min(CASE WHEN open > 0 THEN open ELSE close END, quoted.session) AS opened,
            avg(close * nullif(volume, 0)) AS turnover,
            arg_min(split_part(trim(type), ' ', 1), quoted.session) AS class,
            min(dismes) AS number
        FROM pairs JOIN quoted ON quoted.ticker = pairs.{ticker} AND {around} GROUP BY old, new
    )"""
