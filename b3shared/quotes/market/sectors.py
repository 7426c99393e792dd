"""The exchange's classification of companies by sector, subsector and segment.

``market/sectors.csv`` has the columns ``ticker,sector,subsector,segment,read``; ``read`` is the day
on which the exchange was asked. It says nothing of the classification before.
"""

import re
from datetime import UTC, date

import numpy as np
import pandas as pd

from b3shared.core.clock import ZONE
from b3shared.core.errors import ConflictError, InvalidMarketError
from b3shared.dataset.market import SECTOR_COLUMNS, Sectors
from b3shared.quotes.market.csv_file import Found, find_file, parse_day, read_rows, to_csv
from b3shared.storage import Storage

SECTORS = "market/sectors.csv"
COLUMNS = ("ticker", *SECTOR_COLUMNS, "read")
ATTEMPTS = 10
"""How often an update is tried when another writer is first."""

TICKER = re.compile(r"[A-Z0-9]{4,12}")

Classified = tuple[str, str, str, date]
"""Sector, subsector, segment and the day on which they were read."""


def parse_sectors(found: Found) -> Sectors:
    """Read the classification of a file.

    Raises:
        InvalidMarketError: A column is unknown or lacking, a ticker is none or stands twice, a row
            has no sector, or ``read`` is no date. The message names the row and the value.
    """
    rows: dict[str, Classified] = {}
    for number, row in enumerate(read_rows(found, COLUMNS), 2):
        where = f"{found.origin}, row {number}"
        ticker = row["ticker"]
        if not TICKER.fullmatch(ticker):
            raise InvalidMarketError(f"{where}: ticker must be such as PETR4, got {ticker!r}")
        if ticker in rows:
            raise InvalidMarketError(f"{where}: ticker must stand once, got {ticker!r} again")
        if not row["sector"]:
            raise InvalidMarketError(f"{where}: sector must not be empty, got {row['sector']!r}")

        read = parse_day(row["read"], f"{where}: read")
        rows[ticker] = (row["sector"], row["subsector"], row["segment"], read)
    return _sectors(rows)


def read_sectors(storage: Storage, quotes: str = "") -> Sectors | None:
    """Return the classification of the storage, or of the file beside the quotes; None without."""
    found = find_file(SECTORS, storage, quotes)
    return None if found is None else parse_sectors(found)


def write_sectors(storage: Storage, table: Sectors) -> bool:
    """Replace the classification of the storage; return whether it changed."""
    data = _to_csv(table)
    stored = storage.read_versioned(SECTORS)
    if stored is not None and stored[0] == data:
        return False

    storage.put(SECTORS, data)
    return True


def sectors_of(companies: pd.DataFrame, before: Sectors | None = None) -> Sectors:
    """Make the classification of the exchange's company details.

    Args:
        companies: columns as in
            :data:`b3shared.quotes.corporate_actions.announcements.table.COMPANY_TYPES`. Rows
            without a sector or the time of their details say nothing, nor do those whose code is
            no ticker, such as a debenture's.
        before: what was known. Its tickers stay; of two rows for a ticker the one that was read
            last counts.
    """
    rows = {} if before is None else _rows(before)
    usable = companies.dropna(subset=["ticker", "sector", "details_fetched"])

    for row in usable.to_dict("records"):
        read = pd.Timestamp(row["details_fetched"], tz=UTC).astimezone(ZONE).date()
        texts = [_text(row[name]) for name in SECTOR_COLUMNS]
        ticker = _text(row["ticker"])
        known = rows.get(ticker)
        if TICKER.fullmatch(ticker) and texts[0] and (known is None or known[-1] <= read):
            rows[ticker] = (texts[0], texts[1], texts[2], read)
    return _sectors(rows)


def update_sectors(storage: Storage, companies: pd.DataFrame) -> bool:
    """Add the exchange's company details to the classification of the storage.

    Several may do so at once: none loses what another added.

    Returns:
        Whether it changed.

    Raises:
        InvalidMarketError: The file of the storage is faulty.
        ConflictError: Others changed it first in every attempt.
    """
    for _ in range(ATTEMPTS):
        stored = storage.read_versioned(SECTORS)
        before = None if stored is None else parse_sectors(Found(stored[0], SECTORS))
        table = sectors_of(companies, before)
        data = _to_csv(table)
        if not len(table) or (stored is not None and stored[0] == data):
            return False

        try:
            if stored is None:
                storage.create(SECTORS, data)
            else:
                storage.replace(SECTORS, data, stored[1])
            return True
        except ConflictError:
            continue
    raise ConflictError(f"others changed {SECTORS!r} first, {ATTEMPTS} times in a row", key=SECTORS)


def _to_csv(table: Sectors) -> bytes:
    lines = zip(*(getattr(table, name).tolist() for name in COLUMNS), strict=True)
    return to_csv(COLUMNS, lines)


def _text(value: object) -> str:
    """Return a text with single spaces; empty for what is not known."""
    return " ".join(value.split()) if isinstance(value, str) else ""


def _rows(table: Sectors) -> dict[str, Classified]:
    columns = (getattr(table, name).tolist() for name in COLUMNS)
    return {row[0]: row[1:] for row in zip(*columns, strict=True)}


def _sectors(rows: dict[str, Classified]) -> Sectors:
    tickers = sorted(rows)
    return Sectors(
        ticker=np.array(tickers, dtype=str),
        sector=np.array([rows[ticker][0] for ticker in tickers], dtype=str),
        subsector=np.array([rows[ticker][1] for ticker in tickers], dtype=str),
        segment=np.array([rows[ticker][2] for ticker in tickers], dtype=str),
        read=np.array([rows[ticker][3] for ticker in tickers], dtype="datetime64[D]"),
    )
