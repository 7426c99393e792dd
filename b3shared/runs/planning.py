"""What a step is to run with: the parameters in force, and the output that it builds on."""

from collections.abc import Mapping
from typing import Any

from b3shared.core.errors import InvalidParameterError, StepNotReadyError
from b3shared.params.models import flat_names, nested
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step, owner_of
from b3shared.runs.records import Records, fresh_steps


def params_in_force(
    of_run: PipelineParams, step: Step, records: Records, overrides: Mapping[str, Any]
) -> PipelineParams:
    """Return the parameters of a step: the run's, then what was recorded, then ``overrides``.

    Args:
        of_run: the run's.
        step: whose.
        records: of the steps up to it.
        overrides: flat or nested.

    Raises:
        InvalidParameterError: An override is unknown, out of bounds, or belongs to another step.
    """
    recorded = {name: value for record in records.values() for name, value in record.params.items()}
    params = PipelineParams.from_values(of_run.model_dump() | recorded)

    changes = nested(overrides)
    for name in flat_names(changes):
        owner = owner_of(name)
        if owner not in (step, None):
            raise InvalidParameterError(
                f"{name} belongs to {owner}, not to {step}: "
                f"run {owner} with it, then the steps after it",
                parameters=[name],
                owner=str(owner),
            )
    return params.replace(changes)


def output_before(step: Step, records: Records) -> str | None:
    """Return the output hash of the step before, None for the first.

    Raises:
        StepNotReadyError: An earlier record is missing or stale.
    """
    fresh = fresh_steps(records)
    for earlier in step.earlier:
        if earlier not in fresh:
            word = "is out of date" if earlier in records else "has not finished"
            raise StepNotReadyError(
                f"{step} needs {earlier}, which {word}; run {earlier} first", missing=str(earlier)
            )
    return records[step.predecessor].output_hash if step.predecessor else None


def steps_until(step: Step) -> list[Step]:
    """Return the steps up to one, with it."""
    steps = list(Step)
    return steps[: steps.index(step) + 1]
