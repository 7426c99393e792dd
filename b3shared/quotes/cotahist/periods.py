"""Which of the exchange's files to ask for: annual, monthly or daily, named as the exchange names them."""

import re
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Literal

from b3shared.core.clock import today
from b3shared.core.errors import InvalidCotahistError, InvalidParameterError

_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0[1-9]|1[0-2])", r"\d\d"


_PERIODS = tuple(
    re.compile(rf"COTAHIST[._](?:{form})(?!\d)", re.IGNORECASE)
    for form in (
        rf"A(?P<year>{_YEAR})",
        rf"M(?P<month>{_MONTH})(?P<year>{_YEAR})",
        rf"D(?P<day>{_DAY})(?P<month>{_MONTH})(?P<year>{_YEAR})",
        rf"M(?P<year>{_YEAR})(?P<month>{_MONTH})",
        rf"D(?P<year>{_YEAR})(?P<month>{_MONTH})(?P<day>{_DAY})",
    )
)
"""The exchange's names, then those of downloaders that put the year first. No name is both: 19 and 20 are no month."""


_DATED = re.compile(r"COTAHIST[._](?:A\d{4}|M\d{6}|D\d{8})(?!\d)", re.IGNORECASE)


Kind = Literal["daily", "monthly", "annual"]


@dataclass(frozen=True)
class Period:
    """The days that a file may hold, both included."""

    kind: Kind
    first: date
    last: date

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"


FIRST_YEAR = 1994
"""In which the real came. The exchange has files from 1986 on; their prices are in the currencies of before."""

MANY_DAYS = 5
"""Missing sessions of a month that is over beyond which its monthly file is asked for, rather than daily ones."""

MANY_MONTHS = 2
"""Monthly files of a year beyond which its annual file is asked for."""


def annual(year: int) -> Period:
    """A whole year; InvalidParameterError before :data:`FIRST_YEAR` and after the current year."""
    check_year("year", year)
    return Period("annual", date(year, 1, 1), date(year, 12, 31))


def monthly(year: int, month: int) -> Period:
    """A whole month."""
    return Period("monthly", date(year, month, 1), date(year, month, monthrange(year, month)[1]))


def daily(day: date) -> Period:
    """One session."""
    return Period("daily", day, day)


def period_name(period: Period) -> str:
    """``A2020``, ``M012020`` or ``D02012020``: the part of a file's name that tells what it covers."""
    return {
        "annual": f"A{period.first:%Y}",
        "monthly": f"M{period.first:%m%Y}",
        "daily": f"D{period.first:%d%m%Y}",
    }[period.kind]


def period_of(name: str) -> Period:
    """The period of such a name; InvalidParameterError if it is none."""
    try:
        found = named_period(f"COTAHIST_{name}")
    except InvalidCotahistError:
        found = None
    if found is None or period_name(found) != name:
        raise InvalidParameterError(
            f"period {name!r}: a year A2020, a month M012020 or a day D02012020 is allowed"
        )
    check_year(f"period {name!r}: year", found.first.year)
    return found


def check_year(what: str, year: int) -> None:
    """InvalidParameterError, beginning with ``what``, for a year of which no file is taken in."""
    if not FIRST_YEAR <= year <= today().year:
        why = "; prices of before are not in R$" if year < FIRST_YEAR else ""
        raise InvalidParameterError(
            f"{what} = {year}: {FIRST_YEAR} to {today().year} are allowed{why}"
        )


def covering(days: Iterable[date]) -> list[Period]:
    """The fewest sensible files that cover some sessions, oldest first: daily ones for few, else whole months and years."""
    return [
        period
        for year, of_year in groupby(sorted(set(days)), key=lambda day: day.year)
        for period in _of_year(year, list(of_year))
    ]


def _of_year(year: int, days: list[date]) -> list[Period]:
    found: list[Period] = []
    for month, of_month in groupby(days, key=lambda day: day.month):
        own, whole = list(of_month), monthly(year, month)
        found += (
            [whole]
            if len(own) > MANY_DAYS and whole.last < today()
            else [daily(day) for day in own]
        )
    months = sum(period.kind == "monthly" for period in found)
    return [annual(year)] if months > MANY_MONTHS else found


def named_period(name: str) -> Period | None:
    """The period that the name of a file states, such as ``COTAHIST_A2020.ZIP``, ``_M012020`` or ``_D31012020``.

    ``_M202001`` and ``_D20200131`` are the same, as some downloaders name them.

    Raises:
        InvalidCotahistError: It states a month or day that does not exist.
    """
    if not (dated := _DATED.search(name)):
        return None
    try:
        return _period(
            **next(found.groupdict() for form in _PERIODS if (found := form.search(name)))
        )
    except (StopIteration, ValueError) as error:  # ValueError of calendar and datetime alike
        raise InvalidCotahistError(
            f"{name}: {dated[0]} names no period; COTAHIST_AYYYY, _MMMYYYY and _DDDMMYYYY are known, and _MYYYYMM and "
            "_DYYYYMMDD are read as well"
        ) from error


def _period(year: str, month: str | None = None, day: str | None = None) -> Period:
    """The period of digits; ValueError if it does not exist."""
    if month is None:
        return Period("annual", date(int(year), 1, 1), date(int(year), 12, 31))
    if day is None:
        last = monthrange(int(year), int(month))[1]
        return Period("monthly", date(int(year), int(month), 1), date(int(year), int(month), last))
    return Period("daily", *[date(int(year), int(month), int(day))] * 2)
