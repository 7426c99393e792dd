"""Runs: resume, staleness, who owns a parameter, and what a crash leaves."""

import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from b3shared.core.errors import (
    ArtifactCorruptError,
    ArtifactNotFoundError,
    ConflictError,
    InvalidParameterError,
    NoQuotesError,
    StepNotReadyError,
    UnknownRunError,
)
from b3shared.params.random_forest import RandomForestParams
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.runs.run import CODE_VERSION, Run, list_runs, new_run_id
from b3shared.storage import FolderStorage

STEPS = list(Step)


@pytest.fixture
def storage(tmp_path):
    return FolderStorage(tmp_path / "storage")


@pytest.fixture
def run(storage):
    return Run.create(storage, "r1", PipelineParams())


@pytest.fixture
def do(run, tmp_path):
    """Plan a step and, unless it is done, finish it with one artifact; return its record."""

    def do(step, content=b"x", **overrides):
        plan = run.plan(step, overrides)
        return plan.record or finish(run, plan, tmp_path, content)

    return do


def finish(run, plan, folder, content=b"x", name="artifact.bin"):
    file = folder / name
    file.write_bytes(content)
    return run.finish(plan, [file], {"rows": 1}, time.time())


def statuses(run):
    return {step: state.status for step, state in run.state().items()}


def up_to(step):
    return STEPS[: STEPS.index(step) + 1]


# -- the run itself


def test_a_run_opens_with_the_parameters_and_meta_it_was_created_with(storage):
    params = PipelineParams(
        tickers=("VALE3", "PETR4"),
        start=date(2019, 1, 2),
        rf=RandomForestParams(max_features=(0.3, "sqrt")),
    )
    Run.create(storage, "r1", params, owner="maria")
    run = Run.open(storage, "r1")
    assert run.params == params
    assert run.meta == {"owner": "maria"}


def test_creating_a_run_again_with_the_same_parameters_returns_it(storage):
    Run.create(storage, "r1", PipelineParams(horizon=3), owner="maria")
    again = Run.create(storage, "r1", PipelineParams(horizon=3), owner="joao")
    assert again.meta == {"owner": "maria"}


def test_creating_a_run_again_with_other_parameters_conflicts_and_names_them(storage):
    Run.create(storage, "r1", PipelineParams(horizon=3))
    with pytest.raises(ConflictError, match="horizon, test_size") as caught:
        Run.create(storage, "r1", PipelineParams(horizon=4, test_size=0.3))
    assert caught.value.details["parameters"] == ["horizon", "test_size"]
    assert Run.open(storage, "r1").params.horizon == 3


def test_racing_starters_of_one_run_with_different_parameters_have_one_winner(storage):
    gate = threading.Barrier(8)

    def start(horizon):
        gate.wait()
        try:
            return Run.create(storage, "r1", PipelineParams(horizon=horizon)).params.horizon
        except ConflictError:
            return None

    with ThreadPoolExecutor(8) as pool:
        winners = [h for h in pool.map(start, range(1, 9)) if h]
    assert winners == [Run.open(storage, "r1").params.horizon]


def test_an_unknown_run_is_named(storage):
    with pytest.raises(UnknownRunError, match="'r9'"):
        Run.open(storage, "r9")


@pytest.mark.parametrize("run_id", ["", "UP", "a/b", "../a", "-a", "a" * 49, "a\n"])
def test_a_malformed_run_id_is_refused(storage, run_id):
    with pytest.raises(InvalidParameterError, match="run_id"):
        Run.create(storage, run_id, PipelineParams())
    with pytest.raises(InvalidParameterError, match="run_id"):
        Run.open(storage, run_id)
    assert storage.list() == []


def test_new_run_ids_are_valid_distinct_and_sort_by_time(storage):
    ids = []
    for _ in range(20):
        ids.append(new_run_id("weekly-rf"))
        made = datetime.now(UTC)
        while datetime.now(UTC) == made:
            pass
    assert ids == sorted(set(ids))
    Run.create(storage, ids[0], PipelineParams())
    with pytest.raises(InvalidParameterError):
        new_run_id("p" * 30)


