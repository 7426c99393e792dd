"""Keeps the buckets' current objects in a folder, so that they outlive the emulator.

``<folder>/s3/<bucket>/<key>`` holds each object's bytes as a plain file with the object's time,
``<folder>/s3/<bucket>.json`` the content types and user metadata. Every file is replaced atomically
and objects are written in the order of their modification, so that a pointer is never newer than
what it points to. Older versions of an object are not kept.
"""

import json
import os
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from moto.s3.models import FakeDeleteMarker, FakeKey, s3_backends

from infra.local.aws import ACCOUNT

_SAVE_SECONDS = 2.0
_PLAIN = " !@#$^&()[]{}=+,;'~"
"""Characters besides letters, digits and ``_.-`` that stay as they are in a file's name."""


class KeptState:
    """Saves changed objects every two seconds, and once more at the end.

    Args:
        folder: Folder of the state.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "s3"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._saved: dict[tuple[str, str], str] = {}
        self._lock = threading.Lock()
        self._end = threading.Event()

    def restore(self) -> int:
        """Put the kept objects into the buckets of the same names.

        Files of buckets that are gone from the template stay.

        Returns:
            Number of objects.
        """
        backend = s3_backends[ACCOUNT]["aws"]

        for name in list(backend.buckets):
            metadata = self._metadata(name)
            for path in _files(self._folder / name):
                key = _key(path.relative_to(self._folder / name))
                value = path.read_bytes()
                stored = backend.put_object(name, key, value, disable_notification=True)
                stored.set_metadata(
                    dict(metadata.get(key, {"Content-Type": "binary/octet-stream"})), replace=True
                )
                stored.last_modified = datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(
                    tzinfo=None
                )
                self._saved[name, key] = _identity(stored)

        return len(self._saved)

    def save(self) -> None:
        """Write objects that have changed since the last save, and remove those that are gone."""
        with self._lock:
            for name, bucket in list(s3_backends[ACCOUNT]["aws"].buckets.items()):
                current = {
                    k.name: k
                    for k in list(bucket.keys.values())
                    if not isinstance(k, FakeDeleteMarker)
                }
                changed = [
                    k for k in current.values() if self._saved.get((name, k.name)) != _identity(k)
                ]

                if changed:
                    metadata = {k.name: dict(k.metadata) for k in current.values()}
                    _replace(self._folder / f"{name}.json", json.dumps(metadata, indent=1).encode())

                for key in sorted(changed, key=lambda k: k.last_modified):
                    self._write(name, key)
                for gone in [k for b, k in self._saved if b == name and k not in current]:
                    (self._folder / name / _path(gone)).unlink(missing_ok=True)
                    del self._saved[name, gone]

    def _write(self, bucket: str, key: FakeKey) -> None:
        identity = _identity(key)
        modified = key.last_modified.replace(tzinfo=UTC).timestamp()
        _replace(self._folder / bucket / _path(key.name), key.value, modified)
        self._saved[bucket, key.name] = identity

    def _metadata(self, bucket: str) -> dict[str, Any]:
        path = self._folder / f"{bucket}.json"
        return json.loads(path.read_bytes()) if path.exists() else {}

    def save_regularly(self) -> None:
        """Start saving in the background."""
        threading.Thread(target=self._loop, daemon=True).start()

    def _loop(self) -> None:
        while not self._end.wait(_SAVE_SECONDS):
            self.save()

    def close(self) -> None:
        """Stop saving in the background, after one last save."""
        self._end.set()
        self.save()


def _identity(key: FakeKey) -> str:
    return f"{key.last_modified.isoformat()} {key.version_id} {key.contentsize}"


def _path(key: str) -> Path:
    return Path(*(_quote(part) for part in key.split("/")))


def _quote(part: str) -> str:
    """Return a name that every file system takes; ``%`` alone is an empty part, as in ``a//b``."""
    return "%" + part if part in ("", ".", "..") else quote(part, safe=_PLAIN)


def _key(path: Path) -> str:
    return "/".join(
        part[1:] if part in ("%", "%.", "%..") else unquote(part) for part in path.parts
    )


def _files(folder: Path) -> Iterator[Path]:
    """Yield files of a bucket, oldest first; remove what a killed run left half-written."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    for path in found:
        if path.name.startswith("%tmp"):
            path.unlink()
    yield from sorted(
        (path for path in found if path.exists()), key=lambda path: path.stat().st_mtime
    )


def _replace(path: Path, value: bytes, modified: float | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix="%tmp", dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(value)
    if modified is not None:
        os.utime(temporary, (modified, modified))
    os.replace(temporary, path)
