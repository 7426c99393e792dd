"""What the state machine hands to a step's function, checked, and what it gets back: short, never data."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from b3shared.config import Settings
from b3shared.errors import InvalidParameterError
from b3shared.params import RUN_ID_PATTERN, Step
from b3shared.pipeline.runner import run_step
from b3shared.runs import Run
from b3shared.storage import open_storage


class StepRequest(BaseModel):
    """A step's work: the run, the parameters that the step owns and changes, the user's own data if any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str = Field(pattern=RUN_ID_PATTERN)
    correlation_id: str | None = Field(default=None, max_length=80, description="name of the execution, for the logs")
    overrides: dict[str, Any] = {}
    input_key: str | None = Field(default=None, max_length=900)

    @classmethod
    def of(cls, event: Any) -> "StepRequest":
        """Check an event; InvalidParameterError names what is wrong with it."""
        try:
            return cls.model_validate(event)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'event'}: {e['msg']}" for e in error.errors())
            raise InvalidParameterError(f"not a step's request: {wrong}") from error


def perform(step: Step, request: StepRequest, settings: Settings) -> dict[str, Any]:
    """Do a step of a run in the deployment's storage.

    Returns:
        ``{"run_id", "step", "status": "done", "seconds", "before"}``; ``before``: it had been done already.

    Raises:
        B3Error: See :func:`b3shared.pipeline.runner.run_step`.
    """
    run = Run.open(open_storage(settings.storage), request.run_id)
    before = run.record(step)
    record = run_step(run, step, request.overrides, settings=settings, input_key=request.input_key)
    return {
        "run_id": run.run_id,
        "step": str(step),
        "status": "done",
        "seconds": record.seconds,
        "before": before is not None and before.finished_at == record.finished_at,
    }
