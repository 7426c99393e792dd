"""Waiting for a condition, with a deadline: the one place of the tests that sleeps."""

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    """What a condition gives as soon as that is true.

    Args:
        condition: asked again and again.
        what: is waited for; said when it does not come.
        seconds: the deadline, so far away that only what never happens misses it.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.05)
    return found
