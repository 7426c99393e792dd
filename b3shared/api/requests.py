"""What a caller sends, taken apart: the run, his own data, and parameters, each for the step that owns it."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from b3shared.core.errors import InvalidParameterError
from b3shared.params.models import model_types, nested
from b3shared.params.run import NAMESPACE_PATTERN, PipelineParams
from b3shared.params.steps import Step, owner_of
from b3shared.runs.run import Run

Body = Mapping[str, Any]

INPUTS = "inputs/"
"""Where in the bucket callers put quotes of their own."""

MAX_REASON = 500
"""Characters of the reason for a change of what is live."""

_NOT_PARAMETERS = ("run_id", "input_key", "wait_seconds")


def taken_apart(body: Body) -> tuple[str | None, str | None, dict[str, Any]]:
    """Run id, input key, and everything else, which are parameters, nested.

    Raises:
        InvalidParameterError: ``run_id`` or ``input_key`` is not text, or the key lies elsewhere
            than under inputs/.
    """
    for name in ("run_id", "input_key"):
        if body.get(name) is not None and not isinstance(body[name], str):
            raise InvalidParameterError(
                f"{name} = {body[name]!r}: text is allowed", parameters=[name]
            )
    if body.get("input_key") and not body["input_key"].startswith(INPUTS):
        raise InvalidParameterError(
            f"input_key = {body['input_key']!r}: keys under {INPUTS} are allowed",
            parameters=["input_key"],
        )
    rest = {name: value for name, value in body.items() if name not in _NOT_PARAMETERS}
    given = {n: v for n, v in rest.items() if v is not None or n not in model_types()}
    return body.get("run_id"), body.get("input_key"), nested(given)


def check_names(body: Body, allowed: Sequence[str]) -> None:
    """Refuse what a body says beside what is allowed: it would be taken for heard.

    Raises:
        InvalidParameterError: It says something else.
    """
    if unknown := sorted(set(body) - set(allowed)):
        raise InvalidParameterError(
            f"unknown: {', '.join(unknown)}; allowed are {', '.join(allowed)}", parameters=unknown
        )


def own_params(run: Run, step: Step, params: Body) -> dict[str, Any]:
    """The parameters that a step is to change; another step's may stand there if they change nothing.

    Args:
        run: the run.
        step: which is asked for.
        params: from :func:`taken_apart`.

    Raises:
        InvalidParameterError: Unknown, out of bounds, or another step's with another value.
    """
    now = run.effective_params(step)
    after = now.replace(params)
    overrides = {
        name: value
        for name, value in params.items()
        if owner_of(name) is step or getattr(now, name) != getattr(after, name)
    }
    run.effective_params(step, overrides)  # refuses what is not the step's own
    return overrides


def resumed_params(run: Run, params: Body) -> PipelineParams:
    """The parameters that a caller means who names a run: the run's, with what he gives."""
    return run.params.replace(params)


def run_id_of(idempotency_key: str | None) -> str | None:
    """The run that a key stands for: the same key, the same run."""
    return (
        f"key-{hashlib.sha256(idempotency_key.encode(errors='surrogatepass')).hexdigest()[:32]}"
        if idempotency_key
        else None
    )


def namespace_of(body: Body) -> str:
    """The namespace that a body names, or the default one; InvalidParameterError if none can have the name."""
    namespace = body.get("model_dir", "models")
    if not isinstance(namespace, str) or not re.fullmatch(NAMESPACE_PATTERN, namespace):
        raise InvalidParameterError(
            f"model_dir must be 1 to 32 of a-z, 0-9 and '-', got {short(namespace)}"
        )
    return namespace


def reason_of(body: Body) -> str:
    """The reason that goes into the release's history, where it stays; InvalidParameterError if it is too long."""
    why = body.get("why")
    if why is None:
        return "by hand"
    if not isinstance(why, str) or not why.strip() or len(why) > MAX_REASON:
        raise InvalidParameterError(
            f"why must be text of 1 to {MAX_REASON} characters, got {short(why)}"
        )
    return why


def expected_of(body: Body) -> str | None:
    """The version that a caller takes for live, None for none; InvalidParameterError for another type."""
    version = body["expected"]
    if version is not None and not isinstance(version, str):
        raise InvalidParameterError(
            f"expected must be the name of a version or null, got {short(version)}"
        )
    return version


def short(value: object) -> str:
    """A value as an error names it."""
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
