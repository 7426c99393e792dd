"""Step 7: register the version, and let the gate decide whether it goes live."""

import tempfile
from pathlib import Path
from typing import Any

from b3shared.core.errors import ArtifactNotFoundError, IncompatibleFeaturesError
from b3shared.core.versions import FEATURES_VERSION, features_version_of
from b3shared.evaluation.gate import OUTCOMES_FILE, Decision, Outcomes, decide
from b3shared.params.steps import Step
from b3shared.pipeline.runner import Context
from b3shared.registry.compatibility import learned_from_other_features
from b3shared.registry.key import ModelKey
from b3shared.registry.manifest import Lineage, build_manifest
from b3shared.registry.promotion import promote
from b3shared.registry.release import Release
from b3shared.registry.versions import Registry

WHO = "pipeline"


def execute(context: Context) -> tuple[list[Path], dict[str, Any]]:
    """Register the refitted model with its evaluation; promote it if it may be."""
    p = context.params
    evaluation = context.inputs(Step.EVALUATE_MODEL)
    registry = Registry(context.storage, p.model_dir)
    version = registry.register(
        p.model_type, _model_files(context), _manifest(context), beside=sorted(evaluation.iterdir())
    )
    verdict = context.plan.upstream[Step.EVALUATE_MODEL].summary["skill"]
    key = ModelKey(p.model_dir, p.model_type)
    live = Release(context.storage).state().live.get(key)
    decision = _decide(context, registry, Outcomes.load(evaluation), version, live)
    pending = None
    if decision.promote:
        try:
            promote(
                context.storage,
                p.model_dir,
                p.model_type,
                version,
                who=WHO,
                why=decision.reason,
                expected=live,
            )
        except (
            IncompatibleFeaturesError
        ) as error:  # publishing makes a snapshot that fits, and promotes then
            pending = error.message
    return [], {
        "model_type": p.model_type,
        "model_version": version,
        "model_path": f"{context.storage.url}/models/{key}/{version}/{p.model_file}",
        "live": (decision.promote and pending is None) or live == version,
        "pending": pending,
        "decision": decision.reason,
        "evidence": decision.evidence,
        "skill": verdict,
    }


def _model_files(context: Context) -> list[Path]:
    """The served model's files, the native one under the name that this step was asked for."""
    folder = context.inputs(Step.REFIT_MODEL)
    for path in folder.glob(f"*{Path(context.params.model_file).suffix}"):
        path.rename(folder / context.params.model_file)
    return sorted(folder.iterdir())


def _decide(
    context: Context, registry: Registry, outcomes: Outcomes, version: str, live: str | None
) -> Decision:
    if live == version:
        return Decision(False, "this very version is live already", {})
    if context.plan.upstream[Step.EVALUATE_MODEL].summary["leak_suspected"]:
        return Decision(False, "not sound: a leak is suspected (see the evaluation's warnings)", {})
    if live is None:
        return decide(
            outcomes, None, margin=context.params.promotion_margin, horizon=context.params.horizon
        )

    with tempfile.TemporaryDirectory() as folder:
        try:
            against = Outcomes.load(
                registry.fetch(context.params.model_type, live, Path(folder), [OUTCOMES_FILE])
            )
        except ArtifactNotFoundError as error:
            return Decision(False, str(error), {})
    manifest = registry.manifest(context.params.model_type, live)
    return decide(
        outcomes,
        against,
        margin=context.params.promotion_margin,
        horizon=context.params.horizon,
        outdated=learned_from_other_features(manifest, FEATURES_VERSION),
    )


def _manifest(context: Context) -> dict[str, Any]:
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
