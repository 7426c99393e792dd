"""Confirms announced events by the quotes, or contradicts them.

The facts are those of the ticker's first trade on the ex-date or later: whether DISMES rose or an
ex-mark appeared, and whether the price moved as payments and factors of that day say together.
"""

import json
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from b3shared.core.arrays import Array, FloatArray
from b3shared.quotes.corporate_actions.candidates import (
    EXPLAINED,
    ROWS_AT_ONCE,
    SMALLEST_GAP,
    spans,
)
from b3shared.quotes.corporate_actions.detection import LONGEST_HOLE, TICK
from b3shared.quotes.corporate_actions.listed_splits import LEAST_MOVE, UNTRACED, log_density
from b3shared.quotes.corporate_actions.table import sorted_actions

FAR = 4.0
"""A move of more volatilities than this is none that the share makes by itself."""

LARGE = np.log(5.0)
"""A factor beyond 5, or below 1/5, is judged after any pause: no share moves so far by itself."""

SAME_EVENT = 7
"""Calendar days within which a second listing of one factor is the same event."""

_DAYS = "announced_days"
_OPTIONAL = {"open": "DOUBLE", "volume": "DOUBLE", "type": "VARCHAR", "isin": "VARCHAR"} | {
    "dismes": "INTEGER"
}
_MARK = r"'(?:\s|^.{4})E([ABCDGJRSX]{1,3})(?:\s|$)'"


@dataclass(frozen=True)
class Confirmed:
    """Announced events after a look at the quotes.

    Attributes:
        events: columns as in :data:`b3shared.quotes.corporate_actions.table.ACTION_TYPES`.
        days: a row per ticker and ex-date with a quote: ``ticker``, ``date``, ``row`` (the first
            session with a trade on or after it), ``previous_row`` (the one before; NaT if that was
            the ticker's first), and ``stepped``: 1 where DISMES rose or an ex-mark appeared, 0
            where not, NaN where the quotes do not tell.
    """

    events: pd.DataFrame
    days: pd.DataFrame


def confirm_events(
    connection: duckdb.DuckDBPyConnection, relation: str, events: pd.DataFrame
) -> Confirmed:
    """Set the state of each announced event by the quotes of its ticker.

    A share event is ``contradicted`` if the price did not move by its factor, given the payments of
    that day; after a long pause only a large factor is. A payment is if it is not smaller than the
    price. An event is ``confirmed`` by a rise of
    DISMES or a new ex-mark, or by the price if it had to move by more than an ordinary day does.
    Other events stay as they are.

    Args:
        connection: where the relation can be read.
        relation: the lake's quotes, renamed tickers under their newest name.
        events: as :func:`b3shared.quotes.corporate_actions.announced.announced_events` makes them.
    """
    around = _around(connection, relation, events)
    days = around[["ticker", "date", "row", "previous_row", "stepped"]]
    if around.empty:
        return Confirmed(events, days)

    judged = _judged(around, _effects(events)).set_index(["ticker", "date"])
    key = pd.MultiIndex.from_frame(events[["ticker", "date"]])
    of_event = judged.reindex(key).reset_index(drop=True)

    state = _states(events, of_event)
    evidence = [
        _with_facts(text, facts)
        for text, facts in zip(events["evidence"], of_event.to_dict("records"), strict=True)
    ]
    confidence = np.where(np.isin(state, ["contradicted", "unclear"]), 0.0, events["confidence"])
    out = events.assign(state=state, evidence=evidence, confidence=confidence)
    return Confirmed(sorted_actions(_once(out)), days)


def _effects(events: pd.DataFrame) -> pd.DataFrame:
    """``factor`` (product), ``cash`` (sum) and ``right`` of each ticker and ex-date."""
    clear = events[(events["state"] != "unclear") & events["date"].notna()]
    grouped = clear.assign(right=clear["kind"] == "right").groupby(["ticker", "date"], sort=True)
    effects = grouped.agg({"factor": "prod", "dividend": "sum", "right": "any"})
    return effects.rename(columns={"dividend": "cash"}).reset_index()


