"""What has happened in a run. Its state is its step files: nothing shared is rewritten, so no step loses another's word.

``runs/<run_id>/params.json`` is created once and is the run's lock.
``runs/<run_id>/steps/<step>.json`` is written when a step has finished, after its artifacts. A step
whose record has the input hash that it is asked for need not run again; one whose own past no
longer matches what the steps before it say is stale.
"""

import logging
import re
import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from b3shared.core.errors import (
    ArtifactCorruptError,
    ArtifactNotFoundError,
    B3Error,
    ConflictError,
    InvalidParameterError,
    StepNotReadyError,
    UnknownRunError,
)
from b3shared.core.serialization import from_json, to_json, utc_iso, utc_now
from b3shared.params.models import flat_names, nested
from b3shared.params.run import RUN_ID_PATTERN, PipelineParams
from b3shared.params.steps import Step, owner_of
from b3shared.runs.records import (
    CODE_VERSION,
    Artifact,
    InputData,
    Records,
    Status,
    StepPlan,
    StepRecord,
    StepState,
    fresh_steps,
    input_hash,
    output_hash,
)
from b3shared.storage import Storage

__all__ = [
    "CODE_VERSION",
    "InputData",
    "Run",
    "StepPlan",
    "StepRecord",
    "StepState",
    "list_runs",
    "new_run_id",
]

_LOG = logging.getLogger(__name__)


