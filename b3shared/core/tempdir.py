"""A folder for temporary files; when its disk or the memory is full the error says so, and what to do about it."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from b3shared.core.errors import DiskFullError, OutOfMemoryError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_WORDS = ("No space left on device", "max_temp_directory_size")
"""DuckDB's, where it writes and where it spills: that limit is the room on the disk, since nobody sets another."""

_LEAST = 1 << 16
"""With fewer bytes free a failed write is a full disk's: NumPy and PyTorch do not tell why they could not write."""


@contextmanager
def scratch(who: str) -> Iterator[Path]:
    """An empty folder, removed afterwards.

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
            if no_space(error) or _unsaid(error, folder):
                raise disk_full(who, folder.parent) from error
            if no_memory(error):
                raise out_of_memory(who, error) from error
            raise


@contextmanager
def in_scratch(*variables: str) -> Iterator[None]:
    """Let libraries keep their files in a folder that is removed at the end of the block.

    Args:
        variables: of the environment, which tell a library where to keep files. Those that are set
            keep their value; the others name that folder, and are unset again at the end.
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
    """Whether an error, or what led to it, says that a disk is full: the system's number, or DuckDB's words."""
    if (isinstance(error, OSError) and error.errno in _FULL) or any(
        words in str(error) for words in _WORDS
    ):
        return True
    led = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return led is not None and no_space(led)


def no_memory(error: BaseException) -> bool:
    """Whether an error says that the memory is too small: Python's own, or DuckDB's (which need not be installed)."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryException"


def out_of_memory(who: str, error: BaseException) -> OutOfMemoryError:
    """The error of too little memory.

    Args:
        who: what needed the memory.
        error: that says so.
    """
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return OutOfMemoryError(
        f"{who}: the memory is too small: {reason}. On AWS give the function more memory; elsewhere close other programs, "
        "or choose a shorter period or fewer tickers",
        who=who,
    )


def _unsaid(error: Exception, folder: Path) -> bool:
    """Whether a write failed on a full disk without saying so."""
    return isinstance(error, OSError | RuntimeError) and shutil.disk_usage(folder).free < _LEAST


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
    free, total = (round(size / 2**20, 1) for size in (disk.free, disk.total))
    return DiskFullError(
        f"{who}: no space left for {what}: {free:,} of {total:,} MiB are free in {folder}. {advice}",
        who=who,
        folder=str(folder),
        free_mib=free,
        total_mib=total,
    )
