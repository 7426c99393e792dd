"""The control API without HTTP: start a run, run up to a step and wait, ask, promote, roll back."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from b3shared.api.requests import (
    Body,
    check_names,
    expected_of,
    namespace_of,
    own_params,
    reason_of,
    resumed_params,
    run_id_of,
    short,
    taken_apart,
)
from b3shared.api.responses import status_answer, step_answer
from b3shared.core.errors import (
    ConflictError,
    InvalidParameterError,
    RunFailedError,
    StepNotReadyError,
    UnknownRunError,
)
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.registry.key import ModelKey
from b3shared.registry.promotion import promote, rollback
from b3shared.registry.release import Release
from b3shared.registry.versions import Registry
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
"""What a caller must have done before he asks for a step."""

STOPS = {Step.SAVE_MODEL: None}
"""Where a step's execution ends if not with the step: saving also publishes."""

ROLLBACK = ("model_dir", "why")
"""What the body of a rollback may say."""

PROMOTE = ("model_version", "expected", *ROLLBACK)
"""What the body of a promotion may say."""

Answer = tuple[int, dict[str, Any]]
"""HTTP status and body."""


@dataclass(frozen=True)
class Limits:
    """What a caller may ask for.

    Attributes:
        wait_seconds: how long an answer may be waited for.
        max_running: executions at once.
    """

    wait_seconds: float = 25.0
    max_running: int = 4


