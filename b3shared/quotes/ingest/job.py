"""New quotes into the deployment's lake: what is asked for, in slices that a function's time allows."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

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
from b3shared.quotes.calendar import sessions
from b3shared.quotes.corporate_actions.overrides import OVERRIDES
from b3shared.quotes.corporate_actions.rename_table import RENAMES
from b3shared.quotes.cotahist.download import QuoteServer
from b3shared.quotes.cotahist.periods import (
    Period,
    annual,
    check_year,
    covering,
    daily,
    period_name,
    period_of,
)
from b3shared.quotes.ingest.ingest import Ingest, Ingested, Progress
from b3shared.quotes.lake.lake import LAKE
from b3shared.quotes.sources.lake import LakeSource
from b3shared.storage import open_storage

INPUTS = "inputs/cotahist/"
"""Where a file is put to be taken into the lake."""

PARTIAL_INPUTS = f"{INPUTS}partial/"
"""Where one is put that is a subset of the exchange's file."""

NAMED = "COTAHIST"
"""What is in the name of every file of the exchange."""

LOOK_BACK = timedelta(days=14)
"""Sessions before the newest of the lake that are asked for again where they are missing: a file may come late."""

INGEST_SECONDS = 240.0
"""What the largest annual file may take once it is here: read, merged, and looked at for corporate actions."""

RESERVE_SECONDS = INGEST_SECONDS + 120.0
"""With less a function begins no other file: its download gets what is beyond :data:`INGEST_SECONDS`."""


_LOG = logging.getLogger(__name__)


