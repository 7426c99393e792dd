"""Compares the forest's fit() with plain RandomizedSearchCV: same candidates, folds and data.

    python tests/bench/bench_random_forest.py [--rows 60000] [--trees 40] [--rounds 3]

Each arm is a fresh child process that makes the same data, then is timed; arms alternate, so that a
busy machine hurts both. Both have their threads inside the forest, as Lambda needs it. ``fit`` also
calibrates, the plain search does not.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from measuring import cpu_seconds, machine, peak_mib

ROOT = Path(__file__).parents[2]
FEATURES, TICKERS = 39, 60
ARMS = ("ours", "plain")


def market(rows: int) -> SimpleNamespace:
    """Columns of a Dataset that training reads: a weak signal, unequal classes."""
    rng = np.random.default_rng(0)
    dates = rows // TICKERS
    calendar = np.busday_offset(
        np.datetime64("2015-01-01", "D"), np.arange(dates + 2), roll="forward"
    )
    # drawn as float32: no temporaries that would hide a peak
    X = rng.standard_normal((dates * TICKERS, FEATURES), dtype=np.float32)
    latent = 0.1 * X[:, 0] + 0.1 * X[:, 1] * X[:, 2] + rng.normal(size=len(X))
    label = np.digitize(-latent, [-0.5, 0.6]).astype(np.int8)
    session = np.tile(np.arange(dates), TICKERS)
    names = tuple(f"f{i}" for i in range(FEATURES))

    return SimpleNamespace(
        X=X,
        feature_names=names,
        label=label,
        date=calendar[session],
        label_end=calendar[session + 2],
    )


def run(arm: str, rows: int, trees: int) -> dict[str, float]:
    """Train one arm on the same training rows; returns what it took. Imports are not timed."""
    sys.path.insert(0, str(ROOT))
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import RandomizedSearchCV

    from b3shared.dataset.split import purged_folds, purged_split
    from b3shared.models.base import TrainingSession
    from b3shared.models.random_forest.model import RandomForestModel
    from b3shared.params.run import PipelineParams

    params = PipelineParams.from_values(n_estimators=trees)
    rf, data = params.rf, market(rows)
    split = purged_split(
        data.date, data.label_end, test_size=0.2, val_size=0.2, embargo_days=params.embargo_days
    )

    before = peak_mib()
    cpu_before = cpu_seconds()
    started = time.perf_counter()
    if arm == "ours":
        model = RandomForestModel(params)
        best = model.fit(data, split.train, split.val, TrainingSession())["chosen"]
    else:
        X, y = data.X[split.train], data.label[split.train]
        folds = purged_folds(
            data.date[split.train],
            data.label_end[split.train],
            n_splits=rf.cv_folds,
            embargo_days=5,
        )
        forest = RandomForestClassifier(
            rf.n_estimators,
            max_samples=rf.max_samples,
            class_weight=rf.class_weight,
            n_jobs=rf.n_jobs,
            random_state=42,
        )
        space = {n: list(getattr(rf, n)) for n in ("max_depth", "min_samples_leaf", "max_features")}
        search = RandomizedSearchCV(
            forest,
            space,
            n_iter=rf.n_iter,
            cv=folds,
            scoring="neg_log_loss",
            n_jobs=1,
            random_state=42,
        )
        best = search.fit(X, y).best_params_
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": cpu_seconds() - cpu_before,
        "peak_mb": peak_mib(),
        "before_mb": before,
        "chosen": best,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--trees", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    options = parser.parse_args()

    if options.arm:
        print(json.dumps(run(options.arm, options.rows, options.trees)))
        return
    print(machine())
    print(f"{options.rows} rows x {FEATURES}, {options.trees} trees, default search space")
    results: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
    for number in range(options.rounds):
        for arm in ARMS if number % 2 == 0 else ARMS[::-1]:
            command = [sys.executable, __file__, "--arm", arm]
            command += ["--rows", str(options.rows), "--trees", str(options.trees)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            results[arm].append(json.loads(done.stdout))
            last = results[arm][-1]
            print(
                f"  {arm:<10} {last['seconds']:6.1f} s wall   {last['cpu_seconds']:6.1f} s cpu   "
                f"load {os.getloadavg()[0]:.1f}   peak {last['peak_mb']:5.0f} MiB "
                f"(before {last['before_mb']:.0f})   {last['chosen']}",
                flush=True,
            )
    ratio = {
        key: middle(results["ours"], key) / middle(results["plain"], key)
        for key in ("seconds", "cpu_seconds", "peak_mb")
    }
    print(
        f"ours / plain: wall {ratio['seconds']:.2f}, cpu {ratio['cpu_seconds']:.2f}, "
        f"peak memory {ratio['peak_mb']:.2f} (medians; below 1 is better)"
    )


def middle(results: list[dict[str, float]], key: str) -> float:
    return statistics.median(result[key] for result in results)


if __name__ == "__main__":
    main()
