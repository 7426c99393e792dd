"""A complete run through the packaged functions, each in an interpreter with its layers alone.

S3 is an emulator. A late import that a function's layers lack shows here and in no other test.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from isolation import ROOT, Isolated
from moto.server import ThreadedMotoServer
from small_run import SMALL

from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.runs.run import Run
from b3shared.storage import S3Storage
from infra.packaging.built import Packaged

BUCKET = "packaged-functions"
COTAHIST = ROOT / "tests" / "data" / "cotahist" / "COTAHIST_D04022022_subset.TXT.gz"
RUN_ID = "isolated"
STEPS = {
    Step.LOAD_DATA: "LoadDataFunction",
    Step.PREPROCESS_DATA: "PreprocessDataFunction",
    Step.SPLIT_DATA: "SplitDataFunction",
    Step.TRAIN_MODEL: "TrainRfFunction",
    Step.EVALUATE_MODEL: "EvaluateModelFunction",
    Step.REFIT_MODEL: "RefitModelFunction",
    Step.SAVE_MODEL: "SaveModelFunction",
    Step.PUBLISH_SERVING: "PublishServingFunction",
}
OTHERS = {
    "RecordFailureFunction",
    "StartRunFunction",
    "PipelineApiFunction",
    "PredictFunction",
    "PreprocessShardFunction",
    "ExportRunFunction",
    "IngestQuotesFunction",
    "FetchAnnouncementsFunction",
}


@dataclass(frozen=True)
class Cloud:
    """An emulator with S3 and Step Functions, and an interpreter that is pointed to it."""

    isolated: Isolated
    run: Run
    machine: str
    endpoint: str

    def client(self, service: str) -> Any:
        return _client(service, self.endpoint)


def _client(service: str, endpoint: str) -> Any:
    key = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client(service, endpoint_url=endpoint, region_name="sa-east-1", **key)


@pytest.fixture(scope="module")
def cloud(isolated: Isolated) -> Iterator[Cloud]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        with pytest.MonkeyPatch.context() as shell:  # for the storage of this process
            shell.delenv("AWS_PROFILE", raising=False)
            for name, value in {
                "AWS_ENDPOINT_URL": endpoint,
                "AWS_DEFAULT_REGION": "sa-east-1",
            }.items():
                shell.setenv(name, value)
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                shell.setenv(name, "test")
            yield _filled(isolated, endpoint)
    finally:
        server.stop()


def _filled(isolated: Isolated, endpoint: str) -> Cloud:
    """Make a bucket with the bundled quotes as its lake, a new run, and a state machine."""
    s3 = _client("s3", endpoint)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "sa-east-1"})
    s3.upload_file(
        str(ROOT / "data" / "quotes.parquet"), BUCKET, "lake/quotes/year=2023/quotes.parquet"
    )
    definition = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
    role = "arn:aws:iam::123456789012:role/pipeline"
    machine = _client("stepfunctions", endpoint).create_state_machine(
        name="pipeline", definition=definition, roleArn=role
    )
    run = Run.create(S3Storage(BUCKET), RUN_ID, PipelineParams.from_values(SMALL))
    arn = machine["stateMachineArn"]
    where = {
        "B3_STORAGE": f"s3://{BUCKET}",
        "B3_QUOTES": f"s3://{BUCKET}/lake/quotes",
        "B3_STATE_MACHINE": arn,
    }
    return Cloud(
        replace(isolated, environment={"AWS_ENDPOINT_URL": endpoint, **where}), run, arn, endpoint
    )


@pytest.fixture(scope="module")
def answers(cloud: Cloud, built: dict[str, Packaged]) -> dict[Step, Any]:
    """Answers of the functions of all steps, in order."""
    return {
        step: cloud.isolated.invoke(built[name], {"run_id": RUN_ID}) for step, name in STEPS.items()
    }


SURROUNDINGS = """
import json, os, _multiprocessing

def refused(work):
    try:
        work()
    except OSError as error:
        return type(error).__name__