class Run:
    """One run in a storage. Make it by :meth:`create` or :meth:`open`."""

    def __init__(
        self, storage: Storage, run_id: str, params: PipelineParams, meta: dict[str, Any]
    ) -> None:
        self.storage, self.run_id, self.params, self.meta = storage, run_id, params, meta
        self.prefix = f"runs/{run_id}"

    @classmethod
    def create(cls, storage: Storage, run_id: str, params: PipelineParams, **meta: Any) -> "Run":
        """Start a run, or return the one that exists with the same parameters (its ``meta`` stays as it was).

        Raises:
            InvalidParameterError: Malformed ``run_id``.
            ConflictError: The run exists with other parameters.
        """
        document = {
            "run_id": _checked_run_id(run_id),
            "created_at": utc_now(),
            "params": params.model_dump(mode="json"),
            "meta": meta,
        }
        try:
            storage.create(_params_key(run_id), to_json(document))
        except ConflictError:
            run = cls.open(storage, run_id)
            other = sorted(name for name, value in params if getattr(run.params, name) != value)
            if other:
                message = f"run {run_id!r} exists with other values of {', '.join(other)}; choose another run_id"
                raise ConflictError(message, run_id=run_id, parameters=other) from None
            return run
        return cls(storage, run_id, params, meta)

    @classmethod
    def open(cls, storage: Storage, run_id: str) -> "Run":
        """The run of this id; UnknownRunError if there is none, InvalidParameterError if none can have it."""
        key = _params_key(_checked_run_id(run_id))
        try:
            document = from_json(storage.read(key), key)
        except ArtifactNotFoundError:
            raise UnknownRunError(f"there is no run {run_id!r}", run_id=run_id) from None
        return cls(storage, run_id, PipelineParams.of(document["params"]), document["meta"])

    def record(self, step: Step) -> StepRecord | None:
        """What the last success of a step wrote, or None."""
        key = self._step_key(step)
        found = self.storage.read_versioned(key)
        try:
            return StepRecord.model_validate_json(found[0]) if found else None
        except ValidationError as error:
            raise ArtifactCorruptError(
                f"{key!r} is not a step's record: {error}", key=key
            ) from error

    def effective_params(
        self, step: Step, overrides: Mapping[str, Any] | None = None
    ) -> PipelineParams:
        """What is in force for a step: the run's parameters, then what the steps up to it recorded, then ``overrides``.

        So a step that is run again without overrides keeps what it last ran with. Fields of the
        forest may be given flat or as ``rf``, and change only what they name.

        Raises:
            InvalidParameterError: An override is unknown, out of bounds, or belongs to another
                step.
        """
        return self._effective(step, self._records(step), overrides or {})

    def plan(
        self, step: Step, overrides: Mapping[str, Any] | None = None, input_key: str | None = None
    ) -> StepPlan:
        """What a step is to do now, and whether it was done already.

        Args:
            step: which.
            overrides: see :meth:`effective_params`.
            input_key: the user's data in place of the previous step's; None keeps what the step
                last ran with, the empty string goes back to the previous step's output.

        Raises:
            StepNotReadyError: A step before it is missing or stale; ``details["missing"]`` is the
                first such.
            ArtifactNotFoundError: ``input_key`` does not exist.
            InvalidParameterError: See :meth:`effective_params`.
        """
        records = self._records(step)
        previous = _ready(step, records)
        params = self._effective(step, records, overrides or {})
        record = records.pop(step, None)
        if input_key is None:
            given = record.input if record else None
        else:
            given = (
                InputData(key=input_key, sha256=self.storage.sha256(input_key))
                if input_key
                else None
            )
        wanted = input_hash(step, params.owned_by(step), previous, given)
        done = record if record and record.input_hash == wanted else None
        return StepPlan(
            step, params, given, wanted, f"{self.prefix}/{step}/{wanted[:16]}", done, records
        )

    def finish(
        self, plan: StepPlan, artifacts: list[Path], summary: dict[str, Any], started: float
    ) -> StepRecord:
        """Store what a step made: the artifacts first, the step file last, so that it is done wholly or not at all.

        Args:
            plan: from :meth:`plan`.
            artifacts: local files with different names.
            summary: JSON types only.
            started: ``time.time()`` at the start.

        Raises:
            InvalidParameterError: Two artifacts have one name, or ``summary`` is not JSON.
        """
        names = [path.name for path in artifacts]
        if len(set(names)) < len(names):
            raise InvalidParameterError(
                f"artifacts of {plan.step} must have different names, not {sorted(names)}"
            )
        to_json(summary)
        stored = self._store(plan, artifacts)
        finished = time.time()
        record = StepRecord(
            step=plan.step,
            params=plan.params.owned_by(plan.step),
            input=plan.input,
            input_hash=plan.input_hash,
            output_hash=output_hash(plan.input_hash, stored),
            artifacts=stored,
            summary=summary,
            started_at=utc_iso(started),
            finished_at=utc_iso(finished),
            seconds=round(finished - started, 3),
        )
        self.storage.put(self._step_key(plan.step), to_json(record.model_dump(mode="json")))
        for kind in ("error", "progress"):
            self.storage.delete(self._step_key(plan.step, kind))
        return record

    def fail(self, step: Step, error: BaseException | str, code: str | None = None) -> None:
        """Record why an attempt at a step ended.

        ``code`` is for errors that come as text, such as a time-out's.
        """
        known = error if isinstance(error, B3Error) else None
        text = str(error) if known or isinstance(error, str) else f"{type(error).__name__}: {error}"
        document = {
            "code": code or (known.code if known else "INTERNAL"),
            "message": text,
            "details": known.details if known else {},
            "at": utc_now(),
        }
        try:
            data = to_json(document)
        except (
            InvalidParameterError
        ):  # details that are not JSON must not cost us the reason itself
            data = to_json(document | {"details": {}})
        self.storage.put(self._step_key(step, "error"), data)

    def progress(self, step: Step, words: dict[str, Any]) -> None:
        """Say how far a step is. Best effort: work never stops because nobody could be told of it."""
        try:
            self.storage.put(self._step_key(step, "progress"), to_json({**words, "at": utc_now()}))
        except Exception as error:
            _LOG.warning("progress of %s %s not written: %s", self.run_id, step, error)

    def state(self) -> dict[Step, StepState]:
        """Where every step stands."""
        present = set(self.storage.list(f"{self.prefix}/steps/"))
        records = {s: r for s in Step if self._step_key(s) in present and (r := self.record(s))}
        fresh = fresh_steps(records)
        states = {}
        for step in Step:
            record = records.get(step)
            error, progress = (
                self._since(step, kind, record, present) for kind in ("error", "progress")
            )
            lacking: Status = "failed" if error else "stale" if record else "missing"
            states[step] = StepState("done" if step in fresh else lacking, record, error, progress)
        return states

    def fetch(
        self, step: Step, folder: Path, names: list[str] | None = None, plan: StepPlan | None = None
    ) -> Path:
        """Download a step's artifacts (or only ``names``) to ``folder/<step>``, every hash checked; return that folder.

        Args:
            step: whose.
            folder: made if needed.
            names: file names.
            plan: the plan on whose behalf; pins the records it was made from, should the step be
                run again meanwhile.

        Raises:
            StepNotReadyError: The step has not finished.
            ArtifactNotFoundError: It has no artifact of that name, or the artifact is gone.
            ArtifactCorruptError: A hash differs.
        """
        record = plan.upstream.get(step) if plan else self.record(step)
        if record is None:
            raise StepNotReadyError(
                f"{step} has not finished in run {self.run_id!r}", missing=str(step)
            )
        target = folder / step
        target.mkdir(parents=True, exist_ok=True)
        for name in record.artifacts if names is None else names:
            if name not in record.artifacts:
                raise ArtifactNotFoundError(
                    f"{step} made no {name!r}, only {', '.join(sorted(record.artifacts))}"
                )
            artifact = record.artifacts[name]
            self.storage.download(artifact.key, target / name, artifact.sha256)
        return target

    def _step_key(self, step: Step, kind: str = "") -> str:
        return f"{self.prefix}/steps/{step}{'.' if kind else ''}{kind}.json"

    def _records(self, last: Step) -> Records:
        return {s: r for s in (*last.earlier, last) if (r := self.record(s))}

    def _effective(
        self, step: Step, records: Records, overrides: Mapping[str, Any]
    ) -> PipelineParams:
        recorded = {
            name: value for record in records.values() for name, value in record.params.items()
        }
        params = PipelineParams.of(self.params.model_dump() | recorded)
        changes = nested(overrides)
        for name in flat_names(changes):
            owner = owner_of(name)
            if owner not in (step, None):
                raise InvalidParameterError(
                    f"{name} belongs to {owner}, not to {step}: run {owner} with it, then the steps after it",
                    parameters=[name],
                    owner=str(owner),
                )
        return params.replace(changes)

    def _store(self, plan: StepPlan, files: list[Path]) -> dict[str, Artifact]:
        # A folder of its own for every attempt: two at the same step cannot overwrite what the
        # other's record names.
        folder = f"{plan.prefix}/{secrets.token_hex(4)}"
        stored = {}
        for file in files:
            key = f"{folder}/{file.name}"
            stored[file.name] = Artifact(
                key=key, sha256=self.storage.upload(file, key), bytes=file.stat().st_size
            )
        return stored

    def _since(
        self, step: Step, kind: str, record: StepRecord | None, present: set[str]
    ) -> dict[str, Any] | None:
        key = self._step_key(step, kind)
        found = self.storage.read_versioned(key) if key in present else None
        document: dict[str, Any] | None = from_json(found[0], key) if found else None
        # A step killed between its step file and the clearing of these leaves them behind.
        return (
            document
            if document and (record is None or document["at"] > record.finished_at)
            else None
        )


