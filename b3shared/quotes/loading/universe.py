"""Which quotes belong to a run, and so to whom a model ranks against each other: by the kind of paper."""

from collections.abc import Collection

import pandas as pd

from b3shared.quotes.findings import EXAMPLES, Finding
from b3shared.quotes.instruments import instrument_of


def are_of(frame: pd.DataFrame, instruments: Collection[str] | None) -> pd.Series:
    """Mask of the rows that are of these kinds of paper; None is every kind.

    Rows whose kind is unknown, because their source has no BDI code or ESPECI, belong to every
    selection.
    """
    if instruments is None:
        return pd.Series(True, index=frame.index)
    kind = instrument_of(frame["bdi_code"], frame["type"], frame["ticker"])
    return kind.isna() | kind.isin(list(instruments))


def are_among(
    frame: pd.DataFrame, tickers: Collection[str] | None, instruments: Collection[str] | None
) -> pd.Series:
    """Mask of the rows of these tickers and kinds of paper: those that a model ranks against each other."""
    mask = are_of(frame, instruments)
    return mask if tickers is None else mask & frame["ticker"].isin(list(tickers))


def select(
    frame: pd.DataFrame, instruments: Collection[str] | None
) -> tuple[pd.DataFrame, list[Finding]]:
    """The rows of these kinds, with a fresh index, and a finding that counts the others by kind."""
    mask = are_of(frame, instruments)
    rest = frame[~mask]
    if rest.empty:
        return frame, []
    kept = frame[mask].reset_index(drop=True)
    kept.attrs = frame.attrs
    kind = instrument_of(rest["bdi_code"], rest["type"], rest["ticker"])
    examples = [
        f"{ticker}: {k}"
        for ticker, k in kind.groupby(rest["ticker"]).first().head(EXAMPLES).items()
    ]
    return kept, [Finding("other_instrument", len(rest), "dropped", tuple(examples))]
