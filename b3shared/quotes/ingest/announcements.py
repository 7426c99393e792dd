"""The step of an ingest that fetches the exchange's announcements: plans it, does a batch of it."""

import logging
import math
from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import batched
from typing import Any

import pandas as pd
from pydantic import BaseModel

from b3shared.core.clock import now
from b3shared.core.config import Settings
from b3shared.core.errors import InvalidParameterError, NoQuotesError, SourceUnavailableError
from b3shared.core.vocabulary import SHARES
from b3shared.quotes.corporate_actions.announcements.archive import read_index
from b3shared.quotes.corporate_actions.announcements.calls import Company, is_issuer
from b3shared.quotes.corporate_actions.announcements.fetch import (
    FetchResult,
    Progress,
    due_companies,
    fetch_companies,
)
from b3shared.quotes.corporate_actions.announcements.server import CompanyServer
from b3shared.quotes.ingest.announcements_request import AnnouncementsRequest, NamedCompany
from b3shared.quotes.ingest.failures import not_asked, shortened, shortened_sentences
from b3shared.quotes.instruments import instrument_of
from b3shared.quotes.lake.lake import LAKE
from b3shared.quotes.sources.lake import LakeSource
from b3shared.storage import Storage, open_storage

BATCH = 40
"""Companies that one call of the function fetches: about four minutes at its share of the pace."""

CONCURRENCY = 2
"""Batches at once. Each has its share of the pace, so that together they keep it."""

RESERVE_SECONDS = 330.0
"""With less time left a function begins no other company."""

EVENING = timedelta(hours=1)
"""After the plan. A batch begins no company later: predictions wait for the announcements."""

FAILURES_SHOWN = 10
"""Failures that a batch names. An execution's state has at most 256 KiB for all batches."""

FINDINGS_SHOWN = 20
"""Findings of the plan that are passed on."""

ROOT = r"^[A-Z0-9]{4}"

_LOG = logging.getLogger(__name__)


class Plan(BaseModel):
    """Who is to be asked for.

    Attributes:
        companies: that are due, by root.
        not_listed: roots that were asked for and are not in the exchange's list.
        twice: roots that the list has twice, with both names; they are not asked for.
        reason: why there is nothing to do; empty otherwise.
    """

    companies: list[NamedCompany] = []
    not_listed: list[str] = []
    twice: list[str] = []
    reason: str = ""

    def listed(self) -> list[Company]:
        """Return the companies that are due."""
        return [Company(**company.model_dump()) for company in self.companies]

    def findings(self) -> list[str]:
        """Return sentences for a person: who is not asked for, and why."""
        absent = "not in the exchange's list of companies; what is kept of it stays"
        return [*(f"{issuer}: {absent}" for issuer in self.not_listed), *self.twice]


def plan_announcements(
    settings: Settings,
    issuers: Iterable[str] = (),
    server: CompanyServer | None = None,
    within: float = math.inf,
) -> Plan:
    """Return which companies are to be asked for: those of the lake's shares that are due.

    Args:
        settings: of the deployment.
        issuers: roots that are asked for by name; then only these, however new their answers.
        server: to ask; by default that of the settings.
        within: seconds for the list.

    Raises:
        InvalidParameterError: A root is none.
        SourceUnavailableError: The list cannot be fetched.
        InvalidAnnouncementsError: The list is none, or incomplete.
    """
    named = list(dict.fromkeys(issuer.upper() for issuer in issuers))
    if wrong := [issuer for issuer in named if not is_issuer(issuer)]:
        raise InvalidParameterError(
            f"company must be the root of tickers such as PETR, got {', '.join(map(repr, wrong))}"
        )
    storage = open_storage(settings.storage)
    try:
        roots = named or share_roots(LakeSource(f"{storage.url}/{LAKE}"))
    except NoQuotesError as error:
        return Plan(reason=error.message)

    server = server or company_server(settings)
    listed: dict[str, list[Company]] = {}
    for company in server.companies(within):
        listed.setdefault(company.issuer, []).append(company)
    found = [listed[root] for root in roots if root in listed]
    single = [companies[0] for companies in found if len(set(companies)) == 1]
    twice = [_twice(companies) for companies in found if len(set(companies)) > 1]

    due = single if named else due_companies(single, read_index(storage), settings.companies_days)
    return Plan(
        companies=[NamedCompany(**company.to_json()) for company in due],
        not_listed=[issuer for issuer in named if issuer not in listed],
        twice=twice,
    )


def perform_announcements(
    request: AnnouncementsRequest,
    settings: Settings,
    seconds_left: Callable[[], float] = lambda: math.inf,
) -> dict[str, Any]:
    """Do what a request of the state machine asks for: make the plan, or fetch a batch of it.

    Args:
        request: one of both.
        settings: of the deployment.
        seconds_left: returns the function's remaining time.

    Returns:
        Of a plan ``{"batches": [{"companies": [...], "until"}, ...], "findings", "reason"}``,
        without ``until`` where roots are named. Of a batch
        ``{"status": "done" | "partial", "request", "failed", "fetched"}``, where ``request`` is
        what is left. A batch is done, with a failure, when the server is down or its time is over.

    Raises:
        SourceUnavailableError: The list of companies cannot be fetched, or the storage does not
            answer.
        B3Error: The list of companies cannot be read.
    """
    if request.companies is None:
        return _batches_of_plan(request, settings, seconds_left)

    storage = open_storage(settings.storage)
    companies = _unanswered(request, storage)
    if _evening_left(request) <= 0:
        return _done(0, _no_time(len(companies)), request.failed)
    try:
        result = fetch_companies(
            storage,
            company_server(settings, settings.companies_pace / CONCURRENCY),
            companies,
            seconds_left=lambda: min(seconds_left(), _evening_left(request) + RESERVE_SECONDS),
            reserve=RESERVE_SECONDS,
            in_a_row=request.in_a_row,
        )
    except SourceUnavailableError as error:
        if "not_asked" not in error.details:  # the storage is unavailable: a later try may succeed
            raise
        down = not_asked(error.details["not_asked"], error.code, "the server is down for")
        return _done(error.details["fetched"], down, _logged(request, error.details["failed"]))

    failed = _logged(request, result.failures())
    fetched = len(result.fetched)
    if not result.left or _evening_left(request) <= 0:
        return _done(fetched, _no_time(len(result.left)), failed)
    return _partial(request, fetched, result, shortened(failed, FAILURES_SHOWN))


