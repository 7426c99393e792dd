"""Compares the permissions that every function needs with those that template.yaml grants.

The local stack enforces no permission.
"""

import re
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import botocore.handlers
import pandas as pd
import pytest
from cotahist_text import Quote, cotahist
from deployment import Deployment, Recorder, Use
from exchange_answers import PETR, cash_row, details, supplement
from exchange_server import exchange_server
from granted import BUCKET, MACHINE, RESOURCES, ROOT, Grant, functions, grants, resolved
from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse
from small_run import NETWORK, SMALL

from b3shared.core.serialization import utc_now
from b3shared.params.steps import Step
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.lake.write import write_lake
from b3shared.runs.run import Run
from b3shared.storage import S3Storage

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "sa-east-1",
    "B3_STORAGE": f"s3://{BUCKET}",
    "B3_QUOTES": f"s3://{BUCKET}/lake/quotes",
    "B3_STATE_MACHINE": MACHINE,
    "B3_MAX_RUNNING": "50",
    # enough to train, not enough for what follows: that takes another call
    "B3_SLICE_SECONDS": "25",
    "B3_COMPANIES_PACE": "20",
    "POWERTOOLS_SERVICE_NAME": "permissions",
    "environment": "AWS",
}
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
TRAINER = {Step.TRAIN_MODEL: "TrainLstmFunction", Step.REFIT_MODEL: "TrainLstmFunction"}
"""The function that does these steps for an LSTM."""
INGEST = ("IngestQuotesFunction", "PublishServingFunction")
UNSEEN = {"s3:AbortMultipartUpload"}
"""Granted, but not used here: S3's client needs it when an upload in parts fails."""
SHARD = "PreprocessShardFunction"
WORKERS = {*STEPS.values(), *TRAINER.values(), SHARD}
MACHINES = {"Pipeline": "pipeline.asl.yaml", "Ingest": "ingest.asl.yaml"}
OTHERS = 1_000_000.0
"""R$ a session: a liquidity limit that no snapshot of the default runs has."""


@pytest.fixture(scope="module")
def publisher() -> Iterator[str]:
    """A server that has no file of quotes, and one rate of the CDI."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path.startswith("/rates")
            body = b'[{"data": "02/01/2024", "valor": "0.043739"}]' if found else b""
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def uses(
    eight: pd.DataFrame, publisher: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, set[Use]]]:
    """Permissions that each function needed in the life of a deployment."""
    recorder = Recorder()

    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
            patch.delenv(name, raising=False)
        warehouse = tmp_path_factory.mktemp("warehouse") / "b3.duckdb"
        addresses = {
            "B3_COTAHIST_ADDRESS": f"{publisher}/{{period}}.ZIP",
            "B3_CDI_ADDRESS": f"{publisher}/rates?from={{start}}&to={{end}}",
        }
        chosen = {**ENVIRONMENT, **addresses, "B3_WAREHOUSE": str(warehouse)}
        for name, value in chosen.items():
            patch.setenv(name, value)
        patch.setattr(
            botocore.handlers,
            "BUILTIN_HANDLERS",
            botocore.handlers.BUILTIN_HANDLERS + recorder.handlers(),
        )
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        with mock_aws():
            storage = prepared(eight, tmp_path_factory.mktemp("given"))
            live_through(Deployment(recorder), storage)
        yield dict(recorder.uses)


def prepared(quotes: pd.DataFrame, folder: Path) -> S3Storage:
    """Make a bucket with a lake and a user's own quotes, and a state machine that does nothing."""
    where = {"LocationConstraint": "sa-east-1"}
    boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
    role = "arn:aws:iam::123456789012:role/any"
    definition = '{"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}'
    made = boto3.client("stepfunctions").create_state_machine(
        name="pipeline", definition=definition, roleArn=role
    )
    assert made["stateMachineArn"] == MACHINE
    storage = S3Storage(BUCKET)
    write_lake(quotes, storage)
    storage.upload(write_parquet(quotes, folder / "own.parquet"), "inputs/own.parquet")
    storage.put("market/ibovespa.csv", b"date,close\n2023-12-28,134185.23\n")
    storage.put(
        "market/sectors.csv",
        "ticker,sector,subsector,segment,read\nPETR4,Petróleo,,,2023-12-28\n".encode(),
    )

    return storage


