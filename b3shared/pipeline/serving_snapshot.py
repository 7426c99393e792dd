"""Builds the serving snapshot: the newest features of every ticker, computed from quotes.

:mod:`b3shared.pipeline.publish_snapshot` stores and serves it.
"""

from collections.abc import Collection, Sequence
from itertools import product

import numpy as np
import pandas as pd

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.core.errors import InvalidQuotesError
from b3shared.dataset.market import Sectors
from b3shared.features.build import Features, build_features
from b3shared.features.panel import Panel
from b3shared.features.series import Series
from b3shared.quotes.calendar import sessions_after
from b3shared.quotes.loading.known_dividends import known_from, known_until
from b3shared.quotes.loading.universe import in_universe
from b3shared.registry.compatibility import FEATURE_SETS, Universe, windows_name
from b3shared.serving.snapshot import AHEAD, Snapshot
from b3shared.serving.windows import NO_ROW


def build_snapshot(
    frame: pd.DataFrame,
    lookback: int,
    universes: Collection[Universe],
    feature_sets: Sequence[str] = FEATURE_SETS,
    sectors: Sectors | None = None,
) -> Snapshot:
    """Make the snapshot of clean quotes.

    Args:
        frame: quotes sorted by ticker and date.
        lookback: sessions in a window.
        universes: whom to rank against each other, as in training. Windows are made for each.
        feature_sets: to make; one that the quotes cannot give is left out.
        sectors: of the exchange; None where none is known.

    Raises:
        InvalidQuotesError: No feature set can be had from these quotes.
    """
    # Ages and volatilities reach over the longest hole that any universe allows: where a shorter
    # one begins a history anew, it has fewer rows with the same values.
    panel = Panel(frame, max(universe.max_gap for universe in universes))
    series = Series(panel)

    names: dict[str, tuple[str, ...]] = {}
    windows: dict[str, FloatArray] = {}
    slots: dict[str, IntArray] = {}
    refused = InvalidQuotesError("none of the tickers is among the quotes")

    for feature_set, universe in product(feature_sets, universes):
        chosen = in_universe(frame, universe.tickers, universe.instruments)
        among = frame[chosen].reset_index(drop=True)
        if among.empty:
            continue

        try:
            features = build_features(among, feature_set, universe.min_turnover, universe.max_gap)
        except InvalidQuotesError as error:
            refused = error
            continue

        name = windows_name(feature_set, universe)
        places = np.searchsorted(panel.tickers, features.series.panel.tickers)
        rows, sessions = newest_windows(features, lookback)
        names[name] = features.names
        windows[name] = _among_all(rows, places, len(panel.tickers), np.nan)
        slots[name] = _among_all(sessions, places, len(panel.tickers), NO_ROW)

    if not windows:
        raise refused

    last = panel.newest
    with np.errstate(all="ignore"):
        volatility = panel.rows(series.volatility)[last]
        turnover = panel.rows(series.median_turnover())[last]

    tickers = frame["ticker"].to_numpy(dtype=str)[last]
    return Snapshot(
        as_of=panel.calendar[-1],
        ticker=tickers,
        company=frame["company"].fillna("").to_numpy(dtype=str)[last],
        isin=frame["isin"].fillna("").to_numpy(dtype=str)[last],
        date=panel.date[last],
        age=(len(panel.calendar) - 1 - panel.session[last]).astype(np.int32),
        sessions=(panel.position[last] + 1).astype(np.int32),
        close=frame["close"].to_numpy(dtype=np.float64)[last],
        volatility=volatility,
        turnover=turnover,
        names=names,
        windows=windows,
        slots=slots,
        upcoming=sessions_after(panel.calendar[-1].item(), AHEAD),
        dividends_until=known_until(frame).to_numpy().astype("datetime64[D]"),
        dividends_from=known_from(frame).to_numpy().astype("datetime64[D]"),
        sectors=None if sectors is None else sectors.of(tickers),
    )


def _among_all(values: Array, places: IntArray, count: int, fill: float) -> Array:
    """Spread values of a universe's tickers over all ``count``; ``fill`` where it has none."""
    out = np.full((count, *values.shape[1:]), fill, dtype=values.dtype)
    out[places] = values
    return out


def newest_windows(features: Features, lookback: int) -> tuple[FloatArray, IntArray]:
    """Return one window of the newest rows of every ticker.

    The last slot is the ticker's newest row, eligible or not: a forecast is for that session or
    there is none. The slots before it are the newest eligible rows
    (:attr:`b3shared.features.build.Features.eligible`), without those between.

    Args:
        features: of quotes sorted by ticker and date.
        lookback: number of slots.

    Returns:
        (tickers, lookback, features) float32 in the order of the panel's tickers, NaN where there
        is no row, where a value of the newest row is not known, or where that row does not count;
        and (tickers, lookback) int32, the number of each slot's session in the calendar of the
        quotes, -1 where there is no row.
    """
    panel = features.series.panel
    newest = panel.newest

    kept = features.eligible.copy()
    kept[newest] = True
    rows = np.flatnonzero(kept)
    line = panel.code[rows]
    slot = np.arange(len(rows)) - np.cumsum(np.bincount(line))[line] + lookback
    rows, line, slot = (values[slot >= 0] for values in (rows, line, slot))

    windows = np.full((len(newest), lookback, features.X.shape[1]), np.nan, dtype=np.float32)
    windows[line, slot] = features.X[rows]
    windows[~features.counted[newest], -1] = np.nan

    sessions = np.full((len(newest), lookback), NO_ROW, dtype=np.int32)
    sessions[line, slot] = panel.session[rows]
    return windows, sessions
