"""Puts files of the market into the storage, each checked first: a user's, or those beside quotes.

All are checked before the first is written.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from b3shared.core.errors import SourceUnavailableError
from b3shared.quotes.market.cdi import CDI, parse_cdi, read_cdi, write_cdi
from b3shared.quotes.market.csv_file import Found, file_beside
from b3shared.quotes.market.ibovespa import (
    IBOVESPA,
    parse_ibovespa,
    read_ibovespa,
    write_ibovespa,
)
from b3shared.quotes.market.sectors import SECTORS, parse_sectors, read_sectors, write_sectors
from b3shared.storage import Storage


@dataclass(frozen=True)
class _Kind:
    """How a file of the market is parsed, written and read."""

    parse: Callable[[Found], Any]
    write: Callable[[Storage, Any], object]
    read: Callable[[Storage, str], Any]


KINDS = {
    CDI: _Kind(parse_cdi, write_cdi, read_cdi),
    IBOVESPA: _Kind(parse_ibovespa, write_ibovespa, read_ibovespa),
    SECTORS: _Kind(parse_sectors, write_sectors, read_sectors),
}
"""Key of every file of the market -> how it is handled."""


def import_files(storage: Storage, files: Mapping[str, Path]) -> None:
    """Replace files of the market in the storage.

    Args:
        storage: of the deployment.
        files: key of :data:`KINDS` -> local file.

    Raises:
        SourceUnavailableError: There is no such file.
        InvalidMarketError: A file is faulty; nothing is written then.
    """
    parsed = {key: KINDS[key].parse(_found(path)) for key, path in files.items()}
    for key, table in parsed.items():
        KINDS[key].write(storage, table)


def import_beside(storage: Storage, quotes: str) -> list[str]:
    """Put the files beside a local file of quotes into the storage, where it has none.

    Returns:
        The keys that were written.

    Raises:
        InvalidMarketError: A file is faulty; nothing is written then.
    """
    found = {key: file_beside(key, quotes) for key in KINDS}
    new = {key: path for key, path in found.items() if path is not None and not storage.exists(key)}
    import_files(storage, new)
    return list(new)


def describe_files(storage: Storage, quotes: str = "") -> dict[str, str]:
    """Return a line on every file of the market: its days or tickers, and where it is.

    Args:
        storage: of the deployment.
        quotes: location of the deployment's quotes.

    Raises:
        InvalidMarketError: A file is faulty.
    """
    lines = {}
    for key, kind in KINDS.items():
        table = kind.read(storage, quotes)
        if table is None:
            lines[key] = "absent"
        elif not len(table):
            lines[key] = "empty"
        elif key == SECTORS:
            lines[key] = (
                f"{len(table):,} tickers, read from {table.read.min()} to {table.read.max()}"
            )
        else:
            days = f"{len(table):,} days, {table.days[0]} to {table.days[-1]}"
            lines[key] = f"{days} ({table.source})"

    return lines


def _found(path: Path) -> Found:
    if not path.is_file():
        raise SourceUnavailableError(f"{path} is not a file; give a CSV file")
    return Found(path.read_bytes(), str(path))
