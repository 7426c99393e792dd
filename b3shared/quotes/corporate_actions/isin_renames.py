"""Tickers that went on under another one, told by their ISIN."""

import numpy as np
import pandas as pd

MAX_GAP = 10
"""Sessions without either ticker, up to which a paper counts as renamed; longer ones are reported."""


def rename_candidates(frame: pd.DataFrame, max_gap: int = MAX_GAP) -> pd.DataFrame:
    """Every ISIN that was quoted under more than one ticker, successor by successor.

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
    sessions = np.sort(frame["date"].dropna().unique())
    spans = known.groupby(["isin", "ticker"], sort=True)["date"].agg(["min", "max"]).reset_index()
    spans = spans.sort_values(["isin", "min", "max", "ticker"], ignore_index=True)
    after = spans.shift(-1)
    pairs = spans["isin"] == after["isin"]
    out = pd.DataFrame(
        {
            "old": spans["ticker"],
            "new": after["ticker"],
            "isin": spans["isin"],
            "last_session_of_old": spans["max"],
            "first_session_of_new": after["min"],
        }
    )[pairs]
    first, last = (
        np.searchsorted(sessions, out[c]) for c in ("first_session_of_new", "last_session_of_old")
    )
    out["gap"] = first - last - 1
    out["reason"] = _reasons(out, frame, max_gap)
    return out.sort_values(["first_session_of_new", "old"], ignore_index=True)


def renames(frame: pd.DataFrame, max_gap: int = MAX_GAP) -> pd.DataFrame:
    """Tickers that went on under another one, told by the ISIN, where nothing else is possible.

    Linked are two tickers of one ISIN of which the old one ended for good before the new one began,
    at most ``max_gap`` sessions later, and neither of which has another successor or predecessor. A
    company that gets a new ISIN with its new name is not found so.

    Args:
        frame: quotes with ticker, date and isin, in any order.
        max_gap: see :func:`rename_candidates`, which also tells what was not linked and why.

    Returns:
        old, new, isin, last_session_of_old, first_session_of_new; sorted by first_session_of_new.
    """
    found = rename_candidates(frame, max_gap)
    return found[found["reason"] == ""].drop(columns=["gap", "reason"]).reset_index(drop=True)


def _reasons(pairs: pd.DataFrame, frame: pd.DataFrame, max_gap: int) -> pd.Series:
    """Why each pair is not one paper that was renamed."""
    span = frame.groupby("ticker")["date"].agg(["min", "max"])
    reason = pd.Series("", index=pairs.index, dtype="str")
    for holds, words in (
        (pairs["gap"] > max_gap, f"more than {max_gap} sessions lie between them"),
        (pairs["old"].duplicated(keep=False), "the old ticker has several successors"),
        (pairs["new"].duplicated(keep=False), "the new ticker has several predecessors"),
        (
            span["max"].reindex(pairs["old"]).to_numpy() > pairs["last_session_of_old"],
            "the old ticker goes on under another ISIN",
        ),
        (
            span["min"].reindex(pairs["new"]).to_numpy() < pairs["first_session_of_new"],
            "the new ticker existed before under another ISIN",
        ),
        (
            (pairs["gap"] < 0).groupby(pairs["isin"]).transform("any"),
            "tickers of this ISIN overlap in time",
        ),
    ):
        reason = reason.mask(holds, words)
    return reason
