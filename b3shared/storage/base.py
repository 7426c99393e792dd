"""The contract of a storage.

Every storage guarantees that a write is complete or absent, that ``create`` has exactly one winner,
and that ``replace`` is a compare-and-swap. Keys are '/'-separated, relative to the storage's URL.
"""

import os
import re
from abc import ABC, abstractmethod
from pathlib import Path
from uuid import uuid4

from b3shared.core.errors import (
    ArtifactCorruptError,
    ArtifactNotFoundError,
    ConflictError,
    InvalidParameterError,
)
from b3shared.core.serialization import file_sha256

Keys = list[str]  # an alias, because Storage.list hides the type inside the classes

_FORBIDDEN = r"/\\\x00-\x1f\x7f\ud800-\udfff"
# No leading dot: such names are the storage's own files.
_PART = re.compile(rf"[^.{_FORBIDDEN}][^{_FORBIDDEN}]*")


class Storage(ABC):
    """Stores bytes by key. Every method refuses a malformed key with InvalidParameterError.

    An etag identifies one content of one key. It is opaque, and comes from this storage's own
    answers only.
    """

    @property
    @abstractmethod
    def url(self) -> str:
        """The address with which :func:`open_storage` opens the same storage again."""

    def read(self, key: str) -> bytes:
        """Return the content of a key; ArtifactNotFoundError if there is none."""
        found = self.read_versioned(key)
        if found is None:
            raise missing(self.url, key)
        return found[0]

    @abstractmethod
    def read_versioned(self, key: str) -> tuple[bytes, str] | None:
        """Return content and etag, or None if there is no such key."""

    @abstractmethod
    def read_if_changed(self, key: str, etag: str) -> tuple[bytes, str] | None:
        """Return content and etag, or None while the content is still that of ``etag``.

        Raises:
            ArtifactNotFoundError: There is no such key any more.
        """

    @abstractmethod
    def create(self, key: str, data: bytes) -> str:
        """Write a key that does not exist, and return its etag.

        Raises:
            ConflictError: The key exists; of many writers one wins.
        """

    @abstractmethod
    def replace(self, key: str, data: bytes, etag: str) -> str:
        """Write a key if its content is still that of ``etag``, and return the new etag.

        Raises:
            ConflictError: The content changed, or is gone.
        """

    @abstractmethod
    def put(self, key: str, data: bytes) -> str:
        """Write a key whether or not it exists, and return its etag."""

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Return whether there is such a key."""

    @abstractmethod
    def list(self, prefix: str = "") -> Keys:
        """Return all keys that begin with a text ("a/b" also finds "a/bc"), sorted."""

    @abstractmethod
    def folders(self, prefix: str = "") -> Keys:
        """Return the names of the folders right under a prefix, sorted; cheaper than :meth:`list`.

        Args:
            prefix: empty, or ending with '/'.
        """

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove a key, if there is one."""

    def upload(self, path: Path, key: str) -> str:
        """Write a local file to a key, streaming, and return its SHA-256.

        Raises:
            ArtifactNotFoundError: There is no such file.
        """
        if not path.is_file():
            raise ArtifactNotFoundError(
                f"{path} is not a file, so it cannot be stored as {key!r}", path=str(path)
            )
        digest = file_sha256(path)
        self._send(path, key)
        return digest

    def download(self, key: str, path: Path, sha256: str | None = None) -> Path:
        """Copy a key to a local file, streaming.

        The file appears complete and checked, or not at all.

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
        """Return the content's SHA-256, streaming; ArtifactNotFoundError if there is none."""

    @abstractmethod
    def _send(self, path: Path, key: str) -> None: ...

    @abstractmethod
    def _receive(self, key: str, path: Path) -> None: ...


def temporary_beside(path: Path) -> Path:
    """Return a name for a file that is being written.

    :func:`is_key` refuses it, so that no listing ever shows it.
    """
    return path.parent / f".{uuid4().hex}.tmp"


def missing(url: str, key: str) -> ArtifactNotFoundError:
    """Return the error for a key that is not in the storage of that URL."""
    return ArtifactNotFoundError(f"there is no {key!r} in {url}", key=key)


def changed(url: str, key: str) -> ConflictError:
    """Return the error for a key that another writer changed first."""
    return ConflictError(f"{key!r} in {url} was changed by another writer", key=key)


def is_key(key: str) -> bool:
    """Return whether a text is a well-formed key.

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
    """Return the key, or raise InvalidParameterError if it is malformed."""
    if not is_key(key):
        raise InvalidParameterError(
            "key must be relative, of '/'-separated parts of at most 255 bytes, none of them empty "
            f"or with a leading '.', got {key!r}"
        )
    return key


def check_prefix(prefix: str) -> None:
    """Refuse a text that no key can begin with."""
    if prefix:
        checked(prefix + "x" if prefix.endswith("/") else prefix)


def check_folder(prefix: str) -> None:
    """Refuse a prefix that is not a whole folder."""
    check_prefix(prefix)
    if prefix and not prefix.endswith("/"):
        raise InvalidParameterError(f"prefix must be empty or end with '/', got {prefix!r}")
