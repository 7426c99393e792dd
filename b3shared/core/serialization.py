"""JSON documents, hashes and time stamps: one form of each for everything that is stored."""

import hashlib
import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from b3shared.core.errors import ArtifactCorruptError, InvalidParameterError


def file_sha256(path: Path) -> str:
    """SHA-256 of a local file in hex, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def to_json(value: Any) -> bytes:
    """The one canonical JSON text of a value, to store or to hash; InvalidParameterError for NaN or a foreign type."""
    try:
        return json.dumps(value, sort_keys=True, indent=1, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidParameterError(
            f"not JSON: {error}; finite numbers, text, lists and dicts are allowed"
        ) from error


def from_json(data: bytes, key: str) -> Any:
    """The value of a stored JSON object; ArtifactCorruptError naming ``key`` when it is not JSON."""
    try:
        return json.loads(data)
    except ValueError as error:
        raise ArtifactCorruptError(f"{key!r} is not JSON: {error}", key=key) from error


def utc_now() -> str:
    """Now, as :func:`utc_iso` writes it."""
    return utc_iso(datetime.now(UTC).timestamp())


def utc_iso(seconds: float) -> str:
    """A time in seconds since 1970 as ISO 8601 in UTC with microseconds: sorts as text."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def iso_date(value: object, name: str) -> date:
    """A date from a date or its ISO text; InvalidParameterError, naming the value, for anything else."""
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise InvalidParameterError(
            f"{name} {value!r}: an ISO date such as 2023-12-28 is needed", parameters=[name]
        ) from None
