"""The CDI, the interbank deposit rate: Brazil's risk-free rate of a day.

``market/cdi.csv`` has the columns ``date,rate``; the rate is a fraction a day. The rate of a day is
what money earns from that business day to the next.
"""

import numpy as np

from b3shared.core.errors import InvalidMarketError
from b3shared.dataset.market import Daily
from b3shared.quotes.market.csv_file import Found, daily_to_csv, find_file, read_daily
from b3shared.storage import Storage

CDI = "market/cdi.csv"
NAME = "CDI"
COLUMN = "rate"

HIGHEST_RATE = 0.01
"""Greatest rate of a day that is believed. The highest since July 1994 is about 0.005; a rate in
per cent a day, 0.03 and more in most years, is refused by it."""


def parse_cdi(found: Found) -> Daily:
    """Read the rates of a file.

    Raises:
        InvalidMarketError: See :func:`b3shared.quotes.market.csv_file.read_daily`; a rate must be
            from 0 to :data:`HIGHEST_RATE`.
    """
    return read_daily(found, NAME, COLUMN, rate_fault)


def rate_fault(rate: float) -> str | None:
    """Return what a rate must be, if it is out of bounds."""
    inside = 0 <= rate <= HIGHEST_RATE
    return None if inside else f"a fraction a day from 0 to {HIGHEST_RATE} (0.0004, not 0.04 %)"


def read_cdi(storage: Storage, quotes: str = "") -> Daily | None:
    """Return the rates of the storage, or of the file beside the quotes; None without either."""
    found = find_file(CDI, storage, quotes)
    return None if found is None else parse_cdi(found)


def write_cdi(storage: Storage, rates: Daily) -> None:
    """Replace the rates of the storage."""
    storage.put(CDI, daily_to_csv(rates, COLUMN))


def add_rates(storage: Storage, new: Daily) -> int:
    """Add the rates of new days to those of the storage; a day that is there keeps its rate.

    Returns:
        Number of days added.

    Raises:
        ConflictError: Another writer changed the file at the same time.
        InvalidMarketError: The file of the storage is faulty, or a new rate is out of bounds.
    """
    for day, rate in zip(new.days, new.values.tolist(), strict=True):
        if (must := rate_fault(rate)) is not None:
            raise InvalidMarketError(f"{new.source}, {day}: rate must be {must}, got {rate!r}")

    stored = storage.read_versioned(CDI)
    if stored is None:
        storage.create(CDI, daily_to_csv(new, COLUMN))
        return len(new)

    old = parse_cdi(Found(stored[0], CDI))
    added = ~np.isin(new.days, old.days)
    if not added.any():
        return 0
    days = np.concatenate([old.days, new.days[added]])
    values = np.concatenate([old.values, new.values[added]])
    order = np.argsort(days)

    joined = Daily(NAME, CDI, days[order], values[order])
    storage.replace(CDI, daily_to_csv(joined, COLUMN), stored[1])
    return int(added.sum())
