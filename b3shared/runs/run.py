"""A run: its parameters, the plan of each step, and what the steps have done.

Its state is its step files (:mod:`b3shared.runs.files`): no file is shared by two steps, so none
overwrites what another wrote. A step whose record has the input hash that it is asked for need not
run again; a record that no longer follows from the steps before it is stale.
"""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from b3shared.core.errors import (
    ArtifactNotFoundError,
    B3Error,
    ConflictError,
    InvalidParameterError,
    StepNotReadyError,
    UnknownRunError,
)
from b3shared.core.serialization import from_json, to_json, utc_iso, utc_now
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.runs.files import RunFiles, list_runs, params_key
from b3shared.runs.planning import output_before, params_in_force, steps_until
from b3shared.runs.records import (
    CODE_VERSION,
    InputData,
    Status,
    StepPlan,
    StepRecord,
    StepState,
    fresh_steps,
    input_hash,
    output_hash,
)
from b3shared.runs.run_id import checked_run_id, new_run_id
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
        self.storage = storage
        self.run_id = run_id
        self.params = params
        self.meta = meta
        self.files = RunFiles(storage, run_id)
        self.prefix = self.files.prefix

    @classmethod
    def create(cls, storage: Storage, run_id: str, params: PipelineParams, **meta: Any) -> "Run":
        """Start a run, or return the one that exists with the same parameters, as it is.

        Raises:
            InvalidParameterError: Malformed ``run_id``.
            ConflictError: The run exists with other parameters.
        """
        document = {
            "run_id": checked_run_id(run_id),
            "created_at": utc_now(),
            "params": params.model_dump(mode="json"),
            "meta": meta,
        }

        try:
            storage.create(params_key(run_id), to_json(document))
        except ConflictError:
            run = cls.open(storage, run_id)
            other = sorted(name for name, value in params if getattr(run.params, name) != value)
            if other:
                raise ConflictError(
                    f"run {run_id!r} exists with other values of {', '.join(other)}; "
                    "choose another run_id",
                    run_id=run_id,
                    parameters=other,
                ) from None
            return run
        return cls(storage, run_id, params, meta)

    @classmethod
    def open(cls, storage: Storage, run_id: str) -> "Run":
        """Return the run of this id.

        Raises:
            UnknownRunError: There is none.
            InvalidParameterError: Malformed ``run_id``.
        """
        key = params_key(checked_run_id(run_id))
        try:
            document = from_json(storage.read(key), key)
        except ArtifactNotFoundError:
            raise UnknownRunError(f"there is no run {run_id!r}", run_id=run_id) from None
        return cls(
            storage, run_id, PipelineParams.from_values(document["params"]), document["meta"]
        )

    def record(self, step: Step) -> StepRecord | None:
        """Return what the last success of a step wrote, or None."""
        return self.files.record(step)

    def effective_params(
        self, step: Step, overrides: Mapping[str, Any] | None = None
    ) -> PipelineParams:
        """Return the parameters that are in force for a step.

        They are the run's, then what the steps up to it recorded, then ``overrides``: a step that
        is run again without overrides keeps what it last ran with. A model's own parameters may be
        given flat or under the model's name, and change only what they name.

        Raises:
            InvalidParameterError: An override is unknown, out of bounds, or belongs to another
                step.
        """
        return params_in_force(
            self.params, step, self.files.records(steps_until(step)), overrides or {}
        )

    def plan(
        self, step: Step, overrides: Mapping[str, Any] | None = None, input_key: str | None = None
    ) -> StepPlan:
        """Return what a step is to do now, and whether it was done already.

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
        records = self.files.records(steps_until(step))
        previous = output_before(step, records)
        params = params_in_force(self.params, step, records, overrides or {})
        record = records.pop(step, None)
        if input_key is None:
            given = record.input if record else None
        elif input_key:
            given = InputData(key=input_key, sha256=self.storage.sha256(input_key))
        else:
            given = None

        wanted = input_hash(step, params.owned_by(step), previous, given)
        return StepPlan(
            step=step,
            params=params,
            input=given,
            input_hash=wanted,
            prefix=self.files.artifact_prefix(step, wanted),
            record=record if record and record.input_hash == wanted else None,
            upstream=records,
        )

    def finish(
        self, plan: StepPlan, artifacts: list[Path], summary: dict[str, Any], started: float
    ) -> StepRecord:
        """Store what a step made: the artifacts first, the record last, so it is all or nothing.

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

        stored = self.files.upload(plan.prefix, artifacts)
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
        self.files.write_record(record)
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
            self.files.write_note(step, "error", document)
        except InvalidParameterError:
            # details that are not JSON must not cost us the reason itself
            self.files.write_note(step, "error", document | {"details": {}})

    def progress(self, step: Step, words: dict[str, Any]) -> None:
        """Record how far a step is.

        Best effort: a step goes on when its progress cannot be written.
        """
        try:
            self.files.write_note(step, "progress", {**words, "at": utc_now()})
        except Exception as error:
            _LOG.warning("progress of %s %s not written: %s", self.run_id, step, error)

    def state(self) -> dict[Step, StepState]:
        """Return where every step stands."""
        present = self.files.present()
        records = self.files.records(s for s in Step if self.files.step_key(s) in present)
        fresh = fresh_steps(records)

        states = {}
        for step in Step:
            record = records.get(step)
            error = self.files.note_since(step, "error", record, present)
            progress = self.files.note_since(step, "progress", record, present)
            lacking: Status = "failed" if error else "stale" if record else "missing"
            states[step] = StepState("done" if step in fresh else lacking, record, error, progress)
        return states

    def fetch(
        self, step: Step, folder: Path, names: list[str] | None = None, plan: StepPlan | None = None
    ) -> Path:
        """Download a step's artifacts (or only ``names``) to ``folder/<step>``, every hash checked.

        Returns that folder.

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
        self.files.download(record, target, names)
        return target
