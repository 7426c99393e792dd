"""Detects splits, reverse splits, bonuses and ex-dates in unadjusted daily quotes of any size.

:mod:`b3shared.quotes.corporate_actions.candidates` selects the rows that could be an action, about
one in some hundreds, with facts on their neighbours;
:mod:`b3shared.quotes.corporate_actions.posterior` computes how probable an action is.

When the facts are known: ex-marks, DISMES, ISIN and the gap at the open are of the day itself and
of sessions before it. Two facts are later ones: the session's own volume and range are known at its
close, and whether the new price level stays needs the two sessions after it. A spike that goes back
is told from a split only then. On the newest day of the quotes the level is unknown, a bad tick
stays possible, and the confidence is lower; a detection after the next sessions settles it. An
action at t changes no price: the features from t on see only whether history was rescaled.
"""

import json
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from b3shared.core.arrays import Array, FloatArray
from b3shared.quotes.corporate_actions.candidates import EXPLAINED, ROWS_AT_ONCE, candidate_rows
from b3shared.quotes.corporate_actions.marks import MARKS, UPDATED
from b3shared.quotes.corporate_actions.posterior import (
    GROUPED,
    GROWN,
    NO_MARK,
    OTHER,
    SEVERAL,
    UNKNOWN,
    Evidence,
    Posterior,
    compute_posterior,
)
from b3shared.quotes.corporate_actions.table import (
    ACTION_TYPES,
    kind_of,
    no_actions,
    sorted_actions,
)
from b3shared.storage.database import connect, reading_error

LONGEST_HOLE = 45
"""Calendar days without a trade over which the ratio of two prices still tells a factor; over more
only a marked action is detected."""

LEAST_CONFIDENCE = 0.05
"""Detections below this confidence are left out of the table."""

TICK = 0.01
"""R$: the step of a price."""


def detect_actions(
    connection: duckdb.DuckDBPyConnection, relation: str, rows_at_once: int = ROWS_AT_ONCE
) -> pd.DataFrame:
    """Detect the corporate actions in all quotes of a relation.

    Args:
        connection: where the relation can be read; temporary tables are made in it, and dropped.
        relation: what may stand after FROM. Needs ticker, date, close; uses open, high, low,
            volume, type (ESPECI), isin, dismes, split_factor and dividend where it has them. Prices
            as traded; of several rows for a ticker and date one is taken. A factor that the quotes
            list on the same session or the one beside it is not detected once more, nor is a jump
            that a factor listed within
            :data:`~b3shared.quotes.corporate_actions.candidates.LATE_LISTING` sessions explains. A
            jump on the session of a listed dividend, or on one beside it, is reduced by it first.
        rows_at_once: bounds the memory; the actions are the same.

    Returns:
        The actions, columns as in :data:`b3shared.quotes.corporate_actions.table.ACTION_TYPES`,
        sorted; those with confidence below :data:`LEAST_CONFIDENCE` left out.

    Raises:
        B3Error: The relation cannot be read; see :func:`b3shared.storage.database.reading_error`.
    """
    tables = []
    try:
        for rows in candidate_rows(connection, relation, rows_at_once):
            tables += [_judged(rows), _ex_marks(rows)]
    except duckdb.Error as error:
        raise reading_error(error, "a table of quotes") from error
    return sorted_actions(pd.concat([table for table in tables if len(table)] or [no_actions()]))


def detect_in(quotes: pd.DataFrame) -> pd.DataFrame:
    """Detect the corporate actions in quotes in memory, as :func:`detect_actions` does."""
    with connect() as connection:
        connection.register("quotes", quotes)
        return detect_actions(connection, "quotes")


