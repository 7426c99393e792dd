"""Fetches answers over HTTP: paced, retried with growing pauses, bounded in size and time."""

import math
import random
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError, MaxRetryError, SSLError
from urllib3.util import Retry, Timeout

from b3shared.core import errors
from b3shared.core.errors import B3Error, SourceUnavailableError, UnreadableFileError
from b3shared.core.tempdir import no_space

USER_AGENT = "b3-asset-predict/0.1 (self-hosted forecaster; one request at a time)"
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which another attempt may help."""

_WEB_PAGES = ("text/html", "application/xhtml+xml")
_CHUNK = 1 << 18
_LEAST_SECONDS = 0.01  # a timeout must be positive
_REDIRECTS = Retry(total=3, connect=0, read=0, other=0, respect_retry_after_header=False)


@dataclass(frozen=True)
class Patience:
    """Bounds of a request and its attempts.

    Attributes:
        attempts: how often it is tried.
        connect_seconds: to get a connection.
        read_seconds: between two pieces of the answer.
        total_seconds: for the content of one attempt, so that a server that drips does not hold the
            caller; a caller may have less. Each piece of the headers has ``read_seconds``.
        backoff_seconds: before the second attempt; doubles from there.
        full_jitter: whether a pause is drawn between 0 and that.
        longest_wait: what a server may ask for with Retry-After; beyond that it is given up.
        max_bytes: of the answer as it is sent. The largest annual files have about 100 MB.
        retried: statuses after which another attempt may help.
    """

    attempts: int = 4
    connect_seconds: float = 10.0
    read_seconds: float = 60.0
    total_seconds: float = 600.0
    backoff_seconds: float = 2.0
    full_jitter: bool = False
    longest_wait: float = 120.0
    max_bytes: int = 500_000_000
    retried: frozenset[int] = RETRIED


class PassingError(Exception):
    """An attempt failed in a way that may pass; never leaves :meth:`WebClient.get`."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Pace:
    """Keeps requests apart.

    Args:
        per_second: requests; infinity for no limit.
        clock: seconds that only grow.
        sleep: waits some seconds.
    """

    def __init__(
        self,
        per_second: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._seconds = 1 / per_second
        self._clock = clock
        self._sleep = sleep
        self._next = -math.inf

    def wait(self) -> None:
        """Wait until the next request may be sent."""
        now = self._clock()
        if self._next > now:
            self._sleep(self._next - now)
        self._next = max(self._next, now) + self._seconds


class WebClient:
    """Fetches one URL at a time over one connection.

    Args:
        patience: bounds of every request.
        ca_bundle: path of a PEM file whose certificates are trusted instead of the machine's;
            empty for the machine's.
        pace: of the requests, attempts included.
        sleep: waits some seconds.
        clock: seconds that only grow.
        draw: returns a number between two, for the jitter.

    Raises:
        InvalidParameterError: The CA bundle is missing, or no PEM file of certificates.
    """

    def __init__(
        self,
        patience: Patience = Patience(),
        *,
        ca_bundle: str = "",
        pace: Pace | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._patience = patience
        self._pace = pace or Pace()
        self._sleep = sleep

        self._clock = clock
        self._draw = draw
        self._pool = urllib3.PoolManager(
            maxsize=1,
            block=True,
            retries=False,
            headers={"User-Agent": USER_AGENT},
            **_trust(ca_bundle),
        )

    def get[T](
        self,
        url: str,
        read: Callable[[Iterator[bytes]], T],
        *,
        check: Callable[[urllib3.BaseHTTPResponse], None] = lambda answer: None,
        within: float = math.inf,
    ) -> T:
        """Return what ``read`` makes of the answer's content.

        Args:
            url: http(s).
            read: takes the pieces of the content as they arrive; called once per attempt. A
                :class:`PassingError` of it leads to another attempt.
            check: looks at status and headers first, and raises where the answer is not wanted.
            within: seconds for all attempts and the waits between them.

        Raises:
            SourceUnavailableError: No complete answer in all attempts, or in that time.
            UnreadableFileError: The answer is too large.
            B3Error: Of ``read`` and ``check``.
        """
        ends = self._clock() + within

        for attempt in range(1, self._patience.attempts + 1):
            try:
                self._pace.wait()
                return self._attempt(url, read, check, ends - self._clock())
            except PassingError as error:
                wait = self._wait_before_next(error, attempt)
                late = self._clock() + wait >= ends
                if attempt == self._patience.attempts or wait > self._patience.longest_wait or late:
                    asked = "" if error.wait is None else f"; it asks to wait {error.wait:.0f} s"
                    asked += f"; no time for another in {within:.0f} s" if late else ""
                    raise SourceUnavailableError(
                        f"{url}: {error} (attempt {attempt}{asked})", url=url
                    ) from error
                self._sleep(wait)
        raise AssertionError("there is at least one attempt")

    def _wait_before_next(self, error: PassingError, attempt: int) -> float:
        if error.wait is not None:
            return error.wait
        longest = self._patience.backoff_seconds * 2 ** (attempt - 1)
        return self._draw(0.0, longest) if self._patience.full_jitter else longest

    def _attempt[T](
        self,
        url: str,
        read: Callable[[Iterator[bytes]], T],
        check: Callable[[urllib3.BaseHTTPResponse], None],
        within: float,
    ) -> T:
        """Fetch once; a PassingError means that another attempt may help."""
        patience = self._patience
        seconds = max(min(patience.total_seconds, within), _LEAST_SECONDS)
        began = self._clock()
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
        except HTTPError as error:
            if (distrust := _distrust(error)) is not None:
                raise SourceUnavailableError(
                    f"{url}: no trusted connection: {distrust}; "
                    "B3_CA_BUNDLE may name a PEM file of certificates to trust",
                    url=url,
                ) from error
            raise PassingError(_described(error)) from error

        try:
            self._check_status(answer, url, check)
            return read(self._pieces(answer, url, began, seconds))
        except (HTTPError, ssl.SSLError, OSError) as error:
            if no_space(error):
                raise  # no fault of the server's
            raise PassingError(_described(error)) from error
        finally:
            answer.close()  # what is left of it is not read
            answer.release_conn()

    def _check_status(
        self,
        answer: urllib3.BaseHTTPResponse,
        url: str,
        check: Callable[[urllib3.BaseHTTPResponse], None],
    ) -> None:
        if answer.status in self._patience.retried:
            raise PassingError(f"status {answer.status}", Retry().get_retry_after(answer))
        check(answer)
        if answer.status != 200:
            raise SourceUnavailableError(
                f"{url}: status {answer.status}, where 200 was expected", url=url
            )
        self._check_size(_announced(answer) or 0, url)

    def _pieces(
        self, answer: urllib3.BaseHTTPResponse, url: str, began: float, seconds: float
    ) -> Iterator[bytes]:
        """Yield the content of an answer as it arrives, within its bounds."""
        size = 0
        announced = _announced(answer)
        # read1 returns what has arrived; read would wait for a whole chunk
        while piece := answer.read1(_CHUNK, decode_content=False):
            size += len(piece)
            self._check_size(size, url)
            yield piece
            if self._clock() - began > seconds:
                raise PassingError(f"not done after {seconds:.0f} s, {size:,} bytes came")
        if announced is not None and size != announced:
            raise PassingError(f"cut off after {size:,} of {announced:,} bytes")

    def _check_size(self, size: int, url: str) -> None:
        if size > self._patience.max_bytes:
            raise UnreadableFileError(
                f"{url}: {size:,} bytes and more; at most {self._patience.max_bytes:,} are allowed",
                url=url,
            )


def check_no_web_page(answer: urllib3.BaseHTTPResponse, error: Callable[[str], B3Error]) -> None:
    """Raise an error of the type of an answer's content if that is a web page."""
    kind = answer.headers.get("Content-Type", "").split(";")[0].strip().lower()
    if answer.status == 200 and kind in _WEB_PAGES:
        raise error(kind)


def _trust(ca_bundle: str) -> dict[str, Any]:
    """Return the pool's arguments for a CA bundle."""
    if not ca_bundle:
        return {}
    try:
        return {"ssl_context": ssl.create_default_context(cafile=ca_bundle)}
    except OSError as error:  # SSLError is one
        raise errors.InvalidParameterError(
            "B3_CA_BUNDLE must be the path of a PEM file of certificates, "
            f"got {ca_bundle!r}: {error.strerror or error}"
        ) from error


def _distrust(error: HTTPError) -> ssl.SSLCertVerificationError | None:
    """Return why a server's certificate is not trusted; None for any other error."""
    reason = error.reason if isinstance(error, MaxRetryError) else error
    cause = reason.args[0] if isinstance(reason, SSLError) and reason.args else None
    return cause if isinstance(cause, ssl.SSLCertVerificationError) else None


def _announced(answer: urllib3.BaseHTTPResponse) -> int | None:
    """Return the size that the answer's header states; None without one."""
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