class IngestRequest(BaseModel):
    """What to take in; nothing named is every session up to today that the lake lacks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    years: list[int] = Field(default=[], max_length=100, description="annual files")
    since: date | None = Field(
        default=None, description="every session from here on, whether the lake has it or not"
    )
    periods: list[str] = Field(
        default=[], max_length=400, description="files by name: A2020, M012020, D02012020"
    )
    key: str | None = Field(
        default=None, max_length=900, description="a file in the deployment's bucket"
    )
    partial: bool = Field(
        default=False, description="the file of the key is a subset of the exchange's"
    )
    optional: bool = Field(
        default=False,
        description="a day that is not published is no error, and no file stops the rest",
    )
    changed: bool = Field(default=False, description="whether an earlier slice changed the lake")
    failed: list[dict[str, str]] = Field(
        default=[], description="files that earlier slices could not take in"
    )

    @classmethod
    def of(cls, event: Any) -> "IngestRequest":
        """Check an event: a request, or the bucket's word that an object was created there.

        Raises:
            InvalidParameterError: It is neither, or asks for two things at once.
        """
        try:
            if isinstance(event, dict) and event.get("detail-type") == "Object Created":
                key = str(event["detail"]["object"]["key"])
                return cls(key=key, partial=key.startswith(PARTIAL_INPUTS))
            return cls.model_validate(event)._checked()
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'event'}: {e['msg']}" for e in error.errors()
            )
            raise InvalidParameterError(f"not a request for quotes: {wrong}") from error
        except KeyError as error:
            raise InvalidParameterError(f"not an event of a bucket: {error} is missing") from error

    def _checked(self) -> "IngestRequest":
        named = [name for name in ("years", "since", "periods") if getattr(self, name)]
        if self.key is not None and named:
            raise InvalidParameterError(
                f"key with {' and '.join(named)}: a file of the bucket or the exchange's is allowed"
            )
        if self.partial and self.key is None:
            raise InvalidParameterError(
                "partial = true without key: the exchange's own files are whole; name a key with it"
            )
        if self.since is not None and self.since > today():
            raise InvalidParameterError(
                f"since = {self.since}: a day up to today, {today()}, is allowed"
            )
        if self.since is not None:
            check_year(f"since = {self.since}: year", self.since.year)
        return self


def ingest_quotes(
    request: IngestRequest,
    settings: Settings,
    more_time: Callable[[], bool] = lambda: True,
    progress: Progress | None = None,
    seconds_left: Callable[[], float] = lambda: math.inf,
) -> dict[str, Any]:
    """Take quotes into the lake of the deployment's storage.

    Args:
        request: what.
        settings: of the deployment.
        more_time: asked before every file but the first; when it says no, the rest is left for
            another call.
        progress: told of the work.
        seconds_left: of the caller's time; a download is given up when it leaves less than
            :data:`INGEST_SECONDS`.

    Returns:
        ``{"status": "done" | "partial", "changed", "files", "not_published", ...}`` and

        - ``request``: what is left;
        - ``failed``: the files that could not be taken in, as ``{"period", "code", "message"}``;
        - ``actions_changed``: whether the corporate actions were made anew without a file;
        - ``overrides_without_effect``: rows of the user's tables that change nothing, where they
          were looked at;
        - ``possible_renames``: pairs of tickers that may be one share, where they were looked for;
        - ``reason``: why there was nothing to do.

    Raises:
        NotPublishedError: The exchange has no such year, month or day, where one is asked for by
            name.
        SourceUnavailableError: Of what the lake lacks, no file at all could be had.
        B3Error: What the ingest of a file that is asked for by name raises; the files before it are
            in the lake.
    """
    storage = open_storage(settings.storage)
    ingest = Ingest(storage, QuoteServer(settings.cotahist_address), progress)
    if request.key is not None:
        return _of_key(ingest, request)
    optional = request.optional or not (request.years or request.periods)
    try:
        queue = _periods(request, f"{storage.url}/{LAKE}")
    except NoQuotesError as error:  # a new deployment: no reason to call somebody every evening
        reason = f"{error.message}; ask for years, such as 2020 to {today().year}"
        return _answer("done", request.changed, _Taken(), {}) | {"reason": reason}
    taken = _Taken(failed=list(request.failed))
    with ingest.batch():
        _take(ingest, queue, taken, more_time, seconds_left, optional=optional)
        completed = not queue and _completed(ingest, taken, optional=optional)
    if not queue:
        taken.check()
    changed = request.changed or completed or any(file.changed for file in taken.files)
    left = {
        "periods": [period_name(p) for p in queue],
        "optional": optional,
        "changed": changed,
        "failed": taken.failed,
    }
    answer = _answer("partial" if queue else "done", changed, taken, left)
    return answer | {"actions_changed": completed} | _noticed(ingest)


@dataclass
class _Taken:
    """What came of the files of a request so far."""

    files: list[Ingested] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    unreachable: list[SourceUnavailableError] = field(default_factory=list)

    def fail(self, name: str, error: Exception) -> None:
        """A file could not be taken in; the others go on."""
        if isinstance(error, B3Error):
            self.failed.append({"period": name, "code": error.code, "message": error.message})
        else:  # of which nobody thought: the trace is to be found
            _LOG.exception("%s could not be taken in", name)
            self.failed.append(
                {
                    "period": name,
                    "code": B3Error.code,
                    "message": f"{type(error).__name__}: {error}",
                }
            )
        if isinstance(error, SourceUnavailableError):
            self.unreachable.append(error)

    def check(self) -> None:
        """Raise if the server had nothing at all to say: then it is not the files, and later may help."""
        if (
            self.unreachable
            and len(self.unreachable) == len(self.failed)
            and not (self.files or self.absent)
        ):
            raise self.unreachable[0]


def _take(
    ingest: Ingest,
    queue: list[Period],
    taken: _Taken,
    more_time: Callable[[], bool],
    seconds_left: Callable[[], float],
    *,
    optional: bool,
) -> None:
    """Take files in, oldest first, as long as there is time; what is left stays in the queue."""
    started = False
    while queue and (not started or more_time()):
        started, period = True, queue.pop(0)
        try:
            taken.files.append(
                ingest.period(period, more=bool(queue), within=seconds_left() - INGEST_SECONDS)
            )
        except NotPublishedError as error:
            if not optional:
                raise
            if period.kind == "annual":
                taken.fail(period_name(period), error)
                continue
            taken.absent.append(period_name(period))
            if (
                period.kind == "monthly"
            ):  # some days late itself, when the daily ones are long there
                queue[:0] = [daily(day) for day in _days(period.first, min(period.last, today()))]
        except ConflictError:
            raise
        except (
            Exception
        ) as error:  # one bad file of those that the lake lacks must not keep it from newer ones
            if not optional:
                raise
            taken.fail(period_name(period), error)


def _completed(ingest: Ingest, taken: _Taken, *, optional: bool) -> bool:
    """Look for corporate actions: the last file may not have been there, or nothing was asked for; whether any differ."""
    try:
        return ingest.actions()
    except ConflictError:
        raise
    except B3Error as error:
        if not optional:
            raise
        taken.fail("corporate actions", error)
        return False


def _of_key(ingest: Ingest, request: IngestRequest) -> dict[str, Any]:
    if request.key in (OVERRIDES, RENAMES):
        changed, done = ingest.actions(), _Taken()
        return _answer("done", changed, done, {}) | _noticed(ingest)
    if not str(request.key).startswith("inputs/"):
        raise InvalidParameterError(
            f"key {request.key!r}: a file under inputs/, {OVERRIDES} or {RENAMES} is allowed"
        )
    if (
        NAMED not in str(request.key).rpartition("/")[2].upper()
    ):  # a folder's marker, a README: nobody is to be called
        return _answer("done", False, _Taken(), {}) | {
            "reason": f"{request.key!r} is no {NAMED} file by its name"
        }
    file = ingest.key(str(request.key), partial=request.partial)
    answer = _answer("done", file.changed, _Taken([file]), {})
    return answer | _noticed(ingest)


def _noticed(ingest: Ingest) -> dict[str, Any]:
    """What a person should look at, where all quotes of the lake were looked at."""
    return {
        "overrides_without_effect": ingest.without_effect,
        "possible_renames": ingest.possible_renames,
    }


def _answer(status: str, changed: bool, taken: _Taken, left: dict[str, Any]) -> dict[str, Any]:
    told = {
        "files": [file.to_json() for file in taken.files],
        "not_published": taken.absent,
        "failed": taken.failed,
    }
    return {"status": status, "changed": changed, **told, "request": left}


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

    One that only subsets of the exchange's files tell of is lacking too: its other tickers are in
    none of them.

    Raises:
        NoQuotesError: The lake is empty.
    """
    first = lake.newest_complete_day() - LOOK_BACK
    present = set(lake.complete_days(first, today()))
    return [day for day in _days(first, today()) if day not in present]


def _days(first: date, last: date) -> list[date]:
    found: list[date] = sessions(first, last).tolist()
    return found
