"""A storage that raises at a given write, for tests of what a crash leaves behind."""

from collections.abc import Callable
from pathlib import Path

from b3shared.storage import FolderStorage


class Dying(FolderStorage):
    """Raises KeyboardInterrupt at the n-th write or deletion, as a killed process would end there.

    Args:
        path: of the folder.
        at: number of the write, from 1.
        after: whether that write still takes place.
    """

    def __init__(self, path: Path, at: int, after: bool) -> None:
        super().__init__(path)
        self.left = at
        self.after = after

    def _counted(self, write: Callable[[], str | None]) -> str | None:
        self.left -= 1
        if self.left > 0:
            return write()
        if self.left == 0 and self.after:
            write()
        raise KeyboardInterrupt

    def create(self, key: str, data: bytes) -> str:
        return str(self._counted(lambda: FolderStorage.create(self, key, data)))

    def replace(self, key: str, data: bytes, etag: str) -> str:
        return str(self._counted(lambda: FolderStorage.replace(self, key, data, etag)))

    def put(self, key: str, data: bytes) -> str:
        return str(self._counted(lambda: FolderStorage.put(self, key, data)))

    def delete(self, key: str) -> None:
        self._counted(lambda: FolderStorage.delete(self, key))

    def _send(self, path: Path, key: str) -> None:
        self._counted(lambda: FolderStorage._send(self, path, key))  # type: ignore[func-returns-value]
