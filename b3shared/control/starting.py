"""Turning a wish into an execution of the state machine: names, inputs, limits."""

import time
from collections.abc import Mapping
from typing import Any

from b3shared.aws import Execution, StateMachine
from b3shared.documents import to_json, utc_now
from b3shared.errors import ConflictError, TooManyRunsError
from b3shared.params import Step
from b3shared.runs import Run

MAX_ATTEMPTS = 1000


class Starter:
    """Starts executions.

    Args:
        machine: the state machine.
        max_running: executions allowed at once.
    """

    def __init__(self, machine: StateMachine, max_running: int) -> None:
        self.machine = machine
        self.max_running = max_running

    def start(
        self,
        run: Run,
        stop_after: Step | None,
        overrides: Mapping[Step, Mapping[str, Any]] | None = None,
        input_keys: Mapping[Step, str] | None = None,
    ) -> Execution:
        """Start an execution of a run; its steps that are done are passed through.

        Args:
            run: the run.
            stop_after: the last step; None for all.
            overrides: parameters by the step that owns them.
            input_keys: data of the user's own by the step that takes it.

        Raises:
            TooManyRunsError: As many executions as are allowed are running.
        """
        running = [execution.name for execution in self.machine.running()]
        if len(running) >= self.max_running:
            raise TooManyRunsError(
                f"{len(running)} runs are running, {self.max_running} are allowed at once: try again when one has ended",
                running=running,
            )
        given = execution_input(run, stop_after, overrides or {}, input_keys or {})
        label = f"{run.run_id}.{stop_after or 'all'}"
        for attempt in range(1, MAX_ATTEMPTS):
            name = f"{label}.{attempt}"
            try:  # one winner per number, whoever asks at the same time
                run.storage.create(f"{run.prefix}/attempts/{name}.json", to_json({"at": utc_now()}))
            except ConflictError:
                if (execution := self._started(name)) is not None and execution.status == "RUNNING":
                    return execution
                continue
            return self.machine.start(name, given)
        raise ConflictError(f"{label} was started {MAX_ATTEMPTS} times: use another run_id")

    def _started(self, name: str) -> Execution | None:
        """The execution that another caller is starting under this name; None if he never did."""
        for _ in range(10):
            if (execution := self.machine.find(name)) is not None:
                return execution
            time.sleep(0.2)
        return None


def execution_input(
    run: Run,
    stop_after: Step | None,
    overrides: Mapping[Step, Mapping[str, Any]],
    input_keys: Mapping[Step, str],
) -> dict[str, Any]:
    """Input of the state machine; every path that the definition reads is there."""
    trained = run.effective_params(Step.TRAIN_MODEL, overrides.get(Step.TRAIN_MODEL))
    return {
        "run_id": run.run_id,
        "model_type": trained.model_type,
        "stop_after": str(stop_after) if stop_after else "all",
        "steps": {
            str(step): {"overrides": dict(overrides.get(step, {})), "input_key": input_keys.get(step)} for step in Step
        },
    }
