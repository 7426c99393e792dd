"""Fetches the answers about companies that are due; one that fails does not stop the others."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from b3shared.core.clock import day_of, now, today
from b3shared.core.errors import B3Error, ConflictError, SourceUnavailableError
from b3shared.quotes.corporate_actions.announcements.answers import rows_of
from b3shared.quotes.corporate_actions.announcements.archive import (
    Answer,
    IndexEntry,
    keep_answers,
    read_index,
)
from b3shared.quotes.corporate_actions.announcements.calls import Call, Company
from b3shared.quotes.corporate_actions.announcements.server import CompanyServer
from b3shared.quotes.corporate_actions.announcements.values import Field
from b3shared.storage import Storage

DOWN_AFTER = 5
"""Companies that fail in a row until the server counts as down."""

DETAILS_DAYS = 30
"""Days after which a company's tickers and sector are asked for again."""

COMPANY_SECONDS = 300.0
"""Seconds for all requests about one company."""

LAG = timedelta(days=90)
"""How long a payment may be missing in the history after the supplement has it."""

Progress = Callable[[dict[str, Any]], None]


@dataclass
class FetchResult:
    """What came of a fetch.

    Attributes:
        fetched: roots of the companies of which all calls were answered.
        failed: (root, error) of each company of which a call was not.
        left: companies that were not asked for lack of time.
        in_a_row: how many of the last companies failed, one after the other.
    """

    fetched: list[str] = field(default_factory=list)
    failed: list[tuple[str, B3Error]] = field(default_factory=list)
    left: list[Company] = field(default_factory=list)
    in_a_row: int = 0

    def failures(self) -> list[dict[str, str]]:
        """Return the companies that failed, with their reasons."""
        return [
            {"issuer": issuer, "code": error.code, "message": error.message}
            for issuer, error in self.failed
        ]


def due_companies(
    companies: Iterable[Company], index: dict[str, IndexEntry], days: float
) -> list[Company]:
    """Return the companies that are to be asked for: never answered, or some days ago.

    Args:
        companies: from the exchange's list.
        index: of the archive.
        days: after which a company is due.
    """
    known = {issuer: entry.fetched for issuer, entry in index.items()}

    def is_due(company: Company) -> bool:
        fetched = known.get(company.issuer)
        return fetched is None or (today() - day_of(fetched)).days >= days

    return [company for company in companies if is_due(company)]


def fetch_companies(
    storage: Storage,
    server: CompanyServer,
    companies: Iterable[Company],
    *,
    seconds_left: Callable[[], float] = lambda: math.inf,
    reserve: float = 0.0,
    in_a_row: int = 0,
    progress: Progress = lambda message: None,
    clock: Callable[[], float] = time.monotonic,
) -> FetchResult:
    """Ask for each company and keep the answers.

    Args:
        storage: of the deployment.
        server: to ask.
        companies: which, in this order.
        seconds_left: returns the caller's remaining time.
        reserve: seconds that a company is not begun in; the first one is begun anyway.
        in_a_row: companies that failed directly before these.
        progress: is told of each company.
        clock: seconds that only grow.

    Raises:
        SourceUnavailableError: Several companies in a row failed: the server is down. What was
            fetched before is kept; the details have ``failed``, ``fetched`` and ``not_asked``.
    """
    queue = list(companies)
    index = read_index(storage)
    result = FetchResult(in_a_row=in_a_row)

    for number, company in enumerate(queue):
        if number and seconds_left() <= reserve:
            result.left = queue[number:]
            break
        counts = {"done": number + 1, "total": len(queue)}
        progress({"step": "announcements", "phase": company.issuer, **counts})

        within = min(COMPANY_SECONDS, seconds_left())
        answers, errors = _asked(server, company, index.get(company.issuer), within, clock)
        keep_answers(storage, company, answers)
        if not errors:
            result.fetched.append(company.issuer)
        result.failed += [(company.issuer, error) for error in errors]
        result.in_a_row = 0 if answers else result.in_a_row + 1
        if result.in_a_row >= DOWN_AFTER:
            raise _down(result, len(queue) - number - 1)
    return result


def _asked(
    server: CompanyServer,
    company: Company,
    entry: IndexEntry | None,
    within: float,
    clock: Callable[[], float],
) -> tuple[list[Answer], list[B3Error]]:
    """Return the answers about a company, and the errors of the calls without one.

    All calls together have ``within`` seconds.
    """
    answers: dict[Call, Answer] = {}
    errors: list[B3Error] = []
    ends = clock() + within

    for call in _calls(company, entry):
        try:
            answers[call] = server.ask(call, company, ends - clock())
            if call is Call.CASH:
                _check_found(company, answers)
        except ConflictError:
            raise
        except SourceUnavailableError as error:
            errors.append(error)
            break  # the other calls would wait for the same server
        except B3Error as error:
            answers.pop(call, None)
            errors.append(error)

    return list(answers.values()), errors


def _calls(company: Company, entry: IndexEntry | None) -> list[Call]:
    calls = [Call.SUPPLEMENT, Call.CASH]
    known = None if entry is None else entry.details_fetched
    old = known is None or now() - known > timedelta(days=DETAILS_DAYS)
    return [*calls, Call.DETAILS] if old and company.code_cvm else calls


def _check_found(company: Company, answers: dict[Call, Answer]) -> None:
    """Refuse an empty history where the supplement lists payments that are not new.

    The name of the list would then be one under which the exchange finds nothing.
    """
    supplement = answers.get(Call.SUPPLEMENT)
    if supplement is None or rows_of(Call.CASH, company.issuer, answers[Call.CASH].pages):
        return

    paid = [
        row.last_cum
        for row in rows_of(Call.SUPPLEMENT, company.issuer, supplement.pages)
        if row.answer == "supplement_cash" and row.last_cum is not None
    ]
    oldest = min(paid, default=date.max)
    if oldest < today() - LAG:
        field = Field(company.issuer, Call.CASH, "tradingName")
        allowed = f"a name with payments, as the supplement has one of {oldest}"
        raise field.error(allowed, company.trading_name)


def _down(result: FetchResult, not_asked: int) -> SourceUnavailableError:
    failures = result.failures()
    return SourceUnavailableError(
        f"{result.in_a_row} companies in a row could not be fetched, the last: "
        f"{failures[-1]['message']}; {len(result.fetched)} were fetched before",
        failed=failures,
        fetched=len(result.fetched),
        not_asked=not_asked,
    )
