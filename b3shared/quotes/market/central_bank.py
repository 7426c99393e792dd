"""Fetches the CDI from the central bank: series 12 of its time series, in per cent a day."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

from b3shared.core.errors import (
    InvalidMarketError,
    InvalidParameterError,
    SourceUnavailableError,
    UnreadableFileError,
)
from b3shared.dataset.market import Daily
from b3shared.quotes.cotahist.download import ABSENT, RETRIED, USER_AGENT
from b3shared.quotes.market.cdi import NAME, rate_fault
from b3shared.quotes.market.csv_file import daily_of

NEVER = "never"
"""The address of a deployment that asks for no rates."""

LONGEST_YEARS = 10
"""The bank answers for at most ten years at once."""

PER_CENT = 100.0
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Patience:
    """Bounds of a request.

    Attributes:
        attempts: how often it is tried.
        connect_seconds: to get a connection.
        read_seconds: between two pieces of the answer.
        total_seconds: for one attempt, so that a server that drips does not hold the caller.
        backoff_seconds: before the second attempt; doubles from there.
        pause_seconds: between two requests that succeed.
        max_bytes: of an answer; ten years have about 120 kB.
    """

    attempts: int = 3
    connect_seconds: float = 5.0
    read_seconds: float = 15.0
    total_seconds: float = 20.0
    backoff_seconds: float = 2.0
    pause_seconds: float = 1.0
    max_bytes: int = 2_000_000


class RateServer:
    """Asks the central bank, or a mirror, for the CDI, one request at a time.

    Args:
        address: http(s) address with ``{start}`` and ``{end}`` for the days.
        patience: bounds of every request.
        sleep: waits some seconds.

    Raises:
        InvalidParameterError: The address has another form.
    """

    def __init__(
        self,
        address: str,
        patience: Patience = Patience(),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        marks = (address.count("{start}"), address.count("{end}"), address.count("{"))
        if urlsplit(address).scheme not in ("http", "https") or marks != (1, 1, 2):
            raise InvalidParameterError(
                "address must be http(s)://... with {start} and {end} in it once each, "
                f"got {address!r}"
            )
        self._address = address
        self._patience = patience
        self._sleep = sleep
        self._pool = urllib3.PoolManager(
            maxsize=1, block=True, retries=False, headers={"User-Agent": USER_AGENT}
        )

    def fetch(self, first: date, last: date) -> Daily:
        """Fetch the rates of a period, ten years at a time; days that have none are left out.

        Raises:
            SourceUnavailableError: No answer in all attempts, or an unexpected status.
            UnreadableFileError: The answer is no list of rates, or too large.
            InvalidMarketError: A day or a rate of the answer is impossible. The message names it.
        """
        values: dict[date, float] = {}
        for number, (start, end) in enumerate(spans(first, last)):
            if number:
                self._sleep(self._patience.pause_seconds)
            url = self._url(start, end)
            values |= parse_rates(self._get(url), url, start, end)
        return daily_of(values, NAME, "the central bank")

    def _url(self, start: date, end: date) -> str:
        first, last = (quote(f"{day:%d/%m/%Y}", safe="/") for day in (start, end))
        return self._address.replace("{start}", first).replace("{end}", last)

    def _get(self, url: str) -> bytes:
        """Return the body of an answer; that of an empty list where nothing is published."""
        for attempt in range(1, self._patience.attempts + 1):
            try:
                status, body = self._attempt(url)
            except (HTTPError, TimeoutError) as error:
                reason = f"{type(error).__name__}: {error}"
            else:
                if status == 200:
                    return body
                if status in ABSENT:  # so it says that a period has no rate
                    return b"[]"
                reason = f"status {status}"
                if status not in RETRIED:
                    raise SourceUnavailableError(
                        f"{url}: {reason}, where 200 was expected", url=url
                    )

            if attempt < self._patience.attempts:
                self._sleep(self._patience.backoff_seconds * 2 ** (attempt - 1))
        raise SourceUnavailableError(f"{url}: {reason} (attempt {attempt})", url=url)

    def _attempt(self, url: str) -> tuple[int, bytes]:
        """Ask once; return status and body."""
        patience = self._patience
        began = time.monotonic()
        answer = self._pool.request(
            "GET",
            url,
            preload_content=False,
            timeout=Timeout(connect=patience.connect_seconds, read=patience.read_seconds),
        )

        body = b""
        try:
            # read1 returns what has arrived; read would wait for a whole chunk
            while piece := answer.read1(_CHUNK):
                body += piece
                if len(body) > patience.max_bytes:
                    raise UnreadableFileError(
                        f"{url}: more than {patience.max_bytes:,} bytes are no list of rates",
                        url=url,
                    )
                if time.monotonic() - began > patience.total_seconds:
                    raise TimeoutError(f"not done after {patience.total_seconds:.0f} s")
        finally:
            answer.close()  # what is left of it is not read
            answer.release_conn()
        return answer.status, body


def spans(first: date, last: date) -> list[tuple[date, date]]:
    """Cut a period into spans of at most ten years, both ends included."""
    found = []
    while first <= last:
        # the last day but one of ten years, so that 29 February needs no care
        end = min(last, first + timedelta(days=365 * LONGEST_YEARS))
        found.append((first, end))
        first = end + timedelta(days=1)
    return found


def parse_rates(body: bytes, url: str, start: date, end: date) -> dict[date, float]:
    """Read an answer: a list of ``{"data": "02/01/2014", "valor": "0.037553"}``, in per cent a day.

    Args:
        body: of the answer.
        url: for errors.
        start: first day that was asked for; a rate of a day before, or after ``end``, is a fault.
        end: last day that was asked for.

    Returns:
        Day -> rate, a fraction.

    Raises:
        UnreadableFileError: It is no such list.
        InvalidMarketError: A day or rate is impossible.
    """
    try:
        rows = json.loads(body)
        pairs = [(row["data"], row["valor"]) for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableFileError(
            f"{url} answers with something else than a list of rates: {body[:60]!r}", url=url
        ) from error

    rates: dict[date, float] = {}
    for number, (day_text, value) in enumerate(pairs, 1):
        day, rate = _parse_row(day_text, value, f"{url}, row {number}")
        if not start <= day <= end or day in rates:
            raise InvalidMarketError(
                f"{url}, row {number}: data must be a day from {start} to {end} that stands once, "
                f"got {day_text!r}"
            )
        rates[day] = rate
    return rates


def _parse_row(day_text: Any, value: Any, where: str) -> tuple[date, float]:
    try:
        day = datetime.strptime(str(day_text), "%d/%m/%Y").date()
    except ValueError:
        raise InvalidMarketError(
            f"{where}: data must be a date such as 02/01/2014, got {day_text!r}"
        ) from None

    try:
        rate = float(str(value)) / PER_CENT
    except ValueError:
        rate = -1.0
    if rate_fault(rate) is not None:
        raise InvalidMarketError(
            f"{where}: valor must be per cent a day, such as '0.037553', got {value!r}"
        )
    return day, rate
