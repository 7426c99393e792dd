"""Step 7: register the version, and let the gate decide whether it goes live."""

from pathlib import Path
from typing import Any

from b3shared.core.errors import IncompatibleFeaturesError
from b3shared.evaluation.gate import Outcomes
from b3shared.params.steps import Step
from b3shared.pipeline.promotion_decision import decide_promotion
from b3shared.pipeline.run_manifest import manifest_of
from b3shared.pipeline.runner import Context
from b3shared.registry.key import ModelKey
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
        p.model_type,
        _model_files(context),
        manifest_of(context),
        beside=sorted(evaluation.iterdir()),
    )

    key = ModelKey(p.model_dir, p.model_type)
    live = Release(context.storage).state().live.get(key)
    decision = decide_promotion(context, registry, Outcomes.load(evaluation), version, live)

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
        except IncompatibleFeaturesError as error:
            # The next step publishes a snapshot that fits, and promotes then.
            pending = error.message

    return [], {
        "model_type": p.model_type,
        "model_version": version,
        "model_path": f"{context.storage.url}/models/{key}/{version}/{p.model_file}",
        "live": (decision.promote and pending is None) or live == version,
        "pending": pending,
        "decision": decision.reason,
        "evidence": decision.evidence,
        "skill": context.plan.upstream[Step.EVALUATE_MODEL].summary["skill"],
    }


def _model_files(context: Context) -> list[Path]:
    """Return the served model's files, the native one renamed to ``model_file``."""
    folder = context.inputs(Step.REFIT_MODEL)
    for path in folder.glob(f"*{Path(context.params.model_file).suffix}"):
        path.rename(folder / context.params.model_file)
    return sorted(folder.iterdir())
