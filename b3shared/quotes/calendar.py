"""Sessions of the exchange, from the ``BVMF`` calendar of exchange_calendars, and what they say of a table of quotes.

The calendar knows the holidays and the days that open late; measured against the quotes of 2010 to
2023 it agrees on every session. Days that the exchange decided on later than the library's release
are unknown to it: so it names a day on which nearly everybody traded as a finding, and drops only
what hardly anybody has.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import exchange_calendars
import numpy as np
import pandas as pd

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.core.clock import today
from b3shared.core.errors import MissingSessionsError
from b3shared.quotes.findings import EXAMPLES, Finding

EXCHANGE = "BVMF"
FIRST = date(1994, 7, 4)
"""First session in reais; nothing before is compared with the calendar."""

CROWD = 0.5
"""Share of the tickers around it that a day must have to count as a session whatever the calendar says."""

FEWEST_TICKERS = 10
"""Tickers around a day from which they overrule the calendar: of one or two, a vendor's row on a holiday is everybody."""

NEIGHBOURS = 21
"""Sessions around a day whose median number of tickers is what it is compared with."""

STALE_SESSIONS = 20
"""Sessions without a trade, up to the newest of the source, from which a ticker is reported as stale."""


def sessions(first: date, last: date) -> Array:
    """datetime64[D] sessions from ``first`` to ``last``, both included; empty before :data:`FIRST`."""
    return _between(_calendar(last.year + 1).sessions, first, last)


def session_numbers(days: Array) -> IntArray:
    """(days,) how many sessions there were from :data:`FIRST` up to each day, itself included.

    Args:
        days: datetime64[D].
    """
    if not len(days):
        return np.zeros(0, dtype=np.int64)
    numbers: IntArray = np.searchsorted(sessions(FIRST, _date(days.max())), days, side="right")
    return numbers


def half_days(first: date, last: date) -> Array:
    """datetime64[D] sessions that open late or close early, such as Ash Wednesday."""
    calendar = _calendar(last.year + 1)
    return _between(calendar.late_opens.union(calendar.early_closes), first, last)


def sessions_after(day: date, count: int) -> Array:
    """The next ``count`` sessions after a day, datetime64[D]."""
    return sessions(day + timedelta(days=1), day + timedelta(days=2 * count + 30))[:count]


def sessions_between(day: date, later: date) -> int:
    """How many sessions lie after a day and before a later one."""
    return len(sessions(day + timedelta(days=1), later - timedelta(days=1)))


@dataclass(frozen=True)
class Attendance:
    """Who has rows when; what the calendar is compared with.

    Attributes:
        days: (days,) datetime64[D], sorted, NaT last; ``tickers``: (days,) how many rows each has.
        newest: ticker -> its newest day, in the order of the tickers.
    """

    days: Array
    tickers: IntArray
    newest: dict[str, np.datetime64]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "Attendance":
        """Of quotes with ticker and date."""
        days, counts = np.unique(_days(frame), return_counts=True)
        newest = frame.groupby("ticker", sort=True)["date"].max()
        return cls(
            days,
            counts,
            dict(zip(newest.index, newest.to_numpy().astype("datetime64[D]"), strict=True)),
        )

    @classmethod
    def from_counts(cls, counts: pd.DataFrame) -> "Attendance":
        """Of ``date`` and ``rows`` alone, which a source can count without reading its quotes."""
        days = counts["date"].to_numpy().astype("datetime64[D]")
        return cls(days, counts["rows"].to_numpy(), {})

    @classmethod
    def joined(cls, parts: Sequence["Attendance"]) -> "Attendance":
        """Of the tickers of all parts; no ticker is in two of them, and they come in the tickers' order."""
        days, place = np.unique(np.concatenate([part.days for part in parts]), return_inverse=True)
        counts = np.zeros(len(days), dtype=np.int64)
        np.add.at(counts, place, np.concatenate([part.tickers for part in parts]))
        return cls(
            days, counts, {ticker: day for part in parts for ticker, day in part.newest.items()}
        )


