"""The universe of a run: the kinds of paper and the tickers that a model ranks."""

from collections.abc import Collection

import pandas as pd

from b3shared.quotes.findings import EXAMPLES, Finding
from b3shared.quotes.instruments import instrument_of


def in_instruments(frame: pd.DataFrame, instruments: Collection[str] | None) -> pd.Series:
    """Return a mask of the rows that are of these kinds of paper.

    Rows whose kind is unknown, because their source has no BDI code or ESPECI, belong to every
    selection.

    Args:
        frame: quotes in the schema.
        instruments: the kinds; None is every kind.
    """
    if instruments is None:
        return pd.Series(True, index=frame.index)
    kind = instrument_of(frame["bdi_code"], frame["type"], frame["ticker"])
    return kind.isna() | kind.isin(list(instruments))


def in_universe(
    frame: pd.DataFrame, tickers: Collection[str] | None, instruments: Collection[str] | None
) -> pd.Series:
    """Return a mask of the rows of these tickers and kinds of paper; None is every one."""
    mask = in_instruments(frame, instruments)
    return mask if tickers is None else mask & frame["ticker"].isin(list(tickers))


def select_instruments(
    frame: pd.DataFrame, instruments: Collection[str] | None
) -> tuple[pd.DataFrame, list[Finding]]:
    """Keep the rows of these kinds of paper.

    Returns:
        The rows that were kept, with a fresh index, and a finding that counts the others, if any.
    """
    mask = in_instruments(frame, instruments)
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
