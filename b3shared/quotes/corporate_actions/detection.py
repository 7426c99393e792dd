"""Splits, reverse splits, bonuses and ex-dates found in unadjusted daily quotes, of any number of rows.

:mod:`b3shared.quotes.corporate_actions.candidates` looks at every row, some tickers at a time; only
rows that could be an action, one in some hundreds, come back with a few facts about their
neighbours and are judged by :mod:`b3shared.quotes.corporate_actions.posterior`.

What is known when: ex-marks, DISMES, ISIN and the gap at the open are of the day itself and of
sessions before it. Two
facts are later ones: the session's own volume and range are known at its close, and whether the new
price level stays needs the two sessions after it. A spike that goes back is therefore told from a
split only then; on the newest day of the quotes the level says nothing, a bad tick stays possible,
and the confidence is lower. Detecting again when the next sessions are there settles it. An action
at t changes no price: the features of t on see only whether history was rescaled.
"""

import json
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from b3shared.core.arrays import FloatArray
from b3shared.quotes.corporate_actions.candidates import EXPLAINED, ROWS_AT_ONCE, suspicious_rows
from b3shared.quotes.corporate_actions.posterior import (
    GROUPED,
    GROWN,
    NO_MARK,
    OTHER,
    SEVERAL,
    UNKNOWN,
    Evidence,
    Verdict,
    judge,
)
from b3shared.quotes.corporate_actions.table import (
    ACTION_TYPES,
    kind_of,
    no_actions,
    sorted_actions,
)
from b3shared.storage.database import connect, reading_error

MARKS = {
    "D": "dividend",
    "J": "interest on capital",
    "R": "income",
    "A": "amortisation",
    "B": "bonus or split",
    "G": "grouping",
    "S": "subscription right",
    "C": "spin-off",
    "X": "several rights",
}
"""Letter after the E of an ex-mark in ESPECI -> the right that left the price. A mark stays for some sessions; its first, on
which DISMES rises, is the ex-date."""

LONGEST_HOLE = 45
"""Calendar days without a trade; over more the ratio of two prices tells no factor any more, unless a mark says that there
is one."""
LEAST_CONFIDENCE = 0.05
"""What is less probable is not worth a row."""
TICK = 0.01


def detect_actions(
    connection: duckdb.DuckDBPyConnection, relation: str, rows_at_once: int = ROWS_AT_ONCE
) -> pd.DataFrame:
    """Find the corporate actions of all quotes of a relation.

    Args:
        connection: where the relation can be read; temporary tables are made in it, and dropped.
        relation: what may stand after FROM. Needs ticker, date, close; uses open, high, low,
            volume, type (ESPECI), isin and dismes where it has them; and split_factor: what quotes
            list themselves, on the same session or the one beside it, is not detected once more,
            nor is a jump that a factor listed within
            :data:`~b3shared.quotes.corporate_actions.candidates.LATE_LISTING` sessions explains. Of
            a jump on the session of a listed dividend, or on one beside it, only the rest is
            judged. Prices as traded; of several rows for a ticker and date one is taken.
        rows_at_once: bounds the memory; the actions are the same.

    Returns:
        The actions, columns as in :data:`b3shared.quotes.corporate_actions.table.ACTION_TYPES`,
        sorted; those with confidence below :data:`LEAST_CONFIDENCE` left out.

    Raises:
        B3Error: The relation cannot be read; see :func:`b3shared.storage.database.reading_error`.
    """
    tables = []
    try:
        for rows in suspicious_rows(connection, relation, rows_at_once):
            tables += [_judged(rows), _ex_marks(rows)]
    except duckdb.Error as error:
        raise reading_error(error, "a table of quotes") from error
    return sorted_actions(pd.concat([table for table in tables if len(table)] or [no_actions()]))


def detect_in(quotes: pd.DataFrame) -> pd.DataFrame:
    """The same for quotes in memory."""
    with connect() as connection:
        connection.register("quotes", quotes)
        return detect_actions(connection, "quotes")


def _judged(rows: pd.DataFrame) -> pd.DataFrame:
    """Actions on the number of shares among the suspicious rows."""
    short = (rows["date"] - rows["previous_date"]).dt.days <= LONGEST_HOLE
    marked = pd.Series(_fresh_letters(rows), rows.index).str.contains("[BG]")
    rows = rows[(short | marked) & ~_is_listed(rows)]
    evidence = _evidence(rows)
    verdict = judge(evidence)
    kept = np.flatnonzero(verdict.confidence >= LEAST_CONFIDENCE)
    facts = [_facts(rows.iloc[i], verdict, int(i)) for i in kept]
    return _table(
        rows.iloc[kept],
        kind_of(verdict.factor[kept]),
        verdict.factor[kept],
        verdict.confidence[kept],
        facts,
    )


def _is_listed(rows: pd.DataFrame) -> Any:
    """Mask of the jumps that the quotes' own factors account for."""
    listed: Any = rows["listed"].to_numpy(dtype=bool)
    jump = (rows["gap"] - rows["market_gap"]).to_numpy(dtype=np.float64)
    for column in ("listed_before", "listed_after"):
        left = np.abs(jump + np.log(rows[column].to_numpy(dtype=np.float64, na_value=np.nan)))
        listed = listed | (left < np.minimum(np.log(EXPLAINED), np.abs(jump) / 2))
    return listed


