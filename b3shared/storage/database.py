"""Connections to DuckDB and MotherDuck, with the same settings and errors everywhere."""

import re
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb

from b3shared.core.config import DatabaseSettings
from b3shared.core.errors import (
    B3Error,
    InvalidParameterError,
    InvalidQuotesError,
    SourceUnavailableError,
)
from b3shared.core.tempdir import disk_full, no_memory, no_space, out_of_memory
from b3shared.storage.secrets import read_secret

MOTHERDUCK = re.compile(r"md:([A-Za-z_][A-Za-z0-9_-]{0,62})")

TIME_ZONE = "UTC"
"""Time zone in which a timestamp with a time zone becomes a date, on every machine.

Midnight in UTC and midnight in Sao Paulo (02:00 or 03:00 UTC) are the same day in UTC, and so is
every moment of a session. A moment after 21:00 in Sao Paulo would be the next day, but no quote is
made then.
"""

MEMORY_SHARE = 0.4
"""Share of a Lambda function's memory that DuckDB may use; pandas needs the rest meanwhile."""

_LOCAL_ONLY: dict[str, Any] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
"""Extensions come from installed packages, whose versions are locked; none is downloaded."""

_UNREACHABLE = (duckdb.IOException, duckdb.HTTPException, duckdb.ConnectionException)


def connect(
    path: str | Path = ":memory:",
    *,
    read_only: bool = False,
    memory_limit: str | None = None,
    threads: int | None = None,
) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB database with the settings of every connection of this project.

    DuckDB spills to the folder for temporary files, never to the working folder, which Lambda
    mounts read-only. It reads and writes nothing in the home folder, and downloads no extension.
    Dates do not depend on the machine's time zone.

    Args:
        path: of a database file; by default the database is in memory.
        read_only: whether writing is refused.
        memory_limit: memory that DuckDB may use, such as "512MB". By default :data:`MEMORY_SHARE`
            of the Lambda function's memory; elsewhere DuckDB's own default, 80 % of the machine's.
        threads: how many it may use; by default one per core.

    Raises:
        duckdb.Error: The file cannot be opened.
    """
    if memory_limit is None:
        memory_limit = _function_limit(DatabaseSettings.from_environment())
    temporary = Path(tempfile.gettempdir())
    config = _LOCAL_ONLY | {
        "home_directory": str(temporary),
        # A name of its own: two databases that spill to one folder overwrite each other's files.
        "temp_directory": str(temporary / f"b3-duckdb-{uuid.uuid4().hex}"),
    }
    if memory_limit:
        config["memory_limit"] = memory_limit
    if threads:
        config["threads"] = threads

    connection = duckdb.connect(str(path), read_only=read_only, config=config)
    connection.execute(f"SET TimeZone = {literal(TIME_ZONE)}")
    return connection


@contextmanager
def scratch() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a connection to an in-memory database that stays open as long as the process.

    Opening a database takes ten milliseconds, a connection to an open one a thirtieth of that. It
    has one thread, and is for single statements on files and frames: tables must be temporary.
    """
    connection = _scratch_database().cursor()
    try:
        connection.execute(f"SET TimeZone = {literal(TIME_ZONE)}")
        yield connection
    finally:
        connection.close()


@cache
def _scratch_database() -> duckdb.DuckDBPyConnection:
    database = connect(threads=1)
    # A path that is written again must not be read from memory.
    database.execute("SET GLOBAL enable_external_file_cache = false")
    return database


def _function_limit(settings: DatabaseSettings) -> str | None:
    """Return DuckDB's memory limit inside a Lambda function, None elsewhere."""
    memory = settings.function_memory
    return None if memory is None else f"{int(MEMORY_SHARE * memory)}MiB"


def reading_error(error: duckdb.Error, name: str) -> B3Error:
    """Return the project's error for one of DuckDB's that occurred while quotes were read.

    Args:
        error: of DuckDB.
        name: of the source.

    Returns:
        ``DISK_FULL`` or ``OUT_OF_MEMORY`` where the machine is too small, ``SOURCE_UNAVAILABLE``
        where a file or the network cannot be reached, else ``INVALID_QUOTES``.
    """
    reason = first_line(error)
    if no_space(error):
        return disk_full(name, Path(tempfile.gettempdir()))
    if no_memory(error):
        return out_of_memory(name, error)
    if isinstance(error, _UNREACHABLE):
        return SourceUnavailableError(f"{name} cannot be reached: {reason}")

    if isinstance(error, duckdb.ConversionException):
        return InvalidQuotesError(
            f"{name} holds a value of the wrong kind: {reason}; "
            "prices and volumes must be numbers, dates YYYY-MM-DD"
        )
    return InvalidQuotesError(f"{name} cannot be read as quotes: {reason}")


