"""Evaluations of a test period are counted once each, by overlap."""

from pathlib import Path

import numpy as np

from b3shared.evaluation.holdout_log import log_evaluation
from b3shared.storage import open_storage


def days(first: str, last: str) -> np.ndarray:
    return np.arange(np.datetime64(first), np.datetime64(last) + np.timedelta64(1, "D"))


def test_every_evaluation_of_an_overlapping_period_counts_once(tmp_path: Path) -> None:
    storage = open_storage(tmp_path)
    half = days("2023-01-02", "2023-06-30")
    assert log_evaluation(storage, half, "a" * 64) == 1
    assert log_evaluation(storage, half, "b" * 64) == 2
    assert log_evaluation(storage, half, "a" * 64) == 2, "the same evaluation again"

    one_day_in_common = days("2023-06-30", "2023-12-28")
    assert log_evaluation(storage, one_day_in_common, "c" * 64) == 3
    assert log_evaluation(storage, days("2022-01-03", "2022-12-29"), "d" * 64) == 1
