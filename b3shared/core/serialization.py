"""The one form of JSON, hashes and time stamps for everything that is stored."""

import hashlib
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from b3shared.core.errors import ArtifactCorruptError, InvalidParameterError


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a local file in hex; the file is not read into memory at once."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def to_json(value: Any) -> bytes:
    """Return a value as canonical JSON, to store or to hash.

    Raises:
        InvalidParameterError: It holds NaN, infinity or a type that JSON has not.
    """
    try:
        return json.dumps(value, sort_keys=True, indent=1, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidParameterError(
            f"not JSON: {error}; finite numbers, text, lists and dicts are allowed"
        ) from error


def from_json(data: bytes, key: str) -> Any:
    """Return the value of a stored JSON document.

    Args:
        data: its bytes.
        key: under which it is stored, for the error.

    Raises:
        ArtifactCorruptError: It is not JSON.
    """
    try:
        return json.loads(data)
    except ValueError as error:
        raise ArtifactCorruptError(f"{key!r} is not JSON: {error}", key=key) from error


def utc_now() -> str:
    """Return the current time, in the form of :func:`utc_iso`."""
    return utc_iso(datetime.now(UTC).timestamp())


def utc_iso(seconds: float) -> str:
    """Return a time in seconds since 1970 as ISO 8601 in UTC with microseconds: sorts as text."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def iso_date(value: object, name: str) -> date:
    """Return a date from a date or its ISO text.

    Args:
        value: to convert.
        name: of the parameter, for the error.

    Raises:
        InvalidParameterError: It is something else.
    """
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise InvalidParameterError(
            f"{name} must be an ISO date such as 2023-12-28, got {str(value)!r}", parameters=[name]
        ) from None