def test_runs_are_listed_by_id(storage):
    assert list_runs(storage) == []
    for run_id in ("b", "a"):
        Run.create(storage, run_id, PipelineParams())
    storage.put("runs/not-a-run/steps/load_data.json", b"{}")
    assert list_runs(storage) == ["a", "b"]


# -- steps


def test_a_fresh_run_has_every_step_missing(run):
    assert set(statuses(run).values()) == {"missing"}
    assert run.record(Step.LOAD_DATA) is None


def test_a_step_is_refused_until_the_one_before_it_has_finished(run, do):
    with pytest.raises(
        StepNotReadyError, match="needs load_data, which has not finished"
    ) as caught:
        run.plan(Step.SPLIT_DATA)
    assert caught.value.details["missing"] == "load_data"
    do(Step.LOAD_DATA)
    with pytest.raises(StepNotReadyError, match="needs preprocess_data"):
        run.plan(Step.SPLIT_DATA)


def test_a_finished_step_is_recorded_with_all_that_it_did(run, tmp_path):
    plan = run.plan(Step.LOAD_DATA, {"tickers": "PETR4,VALE3"})

    assert plan.record is None
    record = finish(run, plan, tmp_path, b"quotes", "quotes.parquet")
    assert run.record(Step.LOAD_DATA) == record
    assert record.params == plan.params.owned_by(Step.LOAD_DATA)
    assert record.params["tickers"] == ["PETR4", "VALE3"]
    assert record.summary == {"rows": 1}
    artifact = record.artifacts["quotes.parquet"]
    assert artifact.key.startswith(plan.prefix + "/")
    assert plan.prefix.startswith("runs/r1/load_data/")
    assert (artifact.bytes, run.storage.read(artifact.key)) == (6, b"quotes")
    assert record.started_at <= record.finished_at
    assert record.seconds >= 0


def test_a_step_asked_for_again_is_done_already(run, do):
    for step in STEPS:
        do(step)
    assert set(statuses(run).values()) == {"done"}
    for step in STEPS:
        assert run.plan(step).record == run.record(step)


def test_a_run_resumes_in_another_process_with_what_was_recorded(run, do, storage):
    do(Step.LOAD_DATA, period="2y")
    do(Step.PREPROCESS_DATA, horizon=5)
    resumed = Run.open(storage, "r1")
    plan = resumed.plan(Step.PREPROCESS_DATA)
    assert plan.record is not None
    assert (plan.params.period, plan.params.horizon) == ("2y", 5)
    assert resumed.effective_params(Step.LOAD_DATA).horizon == PipelineParams().horizon


def test_later_steps_are_stale_after_an_earlier_one_ran_with_other_parameters(run, do):
    for step in up_to(Step.EVALUATE_MODEL):
        do(step)
    do(Step.SPLIT_DATA, test_size=0.3)

    assert statuses(run) == {
        **dict.fromkeys(up_to(Step.SPLIT_DATA), "done"),
        Step.TRAIN_MODEL: "stale",
        Step.EVALUATE_MODEL: "stale",
        Step.REFIT_MODEL: "missing",
        Step.SAVE_MODEL: "missing",
        Step.PUBLISH_SERVING: "missing",
    }
    with pytest.raises(StepNotReadyError, match="train_model, which is out of date") as caught:
        run.plan(Step.EVALUATE_MODEL)
    assert caught.value.details["missing"] == "train_model"
    plan = run.plan(Step.TRAIN_MODEL)
    assert plan.record is None
    assert plan.params.test_size == 0.3


