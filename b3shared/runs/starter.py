"""Starts executions of runs: their names, inputs and concurrency limit."""

from collections.abc import Mapping
from typing import Any

from b3shared.core.errors import ConflictError, TooManyRunsError
from b3shared.params.steps import Step
from b3shared.runs.run import Run
from b3shared.runs.state_machine import ALL, Execution, StateMachine, execution_name

MAX_ATTEMPTS = 1000


class Starter:
    """Starts executions.

    An execution is named after its run, its last step and a number. Step Functions starts a name
    and input once, whoever asks at the same time; the next number is taken when the execution of
    the last number has ended.

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
        """Start an execution of a run, or return the one that is running with the same input.

        Steps that are done are passed through.

        Args:
            run: the run.
            stop_after: the last step; None for all.
            overrides: parameters by the step that owns them.
            input_keys: data of the user's own by the step that takes it.

        Raises:
            TooManyRunsError: As many executions as are allowed are running.
            ConflictError: The same is running with other parameters.
        """
        self._check_limit(run)
        given = execution_input(run, stop_after, overrides or {}, input_keys or {})

        for attempt in range(1, MAX_ATTEMPTS):
            name = execution_name(run.run_id, stop_after, attempt)
            try:
                return self.machine.start(name, given)
            except ConflictError:
                if self._is_running(name):
                    raise ConflictError(
                        f"{name} is running with other parameters: ask again when it has ended",
                        execution=name,
                    ) from None
        raise ConflictError(
            f"{run.run_id} up to {stop_after or ALL} was started {MAX_ATTEMPTS} times: "
            "use another run_id"
        )

    def _check_limit(self, run: Run) -> None:
        """Refuse another run than those that are running, when as many as are allowed are."""
        running = list(self.machine.running())
        runs = [execution.run_id for execution in running]
        if len(running) >= self.max_running and run.run_id not in runs:
            raise TooManyRunsError(
                f"{len(running)} runs are running, {self.max_running} are allowed at once: "
                "try again when one has ended",
                running=[execution.name for execution in running],
            )

    def _is_running(self, name: str) -> bool:
        """Whether an execution of a name that is taken is running.

        One that cannot be found yet was started this moment.
        """
        execution = self.machine.find(name)
        return execution is None or execution.status == "RUNNING"


def execution_input(
    run: Run,
    stop_after: Step | None,
    overrides: Mapping[Step, Mapping[str, Any]],
    input_keys: Mapping[Step, str],
) -> dict[str, Any]:
    """Return the input of an execution: every path that the state machine's definition reads.

    ``last`` is where the definition keeps the answer of the last step.
    """
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
