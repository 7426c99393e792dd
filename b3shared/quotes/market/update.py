"""Brings the CDI of the storage up to date: asks only for days that it lacks."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from b3shared.core.clock import today
from b3shared.core.errors import B3Error
from b3shared.quotes.lake.lake import Lake
from b3shared.quotes.lake.manifest import Manifest
from b3shared.quotes.market.cdi import add_rates, read_cdi
from b3shared.quotes.market.central_bank import NEVER, RateServer
from b3shared.storage import Storage


@dataclass
class MarketUpdate:
    """The result of an update of the market's files.

    Attributes:
        added: days whose rate is new.
        newest: ISO date of the newest rate; None without any.
        findings: sentences on what could not be fetched; nothing else depends on it.
    """

    added: int = 0
    newest: str | None = None
    findings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON types."""
        return {"cdi_added": self.added, "cdi_newest": self.newest, "findings": self.findings}


def update_market(storage: Storage, address: str, ca_bundle: str = "") -> MarketUpdate:
    """Fetch the rates of the lake's period that the storage lacks, up to today.

    Whatever goes wrong is a finding: quotes need no rates. An empty lake needs none.

    Args:
        storage: of the deployment.
        address: see :class:`b3shared.quotes.market.central_bank.RateServer`; ``never`` asks for
            nothing.
        ca_bundle: see :class:`b3shared.quotes.web.WebClient`.
    """
    update = MarketUpdate()
    try:
        first = first_session(Lake(storage).manifest())
        if first is not None and address != NEVER:
            _update_cdi(storage, RateServer(address, ca_bundle=ca_bundle), first, update)
    except B3Error as error:
        update.findings.append(f"the CDI could not be updated: {error.code}: {error.message}")
    return update


def no_time() -> MarketUpdate:
    """Return the result of an update that was left to the next one."""
    return MarketUpdate(findings=["no time was left for the CDI: the next ingest asks for it"])


def _update_cdi(storage: Storage, server: RateServer, first: date, update: MarketUpdate) -> None:
    for start, end in missing_periods(storage, first, today()):
        update.added += add_rates(storage, server.fetch(start, end))

    rates = read_cdi(storage)
    update.newest = None if rates is None or not len(rates) else str(rates.days[-1])


def missing_periods(storage: Storage, first: date, last: date) -> list[tuple[date, date]]:
    """Return the periods before and after the rates of the storage, oldest first.

    A period without a weekday is left out: it has no rate.

    Raises:
        InvalidMarketError: The file of the storage is faulty.
    """
    rates = read_cdi(storage)
    if rates is None or not len(rates):
        return [(first, last)]

    oldest: date = rates.days[0].item()
    newest: date = rates.days[-1].item()
    day = timedelta(days=1)
    periods = [(first, oldest - day), (newest + day, last)]
    return [(start, end) for start, end in periods if _has_weekday(start, end)]


def first_session(manifest: Manifest) -> date | None:
    """Return the first session of a lake; the first day of its first year if that is all it knows.

    None for an empty lake.
    """
    if not manifest.years:
        return None
    year = min(manifest.years)
    firsts = [file.first for file in manifest.years[year] if file.first is not None]
    return date.fromisoformat(min(firsts)) if firsts else date(year, 1, 1)


def _has_weekday(start: date, end: date) -> bool:
    days = (end - start).days + 1
    return any((start + timedelta(days=number)).weekday() < 5 for number in range(min(days, 7)))
