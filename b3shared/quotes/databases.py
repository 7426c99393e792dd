"""DuckDB files and MotherDuck databases behind one door: where a location leads, and what keeps it from being opened."""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import duckdb

from b3shared.aws import read_secret
from b3shared.errors import InvalidParameterError, SourceUnavailableError

MOTHERDUCK = re.compile(r"md:([A-Za-z_][A-Za-z0-9_-]{0,62})")

_LOCAL_ONLY: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
"""Extensions come from their packages, of the version that the lock file names, and are never downloaded."""


def is_motherduck(location: str) -> bool:
    """Whether a location is a database of MotherDuck."""
    return location.startswith("md:")


@contextmanager
def open_database(location: str, *, read_only: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection whose current database is that of the location; closed on leaving.

    Args:
        location: path of a DuckDB file, or ``md:`` and the name of a MotherDuck database.
        read_only: refuses writing; a file must exist then.

    Raises:
        SourceUnavailableError: No such file, no token, no extension, no network, or access denied.
        InvalidParameterError: ``md:`` without a name.
    """
    connection = _motherduck(location, read_only) if is_motherduck(location) else _file(Path(location), read_only)
    with connection:
        yield connection


def motherduck_token(environ: Mapping[str, str] = os.environ) -> str:
    """The token of MotherDuck: from the secret that ``MOTHERDUCK_SECRET_ARN`` names; locally also ``MOTHERDUCK_TOKEN``.

    Raises:
        SourceUnavailableError: There is none, or the secret cannot be read.
    """
    if arn := environ.get("MOTHERDUCK_SECRET_ARN"):
        return read_secret(arn)
    local = environ.get("environment", "LOCAL").upper() == "LOCAL"
    if local and (token := environ.get("MOTHERDUCK_TOKEN", "").strip()):
        return token
    raise SourceUnavailableError(
        "MotherDuck needs a token: deploy with MotherDuckSecretArn, the ARN of a secret that holds it"
        + ("; on a laptop MOTHERDUCK_TOKEN will do" if local else "")
    )


def first_line(error: Exception) -> str:
    """DuckDB's errors go on with a stack trace."""
    return str(error).splitlines()[0]


def _file(path: Path, read_only: bool) -> duckdb.DuckDBPyConnection:
    if read_only and not path.exists():
        raise SourceUnavailableError(f"{path} does not exist; give a DuckDB file")
    try:
        return duckdb.connect(str(path), read_only=read_only, config=_LOCAL_ONLY)
    except duckdb.Error as error:
        raise SourceUnavailableError(f"{path} cannot be opened: {first_line(error)}") from error


def _motherduck(location: str, read_only: bool) -> duckdb.DuckDBPyConnection:
    found = MOTHERDUCK.fullmatch(location)
    if found is None:
        raise InvalidParameterError(f"{location!r}: md: and a database's name of letters, digits, _ and - is allowed")
    token, extension = motherduck_token(), _extension()
    # Lambda has no home to write to
    connection = duckdb.connect(config=_LOCAL_ONLY | {"home_directory": tempfile.gettempdir()})
    try:
        connection.execute(f"LOAD {literal(extension)}")  # asks MotherDuck which clients it takes
        connection.execute(f"SET motherduck_token = {literal(token)}")
        # single: nothing of the account's saved workspace is read or changed
        connection.execute(f"ATTACH {literal(location + '?attach_mode=single')}{' (READ_ONLY)' if read_only else ''}")
        connection.execute(f'USE "{found[1]}"')
    except duckdb.Error as error:
        connection.close()
        reason = first_line(error).replace(token, "***")
        raise SourceUnavailableError(f"{location} cannot be opened, for want of network or access: {reason}") from None
    return connection


def _extension() -> Path:
    """MotherDuck's extension, from its package; it must be of DuckDB's own version."""
    name = "duckdb_extension_motherduck"
    try:
        path = Path(str(files(name))) / "extensions" / f"v{duckdb.__version__}" / "motherduck.duckdb_extension"
    except ModuleNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise SourceUnavailableError(
            f"MotherDuck needs the package duckdb-extension-motherduck=={duckdb.__version__}, which is not installed"
        )
    return path


def literal(value: object) -> str:
    """A text as SQL, for the statements that take no parameters."""
    return "'" + str(value).replace("'", "''") + "'"
