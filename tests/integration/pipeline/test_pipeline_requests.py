"""Wrong requests: each is refused in the one form of errors, and no run is touched."""

import pytest
import requests
from pipeline_client import error_of
from pipeline_world import FOREST

from b3shared.params.steps import Step


@pytest.fixture(scope="module")
def split_run(api):
    """A run that is split: what comes next is training."""
    body = {"run_id": "split-only"}
    api.ok("load-data", {**body, **FOREST, "period": "3y"})
    api.ok("preprocess-data", body)
    api.ok("split-data", body)
    return body


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("load-data", {"colour": "red"}, "colour: unknown parameter"),
        ("load-data", {"test_size": 3}, "test_size must be"),
        ("load-data", {"tickers": ["PETR4", 5]}, "tickers"),
        ("load-data", {"tickers": [["PETR4"]]}, "tickers"),
        ("load-data", {"rf": 5}, "rf must be the model's parameters by name, got 5"),
        ("load-data", {"run_id": "Not Allowed"}, "run_id: string should match pattern"),
        ("load-data", {"run_id": 5}, "run_id: input should be a valid string"),
        (
            "load-data",
            {"wait_seconds": "long"},
            "wait_seconds must be a number of seconds >= 0, got 'long'",
        ),
        ("load-data", {"wait_seconds": -1}, "wait_seconds must be"),
        ("complete-pipeline", {"model_type": "svm"}, "model_type must be 'rf' or 'lstm'"),
        ("complete-pipeline", {"model_name": "../x.joblib"}, "model_name"),
        ("models/rf/promote", {}, "model_version: field required"),
        ("models/svm/promote", {"model_version": "20231228-00000000"}, "model_type"),
        ("models/rf/rollback", {"model_dir": "Not Allowed"}, "model_dir"),
    ],
)
def test_a_bad_value_is_refused_by_name(api, path, body, word):
    status, code, message = api.refused(path, body)
    assert (status, code) == (422, "INVALID_PARAMETER")
    assert word in message


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1]",
        b'"text"',
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"min_turnover": Infinity}',
        b'{"test_size": NaN}',
    ],
)
def test_a_body_that_is_no_json_object_is_refused(api, body):
    assert error_of(api.send("load-data", body))[:2] == (422, "INVALID_PARAMETER")


def test_a_body_that_is_too_long_is_refused(api):
    assert error_of(api.post("load-data", {"tickers": ["PETR4"] * 20_000}))[:2] == (
        413,
        "BODY_TOO_LARGE",
    )


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_an_empty_body_means_no_parameters(api, body):
    assert api.send("clear-state", body).status_code == 200


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"horizon": 5}, "belongs to preprocess_data"),
        ({"test_size": 0.3}, "belongs to split_data"),
        ({"decision": "argmax"}, ""),
    ],
)
def test_another_steps_parameter_is_refused_unless_it_changes_nothing(api, split_run, body, word):
    status, code, message = api.refused("train-model", split_run | body)
    assert (status, code) == (422, "INVALID_PARAMETER")
    assert word in message


def test_another_steps_parameter_that_changes_nothing_is_let_through(api, split_run):
    before = api.status("split-only")["steps"]
    api.ok(
        "split-data",
        split_run | {"horizon": 2, "period": "3y", "n_jobs": 1, "rf": {"max_depth": 4}},
    )
    assert api.status("split-only")["steps"] == before


def test_an_unknown_run_is_not_found(api):
    assert api.refused("split-data", {"run_id": "nobody-s"})[:2] == (404, "UNKNOWN_RUN")
    assert error_of(api.get("pipeline-status", run_id="nobody-s"))[:2] == (404, "UNKNOWN_RUN")


def test_an_unknown_route_is_not_found(api):
    assert api.refused("fly-to-moon")[:2] == (404, "UNKNOWN_ROUTE")
    assert error_of(api.get("load-data"))[:2] == (404, "UNKNOWN_ROUTE")


def test_filters_that_no_quote_passes_are_a_client_error(api):
    status, code, message = api.refused(
        "load-data", {"run_id": "no-such-ticker", "tickers": ["ZZZZ9"]}
    )
    assert status in (404, 422)
    assert code in ("UNKNOWN_TICKER", "NO_QUOTES")
    assert "no quote" in message
    step = api.status("no-such-ticker")["steps"]["load_data"]
    assert (step["status"], step["error"]["code"]) == ("failed", code)


@pytest.mark.parametrize("key", ["inputs/not-there.parquet", "../outside"])
def test_missing_user_data_is_a_client_error(api, key):
    status, code, message = api.refused("load-data", {"input_key": key})
    assert (status, code) in ((404, "ARTIFACT_NOT_FOUND"), (422, "INVALID_PARAMETER"))
    assert key in message


def test_an_unexpected_error_has_the_form_of_all_errors(api, storage):
    storage.put("control/current-run.json", b"[]")
    status, code, message = error_of(api.get("pipeline-status"))
    assert (status, code) == (500, "INTERNAL")
    assert "TypeError" not in message
    assert "TypeError" in api.stack.logs("PipelineApiFunction")
    api.ok("clear-state")
    assert api.status()["run_id"] is None


def test_health_answers_ok(stack):
    assert requests.get(stack.api_url + "/health", timeout=60).json() == {"status": "ok"}


def test_a_step_function_refuses_an_event_that_is_no_request(stack):
    with pytest.raises(Exception, match="InvalidParameterError"):
        stack.invoke("SplitDataFunction", {"run_id": "x", "rows": [1, 2, 3]})


def test_the_order_of_steps_is_the_state_machines(api, stack):
    definition = stack.client("stepfunctions").describe_state_machine(
        stateMachineArn=stack.outputs["StateMachineArn"]
    )
    places = [definition["definition"].index(f"$.steps.{step}.overrides") for step in Step]
    assert places == sorted(places)