def _judged(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the candidates that are probable actions on the number of shares."""
    short = (rows["date"] - rows["previous_date"]).dt.days <= LONGEST_HOLE
    marked = pd.Series(_new_letters(rows), rows.index).str.contains("[BG]")
    rows = rows[(short | marked) & ~_is_listed(rows)]

    posterior = compute_posterior(_evidence(rows))
    kept = np.flatnonzero(posterior.confidence >= LEAST_CONFIDENCE)
    facts = [_facts(rows.iloc[i], posterior, int(i)) for i in kept]
    factor = posterior.factor[kept]
    return _table(rows.iloc[kept], kind_of(factor), factor, posterior.confidence[kept], facts)


def _is_listed(rows: pd.DataFrame) -> Any:
    """Mask of the jumps that the quotes' own factors explain."""
    listed: Any = rows["listed"].to_numpy(dtype=bool)
    jump = _column(rows, "gap") - _column(rows, "market_gap")
    for name in ("listed_before", "listed_after"):
        rest = np.abs(jump + np.log(_column(rows, name)))
        listed = listed | (rest < np.minimum(np.log(EXPLAINED), np.abs(jump) / 2))
    return listed


def _ex_marks(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row for every session on which a right left the price, whatever it was worth.

    A rise of DISMES whose mark was gone before the share traded again is a row too, of a right
    without a name.
    """
    marks = zip(rows["mark"], rows["previous_mark"].fillna(""), strict=True)
    new_mark = np.array([bool(set(now) - set(before)) for now, before in marks], dtype=bool)
    rose = (rows["dismes"] > rows["previous_dismes"]).fillna(False).to_numpy(dtype=bool)
    known = (rows["dismes"].notna() & rows["previous_dismes"].notna()).to_numpy(dtype=bool)
    typed = (rows["type"].notna() & rows["previous_type"].notna()).to_numpy(dtype=bool)

    first = rows[rose | (~known & typed & new_mark)]
    facts = [_right(row) for _, row in first.iterrows()]
    return _table(first, "ex_mark", 1.0, 1.0, facts)


def _right(row: Any) -> dict[str, Any]:
    """Return the facts of an ex-mark as JSON types."""
    facts: dict[str, Any] = {
        "mark": f"E{row['mark']}" if row["mark"] else None,
        "rights": [MARKS[letter] for letter in row["mark"]],
    }
    if pd.notna(row["type"]) and UPDATED in row["type"].split():
        facts["mark"] = UPDATED
    if pd.notna(row["dismes"]) and pd.notna(row["previous_dismes"]):
        facts["dismes"] = [int(row["previous_dismes"]), int(row["dismes"])]
    return facts


def _table(
    rows: pd.DataFrame, kind: Any, factor: Any, confidence: Any, facts: list[dict[str, Any]]
) -> pd.DataFrame:
    values = {
        "kind": kind,
        "factor": factor,
        "dividend": 0.0,
        "confidence": confidence,
        "source": "detected",
        "last_cum": pd.NaT,
        "known": rows["date"],
        "label": None,
        "state": "detected",
        "revision": 0,
    }
    name = "ex_mark" if isinstance(kind, str) and kind == "ex_mark" else "detected"
    evidence = [json.dumps(fact, allow_nan=False) for fact in facts]
    events = [f"{name} {day.date()}" for day in rows["date"]]
    out = rows[["ticker", "date"]].assign(**values, evidence=evidence, event=events)

    return out[list(ACTION_TYPES)]


def _evidence(rows: pd.DataFrame) -> Evidence:
    """Return the facts of the candidates in the units of the posterior."""
    gap = _column(rows, "gap")
    close = _column(rows, "close")
    next_1 = _column(rows, "next_1")
    previous = _before_payout(rows, "previous")
    previous_2 = _before_payout(rows, "previous_2")
    previous_3 = _before_payout(rows, "previous_3")

    before = np.nanmedian([previous, previous_2, previous_3], axis=0)
    after = np.nanmedian([close, next_1, _column(rows, "next_2")], axis=0)
    level = np.where(np.isnan(next_1), np.nan, np.log(after / before))
    with np.errstate(invalid="ignore"):
        around = np.log(next_1 / previous)
        rebound = np.log(close / previous_2)
    with np.errstate(divide="ignore"):
        volume = np.log(_column(rows, "volume")) - _column(rows, "usual_volume")

    # a rename with a new ISIN restarts the numbering: neither change is evidence of an action
    restarted = _column(rows, "dismes") < _column(rows, "previous_dismes")
    restarted &= _changed(rows, "isin") == 1
    return Evidence(
        gap=gap - _column(rows, "market_gap"),
        level=level,
        around=around,
        rebound=rebound,
        scale=_night_scale(rows),
        volume=volume,
        range=np.log(_column(rows, "spread")) - _column(rows, "usual_spread"),
        dismes=np.where(restarted, np.nan, _changed(rows, "dismes")),
        isin=np.where(restarted, np.nan, _changed(rows, "isin")),
        mark=_mark_kinds(rows),
    )


def _column(rows: pd.DataFrame, name: str) -> FloatArray:
    return rows[name].to_numpy(dtype=np.float64, na_value=np.nan)


def _before_payout(rows: pd.DataFrame, name: str) -> FloatArray:
    """An earlier price less the listed payout; NaN where the payout is not smaller."""
    price = _column(rows, name)
    paid = _column(rows, "paid")
    return np.where(price > paid, price - paid, np.nan)


def _changed(rows: pd.DataFrame, name: str) -> FloatArray:
    """1 where the column differs from the session before, 0 where not, NaN where unknown."""
    now = rows[name]
    before = rows[f"previous_{name}"]
    differs = (now != before).fillna(False).to_numpy(dtype=bool)
    return np.where(now.isna() | before.isna(), np.nan, differs)


def _night_scale(rows: pd.DataFrame) -> FloatArray:
    """Volatility from the last close to the first price, with the rounding of prices to the cent.

    It grows with the calendar days in between, of which a weekend counts little.
    """
    days = (rows["date"] - rows["previous_date"]).dt.days.to_numpy()
    nights = np.maximum(days / 2, 1)
    lowest = np.fmin(np.exp(_column(rows, "gap")), 1) * _column(rows, "previous")
    # 1.2533 is sqrt(pi / 2): the standard deviation of a normal move over its mean absolute value
    usual = np.nan_to_num(np.maximum(1.2533 * _column(rows, "usual_move"), 0.01), nan=0.03)
    scale: FloatArray = np.sqrt(usual**2 * nights + (TICK / lowest) ** 2)
    return scale


def _mark_kinds(rows: pd.DataFrame) -> Array:
    """The kind of the mark that appeared on each row; UNKNOWN without ESPECI or DISMES."""
    has_type = rows["type"].notna() & rows["previous_type"].notna()
    known = (has_type & rows["dismes"].notna()).to_numpy(dtype=bool)
    kinds = [_mark_kind(letters) for letters in _new_letters(rows)]
    return np.where(known, kinds, UNKNOWN).astype(np.int64)


def _mark_kind(letters: str) -> int:
    """Return what the letters of an ex-mark say about the number of shares."""
    for letter, kind in {"B": GROWN, "G": GROUPED, "X": SEVERAL}.items():
        if letter in letters:
            return kind
    return OTHER if letters else NO_MARK


def _new_letters(rows: pd.DataFrame) -> list[str]:
    """Return the letters of the mark that appeared on each row.

    These are all letters where DISMES rose, else those that the session before did not have.
    """
    rose = (rows["dismes"] > rows["previous_dismes"]).fillna(False)
    marks = zip(rows["mark"], rows["previous_mark"].fillna(""), rose, strict=True)
    return ["".join(c for c in now if risen or c not in before) for now, before, risen in marks]


def _facts(row: Any, posterior: Posterior, i: int) -> dict[str, Any]:
    """Return the facts of a detection as JSON types, enough for a person to judge it."""
    first = row["open"] if pd.notna(row["open"]) else row["close"]
    facts: dict[str, Any] = {
        "previous_date": str(pd.Timestamp(row["previous_date"]).date()),
        "previous_close": round(float(row["previous"]), 4),
        "first_price": round(float(first), 4),
        "price_ratio": round(float(row["previous"] / first), 4),
        "any_action": round(float(posterior.any_action[i]), 3),
    }
    if row["paid"]:
        facts["payout"] = round(float(row["paid"]), 4)
    if pd.notna(row["volume"]) and pd.notna(row["usual_volume"]):
        facts["volume_ratio"] = round(float(row["volume"] / np.exp(row["usual_volume"])), 3)
    if pd.notna(row["dismes"]) and pd.notna(row["previous_dismes"]):
        facts["dismes"] = [int(row["previous_dismes"]), int(row["dismes"])]

    has_isin = pd.notna(row["isin"]) and pd.notna(row["previous_isin"])
    if has_isin and row["isin"] != row["previous_isin"]:
        facts["isin"] = [row["previous_isin"], row["isin"]]
    if row["mark"]:
        facts["mark"] = f"E{row['mark']}"
    facts["confirmed_by_next_session"] = bool(pd.notna(row["next_1"]))
    return facts
