"""The request for an ingest: checks an event, and chooses the exchange's files to ask for."""

from datetime import date, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from b3shared.core.clock import today
from b3shared.core.errors import InvalidParameterError
from b3shared.params.messages import explain_event
from b3shared.quotes.calendar import sessions
from b3shared.quotes.cotahist.periods import Period, annual, check_year, covering, period_of
from b3shared.quotes.sources.lake import LakeSource

INPUTS = "inputs/cotahist/"
"""Prefix of the files that a user puts into the storage to be ingested."""

PARTIAL_INPUTS = f"{INPUTS}partial/"
"""Prefix of those that are subsets of the exchange's file."""

LOOK_BACK = timedelta(days=14)
"""Missing sessions that are asked for again: those so many days before the lake's newest. A file
may come late."""


class IngestRequest(BaseModel):
    """The files to ingest; an empty request is every session up to today that the lake lacks."""

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
    market: bool = Field(
        default=False, description="fetch the CDI that the storage lacks too, after the quotes"
    )
    announcements: bool = Field(
        default=True,
        description="the exchange's announcements are fetched afterwards; not after a key",
    )
    actions: bool = Field(
        default=False, description="no file, only corporate actions made anew if something changed"
    )
    unannounced: list[list[dict[str, str]]] = Field(
        default=[], description="companies that could not be fetched, by batch; with actions"
    )
    findings: list[str] = Field(
        default=[], description="of the plan of the announcements, to pass on; with actions"
    )
    changed: bool = Field(default=False, description="whether an earlier slice changed the lake")
    failed: list[dict[str, str]] = Field(
        default=[], description="files that earlier slices could not take in"
    )

    @classmethod
    def from_event(cls, event: Any) -> "IngestRequest":
        """Check an event: a request, or the bucket's notice that an object was created there.

        Raises:
            InvalidParameterError: It is neither, or asks for two things at once.
        """
        try:
            if isinstance(event, dict) and event.get("detail-type") == "Object Created":
                key = str(event["detail"]["object"]["key"])
                return cls(key=key, partial=key.startswith(PARTIAL_INPUTS))
            return cls.model_validate(event)._checked()
        except ValidationError as error:
            raise InvalidParameterError(
                f"not a request for quotes: {explain_event(error.errors())}"
            ) from error
        except KeyError as error:
            raise InvalidParameterError(f"not an event of a bucket: {error} is missing") from error

    def _checked(self) -> "IngestRequest":
        named = [name for name in ("years", "since", "periods") if getattr(self, name)]
        if self.key is not None and named:
            raise InvalidParameterError(
                f"key must not be given with {' and '.join(named)}: "
                "ask for a file of the bucket or for the exchange's"
            )
        if self.actions and (self.key is not None or named):
            raise InvalidParameterError("actions must not be given with files: it asks for none")

        if self.partial and self.key is None:
            raise InvalidParameterError(
                "partial must not be true without key: the exchange's own files are whole"
            )

        if self.since is not None and self.since > today():
            raise InvalidParameterError(
                f"since must be a day up to today, {today()}, got {str(self.since)!r}"
            )
        if self.since is not None:
            check_year(f"the year of since {self.since}", self.since.year)
        return self


def requested_periods(request: IngestRequest, lake: str) -> list[Period]:
    """Return the exchange's files to ask for, oldest first.

    Args:
        request: without a key.
        lake: address of the lake, whose missing sessions are asked for where nothing is named.

    Raises:
        InvalidParameterError: A year or a period does not exist.
        NoQuotesError: Nothing is named, and the lake is empty.
    """
    named = [annual(year) for year in request.years]
    named += [period_of(name) for name in request.periods]
    if request.since is not None:
        named += covering(session_days(request.since, today()))
    if named or request.since is not None:
        return sorted(set(named), key=lambda period: (period.first, period.kind))
    return covering(missing_days(LakeSource(lake)))


def missing_days(lake: LakeSource) -> list[date]:
    """Return the sessions that a lake lacks: those after its newest, and holes shortly before.

    A session that only subsets of the exchange's files cover is lacking too: they do not have its
    other tickers.

    Raises:
        NoQuotesError: The lake is empty.
    """
    first = lake.newest_complete_day() - LOOK_BACK
    present = set(lake.complete_days(first, today()))
    return [day for day in session_days(first, today()) if day not in present]


def session_days(first: date, last: date) -> list[date]:
    """Return the exchange's sessions from one day to another, both included."""
    days: list[date] = sessions(first, last).tolist()
    return days
