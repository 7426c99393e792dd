"""A complete run by one call: its answer, records, artifacts, and the version that goes live."""

import json

from b3shared.params.steps import Step
from b3shared.registry.key import ModelKey
from b3shared.registry.release import Release
from b3shared.registry.versions import Registry
from b3shared.serving.snapshot import Snapshot

RF = ModelKey("models", "rf")

ARTIFACTS = {
    Step.LOAD_DATA: {"quotes.parquet"},
    Step.PREPROCESS_DATA: {"matrix.npy", "columns.npz"},
    Step.SPLIT_DATA: {"split.npz"},
    Step.TRAIN_MODEL: {"model.onnx", "model.json", "predictions.npz"},
    Step.EVALUATE_MODEL: {"metrics.json", "report.html"},
}


def test_the_call_is_answered_at_once_with_the_run_and_its_execution(full_run, api):
    response, _ = full_run
    assert response.status_code == 202
    assert response.json() == {
        "status": "success",
        "message": "Complete training pipeline started",
        "run_id": "full-run",
        "execution_arn": api.arn_of("full-run.all.1"),
        "training_status": "running",
        "model_type": "rf",
    }


def test_at_the_end_every_step_is_done_and_timed(full_run):
    _, status = full_run

    assert status["progress"] == 1.0
    assert status["running"] == []
    assert {name: step["status"] for name, step in status["steps"].items()} == dict.fromkeys(
        map(str, Step), "done"
    )
    times = [(step["started_at"], step["finished_at"]) for step in status["steps"].values()]
    assert times == sorted(times)
    assert all(step["seconds"] > 0 for step in status["steps"].values())
    flags = dict.fromkeys(
        ("has_raw_data", "has_processed_data", "has_split_data", "has_trained_model"), True
    )
    assert status["pipeline_state"].items() >= (flags | {"training_status": "completed"}).items()
    assert "training_error" not in status["pipeline_state"]
    assert status["pipeline_state"]["training_results"]["model_version"]


def test_the_artifacts_of_every_step_lie_where_the_layout_says(full_run, storage):
    keys = storage.list("runs/full-run/")
    for step in Step:
        record = json.loads(storage.read(f"runs/full-run/steps/{step}.json"))
        assert ARTIFACTS.get(step, set()) <= record["artifacts"].keys()
        for artifact in record["artifacts"].values():
            assert artifact["key"].startswith(f"runs/full-run/{step}/{record['input_hash'][:16]}/")
            assert artifact["key"] in keys
            assert storage.sha256(artifact["key"]) == artifact["sha256"]
    assert "runs/full-run/params.json" in keys
    assert not [key for key in keys if key.endswith((".error.json", ".progress.json"))]


def test_the_version_is_registered_completely_and_can_be_fetched(full_run, storage, tmp_path):
    version = full_run[1]["pipeline_state"]["training_results"]["model_version"]
    folder = Registry(storage, "models").fetch("rf", version, tmp_path)
    assert {"manifest.json", "model.onnx", "b3_model.joblib", "report.html"} <= {
        path.name for path in folder.iterdir()
    }
    manifest = Registry(storage, "models").manifest("rf", version)
    assert manifest["lineage"]["run_id"] == "full-run"


def test_a_version_is_live_and_the_snapshot_serves_it(full_run, storage, tmp_path):
    state = Release(storage).state()
    assert state.live[RF] in [
        manifest["version"] for manifest in Registry(storage, "models").versions("rf")
    ]
    assert state.snapshot.startswith("serving/snapshots/2023-12-28-")
    snapshot = Snapshot.load(storage.download(state.snapshot, tmp_path / "snapshot.npz"))
    assert str(snapshot.as_of) == state.as_of == "2023-12-28"


def test_the_state_machine_passes_ids_and_no_data(full_run, api):
    events = api.history("full-run.all.1")

    assert max(len(json.dumps(event, default=str)) for event in events) < 32_768
    answers = [
        json.loads(e["taskSucceededEventDetails"]["output"])
        for e in events
        if e["type"] == "TaskSucceeded"
    ]
    answers = answers or [
        json.loads(e["lambdaFunctionSucceededEventDetails"]["output"])
        for e in events
        if e["type"] == "LambdaFunctionSucceeded"
    ]
    *answers, exported = answers
    assert exported == {"b3_model_evaluation": 2, "b3_training_requests": 1}
    assert [answer["step"] for answer in answers] == [str(step) for step in Step]
    assert answers[0].pop("shards") == [0]
    assert all(
        answer.keys() == {"run_id", "step", "status", "seconds", "before"} for answer in answers
    )


def test_the_same_call_again_finds_everything_done(full_run, api):
    before = full_run[1]["steps"]
    assert api.post("complete-pipeline", {"run_id": "full-run"}).status_code == 202
    after = api.ended("full-run")
    assert after["steps"] == before
    assert api.describe("full-run.all.2")["status"] == "SUCCEEDED"