def test_going_back_to_the_old_parameters_with_the_same_result_makes_later_steps_done_again(
    run, do
):
    for step in up_to(Step.TRAIN_MODEL):
        do(step)
    do(Step.SPLIT_DATA, embargo_days=9)
    assert statuses(run)[Step.TRAIN_MODEL] == "stale"
    do(Step.SPLIT_DATA, embargo_days=5)
    assert statuses(run)[Step.TRAIN_MODEL] == "done"
    do(Step.SPLIT_DATA, embargo_days=9)
    do(Step.SPLIT_DATA, content=b"another result", embargo_days=5)
    assert statuses(run)[Step.TRAIN_MODEL] == "stale"


def test_a_new_version_of_a_steps_code_makes_it_and_all_after_it_stale(run, do, monkeypatch):
    for step in up_to(Step.TRAIN_MODEL):
        do(step)
    monkeypatch.setitem(CODE_VERSION, Step.SPLIT_DATA, 99)
    assert [s for s, status in statuses(run).items() if status == "stale"] == [
        Step.SPLIT_DATA,
        Step.TRAIN_MODEL,
    ]
    assert run.plan(Step.SPLIT_DATA).record is None


class Killed(BaseException):
    pass


class DiesBeforeTheStepFile(FolderStorage):
    def put(self, key, data):
        raise Killed(key)


def test_artifacts_without_a_step_file_do_not_make_a_step_done(run, tmp_path):
    doomed = Run.open(DiesBeforeTheStepFile(run.storage.url), "r1")
    with pytest.raises(Killed, match=r"steps/load_data\.json"):
        finish(doomed, doomed.plan(Step.LOAD_DATA), tmp_path)
    assert any(key.endswith("/artifact.bin") for key in run.storage.list())
    assert statuses(run)[Step.LOAD_DATA] == "missing"
    assert run.plan(Step.LOAD_DATA).record is None
    with pytest.raises(StepNotReadyError):
        run.plan(Step.PREPROCESS_DATA)


def test_an_attempt_killed_halfway_leaves_the_artifacts_of_a_finished_one_alone(run, tmp_path):
    plan = run.plan(Step.LOAD_DATA)
    finish(run, plan, tmp_path, b"finished")
    doomed = Run.open(DiesBeforeTheStepFile(run.storage.url), "r1")
    with pytest.raises(Killed):
        finish(doomed, plan, tmp_path, b"not quite the same")
    assert (
        run.fetch(Step.LOAD_DATA, tmp_path / "out") / "artifact.bin"
    ).read_bytes() == b"finished"


def test_a_missing_artifact_or_a_summary_that_is_no_json_leaves_the_step_not_done(run, tmp_path):
    plan = run.plan(Step.LOAD_DATA)
    for artifacts, summary, error in (
        ([tmp_path / "absent"], {}, ArtifactNotFoundError),
        ([], {"loss": float("nan")}, InvalidParameterError),
        ([], {"when": date(2020, 1, 1)}, InvalidParameterError),
        ([tmp_path / "a" / "same", tmp_path / "b" / "same"], {}, InvalidParameterError),
    ):
        with pytest.raises(error):
            run.finish(plan, artifacts, summary, time.time())
    assert run.storage.list() == ["runs/r1/params.json"]


