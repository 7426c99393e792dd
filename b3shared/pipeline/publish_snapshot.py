"""Stores the serving snapshot of the newest quotes, and points the release at it."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from b3shared.core.config import Settings
from b3shared.core.errors import ConflictError, IncompatibleFeaturesError, InvalidMarketError
from b3shared.core.serialization import from_json, to_json
from b3shared.core.tempdir import temporary_directory
from b3shared.core.versions import FEATURES_VERSION
from b3shared.dataset.market import Sectors
from b3shared.pipeline.serving_snapshot import build_snapshot
from b3shared.quotes.loading.cleaning import clean
from b3shared.quotes.loading.load import read_quotes
from b3shared.quotes.loading.scope import period_start
from b3shared.quotes.market.sectors import SECTORS, read_sectors
from b3shared.quotes.sources import open_source
from b3shared.quotes.sources.base import QuoteSource
from b3shared.quotes.sources.lake import LakeSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.registry.compatibility import needed_lookback, universe_of, windows_name
from b3shared.registry.promotion import check_live, served_manifests
from b3shared.registry.release import Release
from b3shared.registry.release_state import ReleaseState
from b3shared.serving.snapshot import SCHEMA, describe
from b3shared.storage import Storage, open_storage

REFRESHED = "serving/refreshed.json"
"""Key of the record of the last refresh: what it was made from, and what it published."""

HISTORY = "3y"
"""Period of the quotes that a snapshot is made from; the longest window is 252 sessions."""


def refresh_serving(settings: Settings) -> dict[str, Any]:
    """Publish the features of the newest quotes for the live versions, without a run.

    Nothing is published while no version is live. If the last refresh was made from the same state
    of the lake for the same versions, and is still served, nothing is made again.

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
    # Before the quotes are read: what changes meanwhile is seen by the next refresh.
    origin = _origin(storage, source, served)
    if origin is not None and (same := _published_from(storage, origin, state)):
        return same | {"published": True}

    with temporary_directory("publish_serving") as folder:
        about = store_snapshot(storage, source, served, folder)
    try:
        serve_snapshot(storage, about, who="ingest")
    except (ConflictError, IncompatibleFeaturesError) as error:
        return about | {"published": False, "reason": error.message}

    if origin is not None:
        storage.put(REFRESHED, to_json({"origin": origin, "about": about}))
    return about | {"published": True}


def store_snapshot(
    storage: Storage, source: QuoteSource, served: Sequence[Mapping[str, Any]], folder: Path
) -> dict[str, Any]:
    """Build and store the snapshot of the newest quotes; return its key and a description.

    Args:
        storage: of the deployment.
        source: of the quotes.
        served: ``model_type`` and ``params`` of every version that the snapshot is for.
        folder: for temporary files.
    """
    start = period_start(source.newest(), HISTORY)
    raw, _ = read_quotes(source, QuoteQuery(start=start))
    frame, _ = clean(raw)

    universes = {universe_of(manifest["params"]) for manifest in served}
    sectors, fault = _sectors(storage, source)
    snapshot = build_snapshot(frame, lookback_of(served), universes, sectors=sectors)
    key = snapshot.save(storage, folder)
    return {"snapshot": key, "source": source.name, **describe(snapshot), **fault}


def _sectors(storage: Storage, source: QuoteSource) -> tuple[Sectors | None, dict[str, str]]:
    """Return the sectors, and what is wrong with their file: new quotes are served without them."""
    try:
        return read_sectors(storage, source.name), {}
    except InvalidMarketError as error:
        return None, {"sectors": f"left out: {error.message}"}


def serve_snapshot(storage: Storage, about: Mapping[str, Any], *, who: str) -> None:
    """Point the release at a stored snapshot.

    Args:
        storage: of the deployment.
        about: returned by :func:`store_snapshot`.
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


def lookback_of(served: Sequence[Mapping[str, Any]]) -> int:
    """Return the number of rows a window needs for all of these versions."""
    return max(needed_lookback(dict(manifest)) for manifest in served)


def _origin(
    storage: Storage, source: QuoteSource, served: Sequence[Mapping[str, Any]]
) -> str | None:
    """Hash all that a snapshot depends on; None for a source without a state to compare."""
    if not isinstance(source, LakeSource) or (state := source.state()) is None:
        return None

    universes = sorted(windows_name("", universe_of(manifest["params"])) for manifest in served)
    facts = [
        state,
        str(source.newest()),
        universes,
        lookback_of(served),
        FEATURES_VERSION,
        SCHEMA,
        HISTORY,
    ]
    if storage.exists(SECTORS):
        facts.append(storage.sha256(SECTORS))
    return hashlib.sha256(to_json(facts)).hexdigest()


def _published_from(storage: Storage, origin: str, state: ReleaseState) -> dict[str, Any] | None:
    """Return what the last refresh published, if it is of this origin and still served."""
    if (found := storage.read_versioned(REFRESHED)) is None:
        return None

    last = from_json(found[0], REFRESHED)
    about: dict[str, Any] = last["about"]
    current = last["origin"] == origin and about["snapshot"] == state.snapshot
    return about if current else None