def live_through(deployment: Deployment, storage: S3Storage) -> None:
    """Do everything that a deployment can do, in an order in which it can happen."""
    deployment.call("PredictFunction", "GET", "/assets", status=503)
    first = whole_run(deployment, storage, "first")
    second = whole_run(deployment, storage, "second", random_state=7)

    assert (first["live"], second["live"]) == (True, False)
    network = whole_run(
        deployment,
        storage,
        "network",
        model_type="lstm",
        model_dir="others",
        min_turnover=OTHERS,
        **NETWORK,
    )
    assert network["pending"], "the snapshot must lack something, so that publishing promotes"
    repeat_evaluation(deployment, storage, "network")
    own_data(deployment)
    new_quotes(deployment, storage)
    announcements(deployment)
    versions(deployment, first["model_version"], second["model_version"])
    for _ in range(2):
        event = {"model_type": "rf", "scheduled_time": "2024-01-07T09:00:00Z"}
        deployment.invoke("StartRunFunction", event)


def whole_run(
    deployment: Deployment, storage: S3Storage, run_id: str, **params: Any
) -> dict[str, Any]:
    """Start a run over HTTP and do what the state machine does; returns the saved summary."""
    body = SMALL | params | {"run_id": run_id}
    deployment.call("PipelineApiFunction", "POST", "/api/b3/complete-pipeline", body, status=202)
    for step, function in (STEPS | (TRAINER if params.get("model_type") == "lstm" else {})).items():
        if step is Step.PREPROCESS_DATA:
            assert deployment.invoke(SHARD, {"run_id": run_id, "shard": 0})["made"] is True
        perform(deployment, function, step, run_id)
    deployment.call("PipelineApiFunction", "GET", "/api/b3/pipeline-status")
    saved = Run.open(storage, run_id).record(Step.SAVE_MODEL)
    assert saved
    return saved.summary


def perform(deployment: Deployment, function: str, step: Step, run_id: str) -> None:
    """Call a step's function until it is done."""
    event = {"run_id": run_id} | ({"step": str(step)} if function == TRAINER.get(step) else {})
    answers = [deployment.invoke(function, event)]
    while answers[-1]["status"] == "partial":
        answers.append(deployment.invoke(function, event))
    assert (len(answers) > 1) == ("step" in event), (
        "the LSTM's trainer is to be seen going on with its own work"
    )


def repeat_evaluation(deployment: Deployment, storage: S3Storage, run_id: str) -> None:
    """Repeat an evaluation that ended after it was logged and before it was recorded."""
    storage.delete(f"runs/{run_id}/steps/evaluate_model.json")
    deployment.invoke("EvaluateModelFunction", {"run_id": run_id})


def own_data(deployment: Deployment) -> None:
    """Do a run on a user's own quotes that stops when splitting takes too long."""
    body = SMALL | {"run_id": "own", "input_key": "inputs/own.parquet", "wait_seconds": 0}
    deployment.call("PipelineApiFunction", "POST", "/api/b3/load-data", body, status=202)
    given = {"run_id": "own", "input_key": "inputs/own.parquet"}
    deployment.invoke(STEPS[Step.LOAD_DATA], given)

    assert deployment.invoke(SHARD, given | {"shard": 0})["made"] is False
    deployment.invoke(STEPS[Step.PREPROCESS_DATA], given)
    last = {"step": "preprocess_data", "status": "done"}
    timeout = {"error": {"Error": "States.Timeout"}, "started_at": utc_now(), "last": last}
    recorded = deployment.invoke("RecordFailureFunction", {"run_id": "own", **timeout})
    assert recorded["code"] == "TIMEOUT"
    assert deployment.invoke("ExportRunFunction", {"run_id": "own", "execution": "own.all.1"})
    deployment.call("PipelineApiFunction", "POST", "/api/b3/clear-state")


def new_quotes(deployment: Deployment, storage: S3Storage) -> None:
    """Ingest files put into the bucket and a table of corporate actions; serve the new quotes."""
    # the third change tidies up after the first
    for day in (date(2024, 1, 2), date(2024, 1, 3), date(2024, 1, 4)):
        key = f"inputs/cotahist/COTAHIST_D{day:%d%m%Y}.TXT"
        quotes = [Quote(day, ticker, 30.0) for ticker in SMALL["tickers"]]
        storage.put(key, cotahist(quotes, day.year, f"{day:%Y%m%d}"))
        event = {
            "detail-type": "Object Created",
            "detail": {"bucket": {"name": BUCKET}, "object": {"key": key}},
        }
        assert deployment.invoke("IngestQuotesFunction", event)["changed"] is True
    storage.put("lake/actions/overrides.csv", b"ticker,date,split_factor\nPETR4,2024-01-03,2\n")
    overrides = deployment.invoke("IngestQuotesFunction", {"key": "lake/actions/overrides.csv"})

    assert overrides["changed"] is True
    evening = {"periods": ["D05012024"], "optional": True, "market": True}
    market = deployment.invoke("IngestQuotesFunction", evening, 900_000)["market"]
    assert (market["cdi_added"], market["findings"]) == (1, [])
    published = deployment.invoke("PublishServingFunction", {"refresh": True})
    assert (published["published"], published["as_of"]) == (True, "2024-01-04")


