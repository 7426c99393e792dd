"""Waits for a condition, with a deadline: the one place of the tests that sleeps."""

import time
from collections.abc import Callable
from typing import Any

SHORTEST_PAUSE = 0.05
LONGEST_PAUSE = 0.5


def until(condition: Callable[[], Any], what: str, seconds: float = 120) -> Any:
    """Return what a condition gives as soon as that is true.

    The longer it takes, the less often it is asked: asking costs processor time, which what is
    waited for needs.

    Args:
        condition: asked again and again.
        what: is waited for; named in the failure when it does not come.
        seconds: the deadline, so far away that only what never happens misses it.
    """
    began = time.monotonic()

    while not (found := condition()):
        waited = time.monotonic() - began
        assert waited < seconds, f"{what} did not happen within {seconds} s"
        time.sleep(min(SHORTEST_PAUSE + waited / 20, LONGEST_PAUSE))

    return found
