"""Errors as one line for a person: ours by code, and those of the machine, DuckDB and AWS."""

import os
import tempfile
from collections.abc import Iterator, Sequence

import click
import duckdb

from b3shared.cli.extras import missing_package
from b3shared.core.errors import B3Error

SYSTEM_ERROR = "SYSTEM_ERROR"
"""Code of an error from outside the program: a disk, a permission, the network."""

_DUCKDB_ERRORS = (duckdb.IOException, duckdb.OutOfMemoryException)
_AWS_MODULES = ("botocore.exceptions", "boto3.exceptions")
"""Compared by name: boto3 is not imported where only folders are used."""


def was_interrupted(error: BaseException) -> bool:
    """Return whether Ctrl-C led to an error: DuckDB, for one, raises an error of its own."""
    interrupts = (KeyboardInterrupt, click.Abort, duckdb.InterruptException)
    return any(isinstance(found, interrupts) for found in _chain(error))


def describe(error: BaseException, places: Sequence[str]) -> str | None:
    """Return an error as ``CODE: message`` in one line; None for a fault of the program itself.

    Args:
        error: any.
        places: where is read and written, for an error that does not name its file.
    """
    if isinstance(error, ModuleNotFoundError):
        error = missing_package(error) or error
    if isinstance(error, B3Error):
        return f"{error.code}: {error.message}"
    reason = system_reason(error, places)
    return None if reason is None else f"{SYSTEM_ERROR}: {reason}"


def system_reason(error: BaseException, places: Sequence[str]) -> str | None:
    """Return what failed outside the program, in one line; None for any other error.

    Args:
        error: any.
        places: where is read and written, for an error that does not name its file.
    """
    if isinstance(error, OSError):
        return _os_reason(error, places)
    if isinstance(error, MemoryError):
        return "the memory is full"
    if isinstance(error, _DUCKDB_ERRORS):
        return str(error).splitlines()[0]
    if any(kind.__module__ in _AWS_MODULES for kind in type(error).__mro__):
        remote = [place for place in places if place.startswith("s3://")]
        return f"{' or '.join(remote) or 'AWS'}: {' '.join(str(error).split())}"
    return None


def _os_reason(error: OSError, places: Sequence[str]) -> str:
    reason = error.strerror or str(error)
    if isinstance(error.filename, str | bytes):
        return f"{os.fsdecode(error.filename)}: {reason}"
    if error.filename is not None:
        return f"{error.filename}: {reason}"

    local = [place for place in places if "://" not in place]
    return f"{' or '.join([*local, tempfile.gettempdir()])}: {reason}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
