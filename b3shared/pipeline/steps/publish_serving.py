"""Step 8: the newest features of the deployment's whole lake, for predictions. Never a run's filtered data."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from b3shared.core.config import Settings
from b3shared.core.serialization import from_json, to_json
from b3shared.core.errors import ConflictError, IncompatibleFeaturesError
from b3shared.params.run import Step
from b3shared.pipeline.runner import Context
from b3shared.quotes.lake.lake import LakeSource
from b3shared.quotes.loading.load import period_start, read_quotes
from b3shared.quotes.loading.cleaning import clean
from b3shared.quotes.sources.parquet import QuoteQuery, QuoteSource, open_source
from b3shared.registry.release import Release
from b3shared.core.tempdir import scratch
from b3shared.registry.compatibility import needed_lookback, offer_name, universe_of
from b3shared.registry.promotion import check_live, fed_manifests, promote
from b3shared.serving.snapshot import SCHEMA, Snapshot, describe
from b3shared.storage import Storage, open_storage
from b3shared.core.versions import FEATURES_VERSION

REFRESHED = "serving/refreshed.json"
"""What the last refresh was made from."""

HISTORY = "3y"
"""How far back features are computed for the newest rows: the longest window is 252 sessions."""


def execute(context: Context) -> tuple[list[Path], dict[str, Any]]:
    """Store the snapshot, then point the release at it, unless a newer one is served or it cannot feed what is live."""
    # For this run's version, and for all that is or may be live again: a run must not change what others are fed with.
    params = context.params.model_dump(mode="json")
    fed = [{"model_type": params["model_type"], "params": params}, *fed_manifests(context.storage)]
    about = _stored(context.storage, open_source(context.settings.quotes), fed, context.folder)
    try:
        _serve(context.storage, about, who="pipeline")
        about["promoted"] = _promote_pending(context)
    except (ConflictError, IncompatibleFeaturesError) as error:
        return [], about | {"published": False, "reason": error.message}
    return [], about | {"published": True}


def refresh(settings: Settings) -> dict[str, Any]:
    """Serve what is live from the newest quotes, without a run; with nothing live there is nothing to do.

    What is served may have been made from the same state of the lake for the same versions; then it is not made again.

    Returns:
        ``{"published", "snapshot", "as_of", ...}``; ``reason`` where it is not published.
    """
    storage = open_storage(settings.storage)
    fed = fed_manifests(storage)
    if not fed:
        return {"published": False, "reason": "no version is live; its run will publish the newest quotes"}
    source = open_source(settings.quotes)
    origin = _origin(source, fed)  # before the quotes are read: what changes meanwhile is seen the next time
    if origin is not None and (same := _served_from(storage, origin)):
        return same | {"published": True}
    with scratch("publish_serving") as folder:
        about = _stored(storage, source, fed, folder)
    try:
        _serve(storage, about, who="ingest")
    except (ConflictError, IncompatibleFeaturesError) as error:
        return about | {"published": False, "reason": error.message}
    if origin is not None:
        storage.put(REFRESHED, to_json({"origin": origin, "about": about}))
    return about | {"published": True}


def _origin(source: QuoteSource, fed: Sequence[Mapping[str, Any]]) -> str | None:
    """What a snapshot is made from, as a hash; None for a source that does not tell its state."""
    if not isinstance(source, LakeSource) or (state := source.state()) is None:
        return None
    universes = sorted(offer_name("", universe_of(manifest["params"])) for manifest in fed)
    facts = [state, str(source.newest()), universes, _lookback(fed), FEATURES_VERSION, SCHEMA, HISTORY]
    return hashlib.sha256(to_json(facts)).hexdigest()


def _served_from(storage: Storage, origin: str) -> dict[str, Any] | None:
    """What the last refresh said, if it was made from the same and is what is served."""
    if (found := storage.read_versioned(REFRESHED)) is None:
        return None
    last = from_json(found[0], REFRESHED)
    about: dict[str, Any] = last["about"]
    return about if last["origin"] == origin and about["snapshot"] == Release(storage).state().snapshot else None


def _lookback(fed: Sequence[Mapping[str, Any]]) -> int:
    return max(needed_lookback(dict(manifest)) for manifest in fed)


def _stored(storage: Storage, source: QuoteSource, fed: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    """The snapshot of the newest quotes for these versions, stored: its key and what it holds.

    Args:
        storage: of the deployment.
        source: of the quotes.
        fed: ``model_type`` and ``params`` of every version that it is to feed.
        folder: to work in.
    """
    newest = source.newest()
    frame, _ = clean(read_quotes(source, QuoteQuery(start=period_start(newest, HISTORY)))[0])
    snapshot = Snapshot.of(frame, _lookback(fed), {universe_of(manifest["params"]) for manifest in fed})
    key = snapshot.save(storage, folder)
    return {"snapshot": key, "source": source.name, **describe(snapshot)}


def _serve(storage: Storage, about: Mapping[str, Any], *, who: str) -> None:
    check_live(storage, about["snapshot"])
    Release(storage).set_snapshot(about["snapshot"], about["as_of"], who=who)


def _promote_pending(context: Context) -> str | None:
    """Make this run's version live if only the snapshot kept it from that; its name if so."""
    saved, p = context.plan.upstream[Step.SAVE_MODEL].summary, context.params
    if not saved.get("pending"):
        return None
    promote(context.storage, p.model_dir, p.model_type, saved["model_version"], who="pipeline", why=saved["decision"])
    return str(saved["model_version"])