def _ex_marks(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for every session on which a right left the price, whatever it was worth.

    A rise of DISMES whose mark was gone before the share traded again is a row too, of a right
    without a name.
    """
    fresh = [
        bool(set(now) - set(old))
        for now, old in zip(rows["mark"], rows["previous_mark"].fillna(""), strict=True)
    ]
    rose = (rows["dismes"] > rows["previous_dismes"]).fillna(False).to_numpy(dtype=bool)
    known = (rows["dismes"].notna() & rows["previous_dismes"].notna()).to_numpy(dtype=bool)
    typed = (rows["type"].notna() & rows["previous_type"].notna()).to_numpy(dtype=bool)
    first = rose | (~known & typed & np.array(fresh, dtype=bool))
    facts = [_right(row) for _, row in rows[first].iterrows()]
    return _table(rows[first], "ex_mark", 1.0, 1.0, facts)


def _right(row: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {"mark": f"E{row['mark']}" if row["mark"] else None}
    facts["rights"] = [MARKS[letter] for letter in row["mark"]]
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
    }
    evidence = [json.dumps(fact, allow_nan=False) for fact in facts]
    return rows[["ticker", "date"]].assign(**values, evidence=evidence)[list(ACTION_TYPES)]


def _evidence(rows: pd.DataFrame) -> Evidence:
    def numbers(name: str) -> FloatArray:
        return rows[name].to_numpy(dtype=np.float64, na_value=np.nan)

    def changed(name: str) -> FloatArray:
        now, old = rows[name], rows[f"previous_{name}"]
        return np.where(
            now.isna() | old.isna(), np.nan, (now != old).fillna(False).to_numpy(dtype=bool)
        )

    sessions = np.maximum(
        (rows["date"] - rows["previous_date"]).dt.days.to_numpy() / 2, 1
    )  # a weekend counts little
    lowest = np.fmin(np.exp(numbers("gap")), 1) * numbers("previous")
    usual = np.nan_to_num(np.maximum(1.2533 * numbers("usual_move"), 0.01), nan=0.03)
    scale = np.sqrt(usual**2 * sessions + (TICK / lowest) ** 2)
    gap = numbers("gap") - numbers("market_gap")
    previous, previous_2, previous_3 = (
        np.where(numbers(name) > numbers("paid"), numbers(name) - numbers("paid"), np.nan)
        for name in ("previous", "previous_2", "previous_3")
    )
    before = np.nanmedian([previous, previous_2, previous_3], axis=0)
    closes = [numbers("close"), numbers("next_1"), numbers("next_2")]
    level = np.where(np.isnan(closes[1]), np.nan, np.log(np.nanmedian(closes, axis=0) / before))
    with np.errstate(invalid="ignore"):
        around, rebound = np.log(closes[1] / previous), np.log(closes[0] / previous_2)
    typed = (
        rows["type"].notna() & rows["previous_type"].notna() & rows["dismes"].notna()
    ).to_numpy(dtype=bool)
    # a rename with a new ISIN numbers anew: neither tells of an action
    numbered_anew = (changed("isin") == 1) & (numbers("dismes") < numbers("previous_dismes"))
    with np.errstate(divide="ignore"):
        volume = np.log(numbers("volume")) - numbers("usual_volume")
    return Evidence(
        gap=gap,
        level=level,
        around=around,
        rebound=rebound,
        scale=scale,
        volume=volume,
        range=np.log(numbers("spread")) - numbers("usual_spread"),
        dismes=np.where(numbered_anew, np.nan, changed("dismes")),
        isin=np.where(numbered_anew, np.nan, changed("isin")),
        mark=np.where(typed, [_mark(letters) for letters in _fresh_letters(rows)], UNKNOWN).astype(
            np.int64
        ),
    )


def _mark(letters: str) -> int:
    """What the letters of an ex-mark say of the number of shares."""
    told = {"B": GROWN, "G": GROUPED, "X": SEVERAL}
    return next(
        (kind for letter, kind in told.items() if letter in letters), OTHER if letters else NO_MARK
    )


def _fresh_letters(rows: pd.DataFrame) -> list[str]:
    """Letters of the mark that appeared on the row: all of them where DISMES rose, else those that were not there before."""
    rose = (rows["dismes"] > rows["previous_dismes"]).fillna(False)
    pairs = zip(rows["mark"], rows["previous_mark"].fillna(""), rose, strict=True)
    return ["".join(c for c in now if risen or c not in old) for now, old, risen in pairs]


def _facts(row: Any, verdict: Verdict, i: int) -> dict[str, Any]:
    """What the row shows, as JSON types: enough for a person to judge the detection."""
    first = row["open"] if pd.notna(row["open"]) else row["close"]
    facts: dict[str, Any] = {
        "previous_date": str(pd.Timestamp(row["previous_date"]).date()),
        "previous_close": round(float(row["previous"]), 4),
        "first_price": round(float(first), 4),
        "price_ratio": round(float(row["previous"] / first), 4),
        "any_action": round(float(verdict.any_action[i]), 3),
    }
    if row["paid"]:
        facts["payout"] = round(float(row["paid"]), 4)
    if pd.notna(row["volume"]) and pd.notna(row["usual_volume"]):
        facts["volume_ratio"] = round(float(row["volume"] / np.exp(row["usual_volume"])), 3)
    if pd.notna(row["dismes"]) and pd.notna(row["previous_dismes"]):
        facts["dismes"] = [int(row["previous_dismes"]), int(row["dismes"])]
    if (
        pd.notna(row["isin"])
        and pd.notna(row["previous_isin"])
        and row["isin"] != row["previous_isin"]
    ):
        facts["isin"] = [row["previous_isin"], row["isin"]]
    if row["mark"]:
        facts["mark"] = f"E{row['mark']}"
    facts["confirmed_by_next_session"] = bool(pd.notna(row["next_1"]))
    return facts
