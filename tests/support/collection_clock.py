"""A hook of pytest: half of the processes collect their tests at another time."""

import os
import time
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect at another time on every second process: pytest-xdist compares what each found."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    if int(worker.removeprefix("gw")) % 2 == 0:
        return (yield)

    clock, nanoseconds = time.time, time.time_ns
    time.time = lambda: clock() + 10_000_000
    time.time_ns = lambda: nanoseconds() + 10_000_000 * 10**9
    try:
        return (yield)
    finally:
        time.time, time.time_ns = clock, nanoseconds