def test_parallel_steps_do_not_overwrite_each_others_files(run, do, tmp_path):
    for step in up_to(Step.SPLIT_DATA):
        do(step)
    gate = threading.Barrier(8)
    plan = run.plan(Step.TRAIN_MODEL)

    def work(number):
        folder = tmp_path / str(number)
        folder.mkdir()
        gate.wait()
        if number % 2:
            finish(
                run, plan, folder, b"%d" % number
            )  # attempts at the same step, not quite reproducible
        else:
            run.progress(STEPS[number], {"rows": number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert statuses(run)[Step.TRAIN_MODEL] == "done"
    content = (
        run.fetch(Step.TRAIN_MODEL, tmp_path / "out") / "artifact.bin"
    ).read_bytes()  # checks the recorded hash
    assert content in (b"1", b"3", b"5", b"7")
    state = run.state()
    assert [state[STEPS[n]].progress["rows"] for n in (4, 6)] == [4, 6]


# -- overrides


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


# -- a user's own data


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


# -- failure, progress


def test_a_failure_is_reported_with_its_reason_until_the_step_finishes(run, do):
    run.fail(Step.LOAD_DATA, NoQuotesError("no row passes", rows=0))
    state = run.state()[Step.LOAD_DATA]

    assert state.status == "failed"
    assert {k: state.error[k] for k in ("code", "message", "details")} == {
        "code": "NO_QUOTES",
        "message": "no row passes",
        "details": {"rows": 0},
    }
    run.progress(Step.LOAD_DATA, {"rows": 10})
    do(Step.LOAD_DATA)
    state = run.state()[Step.LOAD_DATA]
    assert (state.status, state.error, state.progress) == ("done", None, None)
    assert run.storage.list("runs/r1/steps/") == ["runs/r1/steps/load_data.json"]


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (KeyError("close"), None, ("INTERNAL", "KeyError: 'close'")),
        (
            "Task timed out after 900.00 seconds",
            "TIMEOUT",
            ("TIMEOUT", "Task timed out after 900.00 seconds"),
        ),
        (
            NoQuotesError("details are not JSON", when=date(2020, 1, 1)),
            None,
            ("NO_QUOTES", "details are not JSON"),
        ),
    ],
)
def test_any_failure_can_be_recorded(run, error, code, expected):
    run.fail(Step.TRAIN_MODEL, error, code)
    found = run.state()[Step.TRAIN_MODEL].error
    assert (found["code"], found["message"]) == expected


def test_a_failed_attempt_with_other_parameters_leaves_the_finished_one_standing(run, do):
    do(Step.LOAD_DATA)
    run.fail(Step.LOAD_DATA, NoQuotesError("nothing so far back"))
    state = run.state()[Step.LOAD_DATA]
    assert (state.status, state.error["code"]) == ("done", "NO_QUOTES")
    do(Step.PREPROCESS_DATA)


def test_an_old_failure_that_a_killed_finish_left_behind_is_not_reported(run, do):
    run.fail(Step.LOAD_DATA, NoQuotesError("before"))
    key = "runs/r1/steps/load_data.error.json"
    old = run.storage.read(key)
    do(Step.LOAD_DATA)
    run.storage.put(key, old)
    assert run.state()[Step.LOAD_DATA].error is None


def test_progress_is_reported_while_a_step_works_and_never_stops_it(run, caplog):
    run.progress(Step.LOAD_DATA, {"rows": 10})
    run.progress(Step.LOAD_DATA, {"rows": 20})
    state = run.state()[Step.LOAD_DATA]
    assert (state.status, state.progress["rows"]) == ("missing", 20)
    run.progress(Step.LOAD_DATA, {"rows": float("nan")})
    assert "progress of r1 load_data not written" in caplog.text


def test_a_step_file_that_is_no_record_is_named(run):
    run.storage.put("runs/r1/steps/load_data.json", b'{"step": "load_data"}')
    with pytest.raises(ArtifactCorruptError, match=r"steps/load_data\.json"):
        run.state()


# -- artifacts


def test_fetch_brings_the_artifacts_that_are_asked_for(run, tmp_path):
    files = []
    for name in ("a.bin", "b.bin"):
        files.append(tmp_path / name)
        files[-1].write_bytes(name.encode())
    run.finish(run.plan(Step.LOAD_DATA), files, {}, time.time())
    folder = run.fetch(Step.LOAD_DATA, tmp_path / "some", ["b.bin"])

    assert folder == tmp_path / "some" / "load_data"
    assert [p.name for p in folder.iterdir()] == ["b.bin"]
    folder = run.fetch(Step.LOAD_DATA, tmp_path / "all")
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {
        "a.bin": b"a.bin",
        "b.bin": b"b.bin",
    }
    with pytest.raises(ArtifactNotFoundError, match=r"c\.bin.*a\.bin, b\.bin"):
        run.fetch(Step.LOAD_DATA, tmp_path / "all", ["c.bin"])
    with pytest.raises(StepNotReadyError, match="split_data"):
        run.fetch(Step.SPLIT_DATA, tmp_path / "all")


