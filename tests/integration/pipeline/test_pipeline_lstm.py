"""The LSTM through the state machine: in slices as in one piece, killed and gone on with, against a rival, step by step."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import psutil
import pytest
import torch
from paths import ROOT
from pipeline_client import Client, storage_of
from pipeline_world import TICKERS, sliced_template
from small_run import NETWORK
from waiting import until

from b3shared.core.config import BUNDLED_QUOTES, Settings
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline import run_pipeline
from b3shared.pipeline.checkpoint import StepCheckpoint
from b3shared.pipeline.runner import checkpoint_key
from b3shared.quotes.lake.lake import write_lake
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.registry.versions import Registry
from b3shared.runs.run import Run
from b3shared.storage import FolderStorage
from infra.local import LocalStack, LocalStackError

LONG = NETWORK | {
    "batch_size": 2048,
    "epochs": 3,
    "units": 24,
    "early_stopping_patience": 12,
    "max_slices": 1000,
}
LONG |= {"model_type": "lstm", "refit": False}
"""A training of nine gradient steps, three an epoch: every one of them costs a call of a second or two."""
PROGRESS = "runs/{}/steps/train_model.progress.json"


@pytest.fixture(scope="module")
def sliced(tmp_path_factory):
    """A stack whose trainer is called again after every gradient step."""
    template = sliced_template(ROOT, tmp_path_factory.mktemp("sliced"))
    parameters = {"Environment": "LOCAL", "WaitSeconds": "600", "ApiTimeout": "900"}
    with LocalStack(template, parameters) as stack:
        write_lake(
            ParquetSource(BUNDLED_QUOTES).read(QuoteQuery(tickers=TICKERS)), storage_of(stack)
        )
        yield stack


@pytest.fixture(scope="module")
def api(sliced):
    return Client(sliced)


@pytest.fixture(scope="module")
def bucket(sliced):
    return storage_of(sliced)


@contextmanager
def threads_of_the_trainer():
    """As many as the template gives it: sums are rounded differently with more, or fewer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The same training in one piece, in this process."""
    folder = tmp_path_factory.mktemp("straight")
    run = Run.create(
        FolderStorage(folder), "straight", PipelineParams.of(LONG | {"tickers": TICKERS})
    )
    with threads_of_the_trainer():
        run_pipeline(run, settings=Settings(storage=str(folder)), stop_after=Step.TRAIN_MODEL)
    return weights(run, folder / "fetched")


def weights(run, folder):
    fetched = run.fetch(Step.TRAIN_MODEL, folder, ["b3_lstm_mtl.pt"])
    return torch.load(fetched / "b3_lstm_mtl.pt", weights_only=True)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def answers(api, execution, step):
    """What the trainer answered, call by call."""
    events = [e for e in api.history(execution) if e["type"] == "LambdaFunctionSucceeded"]
    said = [json.loads(event["lambdaFunctionSucceededEventDetails"]["output"]) for event in events]
    return [answer for answer in said if answer["step"] == step]


@pytest.fixture(scope="module")
def network(api):
    """What pipeline-status said of the training while it trained, and at the end."""
    assert (
        api.post("complete-pipeline", {"run_id": "network", "tickers": TICKERS, **LONG}).status_code
        == 202
    )
    seen = {}

    def ended():
        now = api.status("network")
        progress = now["steps"]["train_model"].get("progress")
        if progress and "epoch" in progress:
            seen.setdefault((progress["slice"], progress["epoch"]), now["steps"]["train_model"])
        return None if now["running"] else now

    return seen, until(ended, "the end of the run")


def test_the_trainer_is_called_again_until_it_is_done(network, api):
    said = answers(api, "network.all.1", "train_model")
    assert [answer["status"] for answer in said[:-1]] == ["partial"] * (len(said) - 1)
    assert len(said) > 2 * LONG["epochs"], "it was interrupted within epochs"
    assert said[-1]["status"] == "done"
    assert all(answer["progress"]["epochs"] == LONG["epochs"] for answer in said[:-1])
    assert network[1]["progress"] == 1.0
    assert network[1]["pipeline_state"]["training_status"] == "completed"
    assert network[1]["pipeline_state"]["training_results"]["live"]


def test_in_slices_it_becomes_the_very_network_that_it_becomes_in_one_piece(
    network, straight, bucket, tmp_path
):
    assert same(weights(Run.open(bucket, "network"), tmp_path), straight)


def test_the_status_tells_epoch_by_epoch_while_it_trains(network):
    seen, status = network
    assert len({slice_ for slice_, _ in seen}) >= 2, "progress is told in more than one slice"
    assert [epoch for _, epoch in seen] == sorted(epoch for _, epoch in seen)
    assert {step["status"] for step in seen.values()} == {"missing"}
    told = [step["progress"] for step in seen.values() if "val_loss" in step["progress"]]
    assert told
    assert all(
        {"train_loss", "val_loss", "seconds", "epochs", "at"} <= words.keys() for words in told
    )
    assert "progress" not in status["steps"]["train_model"]


def test_a_finished_training_leaves_no_checkpoint(network, bucket):
    assert not [key for key in bucket.list("runs/network/") if "checkpoint" in key]


def test_the_version_is_registered_with_its_own_file_and_forecasts(
    network, sliced, bucket, tmp_path
):
    version = network[1]["pipeline_state"]["training_results"]["model_version"]
    folder = Registry(bucket, "models").fetch("lstm", version, tmp_path)
    assert {"b3_lstm_mtl.pt", "model.onnx", "model.json", "report.html"} <= {
        path.name for path in folder.iterdir()
    }
    for name in ("lstm", "lstm_mtl"):
        answer = Client(sliced).ok("predict", {"ticker": "PETR4", "model_type": name})
        assert (answer["model_type"], answer["requested_model_type"]) == ("lstm", name)
        assert answer["model_version"] == version
        assert answer["predicted_price"] == pytest.approx(
            answer["last_price"] * (1 + answer["predicted_return"])
        )


def failures(api, execution):
    return [event for event in api.history(execution) if event["type"] == "LambdaFunctionFailed"]


def kill(processes):
    """Kill them, and say whether there were any."""
    victims = list(processes)
    for victim in victims:
        with suppress(psutil.NoSuchProcess):
            victim.kill()
    return bool(victims)


@pytest.fixture(scope="module")
def killed(network, api, bucket):
    """A run whose trainer was killed when it was going on with its own work, at the end."""
    assert (
        api.post("complete-pipeline", {"run_id": "killed", "tickers": TICKERS, **LONG}).status_code
        == 202
    )

    def trains():
        key = PROGRESS.format("killed")
        return bucket.exists(key) and json.loads(bucket.read(key)).get("slice", 0) >= 2

    until(trains, "a second slice")
    until(
        lambda: kill(api.workers("train_lstm")) and failures(api, "killed.all.1"),
        "the death of a trainer at work",
    )
    return api.ended("killed")


def test_a_killed_trainer_goes_on_from_its_checkpoint_to_the_same_network(
    killed, api, straight, bucket, tmp_path
):
    assert failures(api, "killed.all.1")
    assert killed["progress"] == 1.0
    assert "training_error" not in killed["pipeline_state"]
    assert same(weights(Run.open(bucket, "killed"), tmp_path), straight)


def test_of_two_trainers_at_once_the_newer_goes_on_and_the_other_stops(
    stack, storage, straight, tmp_path
):
    client, body = Client(stack), {"run_id": "rivals"}
    client.ok("load-data", body | {"tickers": TICKERS, **LONG})
    client.ok("preprocess-data", body)
    client.ok("split-data", body)
    run = Run.open(storage, "rivals")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(
            stack.invoke, "TrainLstmFunction", {"run_id": "rivals", "step": "train_model"}
        )
        until(lambda: storage.exists(PROGRESS.format("rivals")), "the first trainer")
        StepCheckpoint(storage, checkpoint_key(run, Step.TRAIN_MODEL)).load()
        with pytest.raises(LocalStackError, match="SupersededError"):
            first.result()
    step = client.status("rivals")["steps"]["train_model"]
    assert step["status"] == "missing"
    assert "error" not in step
    client.ok("train-model", body)
    assert same(weights(run, tmp_path), straight)


def test_the_refit_too_is_done_by_the_trainer_in_slices(api, bucket):
    body = {"run_id": "step-by-step"}
    api.ok("load-data", {**body, "tickers": TICKERS, **NETWORK, "batch_size": 4096, "epochs": 2})
    api.ok("preprocess-data", body)
    api.ok("split-data", body | {"test_size": 0.2, "val_size": 0.2})
    trained = api.ok("train-model", body | {"model_type": "lstm_mtl"})
    assert trained["model_type"] == "lstm"
    assert trained["training_results"]["best_params"]["units"] == NETWORK["units"]
    assert api.ok("evaluate-model", body)["plot_paths"]
    saved = api.ok("save-model", body | {"model_name": "b3_lstm_step_by_step.pt"})
    assert saved["model_path"].endswith("/b3_lstm_step_by_step.pt")
    assert bucket.exists(saved["model_path"].removeprefix(f"{bucket.url}/"))
    said = answers(api, "step-by-step.all.1", "refit_model")
    assert [answer["status"] for answer in said] == ["partial"] * (len(said) - 1) + ["done"]
    assert len(said) >= 2
    assert Run.open(bucket, "step-by-step").record(Step.REFIT_MODEL).summary["refit"]


def test_a_training_that_needs_more_calls_than_it_may_fails_by_name(api):
    body = {"run_id": "endless"}
    assert (
        api.post(
            "complete-pipeline", body | {"tickers": TICKERS, **LONG, "max_slices": 1}
        ).status_code
        == 202
    )
    status = api.ended("endless")
    assert status["steps"]["train_model"]["error"]["code"] == "TOO_MANY_SLICES"
    assert status["steps"]["evaluate_model"]["status"] == "missing"
    assert "error" not in status["steps"]["evaluate_model"]
    more = api.ok("train-model", body | {"max_slices": 1000})
    assert more["report"]["slices"] >= 2, "it went on with the work that was there"


def test_the_trainer_refuses_a_step_that_is_not_its_own(sliced):
    with pytest.raises(Exception, match="one of train_model, refit_model"):
        sliced.invoke("TrainLstmFunction", {"run_id": "network", "step": "save_model"})
