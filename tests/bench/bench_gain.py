"""Splits the log-loss gain over the class shares: whether a share moves, and in which direction.

``PYTHONPATH=. python tests/bench/bench_gain.py [REPORT]``, the folder that ``make run`` writes
(default artifacts/report). The gain of three classes is the gain of "does it leave the hold band"
plus, for the rows that do, the gain of the side.
"""

import json
import sys
from pathlib import Path

import numpy as np

from b3shared.core.vocabulary import CLASSES, HOLD
from b3shared.evaluation import bootstrap
from b3shared.evaluation.gate import Outcomes
from b3shared.evaluation.metrics import row_log_loss


def parts(p: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows,) log loss of hold-or-move, and of the side given a move (0 for a hold)."""
    held = label == HOLD
    moved = np.where(held, p[:, HOLD], 1.0 - p[:, HOLD])
    return -np.log(moved), np.where(held, 0.0, row_log_loss(p, label) + np.log(moved))


def main() -> None:
    """Print the gain and its two parts with 95 % intervals."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "artifacts/report")
    if not (folder / "metrics.json").exists():
        print(f"not measured: {folder} has no report; make run writes one")
        return

    outcomes = Outcomes.load(folder)
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    shares = np.array([metrics["parts"]["train"]["class_shares"][name] for name in CLASSES])
    prior = np.tile(shares, (len(outcomes.label), 1))
    dates, day = np.unique(outcomes.date, return_inverse=True)
    length = bootstrap.block_length(metrics["params"]["horizon"])
    counts = bootstrap.resample_counts(len(dates), length, seed=metrics["bootstrap"]["seed"])

    of_model = parts(outcomes.probabilities, outcomes.label)
    of_prior = parts(prior, outcomes.label)
    gains = {
        "hold or move": of_prior[0] - of_model[0],
        "side, given a move": of_prior[1] - of_model[1],
    }
    total = row_log_loss(prior, outcomes.label)
    total -= row_log_loss(outcomes.probabilities, outcomes.label)
    np.testing.assert_allclose(sum(gains.values()), total, atol=1e-9)

    for name, gain in {"total": total, **gains}.items():
        per_date = np.stack([np.bincount(day), np.bincount(day, gain)], axis=1).astype(float)
        found = bootstrap.interval(per_date, bootstrap.ratio, counts)
        print(f"{name:<20}{found.estimate:+.4f}  [{found.ci95[0]:+.4f}, {found.ci95[1]:+.4f}]")


if __name__ == "__main__":
    main()
