"""Measures what the check of an action changes on the validation rows: actions, returns, scores.

``PYTHONPATH=. python tests/bench/bench_decision.py [STORAGE]``: of the newest finished run of each
model type in a storage (a folder, such as artifacts). Without one both models are trained on the
bundled sample, with default parameters, in a temporary folder.

The test rows are not looked at. Validation is not untouched either: the earlier half of it stops
the LSTM's training, and both models are calibrated on it.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from b3shared.core.config import Settings
from b3shared.core.vocabulary import BUY, CLASSES, SELL, UNLABELLED
from b3shared.dataset.table import Dataset
from b3shared.evaluation import metrics as m
from b3shared.models.base import METADATA_FILE
from b3shared.models.decision import decide, propose
from b3shared.params.models import model_types
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline.artifacts import PREDICTIONS, load_predictions
from b3shared.pipeline.runner import run_pipeline
from b3shared.runs.run import Run, list_runs, new_run_id
from b3shared.storage import Storage, open_storage


def newest_runs(storage: Storage) -> dict[str, Run]:
    """The newest run of each model type whose training is done."""
    runs = [Run.open(storage, run_id) for run_id in list_runs(storage)]
    return {run.params.model_type: run for run in runs if run.record(Step.TRAIN_MODEL)}


def trained_runs(storage: Storage) -> dict[str, Run]:
    """A new run of each model type, on the bundled sample, with default parameters, trained."""
    settings, runs = Settings(storage=storage.url), {}
    for model_type in model_types():
        runs[model_type] = Run.create(
            storage, new_run_id(), PipelineParams.from_values(model_type=model_type)
        )
        run_pipeline(runs[model_type], settings=settings, stop_after=Step.TRAIN_MODEL)
    return runs


def report(run: Run, folder: Path) -> Iterator[str]:
    """The lines of one run."""
    data = Dataset.load(run.fetch(Step.PREPROCESS_DATA, folder))
    trained = run.fetch(Step.TRAIN_MODEL, folder, [METADATA_FILE, PREDICTIONS])
    base = np.array(json.loads((trained / METADATA_FILE).read_text(encoding="utf-8"))["base_rates"])
    parts, forecasts = load_predictions(trained / PREDICTIONS)
    known = data.label[parts["val"]] != UNLABELLED
    rows, p = parts["val"][known], forecasts["val"].probabilities[known]
    returns = None if forecasts["val"].returns is None else forecasts["val"].returns[known]

    rules = {
        "lift alone": propose(p, base, "lift"),
        "lift, checked": decide(p, base, "lift", returns),
    }
    days = data.date[rows]
    yield f"{run.params.model_type}: {len(rows):,} validation rows, {days.min()} to {days.max()}"
    yield f"  {'rule':<14}{'word':<6}{'rows':>7}{'share':>8}{'mean return':>13}{'contrary':>10}"
    for name, actions in rules.items():
        for code, word in enumerate(CLASSES):
            called = actions == code
            mean = f"{data.future_return[rows][called].mean():+.3%}" if called.any() else "-"
            against = contrary(actions, p, returns)[called].sum()
            shares = f"{called.sum():>7,}{called.mean():>8.1%}"
            yield f"  {name:<14}{word:<6}{shares}{mean:>13}{against:>10,}"
    for name, actions in rules.items():
        confusion = m.confusion_matrix(data.label[rows], actions)
        scores = (m.accuracy(confusion), m.balanced_accuracy(confusion), m.macro_f1(confusion))
        called, right = m.direction_hits(actions, data.future_return[rows])
        yield (
            f"  {name:<14}accuracy {scores[0]:.3f}, balanced accuracy {scores[1]:.3f}, "
            f"macro F1 {scores[2]:.3f}, direction {right.sum() / called.sum():.1%}"
        )


def contrary(actions: np.ndarray, p: np.ndarray, returns: np.ndarray | None) -> np.ndarray:
    """(rows,) bool: a side against its own probabilities or its own expected return."""
    side = 1 - actions  # buy +1, hold 0, sell -1
    against = side * np.sign(p[:, BUY] - p[:, SELL]) < 0
    return against if returns is None else against | (side * np.sign(returns) < 0)


def main() -> None:
    """Print the measures of each model."""
    with tempfile.TemporaryDirectory() as folder:
        given = sys.argv[1] if len(sys.argv) > 1 else None
        runs = (
            newest_runs(open_storage(given))
            if given
            else trained_runs(open_storage(f"{folder}/store"))
        )
        for model_type, run in runs.items():
            print(*report(run, Path(folder) / model_type), sep="\n")


if __name__ == "__main__":
    main()
