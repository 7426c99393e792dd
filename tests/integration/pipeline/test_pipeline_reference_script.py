"""The reference project's script: six POSTs in order, without polling; and calls out of order."""

from pipeline_world import FOREST

from b3shared.params.steps import Step
from b3shared.runs.run import Run


def test_every_answer_says_success_and_is_about_one_run(script):
    assert {answer["status"] for answer in script.values()} == {"success"}
    assert len({answer["run_id"] for answer in script.values()}) == 1


def test_the_fields_that_the_reference_client_prints_are_there(script):
    rows, columns = script["load"]["data_shape"]

    assert rows > 5000
    assert columns == len(script["load"]["columns"])
    labelled, features = script["preprocess"]["features_shape"]
    assert features == len(script["preprocess"]["feature_columns"])
    assert script["preprocess"]["targets_shape"] == [labelled]
    assert sum(script["preprocess"]["target_distribution"].values()) == labelled
    sizes = [script["split"][name] for name in ("train_size", "validation_size", "test_size")]
    assert 0.8 * labelled < sum(sizes) < labelled
    assert script["train"]["model_type"] == "rf"
    assert script["train"]["training_results"]["train_size"] == sizes[0]
    assert script["evaluate"]["evaluation_results"]["skill"] in ("none", "weak", "proven")
    assert script["evaluate"]["plot_paths"]
    assert script["save"]["model_path"].endswith("/b3_model_step_by_step.joblib")


def test_every_file_that_the_answers_name_exists(script, storage):
    paths = [script["save"]["model_path"], *script["evaluate"]["plot_paths"].values()]
    assert all(storage.exists(path.removeprefix(f"{storage.url}/")) for path in paths)


def test_the_run_is_finished(script, api):
    status = api.status(script["load"]["run_id"])
    assert status["pipeline_state"]["training_status"] == "completed"
    assert status["progress"] == 1.0


def test_the_parameters_that_were_given_are_those_that_were_used(script, storage, api):
    run_id = script["load"]["run_id"]
    run = Run.open(storage, run_id)
    assert run.record(Step.SPLIT_DATA).params["test_size"] == 0.2
    forest = run.record(Step.TRAIN_MODEL).params["rf"]
    assert forest["n_jobs"] == 2
    assert forest["n_estimators"] == FOREST["n_estimators"]
    assert run.record(Step.SAVE_MODEL).params["model_name"] == "b3_model_step_by_step.joblib"


OUT_OF_ORDER = {
    "preprocess-data": "load_data",
    "split-data": "preprocess_data",
    "train-model": "split_data",
    "evaluate-model": "train_model",
    "save-model": "evaluate_model",
}


def test_out_of_order_every_call_is_refused_naming_the_first_missing_step(api):
    api.ok("clear-state")

    for path in OUT_OF_ORDER:
        response = api.post(path)
        assert response.status_code == 409
        assert response.json()["code"] == "STEP_NOT_READY"
        assert response.json()["details"] == {"missing": "load_data"}
    run = {"run_id": "in-disorder"}
    api.ok("load-data", {**run, **FOREST})
    done = ["load-data"]
    for path in ("preprocess-data", "split-data", "train-model"):
        for later, needed in list(OUT_OF_ORDER.items())[len(done) :]:
            missing = list(OUT_OF_ORDER.values())[len(done)]
            response = api.post(later, run)
            assert (response.status_code, response.json()["details"]) == (
                409,
                {"missing": missing},
            ), (later, needed)
        api.ok(path, run)
        done.append(path)
    assert api.post("save-model", run).json()["details"] == {"missing": "evaluate_model"}


def test_changed_parameters_are_honoured_and_make_later_steps_stale(api):
    run = {"run_id": "in-disorder"}
    before = api.status("in-disorder")
    split = api.ok("split-data", {**run, "test_size": 0.3, "val_size": 0.1})

    assert split["test_size"] > 2.5 * split["validation_size"]
    after = api.status("in-disorder")
    assert after["steps"]["train_model"]["status"] == "stale"
    assert after["steps"]["load_data"] == before["steps"]["load_data"]
    assert after["pipeline_state"]["has_split_data"]
    assert not after["pipeline_state"]["has_trained_model"]
    status, code, message = api.refused("evaluate-model", run)
    assert (status, code) == (409, "STEP_NOT_READY")
    assert "train_model, which is out of date" in message
    assert (
        api.ok("train-model", {**run, "n_estimators": 9})["training_results"]["train_size"]
        == split["train_size"]
    )
    assert api.status("in-disorder")["steps"]["train_model"]["status"] == "done"


def test_a_step_called_again_unchanged_is_answered_from_its_record(api):
    before = api.status("in-disorder")["steps"]
    api.ok("split-data", {"run_id": "in-disorder"})
    assert api.status("in-disorder")["steps"] == before
