"""Sessions of the exchange, and checks of quotes against them.

The sessions are those of the ``BVMF`` calendar of exchange_calendars, which knows the holidays and
the days that open late; it agrees with the quotes of 2010 to 2023 on every session. It cannot know
days that the exchange decided on after the library's release. Rows on a day that the calendar does
not list are therefore kept and reported if nearly every ticker has one, and dropped if few have.
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
"""A day with this share of the tickers of the days around it is a session.

It counts as one whether or not the calendar lists it.
"""

FEWEST_TICKERS = 10
"""Tickers that the days around a day must have for its own tickers to overrule the calendar.

With one or two tickers a vendor's row on a holiday would already be every ticker.
"""

NEIGHBOURS = 21
"""Sessions around a day over which the median number of tickers is taken."""

STALE_SESSIONS = 20
"""A ticker without a trade in this many of the source's last sessions is reported as stale."""


def sessions(first: date, last: date) -> Array:
    """Return the sessions of a period.

    Args:
        first: first day of the period; days before :data:`FIRST` have no session.
        last: last day of the period, included.

    Returns:
        (sessions,) datetime64[D], sorted.
    """
    return _between(_calendar(last.year + 1).sessions, first, last)


def session_numbers(days: Array) -> IntArray:
    """Number days by sessions, so that differences count sessions.

    Args:
        days: (days,) datetime64[D].

    Returns:
        (days,) int64, sessions from :data:`FIRST` up to each day, that day included.
    """
    if not len(days):
        return np.zeros(0, dtype=np.int64)

    numbers: IntArray = np.searchsorted(sessions(FIRST, _date(days.max())), days, side="right")
    return numbers


def half_days(first: date, last: date) -> Array:
    """Return the sessions of a period that open late or close early, such as Ash Wednesday."""
    calendar = _calendar(last.year + 1)
    return _between(calendar.late_opens.union(calendar.early_closes), first, last)


def sessions_after(day: date, count: int) -> Array:
    """Return the next ``count`` sessions after a day, (count,) datetime64[D]."""
    return sessions(day + timedelta(days=1), day + timedelta(days=2 * count + 30))[:count]


def sessions_between(day: date, later: date) -> int:
    """Count the sessions after a day and before a later one."""
    return len(sessions(day + timedelta(days=1), later - timedelta(days=1)))


@dataclass(frozen=True)
class TradingActivity:
    """How many rows each day has, and the newest day of each ticker.

    Attributes:
        days: (days,) datetime64[D], sorted, NaT last.
        rows_per_day: (days,) rows of each.
        newest_days: newest day by ticker, in the order of the tickers.
    """

    days: Array
    rows_per_day: IntArray
    newest_days: dict[str, np.datetime64]

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> "TradingActivity":
        """Count quotes with ticker and date."""
        days, rows = np.unique(_days(frame), return_counts=True)
        newest = frame.groupby("ticker", sort=True)["date"].max()
        newest_days = newest.to_numpy().astype("datetime64[D]")
        return cls(days, rows, dict(zip(newest.index, newest_days, strict=True)))

    @classmethod
    def from_counts(cls, counts: pd.DataFrame) -> "TradingActivity":
        """Take ``date`` and ``rows`` from a source's own count, which names no ticker."""
        days = counts["date"].to_numpy().astype("datetime64[D]")
        return cls(days, counts["rows"].to_numpy(), {})

    @classmethod
    def from_parts(cls, parts: Sequence["TradingActivity"]) -> "TradingActivity":
        """Add up parts of a market.

        Args:
            parts: in the order of their tickers, no ticker in two of them.
        """
        days, place = np.unique(np.concatenate([part.days for part in parts]), return_inverse=True)
        rows = np.zeros(len(days), dtype=np.int64)
        np.add.at(rows, place, np.concatenate([part.rows_per_day for part in parts]))

        newest_days = {t: day for part in parts for t, day in part.newest_days.items()}
        return cls(days, rows, newest_days)


