"""What a caller may send with a step's call."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from records import finish

from b3shared.api.requests import (
    CompletePipelineRequest,
    LoadDataRequest,
    TrainModelRequest,
    own_params,
    parameter_schemas,
    resumed_params,
    run_id_of,
)
from b3shared.core.errors import B3Error, InvalidParameterError
from b3shared.params.models import model_specs
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.runs.run import Run

OWN = [name for spec in model_specs() for name in (spec.name, *spec.params.model_fields)]
NAMES = [*PipelineParams.model_fields, *OWN, "run_id", "input_key", "colour"]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 10**6)
    | st.floats()
    | st.sampled_from(["", "rf", "lstm", "2020-01-01", "é"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=5,
)


def parameters(body):
    """The parameters of a body, as a request gives them."""
    return LoadDataRequest.model_validate(body).parameters


def test_run_data_and_parameters_are_told_apart():
    body = {
        "run_id": "a",
        "input_key": "inputs/x",
        "wait_seconds": 3,
        "horizon": 5,
        "rf": {"n_jobs": 2},
        "lr": 0.1,
    }
    request = LoadDataRequest.model_validate(body)

    assert (request.run_id, request.input_key, request.wait_seconds) == ("a", "inputs/x", 3)
    assert request.parameters == {
        "horizon": 5,
        "rf": {"n_jobs": 2},
        "lstm": {"learning_rate": 0.1},
    }


@pytest.mark.parametrize(
    "body",
    [
        {"run_id": 5},
        {"run_id": "A"},
        {"run_id": "a" * 49},
        {"input_key": 5},
        {"input_key": "elsewhere/x"},
        {"input_key": "inputs/"},
    ],
)
def test_a_malformed_run_id_or_input_key_is_refused_by_name(body):
    with pytest.raises(ValidationError, match=next(iter(body))):
        CompletePipelineRequest.model_validate(body)


def test_an_empty_run_id_is_none_and_an_empty_input_key_is_kept():
    request = CompletePipelineRequest.model_validate({"run_id": "", "input_key": ""})
    assert (request.run_id, request.input_key) == (None, "")


@pytest.mark.parametrize("seconds", ["5", None, -1, float("nan"), True, [1]])
def test_a_wait_that_is_no_number_of_seconds_is_refused(seconds):
    with pytest.raises(InvalidParameterError, match="wait_seconds must be a number of seconds"):
        LoadDataRequest.model_validate({"wait_seconds": seconds})


def test_the_schema_of_a_step_lists_the_parameters_that_it_owns():
    schema = TrainModelRequest.model_json_schema()
    envelope = {"run_id", "input_key", "wait_seconds"}
    assert set(schema["properties"]) - envelope == set(parameter_schemas(Step.TRAIN_MODEL))
    assert {"n_jobs", "lr", "learning_rate", "model_type"} <= set(schema["properties"])
    assert "horizon" not in schema["properties"]
    assert "horizon" in LoadDataRequest.model_json_schema()["properties"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["wait_seconds"]["minimum"] == 0


def test_a_step_takes_its_own_parameters_flat_or_nested(run):
    assert own_params(run, Step.SPLIT_DATA, {"test_size": 0.3}) == {"test_size": 0.3}
    for body in ({"rf": {"n_jobs": 2}}, {"n_jobs": 2}):
        assert own_params(run, Step.TRAIN_MODEL, parameters(body)) == {"rf": {"n_jobs": 2}}


@pytest.mark.parametrize(
    "body", [{"horizon": 2}, {"n_jobs": -1}, {"rf": {"n_jobs": -1}}, {"rf": None}, {"rf": {}}]
)
def test_another_steps_parameter_is_accepted_if_it_changes_nothing(run, body):
    assert own_params(run, Step.SPLIT_DATA, parameters(body)) == {}


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"horizon": 3}, "belongs to preprocess_data"),
        ({"n_jobs": 2}, "belongs to train_model"),
        ({"rf": {"n_jobs": 2}}, "belongs to train_model"),
        ({"colour": "red"}, "colour: unknown parameter"),
        ({"test_size": 2}, "test_size must be"),
        ({"rf": {"tickers": ["PETR4"]}}, "tickers"),
        ({"rf": 5}, "rf must be the model's parameters by name, got 5"),
    ],
)
def test_parameters_of_other_steps_are_refused_by_name(run, body, word):
    with pytest.raises(InvalidParameterError, match=word):
        own_params(run, Step.SPLIT_DATA, parameters(body))


def test_a_parameter_is_unchanged_if_it_equals_what_the_run_last_used(run, finish_until, tmp_path):
    finish_until(run, Step.LOAD_DATA)
    finish(run, Step.PREPROCESS_DATA, tmp_path, {"horizon": 5})
    assert own_params(run, Step.SPLIT_DATA, {"horizon": 5}) == {}
    with pytest.raises(InvalidParameterError, match="horizon"):
        own_params(run, Step.SPLIT_DATA, {"horizon": 2})


def test_a_resumed_run_keeps_the_parameters_that_the_caller_does_not_give(storage):
    run = Run.create(storage, "r2", PipelineParams.from_values(horizon=5, n_jobs=2))
    assert resumed_params(run, {}) == run.params
    assert resumed_params(run, {"n_estimators": 7}).rf == run.params.rf.model_copy(
        update={"n_estimators": 7}
    )


def test_an_idempotency_key_always_gives_the_same_valid_run_id():
    ids = {run_id_of(key) for key in ("a", "a", "b", "é" * 500)}
    assert len(ids) == 3
    assert all(len(run_id) <= 48 for run_id in ids)
    assert run_id_of(None) is None


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.dictionaries(st.sampled_from(NAMES), JSON, max_size=3), step=st.sampled_from(list(Step))
)
def test_any_body_gives_overrides_or_a_known_error(run, body, step):
    try:
        params = parameters(body)
        overrides = own_params(run, step, params)
    except (B3Error, ValidationError):
        return
    assert overrides.keys() <= params.keys()
