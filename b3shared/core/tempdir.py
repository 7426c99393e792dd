"""Temporary directories, and errors that say what to do when their disk or the memory is full."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from b3shared.core.errors import DiskFullError, OutOfMemoryError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_MESSAGES = ("No space left on device", "max_temp_directory_size")
"""In DuckDB's errors; nobody sets that limit, so it is the room on the disk."""

_ALMOST_FULL = 1 << 16
"""Bytes; with fewer free the disk is why a write failed (NumPy and PyTorch do not say why)."""


@contextmanager
def temporary_directory(who: str) -> Iterator[Path]:
    """Make an empty directory, and remove it afterwards.

    Args:
        who: the step or function that works in it.

    Raises:
        DiskFullError, OutOfMemoryError: In place of the error that a full disk, or too little
            memory, led to.
    """
    with tempfile.TemporaryDirectory(prefix=f"b3-{who}-") as name:
        folder = Path(name)

        try:
            yield folder
        except (DiskFullError, OutOfMemoryError):
            raise
        except Exception as error:
            if no_space(error) or _no_space_unsaid(error, folder):
                raise disk_full(who, folder.parent) from error
            if no_memory(error):
                raise out_of_memory(who, error) from error
            raise


@contextmanager
def temporary_cache(*variables: str) -> Iterator[None]:
    """Let libraries keep their files in a directory that is removed at the end of the block.

    Args:
        variables: of the environment, which tell a library where to keep files. Those that are set
            keep their value; the others name that directory, and are unset again at the end.
    """
    with tempfile.TemporaryDirectory(prefix="b3-cache-", ignore_cleanup_errors=True) as folder:
        added = [name for name in variables if name not in os.environ]
        os.environ.update(dict.fromkeys(added, folder))
        try:
            yield
        finally:
            for name in added:
                os.environ.pop(name, None)


def no_space(error: BaseException) -> bool:
    """Return whether an error, or what led to it, reports a full disk."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    if any(message in str(error) for message in _MESSAGES):
        return True
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return cause is not None and no_space(cause)


def no_memory(error: BaseException) -> bool:
    """Return whether an error reports too little memory: Python's own error, or DuckDB's."""
    # by name: DuckDB need not be installed
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryException"


def out_of_memory(who: str, error: BaseException) -> OutOfMemoryError:
    """Make the error of too little memory.

    Args:
        who: the step or function that needed the memory.
        error: that reports it.
    """
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return OutOfMemoryError(
        f"{who}: the memory is too small: {reason}. On AWS give the function more memory; "
        "elsewhere close other programs, or choose a shorter period or fewer tickers",
        who=who,
    )


def _no_space_unsaid(error: Exception, folder: Path) -> bool:
    """Return whether a write failed on a full disk, though its error does not say so."""
    return isinstance(error, OSError | RuntimeError) and (
        shutil.disk_usage(folder).free < _ALMOST_FULL
    )


_SCRATCH_ADVICE = (
    "On AWS raise the template's ScratchSize (MB, up to 10240); elsewhere make room there, "
    "or point TMPDIR to a larger disk"
)


def disk_full(
    who: str, folder: Path, *, what: str = "temporary files", advice: str = _SCRATCH_ADVICE
) -> DiskFullError:
    """Return the error for a full disk.

    Args:
        who: what needed the disk.
        folder: an existing folder on that disk.
        what: what was to be written.
        advice: what the user can do.
    """
    disk = shutil.disk_usage(folder)
    free = round(disk.free / 2**20, 1)
    total = round(disk.total / 2**20, 1)
    return DiskFullError(
        f"{who}: no space left for {what}: {free:,} of {total:,} MiB are free in {folder}. "
        f"{advice}",
        who=who,
        folder=str(folder),
        free_mib=free,
        total_mib=total,
    )
