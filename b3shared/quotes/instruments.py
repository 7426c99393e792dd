"""Tells the kind of paper of a quote: share, unit, BDR, fund or other.

Neither the ticker's number nor the BDI code alone tells a share from a fund: 11 ends units, ETFs,
real-estate funds, rights and even preferred shares (BRGE11), and BDRs carried BDI 02, that of
shares, until 2022. BDI code and ESPECI together do.
"""

import re

import numpy as np
import pandas as pd

from b3shared.core.vocabulary import Instrument
from b3shared.quotes.schema import CASH_EQUITY

_COMPANY = frozenset({"02", "05", "06", "07", "08", "09", "11", "58"})
"""BDI codes of shares and the like: the standard lot, and the segments of companies in trouble.

These are: sanctioned by the exchange, composition with creditors, out-of-court and court-supervised
recovery, special administration, intervention, others.
"""
_FUND = frozenset({"02", "14"})
"""BDI codes of exchange-traded funds; some were quoted among the shares until 2021."""
_REAL_ESTATE = frozenset({"05", "12"})
"""BDI codes of real-estate funds; those that the exchange sanctioned are in 05."""
_BDR = _COMPANY | {"34", "35", "36"}
_CLASS_WIDTH = 4
"""Characters of the class in ESPECI, before the ex-marks of the day and the listing segment."""


def instrument_of(
    bdi_code: pd.Series, type: pd.Series, ticker: pd.Series | None = None
) -> pd.Series:
    """Return the kind of each quote: ordinary, preferred, unit, bdr, etf, fii or other.

    ``other`` is what has no price history of its own worth learning from: rights, receipts, bonuses
    and warrants, perpetual notes, infrastructure credit funds, agro-industrial funds, and tickers
    that are no cash equity's. ``etf`` includes the closed funds (FIP, FINOR, ...) that the exchange
    puts under the same BDI code and ESPECI: only their names differ.

    Args:
        bdi_code: CODBDI, two digits.
        type: ESPECI, such as ``ON  EJ  NM``.
        ticker: if given, what is no cash equity's ticker (odd lot, option, forward) becomes
            ``other``.

    Returns:
        Kinds with the index of ``bdi_code``; None where BDI code or ESPECI is unknown.
    """
    bdi, bdi_codes = pd.factorize(bdi_code)
    text, texts = pd.factorize(type)

    # One cell for every pair of texts. An unknown one has the number -1: the last row or column.
    kinds = pd.array([_kind(b, t) for b in [*bdi_codes, None] for t in [*texts, None]], dtype="str")
    cell = (bdi % (len(bdi_codes) + 1)) * (len(texts) + 1) + text % (len(texts) + 1)
    kind = pd.Series(kinds.take(cell), index=bdi_code.index, name="instrument")
    if ticker is None:
        return kind

    codes, tickers = pd.factorize(ticker)
    foreign = [re.fullmatch(CASH_EQUITY, name) is None for name in tickers]
    is_foreign = np.array([*foreign, False])[codes]
    return kind.mask(is_foreign & kind.notna().to_numpy(), "other")


def _kind(bdi: str | None, especi: str | None) -> Instrument | None:
    """Return the kind of one pair of BDI code and ESPECI."""
    if not bdi or not bdi.strip() or not especi or not especi.strip():
        return None

    paper = especi[:_CLASS_WIDTH].strip(" *")
    marks = especi[_CLASS_WIDTH:].split()
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
