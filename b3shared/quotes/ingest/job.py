"""Runs a request for an ingest in slices that fit a function's time limit."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from b3shared.core.clock import today
from b3shared.core.config import Settings
from b3shared.core.errors import (
    B3Error,
    ConflictError,
    InvalidParameterError,
    NoQuotesError,
    NotPublishedError,
    SourceUnavailableError,
)
from b3shared.quotes.corporate_actions.announcements.archive import read_announcements
from b3shared.quotes.corporate_actions.overrides import OVERRIDES
from b3shared.quotes.corporate_actions.rename_table import RENAMES
from b3shared.quotes.cotahist.download import QuoteServer
from b3shared.quotes.cotahist.periods import Period, daily, period_name
from b3shared.quotes.ingest.failures import shortened
from b3shared.quotes.ingest.ingest import Ingest, Progress
from b3shared.quotes.ingest.records import Ingested
from b3shared.quotes.ingest.request import IngestRequest, requested_periods, session_days
from b3shared.quotes.lake.lake import LAKE
from b3shared.quotes.market.sectors import update_sectors
from b3shared.quotes.market.update import no_time, update_market
from b3shared.storage import Storage, open_storage

NAMED = "COTAHIST"
"""Part of the name of every file of the exchange."""

INGEST_SECONDS = 240.0
"""Time to read, merge and detect with the largest annual file, once it is downloaded."""

RESERVE_SECONDS = INGEST_SECONDS + 120.0
"""With less time left a function begins no other file; its download may take what exceeds
:data:`INGEST_SECONDS`."""

MARKET_SECONDS = 90.0
"""With less time left a function does not ask for the CDI: a failing request takes so long."""

FAILURES_SHOWN = 20
"""Companies that an answer names which could not be fetched."""

FINDINGS_SHOWN = 20
"""Findings about corporate actions that an answer names; the lake has all."""

_LOG = logging.getLogger(__name__)


def ingest_quotes(
    request: IngestRequest,
    settings: Settings,
    more_time: Callable[[], bool] = lambda: True,
    progress: Progress | None = None,
    seconds_left: Callable[[], float] = lambda: math.inf,
) -> dict[str, Any]:
    """Ingest the requested files into the lake of the deployment's storage.

    Args:
        request: the files.
        settings: of the deployment.
        more_time: called before every file but the first; if it returns False, the rest is left for
            another call.
        progress: is told of the work.
        seconds_left: returns the caller's remaining time; a download is given up when it leaves
            less than :data:`INGEST_SECONDS`.

    Returns:
        ``{"status": "done" | "partial", "changed", "files", "not_published", ...}`` and

        - ``request``: what is left;
        - ``failed``: the files that could not be ingested, as ``{"period", "code", "message"}``;
        - ``actions_changed``: whether a detection without a file changed the lake;
        - ``overrides_without_effect``: rows of the user's tables that change nothing, if a
          detection ran;
        - ``possible_renames``: pairs of tickers that may be one share, if a detection ran;
        - ``market``: what came of the market's files
          (:class:`b3shared.quotes.market.update.MarketUpdate`), if it was asked for and the quotes
          are done;
        - ``event_findings``: what a person should look at in the corporate actions, if a detection
          ran: how many there are (``count``) and the newest of them (``newest``);
        - ``findings``: those of the plan of the announcements, after a request for ``actions``;
        - ``reason``: why there was nothing to do;
        - ``announcements``: ``{"fetch", "failed"}``: whether those of the exchange are to be
          fetched now, and an empty list for the companies that fail.

    Raises:
        NotPublishedError: The exchange has no such year, month or day, where one is asked for by
            name.
        SourceUnavailableError: Of what the lake lacks, no file at all could be fetched.
        B3Error: The ingest of a file that is asked for by name failed; the files before it are in
            the lake.
    """
    storage = open_storage(settings.storage)
    server = QuoteServer(settings.cotahist_address, ca_bundle=settings.ca_bundle)
    ingest = Ingest(storage, server, progress)
    if request.actions:
        return _use_announcements(ingest, request, storage)
    if request.key is not None:
        return _ingest_key(ingest, request)

    optional = request.optional or not (request.years or request.periods)
    try:
        queue = requested_periods(request, f"{storage.url}/{LAKE}")
    except NoQuotesError as error:  # a new deployment: no failure to report every evening
        reason = f"{error.message}; ask for years, such as 2020 to {today().year}"
        return _answer("done", request.changed, _Results(), {}) | {"reason": reason}

    results = _Results(failed=list(request.failed))
    with ingest.batch():
        _ingest_periods(ingest, queue, results, more_time, seconds_left, optional=optional)
        completed = not queue and _detect_actions(ingest, results, optional=optional)
    if not queue:
        results.check()

    changed = request.changed or completed or any(file.changed for file in results.files)
    rest = {
        "periods": [period_name(period) for period in queue],
        "optional": optional,
        "announcements": request.announcements,
        "changed": changed,
        "failed": results.failed,
    }
    rest |= {"market": True} if request.market else {}
    answer = _answer("partial" if queue else "done", changed, results, rest)
    answer["announcements"]["fetch"] = request.announcements
    answer |= {"actions_changed": completed} | _findings(ingest)
    if request.market and not queue:
        in_time = seconds_left() > MARKET_SECONDS
        source = (storage, settings.cdi_address, settings.ca_bundle)
        update = update_market(*source) if in_time else no_time()
        answer["market"] = update.to_json()
    return answer


@dataclass
class _Results:
    """The results for the files of a request so far."""

    files: list[Ingested] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    unreachable: list[SourceUnavailableError] = field(default_factory=list)

    def fail(self, name: str, error: Exception) -> None:
        """Add a file that could not be ingested; the others go on."""
        if isinstance(error, B3Error):
            code = error.code
            message = error.message
        else:  # a fault of the code: its traceback belongs in the log
            _LOG.exception("%s could not be ingested", name)
            code = B3Error.code
            message = f"{type(error).__name__}: {error}"
        self.failed.append({"period": name, "code": code, "message": message})
        if isinstance(error, SourceUnavailableError):
            self.unreachable.append(error)

    def check(self) -> None:
        """Raise if the server answered for no file at all: a later try may succeed."""
        only_unreachable = self.unreachable and len(self.unreachable) == len(self.failed)
        if only_unreachable and not (self.files or self.absent):
            raise self.unreachable[0]


def _ingest_periods(
    ingest: Ingest,
    queue: list[Period],
    results: _Results,
    more_time: Callable[[], bool],
    seconds_left: Callable[[], float],
    *,
    optional: bool,
) -> None:
    """Ingest files of the queue, oldest first, while there is time; the rest stays in the queue."""
    started = False
    while queue and (not started or more_time()):
        started = True
        period = queue.pop(0)
        within = seconds_left() - INGEST_SECONDS

        try:
            results.files.append(ingest.period(period, more=bool(queue), within=within))
        except NotPublishedError as error:
            if not optional:
                raise
            if period.kind == "annual":
                results.fail(period_name(period), error)
                continue
            results.absent.append(period_name(period))
            if period.kind == "monthly":  # it comes some days after the daily ones
                days = session_days(period.first, min(period.last, today()))
                queue[:0] = [daily(day) for day in days]
        except ConflictError:
            raise
        except Exception as error:  # one bad file must not keep the lake from newer ones
            if not optional:
                raise
            results.fail(period_name(period), error)


def _detect_actions(ingest: Ingest, results: _Results, *, optional: bool) -> bool:
    """Detect corporate actions and return whether the lake changed.

    The last file may not have been published, or nothing was asked for.
    """
    try:
        return ingest.actions()
    except ConflictError:
        raise
    except B3Error as error:
        if not optional:
            raise
        results.fail("corporate actions", error)
        return False


def _use_announcements(ingest: Ingest, request: IngestRequest, storage: Storage) -> dict[str, Any]:
    """Make corporate actions and sectors anew, and pass on what failed before."""
    companies = [company for batch in request.unannounced for company in batch]
    companies.sort(key=lambda company: "issuer" in company)  # what concerns many is named first
    failed = request.failed + shortened(companies, FAILURES_SHOWN)
    results = _Results(failed=failed)

    changed = ingest.actions()
    update_sectors(storage, read_announcements(storage).companies)
    answer = _answer("done", changed, results, {}) | _findings(ingest)
    return answer | {"findings": request.findings}


def _ingest_key(ingest: Ingest, request: IngestRequest) -> dict[str, Any]:
    """Ingest a file of the bucket, or apply one of the user's tables."""
    key = str(request.key)
    if key in (OVERRIDES, RENAMES):
        changed = ingest.actions()
        return _answer("done", changed, _Results(), {}) | _findings(ingest)
    if not key.startswith("inputs/"):
        raise InvalidParameterError(
            f"key must be {OVERRIDES}, {RENAMES} or a file under inputs/, got {key!r}"
        )
    if NAMED not in key.rpartition("/")[2].upper():  # a folder's marker or a README: no failure
        reason = f"{key!r} is no {NAMED} file by its name"
        return _answer("done", False, _Results(), {}) | {"reason": reason}

    file = ingest.key(key, partial=request.partial)
    return _answer("done", file.changed, _Results([file]), {}) | _findings(ingest)


def _findings(ingest: Ingest) -> dict[str, Any]:
    """What a person should look at after a detection."""
    return {
        "overrides_without_effect": ingest.without_effect,
        "possible_renames": ingest.possible_renames,
        "event_findings": {
            "count": len(ingest.event_findings),
            "newest": ingest.event_findings[:FINDINGS_SHOWN],
        },
    }


def _answer(status: str, changed: bool, results: _Results, rest: dict[str, Any]) -> dict[str, Any]:
    return {
        "status": status,
        "changed": changed,
        "files": [file.to_json() for file in results.files],
        "not_published": results.absent,
        "failed": results.failed,
        "announcements": {"fetch": False, "failed": []},
        "request": rest,
    }
