"""Asks the exchange about listed companies: politely, page by page, with checked answers."""

import math
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import urllib3

from b3shared.core.clock import now
from b3shared.core.errors import SourceUnavailableError
from b3shared.quotes.corporate_actions.announcements.answers import (
    ALL_COMPANIES,
    check_answer,
    companies_of,
    decode,
    joined,
    page_head,
)
from b3shared.quotes.corporate_actions.announcements.archive import Answer
from b3shared.quotes.corporate_actions.announcements.calls import (
    PAGED,
    Call,
    Company,
    check_address,
    question,
    url_of,
)
from b3shared.quotes.corporate_actions.announcements.values import Field
from b3shared.quotes.web import RETRIED, Pace, Patience, WebClient, check_no_web_page

MAX_PAGES = 200
"""Pages of an answer that are asked for: more records than any company or list has."""

PATIENCE = Patience(
    attempts=4,
    read_seconds=30.0,
    total_seconds=60.0,
    full_jitter=True,
    max_bytes=20_000_000,
    retried=RETRIED | frozenset(range(520, 528)),
)
"""Bounds of a request; 520 to 527 are those of the network in front of the exchange's server."""


class CompanyServer:
    """Asks the exchange, or a mirror, one request after the other.

    Args:
        address: with ``{call}`` and ``{query}`` in it.
        pace: requests a second.
        ca_bundle: see :class:`b3shared.quotes.web.WebClient`.
        patience: bounds of every request.
        sleep: waits some seconds.
        clock: seconds that only grow.
        draw: returns a number between two, for the jitter.

    Raises:
        InvalidParameterError: The address or the CA bundle is no such thing.
    """

    def __init__(
        self,
        address: str,
        pace: float = 1.0,
        ca_bundle: str = "",
        *,
        patience: Patience = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        check_address(address)
        self._address = address
        self._clock = clock
        self._client = WebClient(
            patience,
            ca_bundle=ca_bundle,
            pace=Pace(pace, clock, sleep),
            sleep=sleep,
            clock=clock,
            draw=draw,
        )

    def companies(self, within: float = math.inf) -> list[Company]:
        """Return all listed companies.

        Args:
            within: seconds for all pages and attempts.

        Raises:
            SourceUnavailableError: No complete answer in all attempts, or in that time.
            InvalidAnnouncementsError: The answer is no such list, or incomplete.
        """
        return companies_of(self._pages(Call.LIST, None, within))

    def ask(self, call: Call, company: Company, within: float = math.inf) -> Answer:
        """Return the complete answer of a call about a company.

        Args:
            call: SUPPLEMENT, CASH or DETAILS.
            company: from the list.
            within: seconds for all pages and attempts.

        Raises:
            SourceUnavailableError: No complete answer in all attempts, or in that time.
            InvalidAnnouncementsError: The answer is no such answer, incomplete or unreadable.
            InvalidParameterError: The company lacks what the call needs.
        """
        pages = self._pages(call, company, within)
        check_answer(call, company.issuer, pages)
        return Answer(call, asked_name(call, company), pages, now())

    def _pages(self, call: Call, company: Company | None, within: float) -> list[Any]:
        """Return the JSON value of each page of an answer."""
        field = Field(ALL_COMPANIES if company is None else company.issuer, call)
        ends = self._clock() + within
        pages = [self._page(call, company, 1, field, within)]
        if call not in PAGED:
            return pages

        count = page_head(pages[0], field).pages
        if count > MAX_PAGES:
            raise field.of("page.totalPages").error(f"at most {MAX_PAGES}", count)
        for number in range(2, count + 1):
            pages.append(self._page(call, company, number, field, ends - self._clock()))
        joined(pages, field)
        return pages

    def _page(
        self, call: Call, company: Company | None, number: int, field: Field, within: float
    ) -> Any:
        url = url_of(self._address, call, question(call, company, number))
        if within <= 0:
            raise SourceUnavailableError(f"{url}: no time is left to ask", url=url)

        def check(answer: urllib3.BaseHTTPResponse) -> None:
            check_no_web_page(answer, lambda kind: field.error("JSON, not a web page", kind))

        def read(pieces: Iterator[bytes]) -> Any:
            return decode(b"".join(pieces), field)

        return self._client.get(url, read, check=check, within=within)


def asked_name(call: Call, company: Company) -> str:
    """Return by which of its names a company is asked for."""
    return {
        Call.CASH: company.trading_name,
        Call.SUPPLEMENT: company.issuer,
        Call.DETAILS: company.code_cvm,
    }[call]
