"""The plan, record and state of a run's step, and the hashes that tie steps together."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from b3shared.core.serialization import to_json
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step

CODE_VERSION: dict[Step, int] = dict.fromkeys(Step, 1) | {
    Step.LOAD_DATA: 2,
    Step.PREPROCESS_DATA: 3,
    Step.TRAIN_MODEL: 2,
    Step.EVALUATE_MODEL: 2,
    Step.PUBLISH_SERVING: 2,
}
"""Version of each step's code.

Raise a step's number when it would give another output for the same input.
"""

Status = Literal["done", "stale", "failed", "missing"]


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True)


class Artifact(_Stored):
    """A stored file: where, its SHA-256, its size in bytes."""

    key: str
    sha256: str
    bytes: int


class InputData(_Stored):
    """Data that a user gave to a step, and the SHA-256 that it had then."""

    key: str
    sha256: str


class StepRecord(_Stored):
    """What a finished step did.

    Attributes:
        step: which.
        params: the parameters it owns, as JSON types.
        input: the user's data it was given, if any.
        input_hash: over its parameters, the output hash of the step before, ``input`` and the
            version of its code.
        output_hash: over ``input_hash`` and the names and hashes of its artifacts.
        artifacts: by file name.
        summary: the step's own figures and findings, JSON.
        started_at: ISO 8601, UTC; ``finished_at`` likewise.
        seconds: from start to finish.
    """

    step: Step
    params: dict[str, Any]
    input: InputData | None
    input_hash: str
    output_hash: str
    artifacts: dict[str, Artifact]
    summary: dict[str, Any]
    started_at: str
    finished_at: str
    seconds: float


Records = dict[Step, StepRecord]


@dataclass(frozen=True)
class StepPlan:
    """What a step is to do.

    Attributes:
        step: which.
        params: everything that is in force for it.
        input: the user's data it is to use, if any.
        input_hash: as in :class:`StepRecord`.
        prefix: where its artifacts go.
        record: not None when this was done already: nothing is left to do.
        upstream: the records of the steps before it that this plan builds on.
    """

    step: Step
    params: PipelineParams
    input: InputData | None
    input_hash: str
    prefix: str
    record: StepRecord | None
    upstream: Records


@dataclass(frozen=True)
class StepState:
    """The state of a step.

    Attributes:
        status: "done"; "stale": it finished, but an earlier step has changed since; "failed";
            "missing".
        record: of its last success, even if stale.
        error: of an attempt since then ({code, message, details, at}), even if the record still
            stands.
        progress: the newest progress of an attempt since then.
    """

    status: Status
    record: StepRecord | None = None
    error: dict[str, Any] | None = None
    progress: dict[str, Any] | None = None


def input_hash(
    step: Step, params: dict[str, Any], previous: str | None, given: InputData | None
) -> str:
    """SHA-256 over all that decides a step's output.

    Args:
        step: which; the version of its code counts too.
        params: the parameters it owns, as JSON types.
        previous: output hash of the step before; None for the first.
        given: the user's data, if any.
    """
    return _hash(
        {
            "step": step,
            "params": params,
            "previous": previous,
            "input": given.model_dump() if given else None,
            "code": CODE_VERSION[step],
        }
    )


def output_hash(input_hash: str, artifacts: Mapping[str, Artifact]) -> str:
    """SHA-256 over a step's input hash and the names and hashes of what it made."""
    return _hash(
        {"input_hash": input_hash, "artifacts": {name: a.sha256 for name, a in artifacts.items()}}
    )


def fresh_steps(records: Records) -> set[Step]:
    """Return the steps whose records still hold.

    A record holds if it follows from its own parameters and the record of the step before.
    """
    fresh: set[Step] = set()
    previous = None
    for step in Step:
        record = records.get(step)
        if record is None or record.input_hash != input_hash(
            step, record.params, previous, record.input
        ):
            break
        fresh.add(step)
        previous = record.output_hash
    return fresh


def _hash(value: Any) -> str:
    return hashlib.sha256(to_json(value)).hexdigest()