def is_motherduck(location: str) -> bool:
    """Return whether a location is a database of MotherDuck."""
    return location.startswith("md:")


@contextmanager
def open_database(location: str, *, read_only: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the database of a location, as the current one, and close it on leaving.

    Args:
        location: path of a DuckDB file, or ``md:`` and the name of a MotherDuck database.
        read_only: whether writing is refused; a file must exist then.

    Raises:
        SourceUnavailableError: No such file, no token, no extension, no network, or access denied.
        InvalidParameterError: ``md:`` without a name.
    """
    connection = (
        _motherduck(location, read_only)
        if is_motherduck(location)
        else _file(Path(location), read_only)
    )
    with connection:
        yield connection


def motherduck_token(settings: DatabaseSettings) -> str:
    """Return MotherDuck's token: from the secret, or on a user's own machine the one that is set.

    Raises:
        SourceUnavailableError: There is none, or the secret cannot be read.
    """
    if settings.motherduck_secret:
        return read_secret(settings.motherduck_secret)
    if settings.motherduck_token:
        return settings.motherduck_token

    raise SourceUnavailableError(
        "MotherDuck needs a token: deploy with MotherDuckSecretArn, the ARN of a secret that "
        "holds it" + ("; on a laptop MOTHERDUCK_TOKEN will do" if settings.local else "")
    )


def first_line(error: Exception) -> str:
    """Return an error's first line; DuckDB's errors go on with a stack trace."""
    return str(error).splitlines()[0]


def _file(path: Path, read_only: bool) -> duckdb.DuckDBPyConnection:
    if read_only and not path.exists():
        raise SourceUnavailableError(f"{path} does not exist; give a DuckDB file")
    try:
        return connect(path, read_only=read_only)
    except duckdb.Error as error:
        raise SourceUnavailableError(f"{path} cannot be opened: {first_line(error)}") from error


def _motherduck(location: str, read_only: bool) -> duckdb.DuckDBPyConnection:
    found = MOTHERDUCK.fullmatch(location)
    if found is None:
        raise InvalidParameterError(
            "location must be md: and a database's name of letters, digits, _ and -, "
            f"got {location!r}"
        )

    token = motherduck_token(DatabaseSettings.from_environment())
    extension = _extension()
    connection = connect()
    try:
        connection.execute(f"LOAD {literal(extension)}")  # asks MotherDuck which clients it takes
        connection.execute(f"SET motherduck_token = {literal(token)}")
        # single: nothing of the account's saved workspace is read or changed
        options = " (READ_ONLY)" if read_only else ""
        connection.execute(f"ATTACH {literal(location + '?attach_mode=single')}{options}")
        connection.execute(f'USE "{found[1]}"')
    except duckdb.Error as error:
        connection.close()
        reason = first_line(error).replace(token, "***")
        raise SourceUnavailableError(
            f"{location} cannot be opened, for lack of network or access: {reason}"
        ) from None
    return connection


def _extension() -> Path:
    """Return the path of MotherDuck's extension, from its package, of DuckDB's own version."""
    name = "duckdb_extension_motherduck"
    try:
        path = (
            Path(str(files(name)))
            / "extensions"
            / f"v{duckdb.__version__}"
            / "motherduck.duckdb_extension"
        )
    except ModuleNotFoundError:
        path = None

    if path is None or not path.is_file():
        raise SourceUnavailableError(
            f"MotherDuck needs the package duckdb-extension-motherduck=={duckdb.__version__}, "
            "which is not installed"
        )
    return path


def literal(value: object) -> str:
    """Quote a text for SQL, for the statements that take no parameters."""
    return "'" + str(value).replace("'", "''") + "'"


def parquet_files(paths: Iterable[Path]) -> str:
    """Write a list of files as SQL that names exactly these files.

    DuckDB reads ``*``, ``?`` and ``[`` in a path as a pattern: "q[1].parquet" would read
    "q1.parquet" instead.
    """
    escaped = (re.sub(r"[*?\[]", r"[\g<0>]", str(path)) for path in paths)
    return "[" + ", ".join(map(literal, escaped)) + "]"
