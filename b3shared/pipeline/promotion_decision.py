"""Decides whether a run's version replaces the live one: the cases around the gate."""

import tempfile
from pathlib import Path

from b3shared.core.errors import ArtifactNotFoundError
from b3shared.core.versions import FEATURES_VERSION
from b3shared.evaluation.gate import OUTCOMES_FILE, Decision, Outcomes, decide
from b3shared.params.steps import Step
from b3shared.pipeline.runner import Context
from b3shared.registry.compatibility import learned_from_other_features
from b3shared.registry.versions import Registry


def decide_promotion(
    context: Context, registry: Registry, outcomes: Outcomes, version: str, live: str | None
) -> Decision:
    """Return whether a registered version goes live, and why.

    Args:
        context: context of the step that saves the model.
        registry: registry of the model's namespace.
        outcomes: the version's forecasts of the test part.
        version: name of the version.
        live: name of the live version; None if none is.
    """
    p = context.params
    if live == version:
        return Decision(False, "this very version is live already", {})
    if context.plan.upstream[Step.EVALUATE_MODEL].summary["leak_suspected"]:
        return Decision(False, "not sound: a leak is suspected (see the evaluation's warnings)", {})
    if live is None:
        return decide(outcomes, None, margin=p.promotion_margin, horizon=p.horizon)

    with tempfile.TemporaryDirectory() as folder:
        try:
            fetched = registry.fetch(p.model_type, live, Path(folder), [OUTCOMES_FILE])
            against = Outcomes.load(fetched)
        except ArtifactNotFoundError as error:
            return Decision(False, str(error), {})

    manifest = registry.manifest(p.model_type, live)
    return decide(
        outcomes,
        against,
        margin=p.promotion_margin,
        horizon=p.horizon,
        outdated=learned_from_other_features(manifest, FEATURES_VERSION),
    )
