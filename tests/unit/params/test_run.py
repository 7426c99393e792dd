"""Every parameter has one name, one owner and bounds; unknown names are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from b3shared.core.errors import InvalidParameterError
from b3shared.params.models import flat_names, model_types, nested
from b3shared.params.run import PipelineParams, flat_schemas
from b3shared.params.steps import STEP_PARAMS, Step, owner_of


def test_every_parameter_has_exactly_one_owner() -> None:
    owned = [name for names in STEP_PARAMS.values() for name in names]
    assert all(owner_of(name) is Step.TRAIN_MODEL for name in model_types())
    assert sorted(owned) == sorted(PipelineParams.model_fields)
    assert list(STEP_PARAMS) == list(Step)


def test_flat_and_nested_names_mean_the_same() -> None:
    assert PipelineParams.from_values(n_jobs=2, max_depth=7) == PipelineParams.from_values(
        rf={"n_jobs": 2, "max_depth": 7}
    )
    assert PipelineParams.from_values({"n_jobs": 2}, horizon=3).rf.n_jobs == 2


def test_the_names_of_the_reference_are_understood() -> None:
    params = PipelineParams.from_values(
        model_type="random_forest",
        n_jobs=5,
        test_size=0.2,
        val_size=0.2,
        model_dir="models",
        model_name="b3_model.joblib",
    )
    assert params.model_type == "rf"
    assert PipelineParams.from_values(model_type="LSTM_MTL").model_type == "lstm"


def test_a_single_value_is_a_search_space_of_one() -> None:
    assert PipelineParams.from_values(max_depth=7).rf.max_depth == (7,)
    assert PipelineParams.from_values(max_depth=[5, 7]).rf.max_depth == (5, 7)


def test_tickers_are_trimmed_upper_cased_and_sorted() -> None:
    assert PipelineParams.from_values(tickers=" vale3,petr4 ").tickers == ("PETR4", "VALE3")
    assert PipelineParams.from_values(tickers=["vale3", "PETR4", "VALE3"]).tickers == (
        "PETR4",
        "VALE3",
    )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"horizons": 2},
            r"horizons: unknown parameter; did you mean horizon\? allowed are .*horizon",
        ),
        ({"n_estimator": 2}, r"did you mean n_estimators\?"),
        ({"colour": "red"}, "colour: unknown parameter; allowed are batch_size, "),
        ({"rf": {"trees": 2}}, "trees: unknown parameter"),
        (
            {"test_size": "much"},
            r"test_size must be a finite number >= 0\.05 and <= 0\.6, got 'much' \(newest share",
        ),
        (
            {"horizon": "abc"},
            r"horizon must be an integer >= 1 and <= 60, got 'abc' \(sessions of the",
        ),
        (
            {"period": 1990},
            r"period must be text matching .*\[dmy\]\$, got 1990 \(how far back from `end`",
        ),
        ({"label_width": 0}, "label_width must be a finite number > 0 and <= 5, got 0"),
        ({"start": "soon"}, "start must be null or a date YYYY-MM-DD, got 'soon'"),
        ({"refit": "perhaps"}, r"refit must be true or false, got 'perhaps' \(serve the"),
        ({"class_weight": 3}, r"null or 'balanced' or 'balanced_subsample'"),
        (
            {"tickers": ["PETR4", "V!"]},
            r"^tickers must be null or a list, each text matching .*, got 'V!' at position 1",
        ),
        (
            {"max_depth": "deep"},
            "^max_depth must be a list, each an integer >= 1 and <= 16, got 'deep' at position 0",
        ),
        ({"test_size": 0.01}, "test_size must be .*, got 0.01"),
        ({"test_size": 0.5, "val_size": 0.5}, "must be <= 0.8"),
        ({"n_jobs": 0}, "n_jobs must be 1 to 64, or -1"),
        ({"max_depth": 40}, "integer >= 1 and <= 16, got 40"),
        ({"model_dir": "../etc"}, "model_dir"),
        ({"model_name": "../x.joblib"}, "model_name"),
        ({"model_type": "xgboost"}, "model_type must be 'rf' or 'lstm', got 'xgboost'"),
        ({"label": "magic"}, "label must be .*, got 'magic'"),
        ({"signal_lag": 1}, "signal_lag must be 0 with label 'direction'"),
        ({"horizon": 0}, "horizon must be .*, got 0"),
        ({"horizon": None}, "horizon must be .*, got None"),
    ],
)
def test_bad_values_are_named_with_what_is_allowed(params: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        PipelineParams.from_values(params)


def test_a_value_that_fits_no_branch_of_a_union_is_named_once() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        PipelineParams.from_values(max_features="all")
    assert caught.value.message.count("max_features") == 1
    assert caught.value.message.startswith(
        "max_features must be a list, each 'sqrt' or 'log2' or a finite number > 0 and <= 1, "
        "got 'all'"
    )


@pytest.mark.parametrize("name", sorted(flat_schemas()))
def test_every_parameter_says_what_it_must_be(name: str) -> None:
    with pytest.raises(InvalidParameterError, match=rf"^{name} must be .*, got "):
        PipelineParams.from_values({name: {"a": "mapping"}})


def test_all_bad_values_are_named_at_once() -> None:
    with pytest.raises(InvalidParameterError) as caught:
        PipelineParams.from_values(horizon=0, foo=1, n_estimators=-3)
    assert set(caught.value.details["parameters"]) == {"horizon", "foo", "n_estimators"}
    for phrase in ("horizon must be", "foo: unknown parameter", "n_estimators must be"):
        assert phrase in caught.value.message


def test_parameters_survive_json_and_cannot_be_changed() -> None:
    params = PipelineParams.from_values(tickers=["PETR4"], start="2020-01-01", max_depth=(3, 4))
    assert PipelineParams.from_values(params.model_dump(mode="json")) == params
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
            PipelineParams.from_values(values)


def test_max_gap_belongs_to_the_run_and_is_read_from_earlier_documents() -> None:
    """Earlier manifests, runs and callers have ``max_gap`` under ``lstm``."""
    now = PipelineParams.from_values(max_gap=9)
    assert now.max_gap == 9
    assert PipelineParams.from_values(lstm={"max_gap": 9}) == now
    assert "max_gap" not in now.lstm.model_dump()
    before = now.model_dump(mode="json", exclude={"max_gap"})
    before["lstm"]["max_gap"] = 9
    assert PipelineParams.from_values(before) == now
    assert now.replace(lstm={"units": 8}).max_gap == 9
    assert owner_of("max_gap") is Step.PREPROCESS_DATA

    for wrong in ({"max_gap": 0}, {"lstm": {"max_gap": 0}}):
        with pytest.raises(InvalidParameterError, match="max_gap"):
            PipelineParams.from_values(wrong)


def test_interval_level_belongs_to_the_run_and_is_read_from_earlier_documents() -> None:
    now = PipelineParams.from_values(interval_level=0.8)
    assert now.interval_level == 0.8
    assert now == PipelineParams.from_values(lstm={"interval_level": 0.8})
    assert "interval_level" not in now.lstm.model_dump()

    before = now.model_dump(mode="json", exclude={"interval_level"})
    before["lstm"]["interval_level"] = 0.8
    assert PipelineParams.from_values(before) == now


def test_records_keep_interval_level_where_they_had_it_so_that_their_hashes_hold() -> None:
    network = PipelineParams.from_values(model_type="lstm", units=8).owned_by(Step.TRAIN_MODEL)
    assert network.keys() == {"model_type", "random_state", "lstm"}
    assert network["lstm"]["interval_level"] == 0.9
    assert PipelineParams.from_values(network) == PipelineParams.from_values(
        model_type="lstm", units=8
    )

    forest = PipelineParams().owned_by(Step.TRAIN_MODEL)
    assert forest.keys() == {"model_type", "random_state", "rf"}
    assert "interval_level" not in forest["rf"]
    changed = PipelineParams.from_values(interval_level=0.8).owned_by(Step.TRAIN_MODEL)
    assert changed == forest | {"interval_level": 0.8}


def test_a_recorded_interval_level_wins_over_the_runs() -> None:
    run = PipelineParams.from_values(model_type="lstm")
    recorded = run.replace(interval_level=0.8).owned_by(Step.TRAIN_MODEL)
    assert PipelineParams.from_values(run.model_dump() | recorded).interval_level == 0.8


def test_replace_keeps_what_is_not_named_below_a_model() -> None:
    params = PipelineParams.from_values(n_jobs=2, horizon=5)
    assert params.replace(rf={"n_estimators": 7}) == PipelineParams.from_values(
        n_jobs=2, horizon=5, n_estimators=7
    )
    assert params.replace({"lr": 0.01}).lstm.learning_rate == 0.01


def test_nesting_names_again_changes_nothing() -> None:
    flat = {"horizon": 5, "lr": 0.1, "units": 8, "n_jobs": 2, "colour": "red"}
    inner = {"horizon": 5, "colour": "red", "lstm": {"learning_rate": 0.1, "units": 8}}

    assert nested(flat) == inner | {"rf": {"n_jobs": 2}}
    assert nested(nested(flat)) == nested(flat)
    assert nested({"n_jobs": 2, "rf": {"n_jobs": 3, "n_iter": 4}}) == {
        "rf": {"n_jobs": 2, "n_iter": 4}
    }
    assert sorted(flat_names(nested(flat))) == [
        "colour",
        "horizon",
        "learning_rate",
        "n_jobs",
        "units",
    ]
    with pytest.raises(InvalidParameterError, match="rf must be the model's parameters by name"):
        nested({"rf": 3})


def test_a_step_knows_the_steps_before_it() -> None:
    assert Step.LOAD_DATA.earlier == ()
    assert Step.LOAD_DATA.predecessor is None
    assert Step.TRAIN_MODEL.predecessor is Step.SPLIT_DATA
    assert Step.SPLIT_DATA.earlier == (Step.LOAD_DATA, Step.PREPROCESS_DATA)
