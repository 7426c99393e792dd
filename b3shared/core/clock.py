"""The date at the exchange."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/Sao_Paulo")
"""Time zone of the exchange: its sessions, days and weeks do not depend on the machine's zone."""


def today() -> date:
    """Return the current date at the exchange."""
    return datetime.now(ZONE).date()