def _judged(around: pd.DataFrame, effects: pd.DataFrame) -> pd.DataFrame:
    """The verdict of the price on each ticker and ex-date.

    ``shares``: 1 confirmed, -1 contradicted, 0 it cannot tell; ``payment`` likewise.
    """
    rows = around.merge(effects, on=["ticker", "date"], how="left")
    factor = rows["factor"].fillna(1.0).to_numpy(np.float64)
    cash = rows["cash"].fillna(0.0).to_numpy(np.float64)
    before = rows["before"].to_numpy(np.float64, na_value=np.nan)
    scale = _scale(rows, before)
    with np.errstate(divide="ignore", invalid="ignore"):
        payable = np.where(cash < before, before - cash, np.nan)
        expected = np.log(payable / factor / before)
        rest = _smallest(rows, payable / factor)
        unmoved = np.fmin(_smallest(rows, before), _smallest(rows, payable))

    odds = log_density(rest / scale) - log_density(unmoved / scale)
    short = ((rows["row"] - rows["previous_row"]).dt.days <= LONGEST_HOLE).to_numpy(dtype=bool)
    moved = np.abs(expected) > SMALLEST_GAP
    explained = moved & (rest <= np.minimum(np.log(EXPLAINED), np.abs(expected) / 2))

    large = np.abs(np.log(factor)) > np.log(EXPLAINED)
    off = large & ~rows["right"].fillna(False).to_numpy(dtype=bool)
    off &= rest > np.maximum(np.log(EXPLAINED), FAR * scale)
    wrong = (factor != 1) & ((odds < UNTRACED) | off)
    judged = short | (np.abs(np.log(factor)) > LARGE)
    shares = np.select([~judged, wrong, explained], [0, -1, 1], default=0)
    payment = np.select([cash >= before, ~short, explained & ~wrong], [-1, 0, 1], default=0)
    return rows.assign(shares=shares, payment=payment)


def _states(events: pd.DataFrame, of_event: pd.DataFrame) -> Array:
    """(events,) the state of each event."""
    is_share = (events["factor"] != 1).to_numpy()
    is_cash = (events["dividend"] != 0).to_numpy()
    shares, payment, step = (
        of_event[name].to_numpy(np.float64, na_value=np.nan)
        for name in ("shares", "payment", "stepped")
    )
    by_price = (is_share & (shares > 0)) | (is_cash & (payment > 0))

    unclear = (events["state"] == "unclear").to_numpy()
    wrong = (is_share & (shares < 0)) | (is_cash & (payment < 0))
    own = events["state"].to_numpy(dtype=object)
    conditions = [unclear, wrong, (step == 1) | by_price]
    return np.select(conditions, ["unclear", "contradicted", "confirmed"], default=own)


def _with_facts(evidence: str, facts: dict[Any, Any]) -> str:
    """Add the facts of the quotes to an event's evidence."""
    if pd.isna(facts["row"]):
        return evidence
    out: dict[str, Any] = {"session": str(pd.Timestamp(facts["row"]).date())}
    if pd.notna(facts["before"]):
        out["price"] = [round(float(facts["before"]), 4), round(float(facts["first"]), 4)]
    if pd.notna(facts["dismes"]) and pd.notna(facts["previous_dismes"]):
        out["dismes"] = [int(facts["previous_dismes"]), int(facts["dismes"])]
    if facts["mark"]:
        out["mark"] = f"E{facts['mark']}"
    return json.dumps(json.loads(evidence) | out)


def _once(events: pd.DataFrame) -> pd.DataFrame:
    """Leave one of several listings of one factor within some days: that which the quotes confirm.

    Of equal ones it is the first. Its evidence names the others.
    """
    shares = events[(events["factor"] != 1) & events["last_cum"].notna()]
    dropped: list[Any] = []
    evidence = dict(events["evidence"])
    for _, same in shares.groupby(["ticker", "factor"], sort=False):
        if len(same) < 2:
            continue
        ordered = same.sort_values("last_cum", kind="stable")
        gap = ordered["last_cum"].diff().dt.days.fillna(0) > SAME_EVENT
        for _, near in ordered.groupby(gap.cumsum(), sort=False):
            if near["last_cum"].nunique() < 2:
                continue
            rank = near["state"].map({"confirmed": 0, "announced": 1}).fillna(2)
            kept, *others = rank.sort_values(kind="stable").index
            days = sorted({str(day.date()) for day in near.loc[others, "last_cum"]})
            facts = json.loads(evidence[kept]) | {"also_listed": days}
            evidence[kept] = json.dumps(facts)
            dropped += others

    return events.assign(evidence=pd.Series(evidence)).drop(index=dropped)


def _scale(rows: pd.DataFrame, before: FloatArray) -> FloatArray:
    """Volatility from the last close to the first price, with the rounding of prices."""
    usual = rows["usual_move"].to_numpy(np.float64, na_value=np.nan)
    days = (rows["row"] - rows["previous_row"]).dt.days.to_numpy(np.float64, na_value=np.nan)
    nights = np.fmax(days / 2, 1.0)
    # 1.2533: the standard deviation of a normal move over its mean absolute value
    move = np.fmax(1.2533 * np.nan_to_num(usual, nan=0.0), LEAST_MOVE)
    scale: FloatArray = np.sqrt(move**2 * nights + (TICK / before) ** 2)
    return scale


