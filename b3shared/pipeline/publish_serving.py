"""Step 8: the newest features of the deployment's whole lake, for predictions. Never a run's filtered data."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from b3shared.config import Settings
from b3shared.errors import ConflictError, IncompatibleFeaturesError
from b3shared.params import Step
from b3shared.pipeline.runner import Context
from b3shared.quotes.loading import period_start
from b3shared.quotes.quality import clean
from b3shared.quotes.sources import QuoteQuery, open_source
from b3shared.release import Release
from b3shared.serving.offer import universe_of
from b3shared.serving.promotion import check_live, fed_manifests, promote
from b3shared.serving.snapshot import Snapshot, describe
from b3shared.storage import Storage, open_storage

HISTORY = "3y"
"""How far back features are computed for the newest rows: the longest window is 252 sessions."""


def execute(context: Context) -> tuple[list[Path], dict[str, Any]]:
    """Store the snapshot, then point the release at it, unless a newer one is served or it cannot feed what is live."""
    # For this run's version, and for all that is or may be live again: a run must not change what others are fed with.
    fed = [context.params.model_dump(mode="json"), *(manifest["params"] for manifest in fed_manifests(context.storage))]
    about = _stored(context.storage, context.settings.quotes, fed, context.folder)
    try:
        _serve(context.storage, about, who="pipeline")
        about["promoted"] = _promote_pending(context)
    except (ConflictError, IncompatibleFeaturesError) as error:
        return [], about | {"published": False, "reason": error.message}
    return [], about | {"published": True}


def refresh(settings: Settings) -> dict[str, Any]:
    """Serve what is live from the newest quotes, without a run; with nothing live there is nothing to do.

    Returns:
        ``{"published", "snapshot", "as_of", ...}``; ``reason`` where it is not published.
    """
    storage = open_storage(settings.storage)
    fed = [manifest["params"] for manifest in fed_manifests(storage)]
    if not fed:
        return {"published": False, "reason": "no version is live; its run will publish the newest quotes"}
    with tempfile.TemporaryDirectory(prefix="b3-refresh-") as folder:
        about = _stored(storage, settings.quotes, fed, Path(folder))
    try:
        _serve(storage, about, who="ingest")
    except (ConflictError, IncompatibleFeaturesError) as error:
        return about | {"published": False, "reason": error.message}
    return about | {"published": True}


def _stored(storage: Storage, quotes: str, fed: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    """The snapshot of the newest quotes for versions of these parameters, stored: its key and what it holds."""
    source = open_source(quotes)
    newest = source.newest()
    frame, _ = clean(source.read(QuoteQuery(start=period_start(newest, HISTORY))))
    snapshot = Snapshot.of(frame, max(params["lookback"] for params in fed), {universe_of(params) for params in fed})
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
