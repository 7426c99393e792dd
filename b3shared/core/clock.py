"""The current time, and the date at the exchange."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/Sao_Paulo")
"""Time zone of the exchange: its sessions, days and weeks do not depend on the machine's zone."""


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def today() -> date:
    """Return the current date at the exchange."""
    return day_of(now())


def day_of(time: datetime) -> date:
    """Return the date at the exchange of a time with a zone."""
    return time.astimezone(ZONE).date()
