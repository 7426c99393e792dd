"""Turning a wish into an execution of the state machine: names, inputs, limits."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from b3shared.core.errors import ConflictError, TooManyRunsError
from b3shared.core.serialization import from_json, to_json, utc_now
from b3shared.params.steps import Step
from b3shared.runs.run import Run
from b3shared.runs.state_machine import ALL, Execution, StateMachine, execution_name

MAX_ATTEMPTS = 1000

STARTING = timedelta(seconds=3)
"""How long another caller may take from claiming an execution's name to starting it."""


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
            ConflictError: The same is running with other parameters.
        """
        running = list(self.machine.running())
        if len(running) >= self.max_running and run.run_id not in [
            execution.run_id for execution in running
        ]:
            raise TooManyRunsError(
                f"{len(running)} runs are running, {self.max_running} are allowed at once: try again when one has ended",
                running=[execution.name for execution in running],
            )
        given = execution_input(run, stop_after, overrides or {}, input_keys or {})
        for attempt in range(1, MAX_ATTEMPTS):
            name = execution_name(run.run_id, stop_after, attempt)
            try:  # one winner per number, whoever asks at the same time
                run.storage.create(
                    _claim_key(run, name), to_json({"at": utc_now(), "input": given})
                )
            except ConflictError:
                if (execution := self._underway(run, name, given)) is not None:
                    return execution
                continue
            return self.machine.start(name, given)
        raise ConflictError(
            f"{run.run_id} up to {stop_after or ALL} was started {MAX_ATTEMPTS} times: use another run_id"
        )

    def _underway(self, run: Run, name: str, given: dict[str, Any]) -> Execution | None:
        """The running execution that another caller claimed; None if it has ended, or he never started it."""
        key = _claim_key(run, name)
        claim = from_json(run.storage.read(key), key)
        while (execution := self.machine.find(name)) is None:
            if datetime.now(UTC) - datetime.fromisoformat(claim["at"]) > STARTING:
                return None
            time.sleep(0.2)
        if execution.status != "RUNNING":
            return None
        if claim["input"] != given:
            raise ConflictError(
                f"{name} is running with other parameters: ask again when it has ended",
                execution=name,
            )
        return execution


def _claim_key(run: Run, name: str) -> str:
    return f"{run.prefix}/attempts/{name}.json"


def execution_input(
    run: Run,
    stop_after: Step | None,
    overrides: Mapping[Step, Mapping[str, Any]],
    input_keys: Mapping[Step, str],
) -> dict[str, Any]:
    """Input of the state machine; every path that the definition reads is there. ``last``: what the last step answered."""
    trained = run.effective_params(Step.TRAIN_MODEL, overrides.get(Step.TRAIN_MODEL))
    return {
        "run_id": run.run_id,
        "model_type": trained.model_type,
        "stop_after": str(stop_after or ALL),
        "last": None,
        "steps": {
            str(step): {
                "overrides": dict(overrides.get(step, {})),
                "input_key": input_keys.get(step),
            }
            for step in Step
        },
    }
