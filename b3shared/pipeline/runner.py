"""Run one step, or all of them: plan, work in a folder of its own, record.

A finished step returns at once.
"""

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
    """What a step's code is given.

    Attributes:
        run: the run it belongs to.
        plan: what it is to do; ``plan.params`` is in force.
        settings: of the deployment.
        folder: an empty folder of its own, removed afterwards; its artifacts are written to
            ``folder / "out"``.
        session: who is told of the work, and what a long training needs to be interrupted.
    """

    run: Run
    plan: StepPlan
    settings: Settings
    folder: Path
    session: TrainingSession

    @property
    def params(self) -> PipelineParams:
        """The parameters in force."""
        return self.plan.params

    @property
    def storage(self) -> Storage:
        """Where the run lives."""
        return self.run.storage

    @property
    def out(self) -> Path:
        """Folder for the step's artifacts."""
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        return out

    def inputs(self, step: Step, *names: str) -> Path:
        """Folder with an earlier step's artifacts (all, or those named), hashes checked."""
        return self.run.fetch(step, self.folder, list(names) or None, self.plan)


Execute = Callable[[Context], tuple[list[Path], dict[str, Any]]]
"""A step's code: returns the artifact files and a JSON summary."""

TAKES_INPUT = (Step.LOAD_DATA, Step.PREPROCESS_DATA)
"""The steps that take data of the user's own."""


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
    """Run one step unless it was done with just these inputs already; go on where an interrupted training stopped.

    Args:
        run: the run.
        step: which.
        overrides: parameters that the step owns, other than the run's.
        settings: of the deployment.
        input_key: data of the user's own in place of the previous step's, where the step takes it.
        progress: called besides the run's own progress file.
        seconds_left: how long a training may go on, see
            :class:`b3shared.models.base.TrainingSession`.

    Raises:
        StepNotReadyError: The step before it has not finished.
        InvalidParameterError: Overrides that are not the step's, or data for a step that takes
            none.
        Unfinished: A training's time is up; run the step again and it goes on. No failure: nothing
            of it is recorded.
        SupersededError: Another attempt at this training has taken over. Nothing is recorded: the
            step is the other's.
        DiskFullError: The disk for temporary files is too small for the step.
        B3Error: What the step itself raises; it is recorded in the run first, as is any other
            error.
    """
    if input_key and step not in TAKES_INPUT:
        raise InvalidParameterError(
            f"input_key = {input_key!r}: {step} takes no data of the user's own; {' and '.join(TAKES_INPUT)} do",
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
    """Where a step's unfinished training leaves its work: one place for all its parameters.

    Whether the work there is of *this* training is the model's to say: a greater ``max_slices``,
    for one, goes on with it.
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
    """Run the steps in order up to ``stop_after``; those already done are passed through.

    Args:
        run: the run.
        settings: of the deployment.
        stop_after: the last step to run.
        progress: called with a small dict now and then.
        finished: called after every step with its record, and whether it had been done before.
    """
    records: dict[Step, StepRecord] = {}
    steps = list(Step)
    for step in steps[: steps.index(stop_after) + 1]:
        before = run.record(step)
        records[step] = run_step(run, step, settings=settings, progress=progress)
        if finished:
            finished(
                records[step],
                before is not None and before.finished_at == records[step].finished_at,
            )
    return records
