"""Storage of everything that is kept: an S3 bucket or a folder, behind one small contract."""

import re
from pathlib import Path

from b3shared.core.errors import InvalidParameterError
from b3shared.storage.base import Storage
from b3shared.storage.folder import FolderStorage
from b3shared.storage.s3 import IMPATIENT, PATIENT, S3Storage, Timeouts

__all__ = [
    "IMPATIENT",
    "PATIENT",
    "FolderStorage",
    "S3Storage",
    "Storage",
    "Timeouts",
    "open_storage",
]


def open_storage(url: str | Path, timeouts: Timeouts = PATIENT) -> Storage:
    """Return the storage at ``s3://bucket/prefix``, or in a folder (made on the first write).

    Args:
        url: the address; a path is a folder.
        timeouts: how long to wait for S3.

    Raises:
        InvalidParameterError: The address is neither of the two.
    """
    text = str(url)
    if text.startswith("s3://"):
        bucket, _, prefix = text.removeprefix("s3://").partition("/")
        return S3Storage(bucket, prefix, timeouts)
    if not text or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text):
        raise InvalidParameterError(
            f"storage must be a folder or s3://bucket/prefix (as text), got {text!r}"
        )
    return FolderStorage(text)
