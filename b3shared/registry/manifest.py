"""Builds the manifest of a registered version."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from b3shared.params.run import PipelineParams
from b3shared.params.target import target_of


@dataclass(frozen=True)
class Lineage:
    """Where a version comes from.

    Attributes:
        run_id: of the run; None for a version saved in a notebook.
        source: of the quotes; None if it is not known.
        first_session: of the quotes, ISO date, and ``last_session``.
        steps: step -> hash of what it made.
        given: step -> what a user gave in place of the step before it.
    """

    run_id: str | None = None
    source: str | None = None
    first_session: str | None = None
    last_session: str | None = None
    steps: dict[str, str] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As JSON types; what is not known is left out."""
        known = {name: value for name, value in vars(self).items() if value is not None}
        return {"steps": self.steps, "given": self.given} | known


def build_manifest(
    params: PipelineParams,
    *,
    trained: Mapping[str, Any],
    features: list[str],
    features_version: int | None,
    lineage: Lineage,
    evaluated: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Describe a version for the registry, as JSON types.

    Args:
        params: of the run.
        trained: of the model that is served: ``train_end`` (ISO date at whose close its newest
            label was known), ``cross_section`` (median tickers of a date in its table) and
            ``refit``.
        features: its inputs, in order.
        features_version: of what made them; None if it is not known.
        lineage: where it comes from.
        evaluated: what ``Evaluation.summary`` gives; None for a version that was not evaluated.
    """
    learned = {
        "train_end": trained["train_end"],
        "refit": trained["refit"],
        "cross_section": trained["cross_section"],
        "evaluated": dict(evaluated or {}),
    }

    return {
        **learned,
        "features": features,
        "feature_set": params.features,
        "features_version": features_version,
        "target": target_of(params),
        "params": params.model_dump(mode="json"),
        "lineage": lineage.to_json(),
    }
