"""A folder on this machine as a storage."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import override

from b3shared.core.errors import ConflictError, DiskFullError, InvalidParameterError
from b3shared.core.serialization import file_sha256
from b3shared.core.tempdir import disk_full, no_space
from b3shared.storage.base import (
    Keys,
    Storage,
    changed,
    check_folder,
    check_prefix,
    checked,
    is_key,
    missing,
    temporary_beside,
)


class FolderStorage(Storage):
    """A folder on this machine, safe for many threads and processes.

    Every write goes to a temporary file first. One rename (or hard link), under one lock file,
    makes it visible, so that no reader, killed writer or lost race sees or leaves half a file. The
    etag is the content's SHA-256. Names with a leading dot are the storage's own.
    """

    def __init__(self, path: str | Path) -> None:
        self._root = Path(path).expanduser().absolute()
        if self._root.exists() and not self._root.is_dir():
            raise InvalidParameterError(
                f"storage must be a folder or s3://bucket/prefix, but {self._root} is a file"
            )

    @property
    @override
    def url(self) -> str:
        return str(self._root)

    @override
    def read_versioned(self, key: str) -> tuple[bytes, str] | None:
        path = self._path(key)
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        return data, hashlib.sha256(data).hexdigest()

    @override
    def read_if_changed(self, key: str, etag: str) -> tuple[bytes, str] | None:
        found = self.read_versioned(key)
        if found is None:
            raise missing(self.url, key)
        return None if found[1] == etag else found

    @override
    def create(self, key: str, data: bytes) -> str:
        with self._staged(key, data) as (temporary, path):
            try:
                os.link(temporary, path)
            except FileExistsError:
                raise ConflictError(f"{key!r} already exists in {self.url}", key=key) from None
        return hashlib.sha256(data).hexdigest()

    @override
    def replace(self, key: str, data: bytes, etag: str) -> str:
        with self._staged(key, data) as (temporary, path):
            found = self.read_versioned(key)
            if found is None or found[1] != etag:
                raise changed(self.url, key)
            os.replace(temporary, path)
        return hashlib.sha256(data).hexdigest()

    @override
    def put(self, key: str, data: bytes) -> str:
        with self._staged(key, data) as (temporary, path):
            os.replace(temporary, path)
        return hashlib.sha256(data).hexdigest()

    @override
    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    @override
    def list(self, prefix: str = "") -> Keys:
        check_prefix(prefix)
        found = []
        for folder, folders, files in os.walk(self._root / prefix.rpartition("/")[0]):
            folders[:] = [name for name in folders if is_key(name)]
            keys = (
                (Path(folder) / name).relative_to(self._root).as_posix()
                for name in files
                if is_key(name)
            )
            found += [key for key in keys if key.startswith(prefix)]
        return sorted(found)

    @override
    def folders(self, prefix: str = "") -> Keys:
        check_folder(prefix)
        try:
            with os.scandir(self._root / prefix) as entries:
                return sorted(
                    entry.name for entry in entries if entry.is_dir() and is_key(entry.name)
                )
        except (FileNotFoundError, NotADirectoryError):
            return []

    @override
    def delete(self, key: str) -> None:
        path = self._path(key)
        if path.is_file():
            with self._locked():
                path.unlink(missing_ok=True)

    @override
    def sha256(self, key: str) -> str:
        if not self.exists(key):
            raise missing(self.url, key)
        return file_sha256(self._path(key))

    def _send(self, path: Path, key: str) -> None:
        with self._staged(key, path) as (temporary, target):
            os.replace(temporary, target)

    def _receive(self, key: str, path: Path) -> None:
        if not self.exists(key):
            raise missing(self.url, key)
        shutil.copyfile(self._path(key), path)

    def _path(self, key: str) -> Path:
        return self._root / checked(key)

    @contextmanager
    def _staged(self, key: str, source: bytes | Path) -> "Iterator[tuple[Path, Path]]":
        """Write ``source`` beside its place and yield (temporary, place), locked, for the rename.

        Raises:
            InvalidParameterError: The key lies below an object, or has keys below it.
            DiskFullError: There is no room; nothing is left behind.
        """
        path = self._path(key)
        temporary = temporary_beside(path)

        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_new(temporary, source)
            with self._locked():
                yield temporary, path
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise InvalidParameterError(
                f"key {key!r}: a folder cannot hold both an object and keys below it "
                f"({error.filename})",
                key=key,
            ) from None
        except OSError as error:
            if no_space(error):
                raise self._full(key) from error
            raise
        finally:
            with suppress(NotADirectoryError):
                temporary.unlink(missing_ok=True)

    def _full(self, key: str) -> DiskFullError:
        existing = next(path for path in (self._root, *self._root.parents) if path.is_dir())
        advice = "Make room there, or move the storage to a larger disk"
        return disk_full(f"storage {self.url}", existing, what=repr(key), advice=advice)

    @contextmanager
    def _locked(self) -> "Iterator[None]":
        # flock belongs to the open file, so it holds between threads as between processes, and dies
        # with its holder.
        with (self._root / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _write_new(path: Path, source: bytes | Path) -> None:
    """Write bytes, or the content of a file, to a new file, and flush it to the disk."""
    with path.open("xb") as file:
        if isinstance(source, bytes):
            file.write(source)
        else:
            with source.open("rb") as original:
                shutil.copyfileobj(original, file, 1 << 20)

        file.flush()
        os.fsync(file.fileno())
