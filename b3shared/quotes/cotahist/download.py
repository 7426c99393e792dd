"""Downloads files from the exchange's address over one connection.

Attempts are few and pause in between, size and time are bounded, and the content is checked.
"""

import math
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, SSLError
from urllib3.util import Retry, Timeout

from b3shared.core.errors import (
    InvalidParameterError,
    NotPublishedError,
    SourceUnavailableError,
    UnreadableFileError,
)
from b3shared.core.tempdir import no_space
from b3shared.quotes.cotahist.periods import Period, period_name

USER_AGENT = (
    "b3-asset-predict/0.1 (daily quotes for a self-hosted forecaster; one request at a time)"
)
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which another attempt may help."""

ABSENT = frozenset({404, 410})
"""Statuses of a file that is not published."""

_STARTS = {b"PK\x03\x04": "zip", b"\x1f\x8b": "gzip", b"00": "COTAHIST text"}
_CHUNK = 1 << 18
_LEAST_SECONDS = 0.01  # a timeout must be positive
_REDIRECTS = Retry(total=3, connect=0, read=0, other=0, respect_retry_after_header=False)


@dataclass(frozen=True)
class Patience:
    """Bounds of a download.

    Attributes:
        attempts: how often it is tried.
        connect_seconds: to get a connection.
        read_seconds: between two pieces of the answer.
        total_seconds: for one attempt, so that a server that drips does not hold the caller; a
            caller may have less.
        backoff_seconds: before the second attempt; doubles from there.
        longest_wait: what a server may ask for with Retry-After; beyond that it is given up.
        max_bytes: of the file as it is sent. The largest annual files have about 100 MB.
    """

    attempts: int = 4
    connect_seconds: float = 10.0
    read_seconds: float = 60.0
    total_seconds: float = 600.0
    backoff_seconds: float = 2.0
    longest_wait: float = 120.0
    max_bytes: int = 500_000_000


class QuoteServer:
    """Where the exchange (or a mirror) publishes its files.

    Args:
        address: http(s) address with ``{period}`` in place of A2020, M012020 or D02012020.
        patience: bounds of every download.
        sleep: waits some seconds.
    """

    def __init__(
        self,
        address: str,
        patience: Patience = Patience(),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        is_web = urlsplit(address).scheme in ("http", "https")
        if not is_web or address.count("{") != 1 or "{period}" not in address:
            raise InvalidParameterError(
                f"address must be http(s)://... with {{period}} in it once, got {address!r}"
            )
        self._address = address
        self._patience = patience
        self._sleep = sleep
        self._pool = urllib3.PoolManager(
            maxsize=1, block=True, retries=False, headers={"User-Agent": USER_AGENT}
        )

    def url(self, period: Period) -> str:
        """Return the address of the file of a period."""
        return self._address.replace("{period}", period_name(period))

    def download(self, period: Period, folder: Path, within: float = math.inf) -> Path:
        """Fetch the file of a period into a folder.

        Args:
            period: a year, a month or a day.
            folder: where to.
            within: seconds for all attempts and the waits between them.

        Returns:
            The path of the file.

        Raises:
            NotPublishedError: The server has no such file: a day without a session, or not there
                yet.
            SourceUnavailableError: No complete answer in all attempts, or in that time.
            UnreadableFileError: The answer is no such file: a web page, another type, too large.
        """
        url = self.url(period)
        # the reader checks the content against the period in this name
        path = folder / f"COTAHIST_{period_name(period)}.ZIP"
        ends = time.monotonic() + within
        for attempt in range(1, self._patience.attempts + 1):
            try:
                return self._attempt(url, path, ends - time.monotonic())
            except _PassingError as error:
                wait = error.wait
                if wait is None:
                    wait = self._patience.backoff_seconds * 2 ** (attempt - 1)
                late = time.monotonic() + wait >= ends
                if attempt == self._patience.attempts or wait > self._patience.longest_wait or late:
                    asked = "" if error.wait is None else f"; it asks to wait {error.wait:.0f} s"
                    asked += f"; no time for another in {within:.0f} s" if late else ""
                    raise SourceUnavailableError(
                        f"{url}: {error} (attempt {attempt}{asked})", url=url
                    ) from error
                self._sleep(wait)
        raise AssertionError("there is at least one attempt")

    def _attempt(self, url: str, path: Path, within: float) -> Path:
        """Fetch the file once; a _PassingError means that another attempt may help."""
        patience = self._patience
        seconds = max(min(patience.total_seconds, within), _LEAST_SECONDS)
        began = time.monotonic()
        timeout = Timeout(
            connect=min(patience.connect_seconds, seconds),
            read=min(patience.read_seconds, seconds),
        )

        try:
            answer = self._pool.request(
                "GET",
                url,
                preload_content=False,
                redirect=True,
                retries=_REDIRECTS,
                timeout=timeout,
            )
        except SSLError as error:
            raise SourceUnavailableError(
                f"{url}: no trusted connection: {error}", url=url
            ) from error
        except HTTPError as error:
            raise _PassingError(_described(error)) from error

        try:
            self._check(answer, url)
            with path.open("wb") as file:
                self._receive(answer, file, url, began, seconds)
            return path
        except (HTTPError, ssl.SSLError, OSError) as error:
            path.unlink(missing_ok=True)
            if no_space(error):
                raise  # no fault of the server's
            raise _PassingError(_described(error)) from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            answer.close()  # what is left of it is not read
            answer.release_conn()

    def _check(self, answer: urllib3.BaseHTTPResponse, url: str) -> None:
        """Check the status, the type and the announced size of an answer."""
        if answer.status in ABSENT:
            raise NotPublishedError(
                f"{url} is not there ({answer.status}): no session, or not published yet", url=url
            )
        if answer.status in RETRIED:
            raise _PassingError(f"status {answer.status}", Retry().get_retry_after(answer))
        if answer.status != 200:
            raise SourceUnavailableError(
                f"{url}: status {answer.status}, where 200 was expected", url=url
            )
        kind = answer.headers.get("Content-Type", "").split(";")[0].strip().lower()
        if kind in ("text/html", "application/xhtml+xml"):
            raise UnreadableFileError(
                f"{url} answers with a web page ({kind}), not with a file of quotes", url=url
            )
        self._check_size(_announced(answer) or 0, url)

    def _receive(
        self,
        answer: urllib3.BaseHTTPResponse,
        file: BinaryIO,
        url: str,
        began: float,
        seconds: float,
    ) -> None:
        """Write the content of an answer to a file, within its bounds."""
        size = 0
        announced = _announced(answer)
        # read1 returns what has arrived; read would wait for a whole chunk
        while piece := answer.read1(_CHUNK, decode_content=False):
            if size == 0:
                _check_start(piece, url)
            size += len(piece)
            self._check_size(size, url)
            file.write(piece)
            if time.monotonic() - began > seconds:
                raise _PassingError(f"not done after {seconds:.0f} s, {size:,} bytes came")
        if size == 0:
            raise _PassingError("an empty answer")
        if announced is not None and size != announced:
            raise _PassingError(f"cut off after {size:,} of {announced:,} bytes")

    def _check_size(self, size: int, url: str) -> None:
        if size > self._patience.max_bytes:
            raise UnreadableFileError(
                f"{url}: {size:,} bytes and more; at most {self._patience.max_bytes:,} are allowed",
                url=url,
            )


class _PassingError(Exception):
    """An attempt failed in a way that may pass; never leaves this module."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def _check_start(piece: bytes, url: str) -> None:
    if not piece.startswith(tuple(_STARTS)):
        is_page = piece.lstrip()[:1] == b"<"
        what = "a web page" if is_page else f"a file that begins with {piece[:8]!r}"
        raise UnreadableFileError(
            f"{url} answers with {what}; {', '.join(_STARTS.values())} are allowed", url=url
        )


def _announced(answer: urllib3.BaseHTTPResponse) -> int | None:
    """Return the size that the answer's header states; None without one."""
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
