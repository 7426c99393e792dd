"""Step 8: the newest features of the deployment's whole lake, for predictions.

Never a run's filtered data.
"""

from pathlib import Path
from typing import Any

from b3shared.core.errors import ConflictError, IncompatibleFeaturesError
from b3shared.params.steps import Step
from b3shared.pipeline.runner import Context
from b3shared.pipeline.serving_snapshot import serve_snapshot, store_snapshot
from b3shared.quotes.sources import open_source
from b3shared.registry.promotion import promote, served_manifests
from b3shared.registry.release import Release


def execute(context: Context) -> tuple[list[Path], dict[str, Any]]:
    """Store the snapshot, then point the release at it, unless a newer one is served or it cannot feed what is live."""
    # For this run's version, and for all that is or may be live again: a run must not take away
    # what others need.
    params = context.params.model_dump(mode="json")
    served = [
        {"model_type": params["model_type"], "params": params},
        *served_manifests(context.storage, Release(context.storage).state()),
    ]
    about = store_snapshot(
        context.storage, open_source(context.settings.quotes), served, context.folder
    )
    try:
        serve_snapshot(context.storage, about, who="pipeline")
        about["promoted"] = _promote_pending(context)
    except (ConflictError, IncompatibleFeaturesError) as error:
        return [], about | {"published": False, "reason": error.message}
    return [], about | {"published": True}


def _promote_pending(context: Context) -> str | None:
    """Make this run's version live if only the snapshot kept it from that; its name if so."""
    saved, p = context.plan.upstream[Step.SAVE_MODEL].summary, context.params
    if not saved.get("pending"):
        return None
    promote(
        context.storage,
        p.model_dir,
        p.model_type,
        saved["model_version"],
        who="pipeline",
        why=saved["decision"],
    )
    return str(saved["model_version"])
