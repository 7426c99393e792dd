"""Compares the training loop with the usual one of PyTorch: same network, data, batches, epochs.

    python tests/bench/bench_lstm.py [--windows 400000] [--features 13] [--batch 256] [--epochs 1]
    [--rounds 2]

"plain" is the loop of the project that this one succeeds, and of most tutorials: every window
copied into one tensor, TensorDataset, WeightedRandomSampler, DataLoader. It is spared what costs
memory without need: the windows are written straight into their tensor. "ours" gathers windows by
index from the memory-mapped matrix. Both draw classes equally often, and compute cross-entropy and
Huber's loss of the same two heads. Each arm is a fresh child process; arms alternate, so that a
busy machine hurts both. Memory is the peak above the same process before it loads the data (torch
imported, nothing done).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measuring import cpu_seconds, machine, peak_mib

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

LOOKBACK, HORIZON, TICKERS = 32, 2, 60
ARMS = ("ours", "plain")


def write_market(folder: Path, windows: int, features: int) -> None:
    """Write a table with so many complete windows; unequal classes, nothing to learn."""
    from b3shared.dataset.table import Dataset

    rng = np.random.default_rng(0)
    dates = windows // TICKERS + LOOKBACK - 1
    rows = dates * TICKERS
    session = np.tile(np.arange(dates, dtype=np.int32), TICKERS)
    calendar = np.busday_offset(
        np.datetime64("1990-01-01", "D"), np.arange(dates + HORIZON), roll="forward"
    )
    zeros = np.zeros(rows)
    Dataset(
        X=rng.standard_normal((rows, features), dtype=np.float32),
        feature_names=tuple(f"f{n}" for n in range(features)),
        ticker=np.repeat([f"T{n:02}" for n in range(TICKERS)], dates),
        date=calendar[session],
        session=session,
        close=zeros,
        volatility=zeros + 0.02,
        return_5=zeros,
        return_20=zeros,
        known_label=np.zeros(rows, dtype=np.int8),
        rule=np.zeros(rows, dtype=np.int8),
        label=rng.choice(3, size=rows, p=[0.1, 0.7, 0.2]).astype(np.int8),
        label_end=calendar[session + HORIZON],
        future_return=rng.normal(scale=0.03, size=rows),
    ).save(folder)


def run(arm: str, folder: Path, batch: int, epochs: int) -> dict[str, float]:
    """Train one arm; returns what it took.

    Imports and the reading of the table are not timed; copying windows is.
    """
    import torch

    from b3shared.dataset.table import Dataset
    from b3shared.models.base import TrainingSession
    from b3shared.models.lstm.network import MultiTaskLSTM
    from b3shared.models.lstm.task import Task
    from b3shared.models.lstm.training import Training
    from b3shared.models.lstm.windows import Examples, center_and_spread, complete
    from b3shared.params.run import PipelineParams

    before = peak_mib()
    params = PipelineParams.from_values(
        model_type="lstm", batch_size=batch, oversample=True, lookback=LOOKBACK, horizon=HORIZON
    )
    data = Dataset.load(folder)
    rows = np.flatnonzero(complete(data, np.arange(len(data)), LOOKBACK, params.max_gap))
    torch.manual_seed(0)
    network = MultiTaskLSTM(len(data.feature_names), params.lstm.units, params.lstm.dropout)
    cpu_before = cpu_seconds()
    started = time.perf_counter()
    if arm == "ours":
        examples = Examples.from_rows(data, rows, LOOKBACK, HORIZON)
        network.scale_by(*center_and_spread(data.X, examples.windows.rows_of(rows)))
        rates = (params.lstm.learning_rate,) * epochs
        Training(network, Task("bench", examples, rates=rates), params, TrainingSession()).run()
    else:
        plain_loop(network, data, rows, params, epochs)
    seconds = time.perf_counter() - started
    return {
        "windows_per_second": epochs * len(rows) / seconds,
        "cpu_seconds": cpu_seconds() - cpu_before,
        "above_mb": peak_mib() - before,
        "before_mb": before,
        "threads": torch.get_num_threads(),
    }


def plain_loop(network, data, rows, params, epochs: int) -> None:
    """Train as most tutorials do: every window copied, TensorDataset, DataLoader."""
    import torch
    from torch.nn import functional
    from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

    windows = np.empty((len(rows), LOOKBACK, data.X.shape[1]), dtype=np.float32)
    for n, row in enumerate(rows):
        windows[n] = data.X[row - LOOKBACK + 1 : row + 1]
    labels = torch.from_numpy(data.label[rows].astype(np.int64))
    returns = torch.from_numpy(
        (data.future_return[rows] / (data.volatility[rows] * np.sqrt(HORIZON))).astype(np.float32)
    )
    weights = (1.0 / torch.bincount(labels).double())[labels]
    loader = DataLoader(
        TensorDataset(torch.from_numpy(windows), labels, returns),
        batch_size=params.lstm.batch_size,
        sampler=WeightedRandomSampler(weights, len(labels), replacement=True),
    )
    optimizer = torch.optim.Adam(
        network.parameters(), lr=params.lstm.learning_rate, weight_decay=params.lstm.weight_decay
    )
    network.train()
    for _ in range(epochs):
        for x, label, actual in loader:
            logits, predicted = network(x)
            loss = functional.cross_entropy(logits, label)
            loss += 0.3 * functional.huber_loss(predicted, actual)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), params.lstm.gradient_clip_norm)
            optimizer.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=400_000)
    parser.add_argument("--features", type=int, default=13)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()

    if options.arm:
        print(json.dumps(run(options.arm, options.folder, options.batch, options.epochs)))
        return
    print(machine())
    print(
        f"{options.windows} windows of {LOOKBACK} x {options.features}, "
        f"batches of {options.batch}, {options.epochs} epochs"
    )
    results: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
    with tempfile.TemporaryDirectory(prefix="b3-bench-") as folder:
        write_market(Path(folder), options.windows, options.features)
        for number in range(options.rounds):
            for arm in ARMS if number % 2 == 0 else ARMS[::-1]:
                given = {
                    "--arm": arm,
                    "--folder": folder,
                    "--batch": str(options.batch),
                    "--epochs": str(options.epochs),
                }
                command = [
                    sys.executable,
                    __file__,
                    *(word for pair in given.items() for word in pair),
                ]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
                results[arm].append(json.loads(done.stdout))
                last = results[arm][-1]
                print(
                    f"  {arm:<6} {last['windows_per_second']:8.0f} windows/s"
                    f"   {last['cpu_seconds']:6.1f} s cpu"
                    f"   {last['above_mb']:6.0f} MiB above {last['before_mb']:.0f}"
                    f"   {last['threads']:.0f} threads   load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )
    ours, plain = ({key: middle(results[arm], key) for key in results[arm][0]} for arm in ARMS)
    ratio = {key: ours[key] / plain[key] for key in ours}
    print(
        f"ours / plain: throughput {ratio['windows_per_second']:.2f} (above 1 is better), "
        f"cpu {ratio['cpu_seconds']:.2f}, memory {ratio['above_mb']:.3f} "
        "(medians; below 1 is better)"
    )


def middle(results: list[dict[str, float]], key: str) -> float:
    return statistics.median(result[key] for result in results)


if __name__ == "__main__":
    main()
