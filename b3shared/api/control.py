"""The control API's routes about runs, without HTTP: start a run, run up to a step, ask."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from b3shared.api.answers import NO_RUN, status_answer, step_answer
from b3shared.api.requests import (
    CompletePipelineRequest,
    Parameters,
    StepRequest,
    own_params,
    resumed_params,
    run_id_of,
)
from b3shared.api.responses import (
    MessageAnswer,
    PipelineStartedAnswer,
    RunningAnswer,
    StatusAnswer,
    StepAnswer,
)
from b3shared.core.errors import (
    ConflictError,
    RunFailedError,
    StepNotReadyError,
    UnknownRunError,
)
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.runs.current import current_run, set_current_run
from b3shared.runs.failures import reason
from b3shared.runs.run import Run, new_run_id
from b3shared.runs.starter import Starter
from b3shared.runs.state_machine import ALL, Execution, StateMachine
from b3shared.storage import Storage

NEEDS = {
    Step.PREPROCESS_DATA: Step.LOAD_DATA,
    Step.SPLIT_DATA: Step.PREPROCESS_DATA,
    Step.TRAIN_MODEL: Step.SPLIT_DATA,
    Step.EVALUATE_MODEL: Step.TRAIN_MODEL,
    Step.SAVE_MODEL: Step.EVALUATE_MODEL,
}
"""Step -> the step that must be done before it."""

STOPS = {Step.SAVE_MODEL: None}
"""Step -> where its execution ends, if not with the step: saving also publishes."""


@dataclass(frozen=True)
class Limits:
    """Limits of what a caller may ask for.

    Attributes:
        wait_seconds: how long an answer may be waited for.
        max_running: executions at once.
    """

    wait_seconds: float = 25.0
    max_running: int = 4


class Control:
    """Starts and follows the runs of one deployment.

    Args:
        storage: of the deployment.
        machine: its state machine.
        limits: of what a caller may ask for.
        remaining: seconds that the caller's own process still has; waiting ends two seconds before.
    """

    def __init__(
        self,
        storage: Storage,
        machine: StateMachine,
        limits: Limits,
        remaining: Callable[[], float] = lambda: float("inf"),
    ) -> None:
        self.storage = storage
        self.machine = machine
        self.limits = limits
        self.remaining = remaining
        self.starter = Starter(machine, limits.max_running)

    def complete_pipeline(
        self, request: CompletePipelineRequest, idempotency_key: str | None = None
    ) -> PipelineStartedAnswer:
        """Start a whole run, or resume the one of this id (or key), and return at once.

        What is running already is not started again.

        Raises:
            ConflictError: The run exists with other parameters, or runs only up to some step now.
            TooManyRunsError: As many as are allowed are running.
        """
        run = self._whole_run(request.run_id, request.parameters, idempotency_key)
        running = self._running(run)
        if running and running.stop_after != ALL:
            raise ConflictError(
                f"run {run.run_id!r} is running up to {running.stop_after}: "
                "ask again when that has ended",
                execution=running.name,
            )

        execution = self.starter.start(
            run, None, input_keys=_input_keys(Step.LOAD_DATA, request.input_key)
        )
        set_current_run(self.storage, run.run_id)
        return PipelineStartedAnswer(
            status="success",
            message="Complete training pipeline started",
            run_id=run.run_id,
            execution_arn=execution.arn,
            training_status="running",
            model_type=run.params.model_type,
        )

    def step(
        self, step: Step, request: StepRequest, idempotency_key: str | None = None
    ) -> StepAnswer | RunningAnswer:
        """Run up to a step and wait: return what it made, or that it is running still.

        Raises:
            StepNotReadyError: The step before it has not run; ``details["missing"]`` names it.
            B3Error: What the step itself ended with.
        """
        deadline = time.monotonic() + self._patience(request.wait_seconds)
        if step is Step.LOAD_DATA:
            run, overrides = self._for_loading(request.run_id, request.parameters, idempotency_key)
        else:
            run = self._named(request.run_id, step)
            overrides = own_params(run, step, request.parameters)

        unfinished = self._not_ready(run, step, deadline)
        if unfinished is None:
            execution = self.starter.start(
                run, STOPS.get(step, step), {step: overrides}, _input_keys(step, request.input_key)
            )
        if step is Step.LOAD_DATA:
            set_current_run(self.storage, run.run_id)
        return unfinished or self._followed(run, step, execution, deadline)

    def status(self, run_id: str | None) -> StatusAnswer:
        """Return where a run stands; without an id the current one."""
        run_id = run_id or current_run(self.storage)
        if run_id is None:
            return NO_RUN
        run = Run.open(self.storage, run_id)
        running = [e.name for e in self.machine.running() if e.run_id == run.run_id]
        return status_answer(run, running)

    def clear_state(self) -> MessageAnswer:
        """Have no current run any more; runs, models and lake stay."""
        set_current_run(self.storage, None)
        return MessageAnswer(status="success", message="Pipeline state cleared")

    # -- runs

    def _create(self, run_id: str | None, params: PipelineParams) -> Run:
        return Run.create(self.storage, run_id or new_run_id(), params, trigger="api")

    def _whole_run(self, run_id: str | None, params: Parameters, key: str | None) -> Run:
        """Return a new run, or the one of this id, whose parameters need not be given again."""
        wanted = PipelineParams.from_values(params)
        if run_id:
            with suppress(UnknownRunError):
                wanted = resumed_params(Run.open(self.storage, run_id), params)
        return self._create(run_id or run_id_of(key), wanted)

    def _for_loading(
        self, run_id: str | None, params: Parameters, key: str | None
    ) -> tuple[Run, dict[str, Any]]:
        """Return a new run, or the one of this id, and the parameters that its load changes."""
        if run_id:
            with suppress(UnknownRunError):
                run = Run.open(self.storage, run_id)
                return run, own_params(run, Step.LOAD_DATA, params)
        return self._create(run_id or run_id_of(key), PipelineParams.from_values(params)), {}

    def _named(self, run_id: str | None, step: Step) -> Run:
        run_id = run_id or current_run(self.storage)
        if run_id is None:
            raise StepNotReadyError(
                f"{step} needs {NEEDS[step]}, and there is no current run: "
                "call load-data first, or give a run_id",
                missing=str(Step.LOAD_DATA),
            )
        return Run.open(self.storage, run_id)

    def _running(self, run: Run) -> Execution | None:
        return next((e for e in self.machine.running() if e.run_id == run.run_id), None)

    # -- waiting

    def _patience(self, wished: float | None) -> float:
        """Return how many seconds to wait: what was wished, as far as it is granted."""
        left = max(0.0, self.remaining() - 2.0)
        granted = min(self.limits.wait_seconds, left)
        return granted if wished is None else min(wished, granted)

    def _not_ready(self, run: Run, step: Step, deadline: float) -> RunningAnswer | None:
        """Wait until the run's execution has ended, and check that the step may start.

        Returns None when it may, an answer when the time is up first.

        Raises:
            StepNotReadyError: A step before it is not done.
        """
        pause = 0.1
        while (execution := self._running(run)) is not None:
            if time.monotonic() >= deadline:
                return _still_running(run, step, execution)
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0)

        needed = NEEDS.get(step)
        if needed is None:
            return None

        state = run.state()
        for earlier in (*needed.earlier, needed):
            if state[earlier].status != "done":
                word = "is out of date" if state[earlier].status == "stale" else "has not run"
                raise StepNotReadyError(
                    f"{step} needs {earlier}, which {word}: call it first", missing=str(earlier)
                )
        return None

    def _followed(
        self, run: Run, step: Step, execution: Execution, deadline: float
    ) -> StepAnswer | RunningAnswer:
        """Wait for an execution, until the deadline at most."""
        pause = 0.05
        while (execution := self.machine.status(execution)).status == "RUNNING":
            if time.monotonic() >= deadline:
                return _still_running(run, step, execution)
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0)

        if execution.status != "SUCCEEDED":
            raise reason(run, execution)
        record = run.record(step)
        if record is None:
            raise RunFailedError(f"execution {execution.name} succeeded, but {step} has no record")
        return step_answer(run, step, record)


def _input_keys(step: Step, input_key: str | None) -> dict[Step, str]:
    return {} if input_key is None else {step: input_key}


def _still_running(run: Run, step: Step, execution: Execution) -> RunningAnswer:
    return RunningAnswer(
        status="success",
        message=f"{step} is not finished yet: ask pipeline-status, or call again",
        run_id=run.run_id,
        execution_arn=execution.arn,
        training_status="running",
    )
