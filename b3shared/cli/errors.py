"""Errors of the world outside: the machine's, DuckDB's, those of AWS.

What they are to a person, in one line.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence

import duckdb

CODE = "SYSTEM_ERROR"

_OF_DUCKDB = (duckdb.IOException, duckdb.OutOfMemoryException)
_OF_AWS = ("botocore.exceptions", "boto3.exceptions")


def was_interrupted(error: BaseException) -> bool:
    """Whether Ctrl-C is behind an error: DuckDB makes errors of its own of it, and what meets those makes others."""
    return any(
        isinstance(found, KeyboardInterrupt | duckdb.InterruptException) for found in _chain(error)
    )


def outside_error(error: BaseException, places: Sequence[str]) -> str | None:
    """What went wrong outside, in one line that names the thing; None for an error that is the program's own.

    Args:
        error: any.
        places: where is read and written, for an error that does not say.
    """
    if isinstance(error, OSError):
        return _of_system(error, places)
    if isinstance(error, MemoryError):
        return "the memory is full"
    if isinstance(error, _OF_DUCKDB):
        return str(error).splitlines()[0]
    if any(
        kind.__module__ in _OF_AWS for kind in type(error).__mro__
    ):  # boto3 is not there where only folders are used
        remote = [place for place in places if place.startswith("s3://")]
        return f"{' or '.join(remote) or 'AWS'}: {' '.join(str(error).split())}"
    return None


def _of_system(error: OSError, places: Sequence[str]) -> str:
    reason = error.strerror or str(error)
    if error.filename is not None:
        return f"{os.fsdecode(error.filename) if not isinstance(error.filename, int) else error.filename}: {reason}"
    local = [place for place in places if "://" not in place]
    return f"{' or '.join([*local, tempfile.gettempdir()])}: {reason}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