def _smallest(rows: pd.DataFrame, expected: FloatArray) -> FloatArray:
    """(rows,) the smaller log distance of the open and the close to an expected price."""
    first = rows["first"].to_numpy(np.float64, na_value=np.nan)
    close = rows["close"].to_numpy(np.float64, na_value=np.nan)
    return np.fmin(np.abs(np.log(first / expected)), np.abs(np.log(close / expected)))


def _around(
    connection: duckdb.DuckDBPyConnection, relation: str, events: pd.DataFrame
) -> pd.DataFrame:
    """The quotes around each ticker's ex-dates that they have reached, and the one before."""
    days = events.loc[events["date"].notna(), ["ticker", "date"]].drop_duplicates()
    try:
        connection.register("event_days", days)
        connection.execute(
            f"CREATE TEMP TABLE {_DAYS} AS SELECT CAST(ticker AS VARCHAR) AS ticker, "
            'CAST("date" AS DATE) AS ex_date FROM event_days'
        )
        quotes = f"{relation} WHERE ticker IN (SELECT ticker FROM {_DAYS})"
        sql = _around_sql(connection, relation)
        found = [
            connection.execute(sql, span).df()
            for span in spans(connection, quotes, "ticker", ROWS_AT_ONCE)
        ]
    finally:
        connection.execute(f"DROP TABLE IF EXISTS {_DAYS}")
        connection.unregister("event_days")

    columns = ["ticker", "date", "row", "previous_row", "stepped"]
    rows = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)
    for name in ("date", "row", "previous_row"):
        rows[name] = pd.to_datetime(rows[name]).astype("datetime64[s]")
    return rows


def _around_sql(connection: duckdb.DuckDBPyConnection, relation: str) -> str:
    found = {
        str(row[0]).lower()
        for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    }
    columns = ", ".join(
        f'CAST({name if name in found else "NULL"} AS {kind}) AS "{name}"'
        for name, kind in _OPTIONAL.items()
    )
    before = "coalesce(nullif(previous_mark, ''), '-')"
    new_mark = f"regexp_replace(mark, '[' || {before} || ']', '', 'g')"

    return f"""
    WITH traded AS (
        SELECT ticker, CAST("date" AS DATE) AS row, CAST(close AS DOUBLE) AS close, {columns}
        FROM {relation}
        WHERE ticker BETWEEN ? AND ? AND ticker IN (SELECT ticker FROM {_DAYS})
            AND "date" IS NOT NULL AND close > 0
    ), one_a_day AS (
        SELECT *, regexp_extract(coalesce(type, ''), {_MARK}, 1) AS mark FROM traded
        WHERE coalesce(volume, 1) > 0
        QUALIFY row_number() OVER (PARTITION BY ticker, row ORDER BY volume DESC NULLS LAST) = 1
    ), lagged AS (
        SELECT *, CASE WHEN open > 0 THEN open ELSE close END AS first,
            lag(row) OVER w AS previous_row, lag(close) OVER w AS before,
            lag(dismes) OVER w AS previous_dismes, lag(isin) OVER w AS previous_isin,
            lag(type) OVER w AS previous_type, lag(mark) OVER w AS previous_mark
        FROM one_a_day WINDOW w AS (PARTITION BY ticker ORDER BY row)
    ), usual AS (
        SELECT *, avg(least(abs(ln(close / before)), 0.25)) OVER (
            PARTITION BY ticker ORDER BY row ROWS BETWEEN 60 PRECEDING AND 1 PRECEDING
        ) AS usual_move FROM lagged
    )
    SELECT days.ticker, ex_date AS date, row, previous_row, before, first, close, usual_move,
        dismes, previous_dismes, mark,
        CASE
            WHEN dismes < previous_dismes OR previous_row IS NULL THEN NULL
            WHEN dismes IS NOT NULL AND previous_dismes IS NOT NULL
                THEN CAST(dismes > previous_dismes AS INTEGER)
            WHEN type IS NOT NULL AND previous_type IS NOT NULL AND {new_mark} <> '' THEN 1
        END AS stepped
    FROM {_DAYS} AS days ASOF JOIN usual
        ON days.ticker = usual.ticker AND days.ex_date <= usual.row
    ORDER BY 1, 2"""