print(json.dumps({
    "user": os.getuid(),
    "home": os.environ.get("HOME"),
    "semaphore": refused(lambda: _multiprocessing.SemLock(0, 0, 1, name="/any", unlink=True)),
    "working folder": refused(lambda: open("any", "w")),
    "code": refused(lambda: open(sys.path[0] + "/any", "w")),
    "/tmp": refused(lambda: open("/tmp/any", "w")),
}))
"""


def test_the_functions_run_in_an_environment_like_lambdas(
    isolated: Isolated, built: dict[str, Packaged]
) -> None:
    if not isolated.sandboxed:
        pytest.skip("the sandbox needs root and the right to mount")
    found = json.loads(isolated.run(built["TrainRfFunction"], SURROUNDINGS))
    assert found["user"] == 65534
    assert found["home"] is None
    assert all(found[name] for name in ("semaphore", "working folder", "code"))
    assert found["/tmp"] is None


def test_the_packaged_forest_grows_on_two_threads_without_shared_memory(
    isolated: Isolated, built: dict[str, Packaged]
) -> None:
    code = """
import threading, warnings
warnings.simplefilter("ignore")
import numpy as np, sklearn.ensemble._forest as inside
from sklearn.ensemble import RandomForestClassifier
from b3shared.models.threads import threads
both, build = threading.Barrier(2), inside._parallel_build_trees
def watched(*args, **more):
    both.wait(60)  # two trees at a time, or never
    return build(*args, **more)
inside._parallel_build_trees = watched
X = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
with threads():
    RandomForestClassifier(n_estimators=2, n_jobs=2).fit(X, X[:, 0] > 0)
print("grown")
"""
    assert isolated.run(built["TrainRfFunction"], code).strip().endswith("grown")


def test_this_file_invokes_every_function(built: dict[str, Packaged]) -> None:
    assert set(STEPS.values()) | OTHERS == set(built)


def test_every_step_does_its_work_with_its_own_layers(
    answers: dict[Step, Any], cloud: Cloud
) -> None:
    assert {step: answer["status"] for step, answer in answers.items()} == dict.fromkeys(
        Step, "done"
    )
    records = {step: cloud.run.record(step) for step in Step}
    assert records[Step.EVALUATE_MODEL].summary["skill"] in ("none", "weak", "proven")
    assert {"model.onnx", "model.json"} <= set(records[Step.TRAIN_MODEL].artifacts)


def test_the_model_was_exported_and_checked_against_its_export(
    answers: dict[Step, Any], cloud: Cloud, tmp_path: Any
) -> None:
    model = json.loads(
        (cloud.run.fetch(Step.TRAIN_MODEL, tmp_path, ["model.json"]) / "model.json").read_text()
    )
    assert model["parity"]["rows"] > 0
    assert model["parity"]["max_difference"] <= 1e-5


def test_the_control_api_knows_the_run(
    answers: dict[Step, Any], cloud: Cloud, built: dict[str, Packaged]
) -> None:
    status = _ask(
        cloud, built["PipelineApiFunction"], "GET", "/api/b3/pipeline-status", {"run_id": RUN_ID}
    )
    assert status["run_id"] == RUN_ID
    assert _ask(cloud, built["PipelineApiFunction"], "GET", "/health")["status"] == "ok"


def test_the_model_predicts(
    answers: dict[Step, Any], cloud: Cloud, built: dict[str, Packaged]
) -> None:
    answer = _ask(
        cloud, built["PredictFunction"], "POST", "/api/b3/predict", body={"ticker": "PETR4"}
    )
    assert answer["ticker"] == "PETR4"
    assert answer["predictions"][0] in answer["classes"]
    assert _ask(cloud, built["PredictFunction"], "GET", "/assets")["pagination"]["total_count"] > 0


def _ask(
    cloud: Cloud,
    function: Packaged,
    method: str,
    path: str,
    query: dict[str, str] | None = None,
    body: Any = None,
) -> Any:
    """Return the body of the function's answer to an event of API Gateway."""
    http = {
        "method": method,
        "path": path,
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "test",
    }
    event = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": urlencode(query or {}),
        "queryStringParameters": query or {},
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": http, "stage": "$default", "requestId": "1"},
        "body": json.dumps(body) if body else None,
        "isBase64Encoded": False,
    }
    answer = cloud.isolated.invoke(function, event)
    assert answer["statusCode"] == 200, answer
    return json.loads(answer["body"])


