"""Counts how many evaluations used a test period: the best of many is not an honest result."""

from contextlib import suppress

import numpy as np

from b3shared.core.arrays import Array
from b3shared.core.errors import ConflictError
from b3shared.core.serialization import to_json, utc_now
from b3shared.storage import Storage

PREFIX = "openings/"
"""Stored format: a deployment's log of evaluations lies under this key."""


def log_evaluation(storage: Storage, dates: Array, evaluation: str) -> int:
    """Log an evaluation on the test period of ``dates``; returns how many used that period.

    Every evaluation whose test period overlaps counts, this one included; the same evaluation again
    counts once.

    Args:
        storage: of the deployment.
        dates: (rows,) datetime64[D] of the test part, not empty.
        evaluation: identifies the evaluation: its step's input hash, hex.
    """
    first = str(np.min(dates))
    last = str(np.max(dates))
    with suppress(ConflictError):  # the same evaluation, run again
        storage.create(f"{PREFIX}{first}_{last}/{evaluation[:32]}.json", to_json({"at": utc_now()}))

    periods = [key.removeprefix(PREFIX).split("/")[0].split("_") for key in storage.list(PREFIX)]
    return sum(begin <= last and first <= end for begin, end in periods)
