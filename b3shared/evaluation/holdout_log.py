"""How often a test period has been looked at: a figure chosen among many looks is not an honest one."""

from contextlib import suppress

import numpy as np

from b3shared.core.arrays import Array
from b3shared.core.errors import ConflictError
from b3shared.core.serialization import to_json, utc_now
from b3shared.storage import Storage

PREFIX = "openings/"


def count_opening(storage: Storage, dates: Array, evaluation: str) -> int:
    """Record that ``evaluation`` opens the test period of ``dates``; return how many evaluations ever did.

    Every evaluation whose test period overlaps counts, this one included; the same evaluation again
    counts once.

    Args:
        storage: of the deployment.
        dates: (rows,) datetime64[D] of the test part, not empty.
        evaluation: what tells one evaluation from another: its step's input hash, hex.
    """
    first, last = str(np.min(dates)), str(np.max(dates))
    with suppress(ConflictError):  # the same evaluation, run again
        storage.create(f"{PREFIX}{first}_{last}/{evaluation[:32]}.json", to_json({"at": utc_now()}))
    periods = [key.removeprefix(PREFIX).split("/")[0].split("_") for key in storage.list(PREFIX)]
    return sum(begin <= last and first <= end for begin, end in periods)
