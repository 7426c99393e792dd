"""A forest uses all cores with the same trees, also where joblib's own threads do not work."""

import json
import subprocess
import sys

import joblib
import numpy as np
import pytest
from paths import ROOT
from sklearn.ensemble import RandomForestClassifier

from b3shared.models.random_forest.search import raw_probabilities
from b3shared.models.threads import ThreadPoolBackend, cores, threads


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 12)).astype(np.float32)
    return X, (X[:, 0] + rng.normal(size=2000) > 0).astype(np.int8)


def forest(n_jobs: int) -> RandomForestClassifier:
    return RandomForestClassifier(n_estimators=12, max_depth=6, n_jobs=n_jobs, random_state=3)


@pytest.mark.parametrize("n_jobs", [1, 2, 3, -1])
def test_the_trees_equal_those_grown_by_joblibs_own_threads(rows: tuple, n_jobs: int) -> None:
    expected = forest(n_jobs).fit(*rows)
    with threads():
        found = forest(n_jobs).fit(*rows)
    for tree, other in zip(found.estimators_, expected.estimators_, strict=True):
        np.testing.assert_array_equal(tree.tree_.threshold, other.tree_.threshold)
        np.testing.assert_array_equal(tree.tree_.value, other.tree_.value)
    np.testing.assert_array_equal(
        raw_probabilities(found, rows[0]), raw_probabilities(expected, rows[0])
    )


def test_negative_numbers_count_from_all_cores_down() -> None:
    backend = ThreadPoolBackend()
    counted = [backend.effective_n_jobs(n) for n in (-1, -1 - cores(), 5, None)]
    assert counted == [cores(), 1, 5, 1]


def test_an_error_in_a_thread_reaches_the_caller_and_the_pool_works_again() -> None:
    def odd(n: int) -> int:
        if n == 7:
            raise ValueError("seven")
        return n

    with threads():
        with pytest.raises(ValueError, match="seven"):
            joblib.Parallel(n_jobs=2)(joblib.delayed(odd)(n) for n in range(20))
        assert joblib.Parallel(n_jobs=2)(joblib.delayed(odd)(n) for n in range(5)) == list(range(5))


WITHOUT_SEMAPHORES = """
import json, sys, threading
import _multiprocessing

class SemLock:
    def __init__(self, *_, **__):
        raise OSError(38, "Function not implemented")

_multiprocessing.SemLock = SemLock  # what Lambda answers: it has no /dev/shm
import warnings
warnings.simplefilter("ignore")
import joblib, numpy as np
import sklearn.ensemble._forest as inside
from sklearn.ensemble import RandomForestClassifier
from b3shared.models.random_forest.search import raw_probabilities
from b3shared.models.threads import threads

built, both = set(), threading.Barrier(2)
build = inside._parallel_build_trees

def watched(*args, **more):
    if len(built) < 2:
        built.add(threading.get_ident())
        if WAIT:
            both.wait(60)  # two trees at a time, or never
    return build(*args, **more)

inside._parallel_build_trees = watched
rng = np.random.default_rng(0)
X = rng.normal(size=(2000, 12)).astype(np.float32)
y = (X[:, 0] + rng.normal(size=2000) > 0).astype(np.int8)
model = RandomForestClassifier(n_estimators=12, max_depth=6, n_jobs=2, random_state=3)
if WAIT:
    with threads():
        model.fit(X, y)
else:
    model.fit(X, y)
print(json.dumps({"jobs": joblib.effective_n_jobs(2), "threads": len(built),
                  "sum": float(raw_probabilities(model, X)[:, 1] @ X[:, 1])}))
"""


def without_semaphores(wait: bool) -> dict[str, float]:
    code = f"WAIT = {wait}\n{WITHOUT_SEMAPHORES}"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout))


def test_where_there_is_no_shared_memory_two_threads_build_the_same_trees(rows: tuple) -> None:
    ours, joblib_s = without_semaphores(True), without_semaphores(False)
    assert (joblib_s["jobs"], joblib_s["threads"]) == (1, 1)  # what this backend is for
    assert ours["threads"] == 2
    with threads():
        here = forest(2).fit(*rows)
    expected = float(raw_probabilities(here, rows[0])[:, 1] @ rows[0][:, 1])
    assert ours["sum"] == joblib_s["sum"] == expected