def test_fetch_refuses_an_artifact_whose_bytes_changed(run, do, tmp_path):
    record = do(Step.LOAD_DATA)
    run.storage.put(record.artifacts["artifact.bin"].key, b"tampered")
    with pytest.raises(ArtifactCorruptError):
        run.fetch(Step.LOAD_DATA, tmp_path / "out")
    assert not (tmp_path / "out" / "load_data" / "artifact.bin").exists()


def test_a_plan_keeps_to_the_data_it_was_made_for_when_an_earlier_step_runs_again(
    run, do, tmp_path
):
    do(Step.LOAD_DATA, content=b"old")
    plan = run.plan(Step.PREPROCESS_DATA)
    do(Step.LOAD_DATA, content=b"new", period="2y")
    folder = run.fetch(Step.LOAD_DATA, tmp_path / "in", plan=plan)
    assert (folder / "artifact.bin").read_bytes() == b"old"
    finish(run, plan, tmp_path)
    assert statuses(run)[Step.PREPROCESS_DATA] == "stale"


# -- staleness against an oracle

CHOICES = {
    Step.LOAD_DATA: ("min_turnover", (0.0, 5e6)),
    Step.PREPROCESS_DATA: ("horizon", (1, 5)),
    Step.SPLIT_DATA: ("test_size", (0.1, 0.3)),
    Step.TRAIN_MODEL: ("n_estimators", (10, 20)),
    Step.EVALUATE_MODEL: ("decision", ("lift", "argmax")),
    Step.REFIT_MODEL: ("refit", (True, False)),
    Step.SAVE_MODEL: ("model_dir", ("models", "other")),
}
DEFAULTS = PipelineParams().model_dump() | RandomForestParams().model_dump()
OPERATION = st.tuples(
    st.sampled_from(STEPS),
    st.sampled_from([None, None, 0, 1]),
    st.sampled_from([b"one", b"one", b"two"]),
)


class Oracle:
    """Predicts the state of a run: a step's output is the nested tuple of all of its inputs.

    A step is stale if the step before has another output now.
    """

    def __init__(self):
        self.values = {STEPS.index(step): DEFAULTS[name] for step, (name, _) in CHOICES.items()}
        self.did = {}
        self.used = {}

    def fresh(self, number):
        if number < 0:
            return True
        return (
            number in self.did
            and self.used[number] == self.did.get(number - 1)
            and self.fresh(number - 1)
        )

    def asked(self, number, value):
        return (number, value, self.did.get(number - 1))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(STEPS)), st.lists(OPERATION, min_size=4, max_size=16))
def test_exactly_the_steps_whose_inputs_changed_are_stale(finished, operations):
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(FolderStorage(folder), "r", PipelineParams())
        oracle = Oracle()
        for step, choice, content in [(s, None, b"one") for s in STEPS[:finished]] + operations:
            number = STEPS.index(step)
            name, values = CHOICES.get(step, ("", ()))
            overrides = {name: values[choice]} if name and choice is not None else {}
            value = overrides.get(name, oracle.values.get(number))
            if not oracle.fresh(number - 1):
                with pytest.raises(StepNotReadyError):
                    run.plan(step, overrides)
                continue

            plan = run.plan(step, overrides)
            asked = oracle.asked(number, value)
            assert (plan.record is not None) == (
                number in oracle.did and oracle.did[number][0] == asked
            )
            if plan.record is None:
                finish(run, plan, Path(folder), content)
                oracle.values[number] = value
                oracle.did[number] = (asked, content)
                oracle.used[number] = oracle.did.get(number - 1)

            expected = {
                s: "missing" if n not in oracle.did else "done" if oracle.fresh(n) else "stale"
                for n, s in enumerate(STEPS)
            }
            assert statuses(run) == expected