def new_run_id(prefix: str = "run") -> str:
    """A new run id, such as ``run-20240131t174502123456-9f86d081``: those made later sort later."""
    return _checked_run_id(f"{prefix}-{datetime.now(UTC):%Y%m%dt%H%M%S%f}-{secrets.token_hex(4)}")


def list_runs(storage: Storage) -> list[str]:
    """The ids of all runs, sorted."""
    return [name for name in storage.folders("runs/") if storage.exists(_params_key(name))]


def _params_key(run_id: str) -> str:
    return f"runs/{run_id}/params.json"


def _checked_run_id(run_id: str) -> str:
    if not re.fullmatch(RUN_ID_PATTERN, run_id):
        raise InvalidParameterError(
            f"run_id {run_id!r}: 1 to 48 of a-z, 0-9 and '-' are allowed, the first not '-'"
        )
    return run_id


def _ready(step: Step, records: Records) -> str | None:
    """Output hash of the step before, None for the first; StepNotReadyError unless every earlier record holds."""
    fresh = fresh_steps(records)
    for earlier in step.earlier:
        if earlier not in fresh:
            word = "is out of date" if earlier in records else "has not finished"
            raise StepNotReadyError(
                f"{step} needs {earlier}, which {word}; run {earlier} first", missing=str(earlier)
            )
    return records[step.predecessor].output_hash if step.predecessor else None
