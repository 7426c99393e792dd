"""Searches the forest's parameters: RandomizedSearchCV, scored by prior-corrected log loss."""

from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import ParameterGrid, RandomizedSearchCV

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.core.vocabulary import CLASSES
from b3shared.models.base import Progress
from b3shared.models.calibration import Calibration
from b3shared.models.threads import threads


def search_forest(
    forest: RandomForestClassifier,
    space: dict[str, list[Any]],
    X: FloatArray,
    y: IntArray,
    folds: list[tuple[IntArray, IntArray]],
    *,
    n_iter: int,
    random_state: int,
    priors: Calibration,
    progress: Progress,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Score candidates drawn from a grid; nothing is trained on all rows.

    Args:
        forest: what the candidates are set on; its ``n_jobs`` is the only parallelism (Lambda has
            no shared memory for processes).
        space: values of each parameter, no duplicates.
        X: (rows, features) float32.
        y: (rows,) codes into :data:`b3shared.core.vocabulary.CLASSES`.
        folds: row indices to train and to test on.
        n_iter: candidates to draw without replacement; capped at the size of the grid.
        random_state: of the draw.
        priors: prior correction of the probabilities before they are scored.
        progress: told after every forest.

    Returns:
        The best parameters, and for every candidate, best first, ``params``, ``log_loss`` (mean of
        the folds) and ``std``.
    """
    n_iter = min(n_iter, len(ParameterGrid(space)))
    search = RandomizedSearchCV(
        forest,
        space,
        n_iter=n_iter,
        scoring=_SearchScore(priors, progress, total=n_iter * len(folds)),
        cv=folds,
        n_jobs=1,
        refit=False,
        random_state=random_state,
        error_score="raise",
    )

    with threads():
        search.fit(X, y)
    found = search.cv_results_

    table = [
        {
            "params": found["params"][i],
            "log_loss": -float(found["mean_test_score"][i]),
            "std": float(found["std_test_score"][i]),
        }
        for i in np.argsort(found["rank_test_score"], kind="stable")
    ]
    return search.best_params_, table


@dataclass
class _SearchScore:
    """Minus the log loss of prior-corrected probabilities on a fold; reports progress as it goes.

    Raw probabilities of a forest with class weights would be judged by their wrong prior. The
    shares are those of all training rows, the same for every candidate, so a fold that lacks a
    class is still scored.
    """

    priors: Calibration
    progress: Progress
    total: int
    done: int = 0

    def __call__(self, estimator: RandomForestClassifier, X: FloatArray, y: IntArray) -> float:
        probabilities = self.priors.apply(raw_probabilities(estimator, X))
        score = float(np.log(probabilities[np.arange(len(y)), y]).mean())
        self.done += 1
        self.progress(
            {"phase": "search", "done": self.done, "total": self.total, "log_loss": -score}
        )
        return score


def raw_probabilities(estimator: RandomForestClassifier, X: FloatArray) -> FloatArray:
    """Return (rows, 3) float64 uncalibrated probabilities; 0 for a class never seen.

    ``predict_proba`` of the forest with threads over rows instead of trees: its sum over trees is
    in whatever order the threads finish, so its last bits differ from call to call; these do not.
    """
    probabilities = np.zeros((len(X), len(CLASSES)))
    trees = estimator.estimators_

    def fill(rows: slice) -> None:
        total = sum(tree.predict_proba(X[rows], check_input=False) for tree in trees)
        probabilities[rows, estimator.classes_] = total / len(trees)

    with threads():
        step = max(1, -(-len(X) // joblib.effective_n_jobs(estimator.n_jobs)))
        joblib.Parallel(n_jobs=estimator.n_jobs, require="sharedmem")(
            joblib.delayed(fill)(slice(start, start + step)) for start in range(0, len(X), step)
        )
    return probabilities
