"""A prediction inside the handler against joblib and scikit-learn's ``predict_proba`` of the same forest, in one run.

    python tests/bench/bench_predict.py [--store FOLDER] [--rounds 2000]

Without ``--store`` a forest of the default size is trained on the bundled quotes first. Every arm runs in a fresh child
process, those that are timed call by call on one core. The bars are: warm p50 <= 2 ms and p99 <= 10 ms, the forest
>= 50 times faster than scikit-learn, cold start <= 1.2 s, <= 220 MB, >= 100 requests a second over HTTP.
"""

import argparse
import http.client
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"
FOREST = {"n_iter": 1, "max_depth": 8, "min_samples_leaf": 100, "max_features": "sqrt"}
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


def function(store: str) -> Callable[[], dict[str, Any]]:
    """One request to the handler of functions/predict, which is imported now."""
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
        "body": '{"ticker": "PETR4"}',
        "isBase64Encoded": False,
        "requestContext": {"http": {"method": "POST", "path": "/api/b3/predict"}, "requestId": "r", "stage": "$default"},
    }
    context = SimpleNamespace(
        function_name="predict", memory_limit_in_mb=512, invoked_function_arn="arn", aws_request_id="r"
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


def run_handler(store: str, rounds: int) -> dict[str, float]:
    """The whole handler, warm: event in, answer with explanation out."""
    one_core()
    call = function(store)
    return quantiles(call, rounds) | {"mb": resident()}


def run_cold(store: str, rounds: int) -> dict[str, float]:
    """One answer of a process that has just started."""
    function(store)()
    return {"mb": resident()}


def run_models(store: str, rounds: int) -> dict[str, Any]:
    """The forest alone on one row: ONNX Runtime with the calibration, and scikit-learn from its joblib file."""
    one_core()
    sys.path.insert(0, str(ROOT))
    import joblib
    import numpy as np

    from b3shared.models.scorer import Scorer
    from b3shared.registry import Registry
    from b3shared.release import Release
    from b3shared.storage import open_storage

    storage = open_storage(store)
    with tempfile.TemporaryDirectory() as folder:
        registry, version = Registry(storage, "models"), Release(storage).live("models", "rf")
        files = registry.fetch("rf", version, Path(folder))
        scorer = Scorer.load(files)
        forest = joblib.load(files / registry.manifest("rf", version)["params"]["model_name"])
    row = np.random.default_rng(0).normal(size=(1, len(scorer.feature_names))).astype(np.float32)
    forest.n_jobs = 1  # one core: threads would only cost
    return {
        "trees": len(forest.estimators_),
        "nodes": sum(tree.tree_.node_count for tree in forest.estimators_),
        "onnx": quantiles(lambda: scorer.score(row), rounds),
        "sklearn": quantiles(lambda: forest.predict_proba(row), max(20, rounds // 10)),
    }


def run_http(store: str, rounds: int) -> dict[str, float]:
    """Requests a second of one client, over a kept connection, to the local stack of the real template."""
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
        figures = quantiles(call, rounds)
        started = time.perf_counter()
        for _ in range(rounds):
            call()
        return figures | {"per_second": rounds / (time.perf_counter() - started)}


ARMS = {"handler": run_handler, "cold": run_cold, "models": run_models, "http": run_http}


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


def machine() -> str:
    """Cores, processor, load and Python."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return f"{os.cpu_count()} cores, {model}, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"


def train(folder: str) -> None:
    """A forest of the default size on the bundled quotes, registered and served."""
    sys.path.insert(0, str(ROOT))
    from b3shared.services import B3Model

    B3Model(storage=folder).run(**FOREST)


def report(store: str, rounds: int) -> None:
    """Run all arms and print what they took."""
    print(machine())
    models = child("models", store, rounds)
    onnx, plain = models["onnx"], models["sklearn"]
    print(f"forest of {models['trees']} trees, {models['nodes']:,} nodes; one row, one core:")
    print(f"  scikit-learn predict_proba   p50 {plain['p50']:8.3f} ms   p99 {plain['p99']:8.3f} ms")
    print(f"  our scorer, calibrated       p50 {onnx['p50']:8.3f} ms   p99 {onnx['p99']:8.3f} ms")
    warm = child("handler", store, rounds)
    print(f"  our whole handler            p50 {warm['p50']:8.3f} ms   p99 {warm['p99']:8.3f} ms   (bars 2 and 10)")
    print(f"scikit-learn / scorer {plain['p50'] / onnx['p50']:.0f}x (bar 50), / handler {plain['p50'] / warm['p50']:.1f}x")
    colds = [child("cold", store, 1) for _ in range(COLD_STARTS)]
    walls = sorted(cold["wall"] for cold in colds)
    print(
        f"cold start, process start to first answer: median {statistics.median(walls):.2f} s, {walls[0]:.2f} to "
        f"{walls[-1]:.2f} s (bar 1.2)"
    )
    print(
        f"memory after the first answer {colds[0]['mb']:.0f} MB, after {rounds} more {warm['mb']:.0f} MB (bar 220)",
        flush=True,
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
    parser.add_argument("--store", help="folder with a live forest")
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
