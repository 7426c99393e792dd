"""The serving snapshot: made of the newest quotes, stored and refreshed."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.core.config import Settings
from b3shared.core.errors import ConflictError, IncompatibleFeaturesError, InvalidQuotesError
from b3shared.core.serialization import from_json, to_json
from b3shared.core.tempdir import scratch
from b3shared.core.versions import FEATURES_VERSION
from b3shared.features.build import Features, build_features
from b3shared.features.panel import Panel
from b3shared.features.series import Series
from b3shared.quotes.calendar import sessions_after
from b3shared.quotes.loading.cleaning import clean
from b3shared.quotes.loading.load import period_start, read_quotes
from b3shared.quotes.loading.universe import are_among
from b3shared.quotes.sources import open_source
from b3shared.quotes.sources.base import QuoteSource
from b3shared.quotes.sources.lake import LakeSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.registry.compatibility import (
    FEATURE_SETS,
    Universe,
    needed_lookback,
    offer_name,
    universe_of,
)
from b3shared.registry.promotion import check_live, served_manifests
from b3shared.registry.release import Release
from b3shared.registry.release_state import ReleaseState
from b3shared.serving.snapshot import AHEAD, SCHEMA, Snapshot, describe
from b3shared.serving.windows import NO_ROW
from b3shared.storage import Storage, open_storage

REFRESHED = "serving/refreshed.json"
"""What the last refresh was made from."""


HISTORY = "3y"
"""How far back features are computed for the newest rows: the longest window is 252 sessions."""


def build_snapshot(
    frame: pd.DataFrame,
    lookback: int,
    universes: Collection[Universe],
    feature_sets: Sequence[str] = FEATURE_SETS,
) -> Snapshot:
    """Make the snapshot of clean quotes.

    Args:
        frame: quotes sorted by ticker and date.
        lookback: sessions in a window.
        universes: whom to rank against each other, as in training. Windows are made for each.
        feature_sets: to make; one that the quotes cannot give is left out.

    Raises:
        InvalidQuotesError: No feature set can be had from these quotes.
    """
    # of the most patient universe: whose rows begin anew earlier counts fewer rows, with the same
    # values
    panel = Panel(frame, max(universe.max_gap for universe in universes))
    series = Series(panel)

    names: dict[str, tuple[str, ...]] = {}
    windows: dict[str, FloatArray] = {}
    slots: dict[str, IntArray] = {}
    refused = InvalidQuotesError("none of the tickers is among the quotes")

    for feature_set, universe in product(feature_sets, universes):
        chosen = are_among(frame, universe.tickers, universe.instruments)
        among = frame[chosen].reset_index(drop=True)
        if among.empty:
            continue

        try:
            features = build_features(among, feature_set, universe.min_turnover, universe.max_gap)
        except InvalidQuotesError as error:
            refused = error
            continue

        name = offer_name(feature_set, universe)
        places = np.searchsorted(panel.tickers, features.shared.panel.tickers)
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

    return Snapshot(
        as_of=panel.calendar[-1],
        ticker=frame["ticker"].to_numpy(dtype=str)[last],
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
    )


def _among_all(values: Array, places: IntArray, count: int, fill: float) -> Array:
    """What a universe's tickers have, at their places among ``count`` tickers; ``fill`` for the others."""
    out = np.full((count, *values.shape[1:]), fill, dtype=values.dtype)
    out[places] = values
    return out


def newest_windows(features: Features, lookback: int) -> tuple[FloatArray, IntArray]:
    """The newest rows of every ticker, one window each.

    The last slot is the ticker's newest row, eligible or not: an answer is about that session or
    there is none. The slots before it are the newest eligible rows
    (:attr:`b3shared.features.build.Features.eligible`), without those between.

    Args:
        features: of quotes sorted by ticker and date.
        lookback: slots.

    Returns:
        (tickers, lookback, features) float32 in the order of the panel's tickers, NaN where there
        is no row, where a value of the newest row is not known, or where that row does not count;
        and (tickers, lookback) int32, the number of each slot's session in the calendar of the
        quotes, -1 where there is no row.
    """
    panel = features.shared.panel
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


