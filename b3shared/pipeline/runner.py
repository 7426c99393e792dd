"""Runs one step or all of them: plans, works in a temporary folder, records the result."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from b3shared.core.config import Settings
from b3shared.core.errors import InvalidParameterError, SupersededError
from b3shared.core.tempdir import temporary_directory
from b3shared.models.base import Progress, TrainingSession, Unfinished
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline.checkpoint import StepCheckpoint
from b3shared.runs.run import Run, StepPlan, StepRecord
from b3shared.storage import Storage


@dataclass(frozen=True)
class Context:
    """Everything that a step's code works with.

    Attributes:
        run: the run.
        plan: the step's parameters and inputs.
        settings: settings of the deployment.
        folder: an empty temporary folder; artifacts are written to ``folder / "out"``.
        session: progress, checkpoint and time limit of a training.
    """

    run: Run
    plan: StepPlan
    settings: Settings
    folder: Path
    session: TrainingSession

    @property
    def params(self) -> PipelineParams:
        """Parameters of the plan."""
        return self.plan.params

    @property
    def storage(self) -> Storage:
        """Storage of the run."""
        return self.run.storage

    @property
    def out(self) -> Path:
        """Folder for the step's artifacts."""
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        return out

    def inputs(self, step: Step, *names: str) -> Path:
        """Fetch an earlier step's artifacts, all or those named; return their folder."""
        return self.run.fetch(step, self.folder, list(names) or None, self.plan)


Execute = Callable[[Context], tuple[list[Path], dict[str, Any]]]
"""Code of a step: returns the artifact files and a JSON summary."""

TAKES_INPUT = (Step.LOAD_DATA, Step.PREPROCESS_DATA)
"""Steps that accept the user's own data."""


def run_step(
    run: Run,
    step: Step,
    overrides: Mapping[str, Any] | None = None,
    *,
    settings: Settings,
    input_key: str | None = None,
    progress: Progress | None = None,
    seconds_left: Callable[[], float] = lambda: math.inf,
) -> StepRecord:
    """Run one step, unless it is done with the same inputs; continue an interrupted training.

    Args:
        run: the run.
        step: the step.
        overrides: values of the step's own parameters that replace the run's.
        settings: settings of the deployment.
        input_key: key of the user's own data, which replaces the previous step's.
        progress: called in addition to the run's own progress file.
        seconds_left: time that a training still has, see
            :class:`b3shared.models.base.TrainingSession`.

    Raises:
        StepNotReadyError: The step before it has not finished.
        InvalidParameterError: An override is not the step's, or the step accepts no data.
        Unfinished: A training's time is up; it continues when the step is run again. This is no
            failure and not recorded.
        SupersededError: Another attempt at this training has taken over; not recorded.
        DiskFullError: The disk for temporary files is too small for the step.
        B3Error: Raised by the step itself; recorded in the run first, as is any other error.
    """
    if input_key and step not in TAKES_INPUT:
        raise InvalidParameterError(
            f"input_key is for {' and '.join(TAKES_INPUT)} only, got {input_key!r} for {step}",
            parameters=["input_key"],
        )

    plan = run.plan(step, overrides, input_key)
    if plan.record:
        return plan.record

    execute: Execute = import_module(f"b3shared.pipeline.steps.{step}").execute
    checkpoint = StepCheckpoint(run.storage, checkpoint_key(run, step))

    def tell(words: dict[str, Any]) -> None:
        run.progress(step, words)
        if progress:
            progress({"step": str(step), **words})

    session = TrainingSession(tell, checkpoint, seconds_left)
    try:
        with temporary_directory(step) as folder:
            artifacts, summary = execute(Context(run, plan, settings, folder, session))
            record = run.finish(plan, artifacts, summary, checkpoint.started)
    except Unfinished:
        raise
    except SupersededError:
        if done := run.plan(step, overrides, input_key).record:
            return done  # by the other attempt
        raise
    except Exception as error:
        run.fail(step, error)
        raise
    checkpoint.remove()
    return record


def checkpoint_key(run: Run, step: Step) -> str:
    """Return the key of a step's checkpoint, the same for all parameters of the step.

    The model decides whether a checkpoint belongs to its training: with a greater ``max_slices``,
    for example, it does.
    """
    return f"{run.prefix}/{step}/checkpoint"


def run_pipeline(
    run: Run,
    *,
    settings: Settings,
    stop_after: Step = Step.PUBLISH_SERVING,
    progress: Progress | None = None,
    finished: Callable[[StepRecord, bool], None] | None = None,
) -> dict[Step, StepRecord]:
    """Run the steps in order up to ``stop_after``; steps that are done are not run again.

    Args:
        run: the run.
        settings: settings of the deployment.
        stop_after: the last step to run.
        progress: called with a small dict now and then.
        finished: called after every step with its record and whether it was done before.
    """
    records: dict[Step, StepRecord] = {}
    steps = list(Step)
    for step in steps[: steps.index(stop_after) + 1]:
        before = run.record(step)
        record = run_step(run, step, settings=settings, progress=progress)
        records[step] = record
        if finished:
            finished(record, before is not None and before.finished_at == record.finished_at)
    return records
