"""Finds tickers that went on under another one: by their ISIN, and in the user's own table."""

from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd

from b3shared.quotes.corporate_actions.rename_table import merge_renames

MAX_GAP = 10
"""Most sessions without either ticker for a paper to count as renamed."""

_ENDS = """
    SELECT ticker, isin, min("date") AS "date" FROM dated GROUP BY ticker, isin
    UNION ALL SELECT ticker, isin, max("date") FROM dated GROUP BY ticker, isin
    UNION ALL SELECT NULL, NULL, "date" FROM dated GROUP BY "date"
"""
"""SQL of the rows that :func:`renames` needs of a large lake: the first and the last session of
every ticker under every ISIN, and every session once."""


@dataclass(frozen=True)
class Renamed:
    """The renamed tickers of a lake.

    Attributes:
        table: ``old`` and ``new``, text, and ``date``, the first session after ``old``; sorted by
            ``old``. In a chain of names every one leads to the newest.
        without_effect: rows of the user's table that change nothing, each as ``OLD -> NEW: why``.
    """

    table: pd.DataFrame
    without_effect: list[str]


def renamed_tickers(
    connection: duckdb.DuckDBPyConnection, relation: str, given: pd.DataFrame | None = None
) -> Renamed:
    """Find the renamed tickers of a relation by :func:`renames` and in the user's table.

    Not all rows are read into memory.

    Args:
        connection: where the relation can be read.
        relation: what may stand after FROM; without a column isin only the user's are found.
        given: the user's, as :func:`b3shared.quotes.corporate_actions.rename_table.read_renames`
            returns them; None: there are none.
    """
    columns = {
        str(row[0]).lower()
        for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    }
    isin = "isin" if "isin" in columns else "CAST(NULL AS VARCHAR)"
    dated = (
        f'SELECT ticker, {isin} AS isin, CAST("date" AS DATE) AS "date" '
        f'FROM {relation} WHERE "date" IS NOT NULL'
    )
    ends = connection.execute(f"WITH dated AS MATERIALIZED ({dated}) {_ENDS}").df()

    by_isin = renames(ends)
    if given is None:
        return Renamed(_newest_names(by_isin), [])
    merged, without_effect = merge_renames(by_isin, given, ends)
    return Renamed(_newest_names(merged), without_effect)


def renames(frame: pd.DataFrame, max_gap: int = MAX_GAP) -> pd.DataFrame:
    """Return the tickers that certainly went on under another one of the same ISIN.

    Two tickers of one ISIN are linked if the old one ended for good before the new one began, at
    most ``max_gap`` sessions later, and neither has another successor or predecessor. A company
    that gets a new ISIN with its new name is not found by this.

    Args:
        frame: quotes with ticker, date and isin, in any order.
        max_gap: see :func:`rename_candidates`, which also returns what was not linked and why.

    Returns:
        old, new, isin, last_session_of_old, first_session_of_new; sorted by first_session_of_new.
    """
    found = rename_candidates(frame, max_gap)
    return found[found["reason"] == ""].drop(columns=["gap", "reason"]).reset_index(drop=True)


def rename_candidates(frame: pd.DataFrame, max_gap: int = MAX_GAP) -> pd.DataFrame:
    """Return each pair of successive tickers under one ISIN, and why it is not linked.

    Args:
        frame: quotes with ticker, date and isin, in any order.
        max_gap: sessions of the frame between the last one of the old ticker and the first one of
            the new.

    Returns:
        old, new, isin, last_session_of_old, first_session_of_new, gap (sessions in between;
        negative: they overlap), reason (why the two are not linked; empty: they are). Sorted by
        first_session_of_new.
    """
    known = frame.loc[frame["isin"].notna() & (frame["isin"] != ""), ["isin", "ticker", "date"]]
    spans = known.groupby(["isin", "ticker"], sort=True)["date"].agg(["min", "max"]).reset_index()
    spans = spans.sort_values(["isin", "min", "max", "ticker"], ignore_index=True)
    after = spans.shift(-1)

    pairs = pd.DataFrame(
        {
            "old": spans["ticker"],
            "new": after["ticker"],
            "isin": spans["isin"],
            "last_session_of_old": spans["max"],
            "first_session_of_new": after["min"],
        }
    )[spans["isin"] == after["isin"]]

    sessions = np.sort(frame["date"].dropna().unique())
    first = np.searchsorted(sessions, pairs["first_session_of_new"])
    last = np.searchsorted(sessions, pairs["last_session_of_old"])
    pairs["gap"] = first - last - 1
    pairs["reason"] = _reasons(pairs, frame, max_gap)
    return pairs.sort_values(["first_session_of_new", "old"], ignore_index=True)


def _reasons(pairs: pd.DataFrame, frame: pd.DataFrame, max_gap: int) -> pd.Series:
    """Why each pair is not one renamed paper; empty: it is."""
    span = frame.groupby("ticker")["date"].agg(["min", "max"])
    end_of_old = span["max"].reindex(pairs["old"]).to_numpy()
    begin_of_new = span["min"].reindex(pairs["new"]).to_numpy()
    overlap = (pairs["gap"] < 0).groupby(pairs["isin"]).transform("any")

    reason = pd.Series("", index=pairs.index, dtype="str")
    for holds, words in (
        (pairs["gap"] > max_gap, f"more than {max_gap} sessions lie between them"),
        (pairs["old"].duplicated(keep=False), "the old ticker has several successors"),
        (pairs["new"].duplicated(keep=False), "the new ticker has several predecessors"),
        (end_of_old > pairs["last_session_of_old"], "the old ticker goes on under another ISIN"),
        (
            begin_of_new < pairs["first_session_of_new"],
            "the new ticker existed before under another ISIN",
        ),
        (overlap, "tickers of this ISIN overlap in time"),
    ):
        reason = reason.mask(holds, words)
    return reason


def _newest_names(found: pd.DataFrame) -> pd.DataFrame:
    """The table of :class:`Renamed`: each old name with the newest of its chain."""
    successor = dict(zip(found["old"], found["new"], strict=True))

    def newest(name: str) -> str:
        while name in successor:  # ends: a name begins after the end of the one before it
            name = successor[name]
        return name

    names = {"old": found["old"].astype("str"), "new": [newest(old) for old in found["old"]]}
    table = pd.DataFrame(names).astype("str")
    table["date"] = found["first_session_of_new"].astype("datetime64[s]")
    return table.sort_values("old", ignore_index=True)