def fetch_announcements(
    settings: Settings, issuers: Iterable[str] = (), progress: Progress = lambda message: None
) -> tuple[Plan, FetchResult]:
    """Fetch all that is due, or the named companies, in one go.

    Raises:
        SourceUnavailableError: The server is down; what was fetched before is kept.
        B3Error: See :func:`plan_announcements`.
    """
    server = company_server(settings)
    progress({"step": "announcements", "phase": "list of companies"})
    plan = plan_announcements(settings, issuers, server)
    storage = open_storage(settings.storage)
    return plan, fetch_companies(storage, server, plan.listed(), progress=progress)


def company_server(settings: Settings, pace: float | None = None) -> CompanyServer:
    """Return the server of the settings; a pace of its own may be given."""
    pace = settings.companies_pace if pace is None else pace
    return CompanyServer(settings.companies_address, pace, settings.ca_bundle)


def share_roots(lake: LakeSource) -> list[str]:
    """Return the roots of a lake's tickers that are shares or units, sorted.

    A ticker of unknown kind counts as a share if it has the form of one.

    Raises:
        NoQuotesError: The lake is empty.
    """
    papers = lake.papers()
    kinds = instrument_of(papers["bdi_code"], papers["type"], papers["ticker"])
    shaped = papers["ticker"].str.fullmatch(r"[A-Z0-9]{4}(?:3|4|5|6|7|8|11)")
    shares = papers["ticker"][kinds.isin(SHARES) | (kinds.isna() & shaped)]
    roots: pd.Series = shares.str.extract(f"({ROOT})", expand=False).dropna()
    return sorted(set(roots))


def _twice(companies: list[Company]) -> str:
    names = " and ".join(f"{company.trading_name} ({company.code_cvm})" for company in companies)
    return f"{companies[0].issuer}: the exchange's list has it as {names}; neither is asked for"


def _batches_of_plan(
    request: AnnouncementsRequest, settings: Settings, seconds_left: Callable[[], float]
) -> dict[str, Any]:
    plan = plan_announcements(settings, request.issuers, within=seconds_left())
    limit = {} if request.issuers else {"until": (now() + EVENING).isoformat()}
    batches = [
        {"companies": [company.model_dump() for company in batch]} | limit
        for batch in batched(plan.companies, BATCH)
    ]

    findings = shortened_sentences(plan.findings(), FINDINGS_SHOWN)
    return {"batches": batches, "findings": findings, "reason": plan.reason}


def _unanswered(request: AnnouncementsRequest, storage: Storage) -> list[Company]:
    """Return a batch's companies without those that were answered since the plan was made.

    A function that was killed is called again from the batch's first company.
    """
    companies = [Company(**company.model_dump()) for company in request.companies or []]
    if request.until is None:
        return companies

    planned = request.until - EVENING
    index = read_index(storage)
    times = {issuer: entry.fetched for issuer, entry in index.items() if entry.fetched}
    return [
        company
        for company in companies
        if company.issuer not in times or times[company.issuer] < planned
    ]


def _evening_left(request: AnnouncementsRequest) -> float:
    """Return the seconds until a request's deadline."""
    return math.inf if request.until is None else (request.until - now()).total_seconds()


def _logged(request: AnnouncementsRequest, failed: list[dict[str, str]]) -> list[dict[str, str]]:
    """Log a slice's failures in full, and return them after those of the slices before."""
    for failure in failed:
        _LOG.warning("%(issuer)s could not be fetched: %(code)s: %(message)s", failure)
    return request.failed + failed


def _no_time(companies: int) -> list[dict[str, str]]:
    return not_asked(companies, "NO_TIME", "no time for")


def _done(
    fetched: int, first: list[dict[str, str]], failed: list[dict[str, str]]
) -> dict[str, Any]:
    """Return the answer of a batch that is over; what concerns many companies is named first."""
    told = first + shortened(failed, FAILURES_SHOWN)
    return {"status": "done", "fetched": fetched, "failed": told, "request": {}}


def _partial(
    request: AnnouncementsRequest,
    fetched: int,
    result: FetchResult,
    failed: list[dict[str, str]],
) -> dict[str, Any]:
    rest: dict[str, Any] = {
        "companies": [company.to_json() for company in result.left],
        "failed": failed,
        "in_a_row": result.in_a_row,
    }
    rest |= {} if request.until is None else {"until": request.until.isoformat()}
    return {"status": "partial", "fetched": fetched, "failed": failed, "request": rest}
