"""Records why an execution failed, and returns it as an error.

A step records its own error. A crash, a time-out or a missing permission it cannot record.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from b3shared.core.errors import B3Error, RunFailedError
from b3shared.params.steps import Step
from b3shared.runs.run import Run
from b3shared.runs.state_machine import Execution

CODES = {"States.Timeout": "TIMEOUT", "Sandbox.Timedout": "TIMEOUT", "Runtime.ExitError": "CRASH"}
"""Errors of the platform, which a step cannot record itself -> their code in the run."""


class RecordedError(RunFailedError):
    """The error that a run recorded.

    Args:
        message: as recorded.
        code: as recorded; it need not be that of a class.
        details: as recorded.
    """

    def __init__(self, message: str, code: str, details: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.code = code
        self.details = dict(details)


def failed_step(last: Mapping[str, Any] | None) -> Step:
    """Return the step that an execution was at when it failed.

    Args:
        last: the answer of the last step that answered; None if none did. A step that answered
            "partial" was called again.
    """
    if last is None:
        return next(iter(Step))
    step = Step(last["step"])
    if last["status"] != "done":
        return step
    return next((later for later in Step if later.predecessor is step), step)


def record_failure(run: Run, error: dict[str, Any], started_at: str, step: Step) -> dict[str, Any]:
    """Record the reason at the step that failed, unless the step did so in this execution.

    Args:
        run: the run.
        error: Step Functions' error output, ``{"Error", "Cause"}``.
        started_at: when the execution started, ISO 8601.
        step: the one that it was at.

    Returns:
        ``{"run_id", "step", "code", "message"}``, for the notification.
    """
    kind = str(error.get("Error", ""))
    known = run.state()[step].error
    began = datetime.fromisoformat(started_at)
    if kind in CODES or known is None or datetime.fromisoformat(known["at"]) < began:
        run.fail(step, message_of(error), code=_code(kind))
        known = run.state()[step].error or {}

    return {
        "run_id": run.run_id,
        "step": str(step),
        "code": known.get("code"),
        "message": known.get("message"),
    }


def reason(run: Run, execution: Execution) -> B3Error:
    """Return the error that an execution ended with, as its run recorded it."""
    failed = [(step, state.error) for step, state in run.state().items() if state.error]
    if not failed:
        return RunFailedError(f"execution {execution.name} ended as {execution.status}")
    # an earlier call's error may still stand at another step
    step, error = max(failed, key=lambda found: str(found[1]["at"]))
    return RecordedError(f"{step}: {error['message']}", error["code"], error.get("details", {}))


def _code(kind: str) -> str:
    """Return the code of an error's type: the platform's, one of our classes, or a code already."""
    ours = {error.__name__: error.code for error in _subclasses(B3Error)}
    return CODES.get(kind) or ours.get(kind) or (kind if kind.isupper() else RunFailedError.code)


def _subclasses(base: type[B3Error]) -> Iterator[type[B3Error]]:
    for error in base.__subclasses__():
        yield error
        yield from _subclasses(error)


def message_of(error: dict[str, Any]) -> str:
    """Return the message of an execution's error; a Lambda error's cause is JSON."""
    kind = str(error.get("Error", "unknown error"))
    cause = str(error.get("Cause", ""))
    try:
        parsed = json.loads(cause)
    except ValueError:
        parsed = None
    message = str(parsed.get("errorMessage", cause)) if isinstance(parsed, dict) else cause

    if message and _code(kind) != RunFailedError.code:
        return message
    return f"{kind}: {message}".removesuffix(": ")
