"""Errors for tickers without a forecast: not loaded, several at once, or none with a forecast.

The error of a single ticker that was loaded is of :mod:`b3shared.serving.rows`, as over HTTP.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from b3shared.core.errors import B3Error, TooLittleHistoryError, UnknownTickerError
from b3shared.params.run import PipelineParams
from b3shared.quotes.instruments import instrument_of
from b3shared.quotes.loading.cleaning import clean
from b3shared.quotes.loading.scope import Scope
from b3shared.quotes.loading.universe import in_instruments
from b3shared.quotes.sources.base import QuoteSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.registry.compatibility import universe_of
from b3shared.serving.rows import not_among
from b3shared.serving.scoring import Scores
from b3shared.serving.snapshot import Snapshot


def why_not_loaded(
    ticker: str, source: QuoteSource, params: PipelineParams, manifest: Mapping[str, Any]
) -> B3Error:
    """Return the error for a ticker that a load left out.

    Args:
        ticker: in capitals.
        source: of the quotes.
        params: that the load was called with.
        manifest: of the version that is to predict.
    """
    universe = universe_of(manifest["params"])
    rows, _ = clean(source.read(QuoteQuery(tickers=(ticker,))))
    if rows.empty:
        return UnknownTickerError(f"no quotes of {ticker} in {source.name}", ticker=ticker)
    if universe.tickers is not None and ticker not in universe.tickers:
        return not_among(ticker, manifest["version"], universe.tickers)

    rows_of_kind = rows[in_instruments(rows, universe.instruments)]
    if universe.instruments is not None and rows_of_kind.empty:
        kind = instrument_of(rows["bdi_code"], rows["type"], rows["ticker"]).iloc[-1]
        return UnknownTickerError(
            f"{ticker} is of the kind {kind}, and version {manifest['version']} was trained on "
            f"{', '.join(universe.instruments)}",
            ticker=ticker,
            instruments=list(universe.instruments),
        )

    start = Scope.from_source(source, params).start
    recent = rows_of_kind[rows_of_kind["date"] >= pd.Timestamp(start)]
    if recent.empty:
        last = rows_of_kind["date"].max()
        return UnknownTickerError(
            f"{ticker} last traded on {last:%Y-%m-%d}, and quotes from {start} on are used",
            ticker=ticker,
            last_traded=f"{last:%Y-%m-%d}",
        )
    return TooLittleHistoryError(
        f"{ticker} has {len(recent)} sessions since {start}, and {params.min_history} are needed",
        have=len(recent),
        needed=params.min_history,
    )


def why_no_forecast(snapshot: Snapshot, scores: Scores) -> TooLittleHistoryError:
    """Return the error for quotes without a single forecast.

    It gives the reason of the ticker with the longest history, if possible one that the version
    was trained on.

    Args:
        snapshot: of the quotes.
        scores: of its tickers, all of them refused.
    """
    trained_on = [
        row
        for row, ticker in enumerate(snapshot.ticker.tolist())
        if isinstance(scores.refused[ticker], TooLittleHistoryError)
    ]
    longest = max(trained_on or range(len(snapshot.ticker)), key=lambda row: snapshot.sessions[row])
    reason = scores.refused[str(snapshot.ticker[longest])]
    return TooLittleHistoryError(
        f"no ticker of the quotes has a forecast: {reason.message}", **reason.details
    )


def refusal(errors: Mapping[str, B3Error]) -> B3Error:
    """Join the errors of tickers into one to raise.

    Args:
        errors: ticker -> why it has no forecast, one at least.

    Returns:
        The very error where there is one. Of several, UnknownTickerError if one of them is, else
        TooLittleHistoryError, with all messages; ``errors`` of its details names each ticker, as a
        batch over HTTP does.
    """
    if len(errors) == 1:
        return next(iter(errors.values()))

    unknown = any(isinstance(error, UnknownTickerError) for error in errors.values())
    return (UnknownTickerError if unknown else TooLittleHistoryError)(
        "; ".join(error.message for error in errors.values()),
        errors=[
            {"ticker": ticker, "code": error.code, "message": error.message}
            for ticker, error in errors.items()
        ],
    )
