"""The handlers of the steps' functions: made by one function, in the deployment's storage."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from paths import ROOT
from small_run import SMALL

from b3shared.core.errors import InvalidParameterError
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline.handler import Handler, make_handler
from b3shared.runs.run import Run
from b3shared.storage import FolderStorage

CONTEXT: Any = SimpleNamespace(
    function_name="step",
    memory_limit_in_mb=1024,
    invoked_function_arn="arn",
    aws_request_id="request-1",
    get_remaining_time_in_millis=lambda: 30_000,
)


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    """A new run in the deployment's storage."""
    monkeypatch.setenv("B3_STORAGE", str(tmp_path / "store"))
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "step")
    storage = FolderStorage(tmp_path / "store")
    return Run.create(storage, "r1", PipelineParams.from_values(SMALL))


def last_log_line(capsys) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_handler_does_its_step_and_logs_it_under_the_execution_s_name(run, capsys) -> None:
    event = {"run_id": "r1", "correlation_id": "r1.all.1"}
    handler: Handler = make_handler(Step.LOAD_DATA)

    answer = handler(event, CONTEXT)

    record = run.record(Step.LOAD_DATA)
    assert answer == {
        "run_id": "r1",
        "step": "load_data",
        "status": "done",
        "seconds": record.seconds,
        "before": False,
        **({"shards": list(range(record.summary["shards"]))} if "shards" in record.summary else {}),
    }
    logged = last_log_line(capsys)
    assert (logged["run_id"], logged["correlation_id"]) == ("r1", "r1.all.1")
    assert (logged["message"], logged["step"]) == ("step done", "load_data")
    assert handler(event, CONTEXT)["before"] is True


def test_a_handler_of_several_steps_does_the_one_that_the_event_names(run) -> None:
    handler = make_handler(Step.LOAD_DATA, Step.TRAIN_MODEL)
    assert handler({"run_id": "r1", "step": "load_data"}, CONTEXT)["step"] == "load_data"
    for named in ({}, {"step": "split_data"}):
        with pytest.raises(
            InvalidParameterError, match="step must be one of load_data, train_model"
        ):
            handler({"run_id": "r1", **named}, CONTEXT)


@pytest.mark.parametrize("event", [{}, {"run_id": "../x"}, {"run_id": "r1", "colour": "red"}])
def test_a_malformed_event_is_refused(run, event) -> None:
    with pytest.raises(InvalidParameterError, match="not a step's request"):
        make_handler(Step.LOAD_DATA)(event, CONTEXT)


def test_powertools_is_imported_by_two_modules_only() -> None:
    users = [
        path.relative_to(ROOT / "b3shared").as_posix()
        for path in (ROOT / "b3shared").rglob("*.py")
        if "aws_lambda_powertools" in path.read_text(encoding="utf-8")
    ]
    assert sorted(users) == ["api/http.py", "pipeline/handler.py"]


def test_every_step_has_a_function_whose_handler_is_made_here() -> None:
    sources = [
        app.read_text(encoding="utf-8") for app in sorted((ROOT / "functions").glob("*/app.py"))
    ]
    made = [source for source in sources if "make_handler(Step." in source]
    assert {step.name for step in Step} == {
        step.name for step in Step if any(f"Step.{step.name}" in source for source in made)
    }
    assert len(made) == 9  # training has one function a model type
