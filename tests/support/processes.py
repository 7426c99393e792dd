"""Lists the processes that a process has started."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil


class Descendant(NamedTuple):
    """A process with its name, its arguments and its working folder."""

    process: psutil.Process
    name: str
    command: list[str]
    folder: Path


def descendants(pid: int) -> Iterator[Descendant]:
    """Yield the living descendants of a process; one that ends meanwhile is left out."""
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            yield Descendant(process, process.name(), process.cmdline(), Path(process.cwd()))
