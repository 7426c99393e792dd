"""What kind of paper a ticker is, and which ticker it went on under.

Neither the ticker's number nor the BDI code alone tells a share from a fund: 11 ends units, ETFs, real-estate funds, rights
and even preferred shares (BRGE11), and BDRs carried BDI 02, that of shares, until 2022. BDI code and ESPECI together do.
"""

import re

import numpy as np
import pandas as pd

from b3shared.quotes.schema import CASH_EQUITY, Instrument

MAX_GAP = 10
"""Sessions without either ticker, up to which a paper counts as renamed; longer ones are reported."""

_COMPANY = frozenset({"02", "05", "06", "07", "08", "09", "11", "58"})
"""BDI codes of shares and the like: standard lot, and the segments that a company in trouble is moved to: sanctioned by the
exchange, composition with creditors, out-of-court and court-supervised recovery, special administration, intervention,
others."""
_FUND = frozenset({"02", "14"})
"""BDI codes of exchange-traded funds; some were quoted among the shares until 2021."""
_REAL_ESTATE = frozenset({"05", "12"})
"""BDI codes of real-estate funds; those that the exchange sanctioned are in 05."""
_BDR = _COMPANY | {"34", "35", "36"}
_CLASS_WIDTH = 4
"""ESPECI: class in four characters, then marks of what the day is ex of, then the listing segment."""


def instrument_of(bdi_code: pd.Series, type: pd.Series, ticker: pd.Series | None = None) -> pd.Series:
    """Kind of each quote: ordinary, preferred, unit, bdr, etf, fii or other; None where BDI code or ESPECI is unknown.

    ``other`` is what has no price history of its own worth learning from: rights, receipts, bonuses and warrants, perpetual
    notes, infrastructure credit funds, agro-industrial funds, and tickers that are no cash equity's. ``etf`` includes the
    closed funds (FIP, FINOR, ...) that the exchange puts under the same BDI code and ESPECI: only their names differ.

    Args:
        bdi_code: CODBDI, two digits.
        type: ESPECI, such as ``ON  EJ  NM``.
        ticker: if given, what is no cash equity's ticker (odd lot, option, forward) becomes ``other``.
    """
    bdi, bdi_codes = pd.factorize(bdi_code)
    text, texts = pd.factorize(type)
    # unknown is -1: the last row and column
    kinds = pd.array([_kind(b, t) for b in [*bdi_codes, None] for t in [*texts, None]], dtype="str")
    cell = (bdi % (len(bdi_codes) + 1)) * (len(texts) + 1) + text % (len(texts) + 1)
    kind = pd.Series(kinds.take(cell), index=bdi_code.index, name="instrument")
    if ticker is not None:
        codes, tickers = pd.factorize(ticker)
        foreign = np.array([*(re.fullmatch(CASH_EQUITY, name) is None for name in tickers), False])[codes]
        kind = kind.mask(foreign & kind.notna().to_numpy(), "other")
    return kind


def _kind(bdi: str | None, especi: str | None) -> Instrument | None:
    """Kind of one pair of BDI code and ESPECI."""
    if not bdi or not bdi.strip() or not especi or not especi.strip():
        return None
    paper, marks = especi[:_CLASS_WIDTH].strip(" *"), especi[_CLASS_WIDTH:].split()
    if "REC" in marks:  # a receipt of shares that are yet to be issued
        return "other"
    if bdi in _COMPANY:
        if paper == "ON":
            return "ordinary"
        if paper.startswith("PN"):
            return "preferred"
        if paper == "UNT":
            return "unit"
    if bdi in _BDR and (paper.startswith("DR") or paper == "BDR"):
        return "bdr"
    if paper in ("CI", "CIA") and bdi in _REAL_ESTATE:
        return "fii"
    return "etf" if paper == "CI" and bdi in _FUND else "other"


def rename_candidates(frame: pd.DataFrame, max_gap: int = MAX_GAP) -> pd.DataFrame:
    """Every ISIN that was quoted under more than one ticker, successor by successor.

    Args:
        frame: quotes with ticker, date and isin, in any order.
        max_gap: sessions of the frame between the last one of the old ticker and the first one of the new.

    Returns:
        old, new, isin, last_session_of_old, first_session_of_new, gap (sessions in between; negative: they overlap),
        reason (why the two are not linked; empty: they are). Sorted by first_session_of_new.
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
    first, last = (np.searchsorted(sessions, out[c]) for c in ("first_session_of_new", "last_session_of_old"))
    out["gap"] = first - last - 1
    out["reason"] = _reasons(out, frame, max_gap)
    return out.sort_values(["first_session_of_new", "old"], ignore_index=True)


def renames(frame: pd.DataFrame, max_gap: int = MAX_GAP) -> pd.DataFrame:
    """Tickers that went on under another one, told by the ISIN, where nothing else is possible.

    Linked are two tickers of one ISIN of which the old one ended for good before the new one began, at most ``max_gap``
    sessions later, and neither of which has another successor or predecessor. A company that gets a new ISIN with its new
    name is not found so.

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
        ((pairs["gap"] < 0).groupby(pairs["isin"]).transform("any"), "tickers of this ISIN overlap in time"),
    ):
        reason = reason.mask(holds, words)
    return reason