def refresh(settings: Settings) -> dict[str, Any]:
    """Serve what is live from the newest quotes, without a run; with nothing live there is nothing to do.

    What is served may have been made from the same state of the lake for the same versions; then it
    is not made again.

    Returns:
        ``{"published", "snapshot", "as_of", ...}``; ``reason`` where it is not published.
    """
    storage = open_storage(settings.storage)
    state = Release(storage).state()
    served = served_manifests(storage, state)
    if not served:
        return {
            "published": False,
            "reason": "no version is live; its run will publish the newest quotes",
        }
    source = open_source(settings.quotes)
    # before the quotes are read: what changes meanwhile is seen the next time
    origin = _origin(source, served)
    if origin is not None and (same := _served_from(storage, origin, state)):
        return same | {"published": True}
    with scratch("publish_serving") as folder:
        about = store_snapshot(storage, source, served, folder)
    try:
        serve_snapshot(storage, about, who="ingest")
    except (ConflictError, IncompatibleFeaturesError) as error:
        return about | {"published": False, "reason": error.message}
    if origin is not None:
        storage.put(REFRESHED, to_json({"origin": origin, "about": about}))
    return about | {"published": True}


def _origin(source: QuoteSource, served: Sequence[Mapping[str, Any]]) -> str | None:
    """What a snapshot is made from, as a hash; None for a source that does not tell its state."""
    if not isinstance(source, LakeSource) or (state := source.state()) is None:
        return None
    universes = sorted(offer_name("", universe_of(manifest["params"])) for manifest in served)
    facts = [
        state,
        str(source.newest()),
        universes,
        _lookback(served),
        FEATURES_VERSION,
        SCHEMA,
        HISTORY,
    ]
    return hashlib.sha256(to_json(facts)).hexdigest()


def _served_from(storage: Storage, origin: str, state: ReleaseState) -> dict[str, Any] | None:
    """What the last refresh said, if it was made from the same and is what is served."""
    if (found := storage.read_versioned(REFRESHED)) is None:
        return None
    last = from_json(found[0], REFRESHED)
    about: dict[str, Any] = last["about"]
    is_served = last["origin"] == origin and about["snapshot"] == state.snapshot
    return about if is_served else None


def _lookback(served: Sequence[Mapping[str, Any]]) -> int:
    return max(needed_lookback(dict(manifest)) for manifest in served)


def store_snapshot(
    storage: Storage, source: QuoteSource, served: Sequence[Mapping[str, Any]], folder: Path
) -> dict[str, Any]:
    """The snapshot of the newest quotes for these versions, stored: its key and what it holds.

    Args:
        storage: of the deployment.
        source: of the quotes.
        served: ``model_type`` and ``params`` of every version that it must have windows for.
        folder: to work in.
    """
    newest = source.newest()
    frame, _ = clean(read_quotes(source, QuoteQuery(start=period_start(newest, HISTORY)))[0])
    snapshot = build_snapshot(
        frame, _lookback(served), {universe_of(manifest["params"]) for manifest in served}
    )
    key = snapshot.save(storage, folder)
    return {"snapshot": key, "source": source.name, **describe(snapshot)}


def serve_snapshot(storage: Storage, about: Mapping[str, Any], *, who: str) -> None:
    """Point the release at a stored snapshot.

    Args:
        storage: of the deployment.
        about: what :func:`store_snapshot` returned.
        who: recorded with the event.

    Raises:
        ConflictError: A newer snapshot is served.
        IncompatibleFeaturesError: It lacks what a live version needs.
    """
    snapshot = about["snapshot"]
    Release(storage).set_snapshot(
        snapshot,
        about["as_of"],
        who=who,
        check=lambda state: check_live(storage, snapshot, state),
    )