def closed_days(
    frame: pd.DataFrame, market: TradingActivity | None = None
) -> tuple[Array, list[Finding]]:
    """Find rows on days without a session, and sessions that the calendar does not know.

    Args:
        frame: quotes with ticker and date.
        market: activity of all quotes, where ``frame`` has some of the tickers only. With fewer
            than :data:`FEWEST_TICKERS` tickers the calendar alone decides.

    Returns:
        Mask of the rows to drop, and a finding of the whole market: the rows on days that are kept
        though the calendar does not know them (``unknown_session``).
    """
    market = market or TradingActivity.from_frame(frame)
    days = market.days
    rows = market.rows_per_day

    # Rows without a date and rows of the future are findings of their own.
    comparable = (days >= np.datetime64(FIRST)) & (days <= np.datetime64(today()))
    unlisted = comparable & ~np.isin(days, sessions(FIRST, today()))

    usual = _usual_rows(rows)
    crowded = (usual >= FEWEST_TICKERS) & (rows >= CROWD * usual)
    kept = unlisted & crowded
    dropped = (unlisted & ~crowded)[np.searchsorted(days, _days(frame))]

    shown = zip(days[kept], rows[kept], strict=True)
    examples = tuple(f"{day}: {n} tickers" for day, n in shown)[:EXAMPLES]
    return dropped, [Finding("unknown_session", int(rows[kept].sum()), "kept", examples)]


def calendar_findings(days: Array, market: TradingActivity) -> list[Finding]:
    """Find sessions that are missing or thin, half-days, and tickers that stopped trading.

    Args:
        days: datetime64[D], every day of the period on which the source has any row at all,
            whatever its ticker.
        market: activity of the clean quotes.
    """
    first = _date(days.min())
    last = _date(days.max())
    traded = market.days
    rows = market.rows_per_day

    missing = missing_sessions(days)
    usual = _usual_rows(rows)
    thin = (rows < CROWD * usual) & np.isin(traded, sessions(first, last))
    half = np.isin(traded, half_days(first, last))
    return [
        Finding("missing_session", len(missing), "kept", tuple(map(str, missing[:EXAMPLES]))),
        Finding("thin_session", int(thin.sum()), "kept", _thin_days(traded, rows, usual, thin)),
        Finding("half_day", int(half.sum()), "kept", tuple(map(str, traded[half][-EXAMPLES:]))),
        _stale_tickers(market, last),
    ]


def missing_sessions(days: Array) -> Array:
    """Return the sessions between the first and the last of the days that are not among them."""
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
        listed = ", ".join(missing[:30]) + (", ..." if len(missing) > 30 else "")
        raise MissingSessionsError(
            f"{source} misses {len(missing)} sessions of the exchange between {days.min()} "
            f"and {days.max()}, max_missing_sessions allows {limit}: {listed}",
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


def _usual_rows(rows: Array) -> FloatArray:
    """Return the median number of rows on the days around each day."""
    around = pd.Series(rows).rolling(NEIGHBOURS, center=True, min_periods=1).median()
    return around.to_numpy(dtype=np.float64)


def _thin_days(days: Array, rows: Array, usual: FloatArray, thin: Array) -> tuple[str, ...]:
    shown = zip(days[thin], rows[thin], usual[thin], strict=True)
    examples = [f"{day}: {n} tickers, {around:.0f} around it" for day, n, around in shown]
    return tuple(examples[:EXAMPLES])


def _stale_tickers(market: TradingActivity, last: date) -> Finding:
    """Find tickers that stopped trading: delisted, renamed or suspended."""
    names = list(market.newest_days)
    newest = np.array(list(market.newest_days.values()))
    calendar = sessions(_date(market.days.min()), last)
    behind = len(calendar) - np.searchsorted(calendar, newest, side="right")

    stale = np.flatnonzero(behind >= STALE_SESSIONS)
    examples = tuple(f"{names[n]} {newest[n]}: {behind[n]} sessions ago" for n in stale[:EXAMPLES])
    return Finding("stale_ticker", len(stale), "kept", examples)