class Control:
    """Starts and follows runs of one deployment.

    Args:
        storage: of the deployment.
        machine: its state machine.
        limits: what a caller may ask for.
        remaining: seconds that the caller's own process still has; waiting ends two seconds before.
    """

    def __init__(
        self,
        storage: Storage,
        machine: StateMachine,
        limits: Limits,
        remaining: Callable[[], float] = lambda: float("inf"),
    ) -> None:
        self.storage, self.machine, self.limits, self.remaining = (
            storage,
            machine,
            limits,
            remaining,
        )
        self.starter = Starter(machine, limits.max_running)

    def complete_pipeline(self, body: Body, idempotency_key: str | None = None) -> Answer:
        """Start a whole run, or resume the one of this id (or key), and return at once; what runs is not started twice.

        Raises:
            ConflictError: The run exists with other parameters, or runs only up to some step just
                now.
            TooManyRunsError: As many as are allowed are running.
        """
        run_id, input_key, params = taken_apart(body)
        run = self._whole_run(run_id, params, idempotency_key)
        running = self._running(run)
        if running and running.stop_after != ALL:
            raise ConflictError(
                f"run {run.run_id!r} is running up to {running.stop_after}: ask again when that has ended",
                execution=running.name,
            )
        input_keys = {Step.LOAD_DATA: input_key} if input_key is not None else {}
        execution = self.starter.start(run, None, input_keys=input_keys)
        set_current_run(self.storage, run.run_id)
        return 202, {
            "status": "success",
            "message": "Complete training pipeline started",
            "run_id": run.run_id,
            "execution_arn": execution.arn,
            "training_status": "running",
            "model_type": run.params.model_type,
        }

    def step(self, step: Step, body: Body, idempotency_key: str | None = None) -> Answer:
        """Run up to a step and wait for it: 200 with what it made, or 202 when the waiting ends first.

        Raises:
            StepNotReadyError: The step before it has not run; ``details["missing"]`` names it.
            B3Error: What the step itself ended with.
        """
        deadline = time.monotonic() + self._patience(body)
        run_id, input_key, params = taken_apart(body)
        if step is Step.LOAD_DATA:
            run, overrides = self._for_loading(run_id, params, idempotency_key)
        else:
            run = self._named(run_id, step)
            overrides = own_params(run, step, params)
        unfinished = self._not_ready(run, step, deadline)
        if unfinished is None:
            input_keys = {step: input_key} if input_key is not None else {}
            execution = self.starter.start(
                run, STOPS.get(step, step), {step: overrides}, input_keys
            )
        if step is Step.LOAD_DATA:
            set_current_run(self.storage, run.run_id)
        return unfinished or self._followed(run, step, execution, deadline)

    def status(self, run_id: str | None) -> Answer:
        """Where a run stands; without an id the current one."""
        run_id = run_id or current_run(self.storage)
        if run_id is None:
            return 200, {
                "status": "success",
                "run_id": None,
                "pipeline_state": _NOTHING,
                "progress": 0.0,
                "steps": {},
            }
        run = Run.open(self.storage, run_id)
        return 200, status_answer(
            run, [e.name for e in self.machine.running() if e.run_id == run.run_id]
        )

    def clear_state(self) -> Answer:
        """No current run any more; runs, models and lake stay."""
        set_current_run(self.storage, None)
        return 200, {"status": "success", "message": "Pipeline state cleared"}

    def models(self, model_type: str | None, namespace: str = "models") -> Answer:
        """Registered versions by type with their figures, and what is live."""
        registry, state = Registry(self.storage, namespace), Release(self.storage).state()
        types = registry.types() if model_type is None else [model_type]
        listed = {}
        for kind in types:
            key = ModelKey.checked(namespace, kind)
            listed[key.model_type] = {
                "live": state.live.get(key),
                "skill": state.skill.get(key),
                "versions": [_version(manifest) for manifest in registry.versions(kind)],
                "events": [event for event in state.events if event["key"] == str(key)],
            }
        return 200, {"status": "success", "namespace": namespace, "models": listed}

    def promote(self, model_type: str, body: Body, who: str) -> Answer:
        """Make ``model_version`` live; 409 on a lost race or when ``expected`` is not what is live."""
        check_names(body, PROMOTE)
        version = body.get("model_version")
        if not isinstance(version, str):
            raise InvalidParameterError(
                f"model_version must be the name of a version, got {short(version)}"
            )
        namespace = namespace_of(body)
        before = Release(self.storage).state().live
        more = {"expected": expected_of(body)} if "expected" in body else {}
        after = promote(
            self.storage, namespace, model_type, version, who=who, why=reason_of(body), **more
        )
        return 200, _moved(namespace, model_type, before, after.live)

    def rollback(self, model_type: str, body: Body, who: str) -> Answer:
        """Go back to the version that was live before."""
        check_names(body, ROLLBACK)
        namespace = namespace_of(body)
        release = Release(self.storage)
        before = release.state().live
        after = rollback(self.storage, namespace, model_type, who=who, why=reason_of(body))
        return 200, _moved(namespace, model_type, before, after.live)

    # -- runs

    def _create(self, run_id: str | None, params: PipelineParams) -> Run:
        return Run.create(self.storage, run_id or new_run_id(), params, trigger="api")

    def _whole_run(self, run_id: str | None, params: Body, key: str | None) -> Run:
        """A new run, or the one of this id, whose parameters need not be said again."""
        wanted = PipelineParams.of(params)
        if run_id:
            with suppress(UnknownRunError):
                wanted = resumed_params(Run.open(self.storage, run_id), params)
        return self._create(run_id or run_id_of(key), wanted)

    def _for_loading(
        self, run_id: str | None, params: Body, key: str | None
    ) -> tuple[Run, dict[str, Any]]:
        """A new run with all its parameters, or the one of this id with what its load is to change."""
        if run_id:
            with suppress(UnknownRunError):
                run = Run.open(self.storage, run_id)
                return run, own_params(run, Step.LOAD_DATA, params)
        return self._create(run_id or run_id_of(key), PipelineParams.of(params)), {}

    def _named(self, run_id: str | None, step: Step) -> Run:
        run_id = run_id or current_run(self.storage)
        if run_id is None:
            raise StepNotReadyError(
                f"{step} needs {NEEDS[step]}, and there is no current run: call load-data first, or give a run_id",
                missing=str(Step.LOAD_DATA),
            )
        return Run.open(self.storage, run_id)

    def _running(self, run: Run) -> Execution | None:
        return next((e for e in self.machine.running() if e.run_id == run.run_id), None)

    # -- waiting

    def _patience(self, body: Body) -> float:
        wished = body.get("wait_seconds", self.limits.wait_seconds)
        if isinstance(wished, bool) or not isinstance(wished, int | float) or not wished >= 0:
            raise InvalidParameterError(
                f"wait_seconds must be a number of seconds >= 0, got {short(wished)}"
            )
        left = max(0.0, self.remaining() - 2.0)
        return float(
            min(wished, self.limits.wait_seconds, left)
        )  # an integer may be too long for a float

    def _not_ready(self, run: Run, step: Step, deadline: float) -> Answer | None:
        """None when the step may start; a 202 when the one before it is running still; StepNotReadyError otherwise."""
        pause = 0.1
        while (execution := self._running(run)) is not None:
            if time.monotonic() >= deadline:
                return 202, _still_running(run, step, execution)
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

    def _followed(self, run: Run, step: Step, execution: Execution, deadline: float) -> Answer:
        pause = 0.05
        while (execution := self.machine.status(execution)).status == "RUNNING":
            if time.monotonic() >= deadline:
                return 202, _still_running(run, step, execution)
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0)
        if execution.status != "SUCCEEDED":
            raise reason(run, execution)
        record = run.record(step)
        if record is None:
            raise RunFailedError(f"execution {execution.name} succeeded, but {step} has no record")
        return 200, step_answer(run, step, record)


_NOTHING = {
    "has_raw_data": False,
    "has_processed_data": False,
    "has_split_data": False,
    "has_trained_model": False,
    "training_status": "not started",
}


def _still_running(run: Run, step: Step, execution: Execution) -> dict[str, Any]:
    return {
        "status": "success",
        "message": f"{step} is not finished yet: ask pipeline-status, or call again",
        "run_id": run.run_id,
        "execution_arn": execution.arn,
        "training_status": "running",
    }


def _version(manifest: dict[str, Any]) -> dict[str, Any]:
    kept = ("version", "created_at", "train_end", "target", "feature_set", "lineage")
    return {name: manifest.get(name) for name in kept} | {"evaluation": manifest.get("evaluated")}


def _moved(
    namespace: str, model_type: str, before: dict[ModelKey, str], after: dict[ModelKey, str]
) -> dict[str, Any]:
    key = ModelKey.checked(namespace, model_type)
    return {"status": "success", "model": str(key), "from": before.get(key), "to": after.get(key)}
