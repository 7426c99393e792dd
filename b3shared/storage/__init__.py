"""Where everything is kept: an S3 bucket or a folder, behind one small contract."""

import re
from pathlib import Path

from b3shared.errors import InvalidParameterError
from b3shared.storage.base import Storage
from b3shared.storage.folder import FolderStorage
from b3shared.storage.s3 import S3Storage

__all__ = ["FolderStorage", "S3Storage", "Storage", "open_storage"]


def open_storage(url: str | Path) -> Storage:
    """The storage at ``s3://bucket/prefix`` or in a folder (made on the first write); else InvalidParameterError."""
    text = str(url)
    if text.startswith("s3://"):
        bucket, _, prefix = text.removeprefix("s3://").partition("/")
        return S3Storage(bucket, prefix)
    if not text or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text):
        raise InvalidParameterError(f"storage {text!r}: a folder or s3://bucket/prefix (as text) is allowed")
    return FolderStorage(text)
