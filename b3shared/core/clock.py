"""The exchange's clock."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/Sao_Paulo")
"""Where the exchange is; its sessions, days and weeks are those of this zone, whatever the machine's own."""


def today() -> date:
    """The current date at the exchange."""
    return datetime.now(ZONE).date()
