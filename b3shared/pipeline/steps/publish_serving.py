"""Step 8: publish the newest features of the deployment's quotes for predictions.

All of the quotes, never a run's filtered ones.
"""

from pathlib import Path
from typing import Any

from b3shared.core.errors import ConflictError, IncompatibleFeaturesError
from b3shared.params.steps import Step
from b3shared.pipeline.publish_snapshot import serve_snapshot, store_snapshot
from b3shared.pipeline.runner import Context
from b3shared.quotes.sources import open_source
from b3shared.registry.promotion import promote, served_manifests
from b3shared.registry.release import Release


def execute(context: Context) -> tuple[list[Path], dict[str, Any]]:
    """Store the snapshot and point the release at it.

    The release stays if a newer snapshot is served, or if a live version lacks something in it.
    """
    # For this run's version and for all that are or may be live again: a run must not change the
    # features that other versions are served.
    params = context.params.model_dump(mode="json")
    own = {"model_type": params["model_type"], "params": params}
    served = [own, *served_manifests(context.storage, Release(context.storage).state())]
    source = open_source(context.settings.quotes)
    about = store_snapshot(context.storage, source, served, context.folder)

    try:
        serve_snapshot(context.storage, about, who="pipeline")
        about["promoted"] = _promote_pending(context)
    except (ConflictError, IncompatibleFeaturesError) as error:
        return [], about | {"published": False, "reason": error.message}
    return [], about | {"published": True}


def _promote_pending(context: Context) -> str | None:
    """Promote this run's version if only the snapshot kept it from going live; return its name."""
    saved = context.plan.upstream[Step.SAVE_MODEL].summary
    if not saved.get("pending"):
        return None

    version = str(saved["model_version"])
    p = context.params
    promote(
        context.storage, p.model_dir, p.model_type, version, who="pipeline", why=saved["decision"]
    )
    return version
