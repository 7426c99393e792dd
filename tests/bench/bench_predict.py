"""Compares a prediction inside the handler with the library that trained the model.

    python tests/bench/bench_predict.py [--store FOLDER] [--rounds 2000]

The peers are scikit-learn's ``predict_proba`` of the same forest, loaded by joblib, and PyTorch's
eager call of the same network. Without ``--store`` a forest and an LSTM of the default sizes are
trained on the bundled quotes first (the LSTM for one epoch: its weights do not change its cost).
Every arm runs in a fresh child process, those that are timed call by call on one core. The bars
are: warm p50 <= 2 ms and p99 <= 10 ms for both, the forest >= 50 times faster than scikit-learn,
cold start <= 1.2 s, <= 220 MB with both models loaded, >= 100 requests a second over HTTP.
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from measuring import machine

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"
FOREST = {"n_iter": 1, "max_depth": 8, "min_samples_leaf": 100, "max_features": "sqrt"}
LSTM = {"model_type": "lstm", "epochs": 1, "refit": False}
TYPES = ("rf", "lstm")
LAKE = 400
"""Tickers of the snapshot that is measured: about as many as the exchange has liquid ones."""
COLD_STARTS = 5


def one_core() -> None:
    """Pin this process to one core where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def quantiles(call: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Median and 99th percentile of a call in ms, after a tenth as many to warm up."""
    for _ in range(max(1, rounds // 10)):
        call()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - started))
    times.sort()
    return {"p50": statistics.median(times), "p99": times[int(0.99 * len(times))]}


def function(store: str, **body: Any) -> Callable[[], dict[str, Any]]:
    """Import the handler of functions/predict; returns a call that makes one request to it."""
    os.environ |= {"B3_STORAGE": store, "POWERTOOLS_SERVICE_NAME": "predict"}
    sys.path[:0] = [str(ROOT), str(ROOT / "functions" / "predict")]
    from types import SimpleNamespace

    from app import handler

    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/api/b3/predict",
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "body": json.dumps({"ticker": "PETR4"} | body),
        "isBase64Encoded": False,
        "requestContext": {
            "http": {"method": "POST", "path": "/api/b3/predict"},
            "requestId": "r",
            "stage": "$default",
        },
    }
    context = SimpleNamespace(
        function_name="predict",
        memory_limit_in_mb=512,
        invoked_function_arn="arn",
        aws_request_id="r",
    )

    def call() -> dict[str, Any]:
        answer = handler(event, context)
        assert answer["statusCode"] == 200, answer
        return answer

    return call


def resident() -> float:
    """Resident memory of this process, MB; its peak where the system does not say more."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def run_rf_handler(store: str, rounds: int) -> dict[str, float]:
    """Time the whole warm handler with the forest: event in, answer with explanation out."""
    one_core()
    return quantiles(function(store, model_type="rf"), rounds)


def run_lstm_handler(store: str, rounds: int) -> dict[str, float]:
    """Time the whole warm handler with the LSTM."""
    one_core()
    return quantiles(function(store, model_type="lstm"), rounds)


def run_both(store: str, rounds: int) -> dict[str, float]:
    """Memory of one function that answers with both models; training libraries that it loaded."""
    calls = [function(store, model_type=kind) for kind in TYPES]
    for _ in range(rounds):
        for call in calls:
            call()
    return {"mb": resident(), "trainers": len({"torch", "sklearn", "pandas"} & sys.modules.keys())}


def run_cold(store: str, rounds: int) -> dict[str, float]:
    """Memory after the first answer of a process that loads both models."""
    function(store, model_type="lstm")()
    return {"mb": resident()}


def live_version(store: str, kind: str, folder: str) -> tuple[Path, dict[str, Any]]:
    """Files and manifest of the live version of a type."""
    sys.path.insert(0, str(ROOT))
    from b3shared.registry.release import Release
    from b3shared.registry.versions import Registry
    from b3shared.storage import open_storage

    storage = open_storage(store)
    registry, version = Registry(storage, "models"), Release(storage).live("models", kind)
    return registry.fetch(kind, version, Path(folder)), registry.manifest(kind, version)


def run_rf(store: str, rounds: int) -> dict[str, Any]:
    """Time the forest alone on one row: ONNX Runtime with calibration, and scikit-learn."""
    one_core()
    with tempfile.TemporaryDirectory() as folder:
        files, _ = live_version(store, "rf", folder)
        import joblib
        import numpy as np

        from b3shared.models.scorer import Scorer

        scorer = Scorer.load(files)
        forest = joblib.load(next(files.glob("*.joblib")))
    row = np.random.default_rng(0).normal(size=(1, len(scorer.feature_names))).astype(np.float32)
    forest.n_jobs = 1  # one core: threads would only cost
    nodes = sum(tree.tree_.node_count for tree in forest.estimators_)
    return {
        "size": f"{len(forest.estimators_)} trees, {nodes:,} nodes",
        "onnx": quantiles(lambda: scorer.score(row), rounds),
        "peer": quantiles(lambda: forest.predict_proba(row), max(20, rounds // 10)),
    }


def run_lstm(store: str, rounds: int) -> dict[str, Any]:
    """Time the LSTM alone on one window: ONNX Runtime with calibration, and PyTorch."""
    one_core()
    with tempfile.TemporaryDirectory() as folder:
        files, manifest = live_version(store, "lstm", folder)
        import numpy as np
        import torch

        from b3shared.models.lstm.model import LSTMModel
        from b3shared.models.scorer import Scorer
        from b3shared.params.run import PipelineParams

        params = PipelineParams.from_values(manifest["params"])
        scorer, network = Scorer.load(files), LSTMModel.load(files, params).network.eval()
    torch.set_num_threads(1)
    shape = (1, params.lookback, len(scorer.feature_names))
    window = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    volatility, tensor = np.array([0.02]), torch.from_numpy(window)

    weights = sum(parameter.numel() for parameter in network.parameters())

    def eager() -> Any:
        with torch.inference_mode():
            return network(tensor)

    return {
        "size": f"{weights:,} weights, windows of {shape[1]} x {shape[2]}",
        "onnx": quantiles(lambda: scorer.score(window, volatility), rounds),
        "peer": quantiles(eager, rounds),
    }


def run_snapshot(store: str, rounds: int) -> dict[str, float]:
    """Time and memory of loading a snapshot of a whole lake: the live one, its rows repeated."""
    sys.path.insert(0, str(ROOT))
    from dataclasses import fields, replace

    import numpy as np

    from b3shared.registry.release import Release
    from b3shared.serving.snapshot import Snapshot
    from b3shared.storage import FolderStorage, open_storage

    storage = open_storage(store)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = Snapshot.load(
            storage.download(Release(storage).state().snapshot, folder / "live.npz")
        )
        rows = np.resize(np.arange(len(found.ticker)), LAKE)
        columns = {f.name: getattr(found, f.name) for f in fields(found)}
        large = {n: {k: v[rows] for k, v in columns[n].items()} for n in ("windows", "slots")}
        large |= {n: v[rows] for n, v in columns.items() if isinstance(v, np.ndarray)}
        replace(found, **large).save(FolderStorage(folder / "store"), folder)
        path, before = folder / "snapshot.npz", resident()
        started = time.perf_counter()
        kept = Snapshot.load(path)
        seconds = time.perf_counter() - started
        assert len(kept.ticker) == LAKE
        return {"file": path.stat().st_size / 1e6, "ms": 1000 * seconds, "mb": resident() - before}


def run_http(store: str, rounds: int) -> dict[str, float]:
    """Requests a second of one client, over a kept connection, to the local stack."""
    sys.path.insert(0, str(ROOT))
    from b3shared.storage import open_storage
    from infra.local import LocalStack

    with LocalStack(TEMPLATE, {"Environment": "LOCAL"}) as stack:
        source, bucket = open_storage(store), stack.client("s3")
        for key in (k for k in source.list() if k.startswith(("models/", "serving/"))):
            bucket.put_object(Bucket=stack.outputs["BucketName"], Key=key, Body=source.read(key))
        url = urlsplit(stack.api_url)
        connection = http.client.HTTPConnection(url.hostname or "", url.port)

        def call() -> None:
            headers = {"content-type": "application/json"}
            connection.request("POST", "/api/b3/predict", '{"ticker": "PETR4"}', headers)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body

        call()
        times = quantiles(call, rounds)
        started = time.perf_counter()
        for _ in range(rounds):
            call()
        return times | {"per_second": rounds / (time.perf_counter() - started)}


ARMS = {
    "rf": run_rf,
    "lstm": run_lstm,
    "rf handler": run_rf_handler,
    "lstm handler": run_lstm_handler,
    "both": run_both,
    "cold": run_cold,
    "snapshot": run_snapshot,
    "http": run_http,
}
PEERS = {"rf": "scikit-learn predict_proba", "lstm": "PyTorch eager"}


def child(arm: str, store: str, rounds: int) -> dict[str, Any]:
    """Run an arm in a fresh process; ``wall`` is from before its start to its answer."""
    command = [sys.executable, __file__, "--arm", arm, "--store", store, "--rounds", str(rounds)]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        wall = time.perf_counter() - started  # the answer, not the end of the process
        process.stdout.read()
    if process.returncode:
        raise SystemExit(f"arm {arm} failed")
    return json.loads(line) | {"wall": wall}


def train(folder: str) -> None:
    """Train a forest and an LSTM of the default sizes on the bundled quotes, and serve them."""
    sys.path.insert(0, str(ROOT))
    from b3shared.services import B3Model

    for params in (FOREST, LSTM):
        result = B3Model(storage=folder).run(**params)
        print(f"trained {result.model_version}: {result.decision}")


def report_model(kind: str, store: str, rounds: int) -> None:
    """Measure one model alone and in the handler, and print both beside its peer."""
    model = child(kind, store, rounds)
    warm = child(f"{kind} handler", store, rounds)
    ours, peer = model["onnx"], model["peer"]

    print(f"{kind} of {model['size']}; one forecast, one core:")
    print(f"  {PEERS[kind]:<28} p50 {peer['p50']:8.3f} ms   p99 {peer['p99']:8.3f} ms")
    print(f"  our scorer, calibrated       p50 {ours['p50']:8.3f} ms   p99 {ours['p99']:8.3f} ms")
    print(
        f"  our whole handler            p50 {warm['p50']:8.3f} ms   p99 {warm['p99']:8.3f} ms"
        "   (bars 2 and 10)"
    )
    gains = [peer["p50"] / own["p50"] for own in (ours, warm)]
    print(f"  {PEERS[kind]} / scorer {gains[0]:.1f}x, / handler {gains[1]:.2f}x")


def report(store: str, rounds: int) -> None:
    """Run all arms and print what they took."""
    print(machine())

    for kind in TYPES:
        report_model(kind, store, rounds)
    colds = [child("cold", store, 1) for _ in range(COLD_STARTS)]
    walls = sorted(cold["wall"] for cold in colds)
    print(
        f"cold start, process start to the LSTM's first answer, both models loaded: median "
        f"{statistics.median(walls):.2f} s, {walls[0]:.2f} to {walls[-1]:.2f} s (bar 1.2)"
    )
    both = child("both", store, rounds)
    print(
        f"memory after the first answer {colds[0]['mb']:.0f} MB, after {rounds} more of each "
        f"model {both['mb']:.0f} MB (bar 220); training libraries loaded: {both['trainers']}",
        flush=True,
    )
    large = child("snapshot", store, 1)
    print(
        f"a snapshot of {LAKE} tickers: file {large['file']:.1f} MB, "
        f"loaded in {large['ms']:.0f} ms, {large['mb']:.1f} MB of memory"
    )
    if "PredictFunction:" not in TEMPLATE.read_text(encoding="utf-8"):
        print("HTTP: not measured, since template.yaml has no PredictFunction")
        return
    front = child("http", store, min(rounds, 1000))
    print(
        f"local HTTP front, one client: {front['per_second']:.0f}/s (bar 100), "
        f"p50 {front['p50']:.1f} ms, p99 {front['p99']:.1f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", help="folder where a forest and an LSTM are live")
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    options = parser.parse_args()

    if options.arm:
        print(json.dumps(ARMS[options.arm](options.store, options.rounds)), flush=True)
        return
    if options.store:
        report(options.store, options.rounds)
        return
    with tempfile.TemporaryDirectory() as folder:
        train(folder)
        report(folder, options.rounds)


if __name__ == "__main__":
    main()