def closed_days(
    frame: pd.DataFrame, market: Attendance | None = None
) -> tuple[Array, list[Finding]]:
    """Rows on days without a session, and the days that the calendar does not know though the market was open.

    Args:
        frame: quotes with ticker and date.
        market: of all quotes, where ``frame`` has some of the tickers only. Of fewer than
            :data:`FEWEST_TICKERS` the calendar alone decides.

    Returns:
        Mask of the rows to drop, and a finding of days that are kept (``unknown_session``), of the
        whole market.
    """
    market = market or Attendance.of(frame)
    days, counts = market.days, market.tickers
    known = (days >= np.datetime64(FIRST)) & (
        days <= np.datetime64(today())
    )  # no day and the future are told elsewhere
    odd = known & ~np.isin(days, sessions(FIRST, today()))
    usual = _usual(counts)
    crowded = (usual >= FEWEST_TICKERS) & (counts >= CROWD * usual)
    kept = days[odd & crowded]
    examples = tuple(
        f"{day}: {n} tickers" for day, n in zip(kept, counts[odd & crowded], strict=True)
    )[:EXAMPLES]
    rows = int(counts[odd & crowded].sum())
    mask = (odd & ~crowded)[np.searchsorted(days, _days(frame))]
    return mask, [Finding("unknown_session", rows, "kept", examples)]


def calendar_findings(days: Array, market: Attendance) -> list[Finding]:
    """Sessions that are missing or thin, half-days, and tickers that stopped trading.

    Args:
        days: datetime64[D], every day of the period on which the source has any row at all,
            whatever its ticker.
        market: of the clean quotes.
    """
    missing = missing_sessions(days)
    first, last = _date(days.min()), _date(days.max())
    present, counts = market.days, market.tickers
    usual = _usual(counts)
    thin = (counts < CROWD * usual) & np.isin(present, sessions(first, last))
    half = np.isin(present, half_days(first, last))
    return [
        Finding("missing_session", len(missing), "kept", tuple(map(str, missing[:EXAMPLES]))),
        Finding("thin_session", int(thin.sum()), "kept", _counted(present, counts, usual, thin)),
        Finding("half_day", int(half.sum()), "kept", tuple(map(str, present[half][-EXAMPLES:]))),
        _stale(market, last),
    ]


def missing_sessions(days: Array) -> Array:
    """Sessions of the exchange between the first and the last of the days that are not among them."""
    if not len(days):
        return days
    expected = sessions(_date(days.min()), _date(days.max()))
    return expected[~np.isin(expected, days)]


def check_complete(days: Array, limit: int, source: str) -> None:
    """Refuse a source that misses more sessions than are allowed.

    Args:
        days: as for :func:`calendar_findings`.
        limit: missing sessions that are allowed.
        source: its name.

    Raises:
        MissingSessionsError: With the list.
    """
    missing = [str(day) for day in missing_sessions(days)]
    if len(missing) > limit:
        raise MissingSessionsError(
            f"{source} misses {len(missing)} sessions of the exchange between {days.min()} and {days.max()}, "
            f"max_missing_sessions allows {limit}: {', '.join(missing[:30])}{', ...' if len(missing) > 30 else ''}",
            missing=missing,
        )


@lru_cache(maxsize=4)
def _calendar(last_year: int) -> Any:
    end = pd.Timestamp(last_year, 12, 31)
    with warnings.catch_warnings(action="ignore"):  # pandas' about the library's own code
        return exchange_calendars.get_calendar(EXCHANGE, start=pd.Timestamp(FIRST), end=end)


def _between(days: pd.DatetimeIndex, first: date, last: date) -> Array:
    within = days[(days >= pd.Timestamp(first)) & (days <= pd.Timestamp(last))]
    found: Array = within.to_numpy().astype("datetime64[D]")
    return found


def _days(frame: pd.DataFrame) -> Array:
    return frame["date"].to_numpy().astype("datetime64[D]")


def _date(day: np.datetime64) -> date:
    found: date = day.astype("datetime64[D]").item()
    return found


def _usual(counts: Array) -> FloatArray:
    """Median number of tickers on the days around each."""
    around = pd.Series(counts).rolling(NEIGHBOURS, center=True, min_periods=1).median()
    return around.to_numpy(dtype=np.float64)


def _counted(days: Array, counts: Array, usual: FloatArray, mask: Array) -> tuple[str, ...]:
    rows = zip(days[mask], counts[mask], usual[mask], strict=True)
    return tuple(f"{day}: {n} tickers, {around:.0f} around it" for day, n, around in rows)[
        :EXAMPLES
    ]


def _stale(market: Attendance, last: date) -> Finding:
    """Tickers whose newest row lies far before the newest session: delisted, renamed or suspended."""
    newest = np.array(list(market.newest.values()))
    calendar = sessions(_date(market.days.min()), last)
    behind = len(calendar) - np.searchsorted(calendar, newest, side="right")
    stale = np.flatnonzero(behind >= STALE_SESSIONS)
    names = list(market.newest)
    examples = tuple(f"{names[n]} {newest[n]}: {behind[n]} sessions ago" for n in stale[:EXAMPLES])
    return Finding("stale_ticker", len(stale), "kept", examples)
