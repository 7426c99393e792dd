"""What the control API says: the fields of the reference API, filled from a run's records."""

from typing import Any

from b3shared.params.steps import Step
from b3shared.runs.records import StepRecord, StepState
from b3shared.runs.run import Run

_MESSAGES = {
    Step.LOAD_DATA: "Data loaded successfully",
    Step.PREPROCESS_DATA: "Data preprocessed successfully",
    Step.SPLIT_DATA: "Data split successfully",
    Step.TRAIN_MODEL: "Model trained successfully",
    Step.EVALUATE_MODEL: "Model evaluated successfully",
    Step.SAVE_MODEL: "Model saved successfully",
}


def step_answer(run: Run, step: Step, record: StepRecord) -> dict[str, Any]:
    """What a finished step is answered with."""
    common = {
        "status": "success",
        "message": _MESSAGES[step],
        "run_id": run.run_id,
        "seconds": record.seconds,
    }
    return common | _FIELDS[step](record, run)


def _loaded(record: StepRecord, _: Run) -> dict[str, Any]:
    s = record.summary
    return {"data_shape": [s["rows"], len(s["columns"])], "columns": s["columns"], "report": s}


def _preprocessed(record: StepRecord, _: Run) -> dict[str, Any]:
    s = record.summary
    return {
        "features_shape": [s["labelled_rows"], s["features"]],
        "targets_shape": [s["labelled_rows"]],
        "feature_columns": s["feature_names"],
        "target_distribution": s["target_distribution"],
        "report": s,
    }


def _split(record: StepRecord, _: Run) -> dict[str, Any]:
    return dict(record.summary)


def _trained(record: StepRecord, _: Run) -> dict[str, Any]:
    s = record.summary
    results = {
        "model_type": record.params["model_type"],
        "best_params": s["chosen"],
        "train_size": s["rows"]["train"],
    }
    return {
        "training_status": "completed",
        "model_type": record.params["model_type"],
        "training_results": results,
        "report": s,
    }


def _evaluated(record: StepRecord, run: Run) -> dict[str, Any]:
    s = record.summary
    paths = {
        name: f"{run.storage.url}/{artifact.key}"
        for name, artifact in sorted(record.artifacts.items())
    }
    return {
        "evaluation_results": {
            "skill": s["skill"],
            "headline": s["headline"],
            "test": s["test"],
            "warnings": s["warnings"],
            "test_openings": s["test_openings"],
        },
        "plot_paths": {name: path for name, path in paths.items() if name.endswith(".png")},
        "report_paths": {name: path for name, path in paths.items() if not name.endswith(".png")},
    }


def _saved(record: StepRecord, _: Run) -> dict[str, Any]:
    return dict(record.summary)


_FIELDS = {
    Step.LOAD_DATA: _loaded,
    Step.PREPROCESS_DATA: _preprocessed,
    Step.SPLIT_DATA: _split,
    Step.TRAIN_MODEL: _trained,
    Step.EVALUATE_MODEL: _evaluated,
    Step.SAVE_MODEL: _saved,
}


def status_answer(run: Run, running: list[str]) -> dict[str, Any]:
    """Where a run stands: the reference's flags, and every step with progress, timing and error.

    Args:
        run: the run.
        running: names of its executions that are running.
    """
    state = run.state()
    done = [step for step in Step if state[step].status == "done"]
    error = None if running else _failure(state)
    pipeline: dict[str, Any] = {
        "has_raw_data": Step.LOAD_DATA in done,
        "has_processed_data": Step.PREPROCESS_DATA in done,
        "has_split_data": Step.SPLIT_DATA in done,
        "has_trained_model": Step.TRAIN_MODEL in done,
        "training_status": _training_status(state, bool(running), error),
    }
    if error:
        pipeline["training_error"] = error["message"]
    saved = state[Step.SAVE_MODEL].record
    if Step.SAVE_MODEL in done and saved:
        pipeline["training_results"] = saved.summary
    return {
        "status": "success",
        "run_id": run.run_id,
        "pipeline_state": pipeline,
        "progress": round(len(done) / len(Step), 3),
        "running": running,
        "steps": {str(step): _step_status(state[step]) for step in Step},
        "params": run.params.model_dump(mode="json"),
    }


def _failure(state: dict[Step, StepState]) -> dict[str, Any] | None:
    """The newest error, unless a step has finished since: then the run went on from there."""
    newest = max(
        (s.error for s in state.values() if s.error),
        key=lambda error: str(error["at"]),
        default=None,
    )
    finished = max((s.record.finished_at for s in state.values() if s.record), default="")
    return newest if newest and newest["at"] > finished else None


def _training_status(
    state: dict[Step, StepState], running: bool, error: dict[str, Any] | None
) -> str:
    if running:
        return "running"
    if error:
        return "failed"
    return "completed" if state[Step.SAVE_MODEL].status == "done" else "not started"


def _step_status(state: StepState) -> dict[str, Any]:
    record = state.record
    out: dict[str, Any] = {"status": state.status}
    if record:
        out |= {
            "started_at": record.started_at,
            "finished_at": record.finished_at,
            "seconds": record.seconds,
        }
    if state.progress:
        out["progress"] = state.progress
    if state.error:
        out["error"] = state.error
    return out
