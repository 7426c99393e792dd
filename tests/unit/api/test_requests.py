"""What a caller may send with a step's call."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records import finish

from b3shared.api.requests import own_params, resumed_params, run_id_of, taken_apart
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


def test_run_data_and_parameters_are_told_apart():
    body = {
        "run_id": "a",
        "input_key": "inputs/x",
        "wait_seconds": 3,
        "horizon": 5,
        "rf": {"n_jobs": 2},
    }
    assert taken_apart(body) == ("a", "inputs/x", {"horizon": 5, "rf": {"n_jobs": 2}})


@pytest.mark.parametrize("name", ["run_id", "input_key"])
def test_a_name_that_is_no_text_is_refused(name):
    with pytest.raises(InvalidParameterError, match=name):
        taken_apart({name: 5})


def test_a_step_takes_its_own_parameters_flat_or_nested(run):
    assert own_params(run, Step.SPLIT_DATA, {"test_size": 0.3}) == {"test_size": 0.3}
    for body in ({"rf": {"n_jobs": 2}}, {"n_jobs": 2}):
        params = taken_apart(body)[2]
        assert own_params(run, Step.TRAIN_MODEL, params) == {"rf": {"n_jobs": 2}}


@pytest.mark.parametrize(
    "body", [{"horizon": 2}, {"n_jobs": -1}, {"rf": {"n_jobs": -1}}, {"rf": None}, {"rf": {}}]
)
def test_another_steps_parameter_may_stand_there_if_it_changes_nothing(run, body):
    assert own_params(run, Step.SPLIT_DATA, taken_apart(body)[2]) == {}


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
def test_what_is_not_the_steps_own_is_refused_by_name(run, body, word):
    with pytest.raises(InvalidParameterError, match=word):
        own_params(run, Step.SPLIT_DATA, taken_apart(body)[2])


def test_unchanged_means_what_the_run_last_used_not_the_default(run, finish_until, tmp_path):
    finish_until(run, Step.LOAD_DATA)
    finish(run, Step.PREPROCESS_DATA, tmp_path, {"horizon": 5})
    assert own_params(run, Step.SPLIT_DATA, {"horizon": 5}) == {}
    with pytest.raises(InvalidParameterError, match="horizon"):
        own_params(run, Step.SPLIT_DATA, {"horizon": 2})


def test_a_resumed_run_keeps_what_the_caller_does_not_say(storage):
    run = Run.create(storage, "r2", PipelineParams.of(horizon=5, n_jobs=2))
    assert resumed_params(run, {}) == run.params
    assert resumed_params(run, {"n_estimators": 7}).rf == run.params.rf.model_copy(
        update={"n_estimators": 7}
    )


def test_a_key_is_always_the_same_run_and_an_allowed_id():
    ids = {run_id_of(key) for key in ("a", "a", "b", "é" * 500)}
    assert len(ids) == 3
    assert all(len(run_id) <= 48 for run_id in ids)
    assert run_id_of(None) is None


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.dictionaries(st.sampled_from(NAMES), JSON, max_size=3), step=st.sampled_from(list(Step))
)
def test_no_body_whatever_makes_anything_but_an_error_of_ours(run, body, step):
    try:
        _, _, params = taken_apart(body)
        overrides = own_params(run, step, params)
    except B3Error:
        return
    assert overrides.keys() <= params.keys()
