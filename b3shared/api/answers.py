"""Fills the response models of the control API from a run's records."""

from collections.abc import Callable
from typing import Any

from b3shared.api.responses import (
    EvaluateModelAnswer,
    EvaluationResults,
    LoadDataAnswer,
    PipelineState,
    PreprocessDataAnswer,
    SavedVersion,
    SaveModelAnswer,
    SplitDataAnswer,
    StatusAnswer,
    StepAnswer,
    StepFailure,
    StepStatus,
    TrainingResults,
    TrainingStatus,
    TrainModelAnswer,
)
from b3shared.params.steps import Step
from b3shared.runs.records import StepRecord, StepState
from b3shared.runs.run import Run

Common = dict[str, Any]
"""The fields of every step's answer."""


def step_answer(run: Run, step: Step, record: StepRecord) -> StepAnswer:
    """Return the answer to a step that has finished."""
    message, fill = _STEPS[step]
    common = {
        "status": "success",
        "message": message,
        "run_id": run.run_id,
        "seconds": record.seconds,
    }
    return fill(common, record, run)


def _loaded(common: Common, record: StepRecord, _: Run) -> StepAnswer:
    summary = record.summary
    return LoadDataAnswer(
        **common,
        data_shape=[summary["rows"], len(summary["columns"])],
        columns=summary["columns"],
        report=summary,
    )


def _preprocessed(common: Common, record: StepRecord, _: Run) -> StepAnswer:
    summary = record.summary
    return PreprocessDataAnswer(
        **common,
        features_shape=[summary["labelled_rows"], summary["features"]],
        targets_shape=[summary["labelled_rows"]],
        feature_columns=summary["feature_names"],
        target_distribution=summary["target_distribution"],
        report=summary,
    )


def _split(common: Common, record: StepRecord, _: Run) -> StepAnswer:
    return SplitDataAnswer(**common, **record.summary)


def _trained(common: Common, record: StepRecord, _: Run) -> StepAnswer:
    summary = record.summary
    model_type = record.params["model_type"]
    results = TrainingResults(
        model_type=model_type,
        best_params=summary["chosen"],
        train_size=summary["rows"]["train"],
    )

    return TrainModelAnswer(
        **common,
        training_status="completed",
        model_type=model_type,
        training_results=results,
        report=summary,
    )


def _evaluated(common: Common, record: StepRecord, run: Run) -> StepAnswer:
    paths = {
        name: f"{run.storage.url}/{artifact.key}"
        for name, artifact in sorted(record.artifacts.items())
    }
    return EvaluateModelAnswer(
        **common,
        evaluation_results=EvaluationResults.model_validate(record.summary),
        plot_paths={name: path for name, path in paths.items() if name.endswith(".png")},
        report_paths={name: path for name, path in paths.items() if not name.endswith(".png")},
    )


def _saved(common: Common, record: StepRecord, _: Run) -> StepAnswer:
    return SaveModelAnswer(**common, **record.summary)


_STEPS: dict[Step, tuple[str, Callable[[Common, StepRecord, Run], StepAnswer]]] = {
    Step.LOAD_DATA: ("Data loaded successfully", _loaded),
    Step.PREPROCESS_DATA: ("Data preprocessed successfully", _preprocessed),
    Step.SPLIT_DATA: ("Data split successfully", _split),
    Step.TRAIN_MODEL: ("Model trained successfully", _trained),
    Step.EVALUATE_MODEL: ("Model evaluated successfully", _evaluated),
    Step.SAVE_MODEL: ("Model saved successfully", _saved),
}
"""Step -> its message and what fills its answer."""

NO_RUN = StatusAnswer(
    status="success",
    run_id=None,
    pipeline_state=PipelineState(
        has_raw_data=False,
        has_processed_data=False,
        has_split_data=False,
        has_trained_model=False,
        training_status="not started",
    ),
    progress=0.0,
    steps={},
)
"""The status without a current run."""


def status_answer(run: Run, running: list[str]) -> StatusAnswer:
    """Return where a run stands: the reference's flags, and every step with its timing and error.

    Args:
        run: the run.
        running: names of its executions that are running.
    """
    state = run.state()
    done = [step for step in Step if state[step].status == "done"]

    return StatusAnswer(
        status="success",
        run_id=run.run_id,
        pipeline_state=_pipeline_state(state, done, bool(running)),
        progress=round(len(done) / len(Step), 3),
        running=running,
        steps={str(step): _step_status(state[step]) for step in Step},
        params=run.params,
    )


def _pipeline_state(state: dict[Step, StepState], done: list[Step], running: bool) -> PipelineState:
    error = None if running else _failure(state)
    optional: dict[str, Any] = {}
    if error:
        optional["training_error"] = error["message"]
    saved = state[Step.SAVE_MODEL].record
    if saved and Step.SAVE_MODEL in done:
        optional["training_results"] = SavedVersion.model_validate(saved.summary)

    return PipelineState(
        has_raw_data=Step.LOAD_DATA in done,
        has_processed_data=Step.PREPROCESS_DATA in done,
        has_split_data=Step.SPLIT_DATA in done,
        has_trained_model=Step.TRAIN_MODEL in done,
        training_status=_training_status(done, running, failed=error is not None),
        **optional,
    )


def _failure(state: dict[Step, StepState]) -> dict[str, Any] | None:
    """Return the newest error; None if a step has finished since, as the run went on from there."""
    errors = [step.error for step in state.values() if step.error]
    newest = max(errors, key=lambda error: str(error["at"]), default=None)
    finished = max((s.record.finished_at for s in state.values() if s.record), default="")
    return newest if newest and newest["at"] > finished else None


def _training_status(done: list[Step], running: bool, failed: bool) -> TrainingStatus:
    if running:
        return "running"
    if failed:
        return "failed"
    return "completed" if Step.SAVE_MODEL in done else "not started"


def _step_status(state: StepState) -> StepStatus:
    fields: dict[str, Any] = {"status": state.status}
    if record := state.record:
        fields["started_at"] = record.started_at
        fields["finished_at"] = record.finished_at
        fields["seconds"] = record.seconds
    if state.progress:
        fields["progress"] = state.progress
    if state.error:
        fields["error"] = StepFailure.model_validate(state.error)
    return StepStatus(**fields)
