"""New quotes into the deployment's lake: what is asked for, in slices that a function's time allows."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from b3shared.clock import today
from b3shared.config import Settings
from b3shared.errors import InvalidParameterError, NoQuotesError, NotPublishedError
from b3shared.quotes.calendar import sessions
from b3shared.quotes.cotahist_file import Period
from b3shared.quotes.download import QuoteServer
from b3shared.quotes.ingest import OVERRIDES, Ingest, Ingested, Progress
from b3shared.quotes.lake import LAKE, LakeSource
from b3shared.quotes.periods import annual, covering, daily, period_name, period_of
from b3shared.quotes.sources import QuoteQuery
from b3shared.storage import open_storage

INPUTS = "inputs/cotahist/"
"""Where a file is put to be taken into the lake."""

PARTIAL_INPUTS = f"{INPUTS}partial/"
"""Where one is put that is a subset of the exchange's file."""

LOOK_BACK = timedelta(days=14)
"""Sessions before the newest of the lake that are asked for again where they are missing: a file may come late."""

RESERVE_SECONDS = 300.0
"""What the largest annual file may take, patience with its server included: with less a function begins no other file."""


class IngestRequest(BaseModel):
    """What to take in; nothing named is every session up to today that the lake lacks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    years: list[int] = Field(default=[], max_length=100, description="annual files")
    since: date | None = Field(default=None, description="every session from here on, whether the lake has it or not")
    periods: list[str] = Field(default=[], max_length=400, description="files by name: A2020, M012020, D02012020")
    key: str | None = Field(default=None, max_length=900, description="a file in the deployment's bucket")
    partial: bool = Field(default=False, description="the file of the key is a subset of the exchange's")
    optional: bool = Field(default=False, description="a day that is not published is no error")
    changed: bool = Field(default=False, description="whether an earlier slice changed the lake")

    @classmethod
    def of(cls, event: Any) -> "IngestRequest":
        """Check an event: a request, or the bucket's word that an object was created there."""
        try:
            if isinstance(event, dict) and event.get("detail-type") == "Object Created":
                key = str(event["detail"]["object"]["key"])
                return cls(key=key, partial=key.startswith(PARTIAL_INPUTS))
            return cls.model_validate(event)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'event'}: {e['msg']}" for e in error.errors())
            raise InvalidParameterError(f"not a request for quotes: {wrong}") from error
        except KeyError as error:
            raise InvalidParameterError(f"not an event of a bucket: {error} is missing") from error


def ingest_quotes(
    request: IngestRequest,
    settings: Settings,
    more_time: Callable[[], bool] = lambda: True,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Take quotes into the lake of the deployment's storage.

    Args:
        request: what.
        settings: of the deployment.
        more_time: asked before every file but the first; when it says no, the rest is left for another call.
        progress: told of the work.

    Returns:
        ``{"status": "done" | "partial", "changed", "files", "not_published", "request"}``; ``request`` is what is left.
        ``reason``: why there was nothing to do.

    Raises:
        NotPublishedError: The exchange has no such year, month or (where one is asked for by name) day.
        B3Error: What a file's ingest raises; the files before it are in the lake.
    """
    storage = open_storage(settings.storage)
    ingest = Ingest(storage, QuoteServer(settings.cotahist_address), progress)
    if request.key is not None:
        return _of_key(ingest, request)
    optional = request.optional or not (request.years or request.periods)
    try:
        queue, files, absent = _periods(request, f"{storage.url}/{LAKE}"), list[Ingested](), list[str]()
    except NoQuotesError as error:  # a new deployment: no reason to call somebody every evening
        reason = f"{error.message}; ask for years, such as 2020 to {today().year}"
        return _answer("done", request.changed, [], [], {}) | {"reason": reason}
    started = False
    while queue and (not started or more_time()):
        started, period = True, queue.pop(0)
        try:
            files.append(ingest.period(period))
        except NotPublishedError:
            if period.kind == "annual" or not optional:
                raise
            absent.append(period_name(period))
            if period.kind == "monthly":  # some days late itself, when the daily ones are long there
                queue[:0] = [daily(day) for day in _days(period.first, min(period.last, today()))]
    changed = request.changed or any(file.changed for file in files)
    left = {"periods": [period_name(p) for p in queue], "optional": optional, "changed": changed}
    return _answer("partial" if queue else "done", changed, files, absent, left)


def _of_key(ingest: Ingest, request: IngestRequest) -> dict[str, Any]:
    if request.key == OVERRIDES:
        return _answer("done", ingest.actions(), [], [], {})
    if not str(request.key).startswith("inputs/"):
        raise InvalidParameterError(f"key {request.key!r}: a file under inputs/ is allowed, or {OVERRIDES}")
    done = ingest.key(str(request.key), partial=request.partial)
    return _answer("done", done.changed, [done], [], {})


def _answer(status: str, changed: bool, files: list[Ingested], absent: list[str], left: dict[str, Any]) -> dict[str, Any]:
    told = [file.to_json() for file in files]
    return {"status": status, "changed": changed, "files": told, "not_published": absent, "request": left}


def _periods(request: IngestRequest, lake: str) -> list[Period]:
    """The files to ask for, oldest first."""
    named = [annual(year) for year in request.years] + [period_of(name) for name in request.periods]
    if request.since is not None:
        named += covering(_days(request.since, today()))
    if named or request.since is not None:
        return sorted(set(named), key=lambda period: (period.first, period.kind))
    return covering(missing_days(LakeSource(lake)))


def missing_days(lake: LakeSource) -> list[date]:
    """Sessions up to today that a lake lacks: those after its newest, and holes of the fortnight before.

    Raises:
        NoQuotesError: The lake is empty.
    """
    first = lake.newest() - LOOK_BACK
    present = set(np.unique(lake.read(QuoteQuery(start=first))["date"].dropna().to_numpy().astype("datetime64[D]")).tolist())
    return [day for day in _days(first, today()) if day not in present]


def _days(first: date, last: date) -> list[date]:
    found: list[date] = sessions(first, last).tolist()
    return found
