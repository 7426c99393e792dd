"""Step 8: the newest features of the deployment's whole lake, for predictions. Never a run's filtered data."""

from pathlib import Path
from typing import Any

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

HISTORY = "3y"
"""How far back features are computed for the newest rows: the longest window is 252 sessions."""


def execute(context: Context) -> tuple[list[Path], dict[str, Any]]:
    """Store the snapshot, then point the release at it, unless a newer one is served or it cannot feed what is live."""
    source = open_source(context.settings.quotes)
    newest = source.newest()
    frame, _ = clean(source.read(QuoteQuery(start=period_start(newest, HISTORY))))
    # For this run's version, and for all that is or may be live again: a run must not change what others are fed with.
    fed = [context.params.model_dump(mode="json"), *(manifest["params"] for manifest in fed_manifests(context.storage))]
    snapshot = Snapshot.of(frame, max(params["lookback"] for params in fed), {universe_of(params) for params in fed})
    key = snapshot.save(context.storage, context.folder)
    about = {"snapshot": key, "source": source.name, **describe(snapshot)}
    try:
        check_live(context.storage, key)
        Release(context.storage).set_snapshot(key, str(snapshot.as_of), who="pipeline")
        about["promoted"] = _promote_pending(context)
    except (ConflictError, IncompatibleFeaturesError) as error:
        return [], about | {"published": False, "reason": error.message}
    return [], about | {"published": True}


def _promote_pending(context: Context) -> str | None:
    """Make this run's version live if only the snapshot kept it from that; its name if so."""
    saved, p = context.plan.upstream[Step.SAVE_MODEL].summary, context.params
    if not saved.get("pending"):
        return None
    promote(context.storage, p.model_dir, p.model_type, saved["model_version"], who="pipeline", why=saved["decision"])
    return str(saved["model_version"])
