"""The processes that a process has started."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil


class Descendant(NamedTuple):
    """A process, its name, its arguments and the folder that it is in."""

    process: psutil.Process
    name: str
    command: list[str]
    folder: Path


def descendants(pid: int) -> Iterator[Descendant]:
    """All that live of a process's descendants; one that ends while it is looked at is left out."""
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            yield Descendant(process, process.name(), process.cmdline(), Path(process.cwd()))
