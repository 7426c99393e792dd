"""The contract of a storage.

What the rest relies on, whichever it is: a write is whole or absent, ``create`` has exactly one
winner, and ``replace`` is a compare-and-swap. Keys are '/'-separated and relative to the storage's
URL.
"""

import os
import re
from abc import ABC, abstractmethod
from pathlib import Path
from uuid import uuid4

from b3shared.core.errors import ArtifactCorruptError, ArtifactNotFoundError, InvalidParameterError
from b3shared.core.serialization import file_sha256

Keys = list[str]  # by another name, since Storage.list hides the type inside the classes

_FORBIDDEN = r"/\\\x00-\x1f\x7f\ud800-\udfff"
_PART = re.compile(
    rf"[^.{_FORBIDDEN}][^{_FORBIDDEN}]*"
)  # no leading dot: such names are the storage's own files


class Storage(ABC):
    """Bytes by key. Every method refuses a malformed key with InvalidParameterError.

    An etag names one content of one key; it is opaque, and only comes from this storage's own
    answers.
    """

    @property
    @abstractmethod
    def url(self) -> str:
        """What :func:`open_storage` takes to open the same storage again."""

    def read(self, key: str) -> bytes:
        """The content of ``key``; ArtifactNotFoundError if there is none."""
        found = self.read_versioned(key)
        if found is None:
            raise missing(self, key)
        return found[0]

    @abstractmethod
    def read_versioned(self, key: str) -> tuple[bytes, str] | None:
        """Content and etag, or None if there is no such key."""

    @abstractmethod
    def read_if_changed(self, key: str, etag: str) -> tuple[bytes, str] | None:
        """Content and etag, or None while the content is still that of ``etag``; ArtifactNotFoundError if gone."""

    @abstractmethod
    def create(self, key: str, data: bytes) -> str:
        """Write a key that does not exist and return its etag; ConflictError if it does: one winner among many."""

    @abstractmethod
    def replace(self, key: str, data: bytes, etag: str) -> str:
        """Write only if the content is still that of ``etag``; ConflictError if it changed or is gone."""

    @abstractmethod
    def put(self, key: str, data: bytes) -> str:
        """Write whatever is there, and return the etag."""

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether there is such a key."""

    @abstractmethod
    def list(self, prefix: str = "") -> Keys:
        """All keys that begin with ``prefix`` (as text: "a/b" also finds "a/bc"), sorted."""

    @abstractmethod
    def folders(self, prefix: str = "") -> Keys:
        """Names of the folders right under ``prefix`` (empty, or ending in '/'), sorted; cheaper than listing all."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove a key; one that is not there is fine."""

    def upload(self, path: Path, key: str) -> str:
        """Write a local file to ``key``, streaming, and return its SHA-256; ArtifactNotFoundError if there is no file."""
        if not path.is_file():
            raise ArtifactNotFoundError(
                f"{path} is not a file, so it cannot be stored as {key!r}", path=str(path)
            )
        digest = file_sha256(path)
        self._send(path, key)
        return digest

    def download(self, key: str, path: Path, sha256: str | None = None) -> Path:
        """Copy a key to a local file, streaming. The file appears whole and checked, or not at all.

        Raises:
            ArtifactNotFoundError: No such key.
            ArtifactCorruptError: The content does not have the hash ``sha256``.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_beside(path)
        try:
            self._receive(key, temporary)
            found = file_sha256(temporary) if sha256 is not None else None
            if found != sha256:
                raise ArtifactCorruptError(
                    f"{key!r} has SHA-256 {found}, not the recorded {sha256}", key=key
                )
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        return path

    @abstractmethod
    def sha256(self, key: str) -> str:
        """SHA-256 of the content, streaming; ArtifactNotFoundError if there is none."""

    @abstractmethod
    def _send(self, path: Path, key: str) -> None: ...

    @abstractmethod
    def _receive(self, key: str, path: Path) -> None: ...


def temporary_beside(path: Path) -> Path:
    """A name for a file in the making; :func:`is_key` refuses it, so that no listing ever shows it."""
    return path.parent / f".{uuid4().hex}.tmp"


def missing(storage: Storage, key: str) -> ArtifactNotFoundError:
    """The error for a key that is not there."""
    return ArtifactNotFoundError(f"there is no {key!r} in {storage.url}", key=key)


def is_key(key: str) -> bool:
    """Whether a text is a well-formed key.

    900 bytes leave room for a bucket's prefix in S3's 1,024.
    """
    parts = key.split("/")
    well_formed = all(_PART.fullmatch(part) for part in parts)
    return (
        well_formed
        and len(key.encode()) <= 900
        and all(len(part.encode()) <= 255 for part in parts)
    )


def checked(key: str) -> str:
    """The key itself, or InvalidParameterError."""
    if not is_key(key):
        raise InvalidParameterError(
            f"key {key!r}: relative, '/'-separated parts of at most 255 bytes are allowed, none empty or with a leading '.'"
        )
    return key


def check_prefix(prefix: str) -> None:
    """Refuse what no key can begin with."""
    if prefix:
        checked(prefix + "x" if prefix.endswith("/") else prefix)


def check_folder(prefix: str) -> None:
    """Refuse a prefix that is not a whole folder."""
    check_prefix(prefix)
    if prefix and not prefix.endswith("/"):
        raise InvalidParameterError(f"folder prefix {prefix!r}: must be empty or end with '/'")
