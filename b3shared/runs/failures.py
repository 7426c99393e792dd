"""Why an execution failed, also when the step itself could not say so: a crash, a time-out, a missing permission."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from b3shared.core.errors import B3Error, RunFailedError
from b3shared.params.steps import Step
from b3shared.runs.run import Run
from b3shared.runs.state_machine import Execution

CODES = {"States.Timeout": "TIMEOUT", "Sandbox.Timedout": "TIMEOUT", "Runtime.ExitError": "CRASH"}
"""Errors of the platform, of which a step that meets them can say nothing, and what the run calls them."""


def failed_step(last: Mapping[str, Any] | None) -> Step:
    """The step that an execution was at when it failed.

    Args:
        last: what the last step that answered had said; None if none had. A step that answered
            "partial" was called again.
    """
    if last is None:
        return next(iter(Step))
    step = Step(last["step"])
    if last["status"] != "done":
        return step
    return next((later for later in Step if later.predecessor is step), step)


def record_failure(run: Run, error: dict[str, Any], started_at: str, step: Step) -> dict[str, Any]:
    """Write the reason to the step that failed, unless the step did so itself in this execution.

    Args:
        run: the run.
        error: Step Functions' error output, ``{"Error", "Cause"}``.
        started_at: when the execution started, ISO 8601.
        step: the one that it was at.

    Returns:
        ``{"run_id", "step", "code", "message"}``, for the notification.
    """
    kind, known = str(error.get("Error", "")), run.state()[step].error
    if (
        kind in CODES
        or known is None
        or datetime.fromisoformat(known["at"]) < datetime.fromisoformat(started_at)
    ):
        run.fail(step, message_of(error), code=_code(kind))
        known = run.state()[step].error or {}
    return {
        "run_id": run.run_id,
        "step": str(step),
        "code": known.get("code"),
        "message": known.get("message"),
    }


def reason(run: Run, execution: Execution) -> B3Error:
    """The error that an execution ended with, as its run recorded it."""
    failed = [(step, state.error) for step, state in run.state().items() if state.error]
    if not failed:
        return RunFailedError(f"execution {execution.name} ended as {execution.status}")
    step, error = max(
        failed, key=lambda found: str(found[1]["at"])
    )  # an earlier call's may still stand there
    known = RunFailedError(f"{step}: {error['message']}", **error.get("details", {}))
    known.code = error["code"]  # type: ignore[misc]
    return known


def _code(kind: str) -> str:
    """The code of an error's type: the platform's, one of our classes, or a code already."""
    ours = {error.__name__: error.code for error in _subclasses(B3Error)}
    return CODES.get(kind) or ours.get(kind) or (kind if kind.isupper() else RunFailedError.code)


def _subclasses(base: type[B3Error]) -> Iterator[type[B3Error]]:
    for error in base.__subclasses__():
        yield error
        yield from _subclasses(error)


def message_of(error: dict[str, Any]) -> str:
    """The error's own words; a Lambda error's cause is JSON."""
    kind, cause = str(error.get("Error", "unknown error")), str(error.get("Cause", ""))
    try:
        said = json.loads(cause)
    except ValueError:
        said = None
    words = str(said.get("errorMessage", cause)) if isinstance(said, dict) else cause
    return (
        words
        if words and _code(kind) != RunFailedError.code
        else f"{kind}: {words}".removesuffix(": ")
    )
