"""Recording why an execution failed, also when the step itself could not: a crash, a time-out, a missing permission."""

import json
from datetime import datetime
from typing import Any

from b3shared.params import Step
from b3shared.runs import Run

CODES = {"States.Timeout": "TIMEOUT", "Sandbox.Timedout": "TIMEOUT", "Runtime.ExitError": "CRASH"}
"""Errors of the platform and what the run calls them."""


def record_failure(run: Run, error: dict[str, Any], started_at: str) -> dict[str, Any]:
    """Write the reason to the step that was not finished, unless the step did so itself in this execution.

    Args:
        run: the run.
        error: Step Functions' error output, ``{"Error", "Cause"}``.
        started_at: when the execution started, ISO 8601.

    Returns:
        ``{"run_id", "step", "code", "message"}``, for the notification.
    """
    state = run.state()
    step = next((s for s in Step if state[s].status != "done"), Step.PUBLISH_SERVING)
    known = state[step].error
    if known is None or datetime.fromisoformat(known["at"]) < datetime.fromisoformat(started_at):
        kind, message = str(error.get("Error", "")), _message(error)
        run.fail(step, message, code=CODES.get(kind, kind if kind.isupper() else "RUN_FAILED"))
        known = run.state()[step].error or {}
    return {"run_id": run.run_id, "step": str(step), "code": known.get("code"), "message": known.get("message")}


def _message(error: dict[str, Any]) -> str:
    """The error's own words; a Lambda error's cause is JSON."""
    kind, cause = str(error.get("Error", "unknown error")), str(error.get("Cause", ""))
    try:
        said = json.loads(cause)
    except ValueError:
        return f"{kind}: {cause}" if cause else kind
    return f"{kind}: {said.get('errorMessage', cause)}" if isinstance(said, dict) else f"{kind}: {cause}"
