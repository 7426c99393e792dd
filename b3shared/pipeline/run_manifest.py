"""Builds the manifest of the version that a run registers."""

from typing import Any

from b3shared.core.versions import features_version_of
from b3shared.params.steps import Step
from b3shared.pipeline.runner import Context
from b3shared.registry.manifest import Lineage, build_manifest


def manifest_of(context: Context) -> dict[str, Any]:
    """Return the manifest of a run's version, from the records of its steps."""
    records = context.plan.upstream
    loaded = records[Step.LOAD_DATA].summary
    made = records[Step.PREPROCESS_DATA].summary
    lineage = Lineage(
        run_id=context.run.run_id,
        source=loaded["source"],
        first_session=loaded["first_session"],
        last_session=loaded["last_session"],
        steps={str(step): record.output_hash for step, record in records.items()},
        given={
            str(step): record.input.model_dump() for step, record in records.items() if record.input
        },
    )

    return build_manifest(
        context.params,
        trained=records[Step.REFIT_MODEL].summary,
        features=made["feature_names"],
        features_version=features_version_of(made),
        lineage=lineage,
        evaluated=records[Step.EVALUATE_MODEL].summary,
    )
