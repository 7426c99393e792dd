"""Requests from the state machine to a step's function, and its answers."""

import math
import time
from collections.abc import Callable
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from b3shared.core.config import Settings
from b3shared.core.errors import InvalidParameterError
from b3shared.models.base import Unfinished
from b3shared.params.messages import explain_event
from b3shared.params.run import RUN_ID_PATTERN
from b3shared.params.steps import Step
from b3shared.pipeline.runner import run_step
from b3shared.runs.run import Run
from b3shared.storage import open_storage


class StepRequest(BaseModel):
    """Input of a step's function: the run, changed parameters of the step, and own data if any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str = Field(pattern=RUN_ID_PATTERN)
    step: Step | None = Field(
        default=None, description="which step; needed where a function does several"
    )
    correlation_id: str | None = Field(
        default=None, max_length=80, description="name of the execution, for the logs"
    )
    overrides: dict[str, Any] = {}
    input_key: str | None = Field(default=None, max_length=900)

    @classmethod
    def from_event(cls, event: Any) -> Self:
        """Validate an event; InvalidParameterError names what is wrong with it."""
        try:
            return cls.model_validate(event)
        except ValidationError as error:
            raise InvalidParameterError(
                f"not a step's request: {explain_event(error.errors())}"
            ) from error

    def step_among(self, *allowed: Step) -> Step:
        """Return the requested step of a function that does several.

        Raises:
            InvalidParameterError: The request names none of them.
        """
        if self.step not in allowed:
            raise InvalidParameterError(
                f"step must be one of {', '.join(allowed)}, got {self.step}"
            )
        return self.step


RESERVE = 0.2
"""Share of a function's time that training leaves for export, parity, forecasts and upload."""


def perform(
    step: Step,
    request: StepRequest,
    settings: Settings,
    remaining: Callable[[], float] = lambda: math.inf,
) -> dict[str, Any]:
    """Do a step of a run in the deployment's storage.

    Args:
        step: the step.
        request: the validated request.
        settings: settings of the deployment.
        remaining: returns the seconds that the caller's process still has; a training that needs
            more stops in time.

    Returns:
        ``{"run_id", "step", "status": "done", "seconds", "before"}``, where ``before`` says that
        the step was done already. A load adds ``shards``, their numbers. A training that must be
        called again returns ``{"run_id", "step", "status": "partial", "seconds", "progress"}``.

    Raises:
        B3Error: See :func:`b3shared.pipeline.runner.run_step`.
    """
    run = Run.open(open_storage(settings.storage), request.run_id)
    before = run.record(step)
    started = time.monotonic()

    try:
        record = run_step(
            run,
            step,
            request.overrides,
            settings=settings,
            input_key=request.input_key,
            seconds_left=slice_clock(settings.slice_seconds, remaining),
        )
    except Unfinished as pause:
        answer = {
            "status": "partial",
            "seconds": round(time.monotonic() - started, 3),
            "progress": pause.words,
        }
    else:
        again = before is not None and before.finished_at == record.finished_at
        answer = {"status": "done", "seconds": record.seconds, "before": again}
        if shards := record.summary.get("shards"):
            answer["shards"] = list(range(shards))

    return {"run_id": run.run_id, "step": str(step), **answer}


def slice_clock(longest: float, remaining: Callable[[], float]) -> Callable[[], float]:
    """Return a clock of the seconds that a slice of a training still has.

    A slice takes ``longest`` seconds at most and leaves a reserve (:data:`RESERVE`) of those that
    remain now.
    """
    slice_ends = time.monotonic() + longest
    reserve = RESERVE * remaining() if math.isfinite(remaining()) else 0.0
    return lambda: min(slice_ends - time.monotonic(), remaining() - reserve)
