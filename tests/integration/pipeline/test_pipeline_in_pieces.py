"""Runs in pieces: quotes in shards, the LSTM's training in slices, killed and resumed."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import psutil
import pytest
import torch
from paths import ROOT
from pipeline_client import Client, storage_of
from pipeline_world import PATIENT, TICKERS, sliced_template, write_small_lake
from small_run import NETWORK
from waiting import until

from b3shared.core.config import Settings
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline import run_pipeline
from b3shared.pipeline.checkpoint import StepCheckpoint
from b3shared.pipeline.runner import checkpoint_key
from b3shared.registry.versions import Registry
from b3shared.runs.run import Run
from b3shared.storage import FolderStorage
from infra.local import LocalStack, LocalStackError

EPOCHS = 2
LONG = NETWORK | {
    "model_type": "lstm",
    "period": "3y",
    "batch_size": 1024,
    "epochs": EPOCHS,
    "units": 24,
    "early_stopping_patience": 12,
    "max_slices": 1000,
}
"""A training of six gradient steps, three an epoch: each costs a call of a second or two."""
PROGRESS = "runs/{}/steps/train_model.progress.json"


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """A stack that works on two tickers, or trains an LSTM for one gradient step, at a time."""
    template = sliced_template(ROOT, tmp_path_factory.mktemp("pieces"))
    with LocalStack(template, PATIENT | {"ShardRows": "1500"}) as stack:
        write_small_lake(stack)
        yield stack


@pytest.fixture(scope="module")
def client(pieces):
    return Client(pieces)


@pytest.fixture(scope="module")
def bucket(pieces):
    return storage_of(pieces)


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
def one_piece(tmp_path_factory):
    """The same run up to its training in one piece, in this process."""
    folder = tmp_path_factory.mktemp("one-piece")
    params = PipelineParams.from_values(LONG | {"tickers": TICKERS})
    run = Run.create(FolderStorage(folder), "one-piece", params)
    with threads_of_the_trainer():
        run_pipeline(run, settings=Settings(storage=str(folder)), stop_after=Step.TRAIN_MODEL)

    return run


@pytest.fixture(scope="module")
def straight(one_piece, tmp_path_factory):
    """Weights of the training in one piece."""
    return weights(one_piece, tmp_path_factory.mktemp("fetched"))


def weights(run, folder):
    fetched = run.fetch(Step.TRAIN_MODEL, folder, ["b3_lstm_mtl.pt"])
    return torch.load(fetched / "b3_lstm_mtl.pt", weights_only=True)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def answers(client, execution, step):
    """What the function of a step answered, call by call."""
    events = [e for e in client.history(execution) if e["type"] == "LambdaFunctionSucceeded"]
    outputs = [json.loads(e["lambdaFunctionSucceededEventDetails"]["output"]) for e in events]
    return [output for output in outputs if output.get("step") == step]


@pytest.fixture(scope="module")
def network(client):
    """States of the training step while it ran, by slice and epoch; the status at the end."""
    body = {"run_id": "network", "refit": False, **LONG}
    assert client.post("complete-pipeline", body).status_code == 202
    seen = {}

    def ended():
        now = client.status("network")
        step = now["steps"]["train_model"]
        progress = step.get("progress")
        if progress and "epoch" in progress:
            seen.setdefault((progress["slice"], progress["epoch"]), step)
        return None if now["running"] else now

    return seen, until(ended, "the end of the run")


# -- quotes in shards


def test_the_state_machine_works_on_each_shard_by_itself(network, client, bucket):
    loaded = Run.open(bucket, "network").record(Step.LOAD_DATA)
    assert loaded.summary["shards"] == len(loaded.artifacts) == 4

    events = client.history("network.all.1")
    assert [e["type"] for e in events].count("MapIterationSucceeded") == 4
    keys = bucket.list("runs/network/preprocess_data/")
    marks = [key.rpartition("/")[2] for key in keys if key.endswith(".json")]
    assert marks == [f"{number:04d}.json" for number in range(4)]
    assert max(len(json.dumps(event, default=str)) for event in events) < 32_768


def test_shards_give_the_same_table_as_one_piece(network, one_piece, bucket):
    in_shards = Run.open(bucket, "network").record(Step.PREPROCESS_DATA)
    in_one_piece = one_piece.record(Step.PREPROCESS_DATA)
    hashes = [
        {name: artifact.sha256 for name, artifact in record.artifacts.items()}
        for record in (in_shards, in_one_piece)
    ]
    assert hashes[0] == hashes[1]
    assert in_shards.summary == in_one_piece.summary


# -- the training in slices


def test_the_trainer_is_called_again_until_it_is_done(network, client):
    calls = answers(client, "network.all.1", "train_model")
    assert [answer["status"] for answer in calls[:-1]] == ["partial"] * (len(calls) - 1)
    assert len(calls) > 2 * EPOCHS, "it was interrupted within epochs"
    assert calls[-1]["status"] == "done"
    assert all(answer["progress"]["epochs"] == EPOCHS for answer in calls[:-1])

    status = network[1]
    assert status["progress"] == 1.0
    assert status["pipeline_state"]["training_status"] == "completed"
    assert status["pipeline_state"]["training_results"]["live"]


def test_slices_give_the_same_network_as_one_piece(network, straight, bucket, tmp_path):
    assert same(weights(Run.open(bucket, "network"), tmp_path), straight)


def test_the_status_shows_each_epoch_while_it_trains(network):
    seen, status = network
    assert len({number for number, _ in seen}) >= 2, "progress is told in more than one slice"
    assert [epoch for _, epoch in seen] == sorted(epoch for _, epoch in seen)
    assert {step["status"] for step in seen.values()} == {"missing"}

    judged = [step["progress"] for step in seen.values() if "val_loss" in step["progress"]]
    assert judged
    needed = {"train_loss", "val_loss", "seconds", "epochs", "at"}
    assert all(needed <= progress.keys() for progress in judged)
    assert "progress" not in status["steps"]["train_model"]


def test_a_finished_training_leaves_no_checkpoint(network, bucket):
    assert not [key for key in bucket.list("runs/network/") if "checkpoint" in key]


def test_the_version_is_registered_with_its_own_file_and_forecasts(
    network, client, bucket, tmp_path
):
    version = network[1]["pipeline_state"]["training_results"]["model_version"]
    folder = Registry(bucket, "models").fetch("lstm", version, tmp_path)
    files = {path.name for path in folder.iterdir()}
    assert {"b3_lstm_mtl.pt", "model.onnx", "model.json", "report.html"} <= files

    for name in ("lstm", "lstm_mtl"):
        answer = client.ok("predict", {"ticker": "PETR4", "model_type": name})
        assert (answer["model_type"], answer["requested_model_type"]) == ("lstm", name)
        assert answer["model_version"] == version
        assert answer["predicted_price"] == pytest.approx(
            answer["last_price"] * (1 + answer["predicted_return"])
        )


# -- a training that needs too many calls, is killed when it goes on, and is then refitted


STUBBORN = {"run_id": "stubborn"}


@pytest.fixture(scope="module")
def interrupted(network, client):
    """Status of a run whose trainer may be interrupted once."""
    body = STUBBORN | LONG | {"max_slices": 1}
    assert client.post("complete-pipeline", body).status_code == 202
    return client.ended("stubborn")


def failures(client, execution):
    return [event for event in client.history(execution) if event["type"] == "LambdaFunctionFailed"]


def kill(processes):
    """Kill them; return whether there were any."""
    victims = list(processes)
    for victim in victims:
        with suppress(psutil.NoSuchProcess):
            victim.kill()
    return bool(victims)


@pytest.fixture(scope="module")
def killed(interrupted, client, bucket):
    """Status of the run after its trainer went on, with more calls, and was killed meanwhile."""
    body = STUBBORN | {"max_slices": 1000, "wait_seconds": 0}
    assert client.post("train-model", body).status_code == 202

    def trains():
        key = PROGRESS.format("stubborn")
        return bucket.exists(key) and json.loads(bucket.read(key)).get("slice", 0) >= 2

    until(trains, "a second slice")
    until(
        lambda: kill(client.workers("train_lstm")) and failures(client, "stubborn.train_model.1"),
        "the death of a trainer at work",
    )
    return client.ended("stubborn")


def test_a_training_that_needs_more_calls_than_allowed_fails_by_name(interrupted):
    steps = interrupted["steps"]
    assert steps["train_model"]["error"]["code"] == "TOO_MANY_SLICES"
    assert steps["evaluate_model"]["status"] == "missing"
    assert "error" not in steps["evaluate_model"]


def test_a_killed_trainer_goes_on_from_its_checkpoint_to_the_same_network(
    killed, client, straight, bucket, tmp_path
):
    assert failures(client, "stubborn.train_model.1")
    assert killed["steps"]["train_model"]["status"] == "done"
    assert "training_error" not in killed["pipeline_state"]

    run = Run.open(bucket, "stubborn")
    assert run.record(Step.TRAIN_MODEL).summary["slices"] >= 2, "it used the work that was there"
    assert same(weights(run, tmp_path), straight)


@pytest.fixture(scope="module")
def step_by_step(killed, client):
    """Answers to the calls that finish the run step by step; the LSTM goes by its other name."""
    return {
        "train": client.ok("train-model", STUBBORN | {"model_type": "lstm_mtl"}),
        "evaluate": client.ok("evaluate-model", STUBBORN),
        "save": client.ok("save-model", STUBBORN | {"model_name": "b3_lstm_step_by_step.pt"}),
    }


def test_the_steps_take_the_lstm_by_its_other_name(step_by_step, client, bucket):
    trained = step_by_step["train"]
    assert trained["model_type"] == "lstm"
    assert trained["training_results"]["best_params"]["units"] == LONG["units"]
    assert step_by_step["evaluate"]["plot_paths"]

    path = step_by_step["save"]["model_path"]
    assert path.endswith("/b3_lstm_step_by_step.pt")
    assert bucket.exists(path.removeprefix(f"{bucket.url}/"))
    assert client.status("stubborn")["progress"] == 1.0


def test_the_refit_too_is_done_by_the_trainer_in_slices(step_by_step, client, bucket):
    calls = [
        answer
        for execution in client.executions("stubborn")
        for answer in answers(client, execution, "refit_model")
    ]
    assert [answer["status"] for answer in calls] == ["partial"] * (len(calls) - 1) + ["done"]
    assert len(calls) >= 2
    assert Run.open(bucket, "stubborn").record(Step.REFIT_MODEL).summary["refit"]


# -- two trainers at once


def test_of_two_trainers_at_once_the_newer_goes_on_and_the_other_stops(
    stack, api, storage, straight, tmp_path
):
    body = {"run_id": "rivals"}
    api.ok("load-data", body | {"tickers": TICKERS, "refit": False, **LONG})
    api.ok("preprocess-data", body)
    api.ok("split-data", body)

    run = Run.open(storage, "rivals")
    with ThreadPoolExecutor(1) as pool:
        event = {"run_id": "rivals", "step": "train_model"}
        first = pool.submit(stack.invoke, "TrainLstmFunction", event)
        until(lambda: storage.exists(PROGRESS.format("rivals")), "the first trainer")
        StepCheckpoint(storage, checkpoint_key(run, Step.TRAIN_MODEL)).load()
        with pytest.raises(LocalStackError, match="SupersededError"):
            first.result()

    step = api.status("rivals")["steps"]["train_model"]
    assert step["status"] == "missing"
    assert "error" not in step
    api.ok("train-model", body)
    assert same(weights(run, tmp_path), straight)


def test_the_trainer_refuses_a_step_that_is_not_its_own(pieces):
    with pytest.raises(LocalStackError, match="must be one of train_model, refit_model"):
        pieces.invoke("TrainLstmFunction", {"run_id": "network", "step": "save_model"})
