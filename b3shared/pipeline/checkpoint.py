"""The checkpoint of a step: one stored object, which one attempt at a time may write."""

import json
import secrets
import time
from typing import Any

from b3shared.core.errors import ArtifactCorruptError, ConflictError, SupersededError
from b3shared.storage import Storage

_TRIES = 20
"""Attempts to take over; one fails where another attempt writes at the same moment."""


class StepCheckpoint:
    """The :class:`b3shared.models.base.Checkpoint` of a step.

    An attempt takes over when it first loads or saves: it writes what is there again under a token
    of its own, by compare-and-swap. From then on it replaces only what it wrote itself, so the
    attempt that held the checkpoint before is refused at its next save. The newest attempt wins,
    because a caller waits for it.

    Args:
        storage: of the run.
        key: key of the object.
    """

    def __init__(self, storage: Storage, key: str) -> None:
        self._storage = storage
        self._key = key
        self._began = time.time()
        self._head: dict[str, Any] = {"token": secrets.token_hex(16), "started": self._began}
        self._etag: str | None = None

    @property
    def started(self) -> float:
        """When the first attempt at this work began, in seconds since 1970."""
        return float(self._head["started"])

    def load(self) -> bytes | None:
        """Take over, and return what was saved last; None if nothing was.

        Raises:
            SupersededError: Other attempts kept taking over.
            ArtifactCorruptError: The object is not a checkpoint.
        """
        for _ in range(_TRIES):
            found = self._storage.read_versioned(self._key)
            try:
                if found is None:
                    self._etag = self._storage.create(self._key, self._enveloped(b""))
                    return None

                head, data = self._opened(found[0])
                self._head["started"] = head["started"]
                self._etag = self._storage.replace(self._key, self._enveloped(data), found[1])
                return data or None
            except ConflictError:
                continue
        raise self._superseded()

    def restart(self) -> None:
        """Count this attempt as the first, whatever an abandoned one has left; kept by ``save``."""
        self._head["started"] = self._began

    def save(self, data: bytes) -> None:
        """Replace what was saved before.

        Raises:
            SupersededError: Another attempt has taken over, or has finished the step.
        """
        if self._etag is None:
            self.load()
        assert self._etag is not None  # noqa: S101 - load sets it
        try:
            self._etag = self._storage.replace(self._key, self._enveloped(data), self._etag)
        except ConflictError:
            raise self._superseded() from None

    def remove(self) -> None:
        """Delete the checkpoint of a finished step, if this attempt ever took over."""
        if self._etag is not None:
            self._storage.delete(self._key)

    def _enveloped(self, data: bytes) -> bytes:
        return json.dumps(self._head).encode() + b"\n" + data

    def _opened(self, stored: bytes) -> tuple[dict[str, Any], bytes]:
        line, _, data = stored.partition(b"\n")
        try:
            head = json.loads(line)
            return {"started": float(head["started"])}, data
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactCorruptError(
                f"{self._key!r} is not a checkpoint: {error}", key=self._key
            ) from error

    def _superseded(self) -> SupersededError:
        return SupersededError(
            f"another attempt has taken over {self._key!r}; this one stops", key=self._key
        )
