"""Logs of the functions: one file each, and the last lines in memory for error reports."""

import sys
import threading
from collections import defaultdict, deque
from pathlib import Path
from typing import IO

_TAIL = 100
_ROTATE_BYTES = 10 * 1024 * 1024


class LogBook:
    """Collects lines by function name.

    Args:
        folder: Where ``<function>.log`` files are appended to; files above 10 MB are moved to
            ``.log.1`` at the start.
        echo: Whether to print every line to standard error as well, with the function's name in
            front.
    """

    def __init__(self, folder: Path, *, echo: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.log"):
            if path.stat().st_size > _ROTATE_BYTES:
                path.replace(path.with_suffix(".log.1"))
        self.folder = folder
        self._echo = echo
        self._files: dict[str, IO[str]] = {}
        self._tails: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_TAIL))
        self._lock = threading.Lock()
        self._closed = False

    def write(self, function: str, line: str) -> None:
        """Append a line to a function's log; do nothing after ``close``."""
        with self._lock:
            if self._closed:
                return

            if function not in self._files:
                path = self.folder / f"{function}.log"
                self._files[function] = path.open(
                    "a", buffering=1, encoding="utf-8", errors="replace"
                )
            self._files[function].write(line + "\n")
            self._tails[function].append(line)
            if self._echo:
                print(f"[{function}] {line}", file=sys.stderr, flush=True)

    def tail(self, function: str, lines: int = 20) -> list[str]:
        """Return a function's last lines."""
        with self._lock:
            return list(self._tails[function])[-lines:]

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            for file in self._files.values():
                file.close()
            self._closed = True