def announcements(deployment: Deployment) -> None:
    """Fetch the announcements of a company twice, and make corporate actions anew."""
    function = "FetchAnnouncementsFunction"
    with exchange_server() as exchange, pytest.MonkeyPatch.context() as patch:
        patch.setenv("B3_COMPANIES_ADDRESS", exchange.address)
        exchange.has(PETR, cash=[cash_row("01/06/2023", "1")], supplement=supplement("PETR"))
        exchange.answers["GetDetailsCompany", PETR.code_cvm] = details(PETR, "BRPETRACNOR9")
        (batch,) = deployment.invoke(function, {})["batches"]
        by_hand = {"companies": batch["companies"]}
        for request in (batch, by_hand):  # a batch of the plan does not ask twice
            assert deployment.invoke(function, request)["failed"] == []
    deployment.invoke("IngestQuotesFunction", {"actions": True})


def versions(deployment: Deployment, first: str, second: str) -> None:
    """Predict, also with a version that is not live; promote and roll back."""
    deployment.restart("PredictFunction")
    api = "PipelineApiFunction"
    predict = "PredictFunction"

    asked = {"ticker": "PETR4"}
    live = deployment.call(predict, "POST", "/predict", asked)
    assert live["model_version"] == first
    deployment.call(predict, "POST", "/predict", asked | {"model_version": second})
    unknown = {"model_version": "20200101-00000000"}
    deployment.call(predict, "POST", "/predict", asked | unknown, status=404)

    deployment.call(api, "GET", "/api/b3/models")
    moved = deployment.call(api, "POST", "/api/b3/models/rf/promote", {"model_version": second})
    assert (moved["from"], moved["to"]) == (first, second)
    assert deployment.call(api, "POST", "/api/b3/models/rf/rollback")["to"] == first


def denied(held: list[Grant], needed: set[Use]) -> list[Use]:
    """Permissions that are needed and not granted."""
    return sorted(use for use in needed if not any(grant.covers(*use) for grant in held))


@pytest.mark.parametrize("function", functions())
def test_a_function_is_granted_every_permission_that_it_needs(
    uses: dict[str, set[Use]], function: str
) -> None:
    assert denied(grants(function), uses[function]) == []


@pytest.mark.parametrize("function", functions())
def test_a_function_is_granted_no_permission_that_it_does_not_need(
    uses: dict[str, set[Use]], function: str
) -> None:
    held = grants(function)
    spare = [
        grant
        for grant in held
        if not denied([other for other in held if other != grant], uses[function])
    ]
    assert [grant for grant in spare if grant.action not in UNSEEN] == []
    assert len(set(held)) == len(held)


@pytest.mark.parametrize("function", functions())
def test_uploads_can_be_aborted_where_files_are_written(function: str) -> None:
    held = {
        action: {g.resource for g in grants(function) if g.action == action}
        for action in ("s3:PutObject", *UNSEEN)
    }
    assert held["s3:AbortMultipartUpload"] == (
        held["s3:PutObject"] if function in {*WORKERS, *INGEST} else set()
    )


@pytest.mark.parametrize("machine", MACHINES)
def test_a_state_machine_may_call_exactly_what_its_definition_names(machine: str) -> None:
    definition = yaml_parse((ROOT / "infra" / MACHINES[machine]).read_text(encoding="utf-8"))
    names = RESOURCES[machine]["Properties"]["DefinitionSubstitutions"]
    states = list(definition["States"].values())
    states += [
        inner
        for state in states
        for inner in state.get("ItemProcessor", {}).get("States", {}).values()
    ]
    tasks = [state for state in states if state["Type"] == "Task"]
    called = {
        found[1] for task in tasks if (found := re.fullmatch(r"\$\{(\w+)\}", task["Resource"]))
    }
    topics = {
        task["Parameters"]["TopicArn"].strip("${}")
        for task in tasks
        if task["Resource"].endswith(":sns:publish")
    }

    assert all(re.fullmatch(r"\$\{(\w+)\}|.*:sns:publish", task["Resource"]) for task in tasks)
    assert topics
    needed = [
        Grant(action, resolved(names[name]))
        for action, found in (("lambda:InvokeFunction", called), ("sns:Publish", topics))
        for name in found
    ]
    assert sorted(needed) == sorted(g for g in grants(machine) if not g.action.startswith("logs:"))


def test_the_state_machine_calls_steps_failure_recording_and_export_only() -> None:
    invoked = {
        grant.resource for grant in grants("Pipeline") if grant.action == "lambda:InvokeFunction"
    }
    assert invoked == {
        f"{name}.Arn" for name in (*WORKERS, "RecordFailureFunction", "ExportRunFunction")
    }
