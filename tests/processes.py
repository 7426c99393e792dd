"""The processes that a process has started."""

from contextlib import suppress

import psutil


def names(pid: int) -> list[str]:
    """Of all that live of a process's descendants; what ends just now has no name any more."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            found.append(process.name())
    return found
