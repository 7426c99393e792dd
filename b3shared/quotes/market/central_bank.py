"""Fetches the CDI from the central bank: series 12 of its time series, in per cent a day."""

import json
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import urllib3

from b3shared.core.errors import InvalidMarketError, InvalidParameterError, UnreadableFileError
from b3shared.dataset.market import Daily
from b3shared.quotes.cotahist.download import ABSENT
from b3shared.quotes.market.cdi import NAME, rate_fault
from b3shared.quotes.market.csv_file import daily_of
from b3shared.quotes.web import Patience, WebClient

NEVER = "never"
"""The address of a deployment that asks for no rates."""

LONGEST_YEARS = 10
"""The bank answers for at most ten years at once."""

PER_CENT = 100.0


PATIENCE = Patience(
    attempts=3,
    connect_seconds=5.0,
    read_seconds=15.0,
    total_seconds=20.0,
    max_bytes=2_000_000,
)
"""Bounds of a request: ten years have about 120 kB."""

FETCH_SECONDS = 60.0
"""For all requests of a period, the waits that the bank asks for included."""

PAUSE_SECONDS = 1.0
"""Between two requests that succeed."""


class _NothingPublishedError(Exception):
    """The bank has no rate for a period; never leaves this module."""


class RateServer:
    """Asks the central bank, or a mirror, for the CDI, one request at a time.

    Args:
        address: http(s) address with ``{start}`` and ``{end}`` for the days.
        patience: bounds of every request.
        ca_bundle: see :class:`b3shared.quotes.web.WebClient`.
        sleep: waits some seconds.

    Raises:
        InvalidParameterError: The address has another form, or the CA bundle is none.
    """

    def __init__(
        self,
        address: str,
        patience: Patience = PATIENCE,
        *,
        ca_bundle: str = "",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        marks = (address.count("{start}"), address.count("{end}"), address.count("{"))
        if urlsplit(address).scheme not in ("http", "https") or marks != (1, 1, 2):
            raise InvalidParameterError(
                "address must be http(s)://... with {start} and {end} in it once each, "
                f"got {address!r}"
            )
        self._address = address
        self._sleep = sleep
        self._web = WebClient(patience, ca_bundle=ca_bundle, sleep=sleep)

    def fetch(self, first: date, last: date) -> Daily:
        """Fetch the rates of a period, ten years at a time; days that have none are left out.

        Raises:
            SourceUnavailableError: No answer in all attempts, or an unexpected status.
            UnreadableFileError: The answer is no list of rates, or too large.
            InvalidMarketError: A day or a rate of the answer is impossible. The message names it.
        """
        ends = time.monotonic() + FETCH_SECONDS
        values: dict[date, float] = {}

        for number, (start, end) in enumerate(spans(first, last)):
            if number:
                self._sleep(PAUSE_SECONDS)
            url = self._url(start, end)
            values |= parse_rates(self._get(url, ends), url, start, end)
        return daily_of(values, NAME, "the central bank")

    def _url(self, start: date, end: date) -> str:
        first, last = (quote(f"{day:%d/%m/%Y}", safe="/") for day in (start, end))
        return self._address.replace("{start}", first).replace("{end}", last)

    def _get(self, url: str, ends: float) -> bytes:
        """Return the body of an answer; that of an empty list where nothing is published."""
        within = max(ends - time.monotonic(), 0.0)
        try:
            return self._web.get(url, b"".join, check=_check_published, within=within)
        except _NothingPublishedError:
            return b"[]"


def _check_published(answer: urllib3.BaseHTTPResponse) -> None:
    """Raise where the bank says by its status that a period has no rate."""
    if answer.status in ABSENT:
        raise _NothingPublishedError


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
