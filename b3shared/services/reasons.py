"""Why a ticker that was asked for has no forecast, as true and as near as the quotes can tell."""

import numpy as np
import pandas as pd

from b3shared.params.run import PipelineParams
from b3shared.quotes.instruments import instrument_of
from b3shared.quotes.loading.cleaning import clean
from b3shared.quotes.loading.scope import Scope
from b3shared.quotes.loading.universe import are_of
from b3shared.quotes.sources.base import QuoteSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.registry.compatibility import Universe


def why_not_loaded(
    ticker: str, source: QuoteSource, params: PipelineParams, universe: Universe
) -> str:
    """Why a load left a ticker out.

    Args:
        ticker: in capitals.
        source: of the quotes.
        params: that the load was called with.
        universe: of the version that is to predict.
    """
    rows, _ = clean(source.read(QuoteQuery(tickers=(ticker,))))
    if rows.empty:
        return f"no quotes of {ticker} in {source.name}"
    if reason := why_not_among(ticker, rows, universe):
        return reason
    rows, start = rows[are_of(rows, universe.instruments)], Scope.from_source(source, params).start
    recent = rows[rows["date"] >= pd.Timestamp(start)]
    if recent.empty:
        return f"{ticker} last traded on {rows['date'].max():%Y-%m-%d}, and quotes from {start} on are used"
    return f"{ticker} has {len(recent)} sessions since {start}, and {params.min_history} are needed"


def why_not_among(ticker: str, rows: pd.DataFrame, universe: Universe) -> str | None:
    """Why a ticker with these quotes is not of those that a version learnt among; None if it is."""
    if universe.tickers is not None and ticker not in universe.tickers:
        return f"the version learnt {len(universe.tickers)} tickers, and {ticker} is not among them"
    if universe.instruments is not None and not are_of(rows, universe.instruments).any():
        kind = instrument_of(rows["bdi_code"], rows["type"], rows["ticker"]).iloc[-1]
        return f"{ticker} is of the kind {kind}, and the version learnt {', '.join(universe.instruments)}"
    return None


def why_not_usable(
    ticker: str,
    turnover: float,
    params: PipelineParams,
    missing: list[str],
    sessions: int,
    since_hole: int,
) -> str:
    """Why the newest row of a ticker has no forecast.

    Args:
        ticker: in capitals.
        turnover: R$, the trailing median of that row; NaN if it is not known.
        params: of the version.
        missing: features that the row has not.
        sessions: of the ticker, in all.
        since_hole: of them, those since its last hole of more than ``params.max_gap`` sessions.
    """
    if since_hole < params.min_history and (missing or np.isnan(turnover)):
        since = (
            f" since a hole of more than {params.max_gap} sessions" if since_hole < sessions else ""
        )
        return f"{ticker} has {since_hole} sessions{since}, and {params.min_history} are needed"
    if turnover <= params.min_turnover:
        return (
            f"{ticker} trades too little: its median turnover is R$ {turnover:,.0f} a session, and the version learnt from "
            f"tickers above R$ {params.min_turnover:,.0f}"
        )
    if missing:
        return f"{ticker} lacks features in its newest session: {', '.join(missing)}"
    return f"{ticker} has no window of {params.lookback} usable sessions without too long a gap"
