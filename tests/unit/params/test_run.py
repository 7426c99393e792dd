"""Parameters: one place, every bound enforced, an unknown name refused; every one has exactly one owner."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b3shared.core.errors import InvalidParameterError
from b3shared.params.models import model_specs, model_types
from b3shared.params.run import PipelineParams, flat_schemas
from b3shared.params.steps import STEP_PARAMS, Step, owner_of


def test_every_parameter_has_exactly_one_owner() -> None:
    owned = [name for names in STEP_PARAMS.values() for name in names]
    assert sorted(owned) == sorted(PipelineParams.model_fields)
    assert list(STEP_PARAMS) == list(Step)


def test_flat_and_nested_names_mean_the_same() -> None:
    assert PipelineParams.of(n_jobs=2, max_depth=7) == PipelineParams.of(
        rf={"n_jobs": 2, "max_depth": 7}
    )
    assert PipelineParams.of({"n_jobs": 2}, horizon=3).rf.n_jobs == 2


def test_the_names_of_the_reference_are_understood() -> None:
    params = PipelineParams.of(
        model_type="random_forest",
        n_jobs=5,
        test_size=0.2,
        val_size=0.2,
        model_dir="models",
        model_name="b3_model.joblib",
    )
    assert params.model_type == "rf"
    assert PipelineParams.of(model_type="LSTM_MTL").model_type == "lstm"


def test_a_single_value_is_a_search_space_of_one() -> None:
    assert PipelineParams.of(max_depth=7).rf.max_depth == (7,)
    assert PipelineParams.of(max_depth=[5, 7]).rf.max_depth == (5, 7)


def test_tickers_are_trimmed_upper_cased_and_sorted_whichever_way_they_come() -> None:
    assert PipelineParams.of(tickers=" vale3,petr4 ").tickers == ("PETR4", "VALE3")
    assert PipelineParams.of(tickers=["vale3", "PETR4", "VALE3"]).tickers == ("PETR4", "VALE3")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"horizons": 2},
            r"horizons: unknown parameter; did you mean horizon\? allowed are batch_size, .*horizon",
        ),
        ({"n_estimator": 2}, r"did you mean n_estimators\?"),
        ({"colour": "red"}, "colour: unknown parameter; allowed are batch_size, "),
        ({"rf": {"trees": 2}}, "trees: unknown parameter"),
        (
            {"test_size": "much"},
            r"test_size = 'much': .* a number of at least 0\.05 and at most 0\.6: newest share",
        ),
        (
            {"horizon": "abc"},
            r"valid integer, .* \(allowed is an integer of at least 1 and at most 60: sessions of the",
        ),
        (
            {"period": 1990},
            r"period = 1990: .* text matching .*\[dmy\]\$: how far back from `end`: 250d, 18m, 5y\)",
        ),
        ({"label_width": 0}, r"a number over 0 and at most 5"),
        ({"start": "soon"}, r"start = 'soon': .* null or a date YYYY-MM-DD"),
        ({"refit": "perhaps"}, r"true or false: serve the"),
        ({"class_weight": 3}, r"null or 'balanced' or 'balanced_subsample'"),
        (
            {"tickers": ["PETR4", "V!"]},
            r"^tickers\.1 = 'V!': .* null or a list, each text matching ",
        ),
        (
            {"max_depth": "deep"},
            r"^max_depth\.0 = 'deep': .* a list, each an integer of at least 1 and at most 16",
        ),
        ({"test_size": 0.01}, "test_size = 0.01"),
        ({"test_size": 0.5, "val_size": 0.5}, "at most 0.8"),
        ({"n_jobs": 0}, "n_jobs: 0 is not allowed"),
        ({"max_depth": 40}, "less than or equal to 16"),
        ({"model_dir": "../etc"}, "model_dir"),
        ({"model_name": "../x.joblib"}, "model_name"),
        ({"model_type": "xgboost"}, "model_type = 'xgboost'"),
        ({"label": "magic"}, "label = 'magic'"),
        ({"signal_lag": 1}, "belongs to label 'signal'"),
        ({"horizon": 0}, "horizon = 0"),
        ({"horizon": None}, "horizon = None"),
    ],
)
def test_bad_values_are_named_with_what_is_allowed(params: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        PipelineParams.of(params)


def test_a_value_that_fits_no_branch_of_a_union_is_told_once() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        PipelineParams.of(max_features="all")
    assert caught.value.message.count("max_features") == 1
    assert caught.value.message.startswith(
        "max_features.0 = 'all': input should be 'sqrt' or 'log2' (allowed is a list"
    )
    assert "a number over 0 and at most 1" in caught.value.message


@pytest.mark.parametrize("name", sorted(flat_schemas()))
def test_every_parameter_says_what_is_allowed(name: str) -> None:
    with pytest.raises(InvalidParameterError, match=rf"^{name}.* \(allowed is ."):
        PipelineParams.of({name: {"a": "mapping"}})


def test_all_bad_values_are_named_at_once() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        PipelineParams.of(horizon=0, foo=1, n_estimators=-3)
    assert {"horizon", "foo"} <= set(caught.value.details["parameters"]) or "n_estimators" in str(
        caught.value
    )


def test_parameters_survive_json_and_cannot_be_changed() -> None:
    params = PipelineParams.of(tickers=["PETR4"], start="2020-01-01", max_depth=(3, 4))
    assert PipelineParams.of(params.model_dump(mode="json")) == params
    with pytest.raises(Exception, match="frozen"):
        params.horizon = 5  # type: ignore[misc]


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=12),
        st.none() | st.integers() | st.text() | st.lists(st.integers()),
    )
)
def test_any_dictionary_gives_parameters_or_a_named_error(values: dict[str, object]) -> None:
    known = {*flat_schemas(), *model_types()}
    if not set(values) <= known:
        with pytest.raises(InvalidParameterError):
            PipelineParams.of(values)


def test_the_longest_hole_is_the_runs_and_versions_of_before_still_say_theirs() -> None:
    """``max_gap`` was the LSTM's own once: manifests, runs and callers of then name it under ``lstm``."""
    now = PipelineParams.of(max_gap=9)
    assert now.max_gap == 9
    assert PipelineParams.of(lstm={"max_gap": 9}) == now
    assert "max_gap" not in now.lstm.model_dump()
    before = now.model_dump(mode="json", exclude={"max_gap"})
    before["lstm"]["max_gap"] = 9
    assert PipelineParams.of(before) == now
    assert now.replace(lstm={"units": 8}).max_gap == 9
    assert owner_of("max_gap") is Step.PREPROCESS_DATA
    for wrong in ({"max_gap": 0}, {"lstm": {"max_gap": 0}}):
        with pytest.raises(InvalidParameterError, match="max_gap"):
            PipelineParams.of(wrong)
