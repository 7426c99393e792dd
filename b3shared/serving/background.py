"""Runs slow work in a thread, so that a request waits for it a limited time."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from b3shared.core.errors import SourceUnavailableError


@dataclass
class Task[T]:
    """Work that runs in a thread of its own, or has ended.

    Attributes:
        began: seconds on the caller's clock.
        ended: set once there is a result or an error.
        result: of the work; None until it has ended, and where it failed.
        error: why it failed.
    """

    began: float
    ended: threading.Event = field(default_factory=threading.Event)
    result: T | None = None
    error: Exception | None = None


def begin[T](work: Callable[[], T], name: str, now: float = 0.0) -> Task[T]:
    """Start work in a thread that does not keep the process alive.

    Args:
        work: what to do.
        name: of the thread.
        now: seconds on the caller's clock.
    """
    task: Task[T] = Task(now)

    def run() -> None:
        try:
            task.result = work()
        except Exception as error:
            task.error = error
        finally:
            task.ended.set()

    threading.Thread(target=run, name=name, daemon=True).start()
    return task


def within[T](seconds: float, work: Callable[[], T], what: str) -> T:
    """Run some work and return its result, waiting a limited time.

    Args:
        seconds: how long to wait.
        work: what to do.
        what: name of what is read, for the error.

    Raises:
        SourceUnavailableError: The work takes longer.
        Exception: What the work raises.
    """
    task = begin(work, what)
    if not task.ended.wait(seconds):
        raise SourceUnavailableError(
            f"{what} could not be read within {seconds:.0f} s; try again in a minute"
        )
    if task.error is not None:
        raise task.error
    assert task.result is not None  # noqa: S101 - work that ended well
    return task.result
