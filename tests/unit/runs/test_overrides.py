"""Parameters and data that are given to a step: who owns them, and how long they hold."""

import pytest
from run_steps import finish, statuses, up_to

from b3shared.core.errors import (
    ArtifactNotFoundError,
    InvalidParameterError,
)
from b3shared.params.random_forest import RandomForestParams
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.runs.run import Run


def test_an_override_is_given_to_its_owner_only(run, do):
    do(Step.LOAD_DATA)
    with pytest.raises(
        InvalidParameterError, match="test_size belongs to split_data, not to preprocess_data"
    ) as caught:
        run.plan(Step.PREPROCESS_DATA, {"test_size": 0.3})
    assert caught.value.details["owner"] == "split_data"
    with pytest.raises(InvalidParameterError, match="n_jobs belongs to train_model"):
        run.plan(Step.LOAD_DATA, {"n_jobs": 2})
    assert run.plan(Step.PREPROCESS_DATA, {"horizon": 4}).params.horizon == 4


@pytest.mark.parametrize(
    ("overrides", "word"),
    [
        ({"horizon": 0}, "horizon"),
        ({"horizons": 3}, "horizons: unknown parameter"),
        ({"self": 3}, "self: unknown parameter"),
        ({"horizon": "many"}, "horizon"),
    ],
)
def test_an_override_that_is_no_parameter_or_out_of_bounds_is_refused(run, do, overrides, word):
    do(Step.LOAD_DATA)
    with pytest.raises(InvalidParameterError, match=word):
        run.plan(Step.PREPROCESS_DATA, overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        {"n_jobs": 2},
        {"rf": {"n_jobs": 2}},
        {"rf": RandomForestParams(n_jobs=2, n_estimators=77, max_depth=3)},
    ],
)
def test_an_override_of_the_forest_changes_only_what_it_names(storage, tmp_path, overrides):
    run = Run.create(storage, "r1", PipelineParams.from_values(n_estimators=50, max_depth=3))
    for step in up_to(Step.SPLIT_DATA):
        finish(run, run.plan(step), tmp_path)
    finish(
        run,
        run.plan(Step.TRAIN_MODEL, {"n_estimators": 77, "model_type": "random_forest"}),
        tmp_path,
    )
    rf = run.effective_params(Step.TRAIN_MODEL, overrides).rf
    assert (rf.n_jobs, rf.n_estimators, rf.max_depth) == (2, 77, (3,))
    assert run.effective_params(Step.TRAIN_MODEL).rf.n_jobs == -1


@pytest.mark.parametrize("rf", [3, "n_jobs", None, {"horizon": 3}, {"n_jobs": 0}])
def test_a_forest_that_is_no_dict_of_its_parameters_is_refused(run, rf):
    with pytest.raises(InvalidParameterError):
        run.effective_params(Step.TRAIN_MODEL, {"rf": rf})


def test_given_data_becomes_part_of_the_lineage_and_stays_on_resume(run, do, tmp_path):
    do(Step.LOAD_DATA)
    plain = do(Step.PREPROCESS_DATA)
    do(Step.SPLIT_DATA)
    run.storage.put("uploads/edited.npz", b"edited")
    plan = run.plan(Step.PREPROCESS_DATA, input_key="uploads/edited.npz")

    assert plan.record is None
    finish(run, plan, tmp_path)
    assert statuses(run)[Step.SPLIT_DATA] == "stale"
    resumed = run.plan(Step.PREPROCESS_DATA)
    assert resumed.record is not None
    assert resumed.input.key == "uploads/edited.npz"
    back = run.plan(Step.PREPROCESS_DATA, input_key="")
    assert (back.record, back.input, back.input_hash) == (None, None, plain.input_hash)


def test_given_data_that_changed_makes_the_step_run_again_when_it_is_given_again(run, do, tmp_path):
    run.storage.put("uploads/edited.npz", b"one")
    finish(run, run.plan(Step.LOAD_DATA, input_key="uploads/edited.npz"), tmp_path)
    assert run.plan(Step.LOAD_DATA, input_key="uploads/edited.npz").record is not None
    run.storage.put("uploads/edited.npz", b"two")
    assert run.plan(Step.LOAD_DATA, input_key="uploads/edited.npz").record is None
    with pytest.raises(ArtifactNotFoundError, match="uploads/none"):
        run.plan(Step.LOAD_DATA, input_key="uploads/none")