def test_a_shard_is_made(
    answers: dict[Step, Any], cloud: Cloud, built: dict[str, Packaged]
) -> None:
    answer = cloud.isolated.invoke(built["PreprocessShardFunction"], {"run_id": RUN_ID, "shard": 0})
    assert isinstance(answer["made"], bool)


def test_a_run_is_exported(
    answers: dict[Step, Any], cloud: Cloud, built: dict[str, Packaged], tmp_path: Path
) -> None:
    warehouse = "/tmp/b3.duckdb" if cloud.isolated.sandboxed else str(tmp_path / "b3.duckdb")
    exporter = replace(
        cloud.isolated, environment=cloud.isolated.environment | {"B3_WAREHOUSE": warehouse}
    )
    answer = exporter.invoke(
        built["ExportRunFunction"], {"run_id": RUN_ID, "execution": f"{RUN_ID}.all.1"}
    )
    assert answer == {"b3_model_evaluation": 2, "b3_training_requests": 1}


def test_a_file_of_the_exchange_comes_into_the_lake(
    answers: dict[Step, Any], cloud: Cloud, built: dict[str, Packaged]
) -> None:
    key = f"inputs/cotahist/partial/{COTAHIST.name}"
    cloud.client("s3").upload_file(str(COTAHIST), BUCKET, key)
    answer = cloud.isolated.invoke(built["IngestQuotesFunction"], {"key": key, "partial": True})
    assert (answer["status"], answer["changed"]) == ("done", True)


def test_a_batch_of_announcements_is_fetched(
    answers: dict[Step, Any], cloud: Cloud, built: dict[str, Packaged]
) -> None:
    """An empty one, which asks nobody: the function and its layers are what is tried."""
    answer = cloud.isolated.invoke(built["FetchAnnouncementsFunction"], {"companies": []})
    assert (answer["status"], answer["fetched"]) == ("done", 0)


def test_the_schedule_starts_the_state_machine(cloud: Cloud, built: dict[str, Packaged]) -> None:
    event = {"model_type": "rf", "scheduled_time": "2024-01-07T09:00:00Z"}
    answer = cloud.isolated.invoke(built["StartRunFunction"], event)
    started = cloud.client("stepfunctions").list_executions(stateMachineArn=cloud.machine)[
        "executions"
    ]
    assert [execution["name"] for execution in started] == [answer["execution"]]


def test_the_layers_have_the_time_zones(cloud: Cloud, built: dict[str, Packaged]) -> None:
    code = """
import zoneinfo
zoneinfo.reset_tzpath(to=[])
print(zoneinfo.ZoneInfo("America/Sao_Paulo"))
"""
    assert cloud.isolated.run(built["StartRunFunction"], code).strip() == "America/Sao_Paulo"


def test_a_failure_is_recorded(cloud: Cloud, built: dict[str, Packaged]) -> None:
    run = Run.create(cloud.run.storage, "failed", PipelineParams.from_values(SMALL))
    error = {"Error": "Lambda.Unknown", "Cause": "the function crashed"}
    event = {
        "run_id": run.run_id,
        "error": error,
        "started_at": "2024-01-01T00:00:00Z",
        "last": None,
    }
    cloud.isolated.invoke(built["RecordFailureFunction"], event)
    assert "the function crashed" in run.state()[Step.LOAD_DATA].error["message"]


def test_the_layer_has_the_needed_aws_clients_and_no_other(
    cloud: Cloud, built: dict[str, Packaged]
) -> None:
    code = "import boto3; print(*boto3.Session().get_available_services())"
    services = cloud.isolated.run(built["PipelineApiFunction"], code).split()
    assert services == ["s3", "secretsmanager", "sns", "stepfunctions", "sts"]
