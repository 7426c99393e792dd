"""The periods of the exchange's files: annual, monthly or daily, and the names of the files."""

import re
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Literal

from b3shared.core.clock import today
from b3shared.core.errors import InvalidCotahistError, InvalidParameterError

FIRST_YEAR = 1994
"""The year in which the real came. Files from 1986 on have prices in earlier currencies."""

MANY_DAYS = 5
"""Missing sessions of a past month over which its monthly file is asked for, not daily ones."""

MANY_MONTHS = 2
"""Monthly files of a year over which its annual file is asked for."""

Kind = Literal["daily", "monthly", "annual"]

_YEAR = r"(?:19|20)\d\d"
_MONTH = r"(?:0[1-9]|1[0-2])"
_DAY = r"\d\d"
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
"""The exchange's names, then those of downloaders that put the year first.

No name is both: 19 and 20 are no months.
"""
_DATED = re.compile(r"COTAHIST[._](?:A\d{4}|M\d{6}|D\d{8})(?!\d)", re.IGNORECASE)


@dataclass(frozen=True)
class Period:
    """The days that a file may hold, both included."""

    kind: Kind
    first: date
    last: date

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"


def annual(year: int) -> Period:
    """Return a whole year.

    Raises:
        InvalidParameterError: It is before :data:`FIRST_YEAR` or after the current year.
    """
    check_year("year", year)
    return Period("annual", date(year, 1, 1), date(year, 12, 31))


def monthly(year: int, month: int) -> Period:
    """Return a whole month."""
    return Period("monthly", date(year, month, 1), date(year, month, monthrange(year, month)[1]))


def daily(day: date) -> Period:
    """Return one session."""
    return Period("daily", day, day)


def period_name(period: Period) -> str:
    """Return the part of a file's name that states its period: A2020, M012020 or D02012020."""
    return {
        "annual": f"A{period.first:%Y}",
        "monthly": f"M{period.first:%m%Y}",
        "daily": f"D{period.first:%d%m%Y}",
    }[period.kind]


def period_of(name: str) -> Period:
    """Return the period of such a name.

    Raises:
        InvalidParameterError: It names no period, or one of a year without quotes in R$.
    """
    try:
        found = named_period(f"COTAHIST_{name}")
    except InvalidCotahistError:
        found = None
    if found is None or period_name(found) != name:
        raise InvalidParameterError(
            f"period must be a year A2020, a month M012020 or a day D02012020, got {name!r}"
        )
    check_year(f"the year of period {name!r}", found.first.year)
    return found


def check_year(name: str, year: int) -> None:
    """Check that the exchange has a file of a year in R$.

    Raises:
        InvalidParameterError: It has none; the message begins with ``name``.
    """
    if not FIRST_YEAR <= year <= today().year:
        why = "; earlier prices are not in R$" if year < FIRST_YEAR else ""
        raise InvalidParameterError(
            f"{name} must be from {FIRST_YEAR} to {today().year}, got {year}{why}"
        )


def covering(days: Iterable[date]) -> list[Period]:
    """Return the files to ask for to get some sessions, oldest first.

    They are daily ones for few sessions, else whole months and years.
    """
    return [
        period
        for year, of_year in groupby(sorted(set(days)), key=lambda day: day.year)
        for period in _covering_of_year(year, list(of_year))
    ]


def _covering_of_year(year: int, days: list[date]) -> list[Period]:
    found: list[Period] = []
    months = 0
    for month, of_month in groupby(days, key=lambda day: day.month):
        sessions = list(of_month)
        period = monthly(year, month)
        if len(sessions) > MANY_DAYS and period.last < today():
            found.append(period)
            months += 1
        else:
            found += [daily(day) for day in sessions]
    return [annual(year)] if months > MANY_MONTHS else found


def named_period(name: str) -> Period | None:
    """Return the period that a file's name states, such as ``COTAHIST_A2020.ZIP``; None if none.

    ``_M012020`` and ``_D31012020`` are the exchange's names of a month and a day; ``_M202001`` and
    ``_D20200131``, of some downloaders, mean the same.

    Raises:
        InvalidCotahistError: It states a month or day that does not exist.
    """
    if not (dated := _DATED.search(name)):
        return None
    try:
        found = next(match for form in _PERIODS if (match := form.search(name)))
        return _period(**found.groupdict())
    except (StopIteration, ValueError) as error:  # ValueError of calendar and datetime alike
        raise InvalidCotahistError(
            f"{name}: {dated[0]} names no period; COTAHIST_AYYYY, _MMMYYYY and _DDDMMYYYY are "
            "known, and _MYYYYMM and _DYYYYMMDD are read as well"
        ) from error


def _period(year: str, month: str | None = None, day: str | None = None) -> Period:
    """The period of digits; ValueError if it does not exist."""
    if month is None:
        return Period("annual", date(int(year), 1, 1), date(int(year), 12, 31))
    if day is None:
        last = monthrange(int(year), int(month))[1]
        return Period("monthly", date(int(year), int(month), 1), date(int(year), int(month), last))
    return daily(date(int(year), int(month), int(day)))
