"""Reads and writes the files of the market: in the storage, or beside a local file of quotes."""

import csv
import io
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from b3shared.core.errors import InvalidMarketError
from b3shared.dataset.market import Daily
from b3shared.storage import Storage

Row = dict[str, str]


@dataclass(frozen=True)
class Found:
    """The content of a file.

    Attributes:
        data: its bytes.
        origin: where it was, for errors and reports.
    """

    data: bytes
    origin: str


def find_file(key: str, storage: Storage, quotes: str = "") -> Found | None:
    """Return the file of a key of the storage, else the one beside the quotes; None without either.

    Args:
        key: such as ``market/cdi.csv``; beside the quotes it is ``cdi.csv``.
        storage: of the deployment.
        quotes: location of the deployment's quotes. Only a local file has files beside it.
    """
    stored = storage.read_versioned(key)
    if stored is not None:
        return Found(stored[0], key)

    path = file_beside(key, quotes)
    return None if path is None else Found(path.read_bytes(), f"{path.name} beside the quotes")


def file_beside(key: str, quotes: str) -> Path | None:
    """Return the path of a key's file beside a local file of quotes; None if there is none."""
    location = Path(quotes.partition("#")[0])
    path = location.parent / key.rpartition("/")[2]
    return path if location.is_file() and path.is_file() else None


def read_rows(found: Found, columns: Sequence[str]) -> list[Row]:
    """Read a CSV file whose header names exactly these columns, in any order.

    Returns:
        The rows, values stripped; the first is row 2 of the file.

    Raises:
        InvalidMarketError: It is not UTF-8 text, a column is unknown or lacking, or a row has
            another number of values.
    """
    try:
        lines = list(csv.reader(io.StringIO(found.data.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidMarketError(f"{found.origin} must be a CSV file in UTF-8: {error}") from error

    header = [name.strip() for name in lines[0]] if lines else []
    if sorted(header) != sorted(columns):
        raise InvalidMarketError(
            f"{found.origin} must have the columns {', '.join(columns)}, got {', '.join(header)!r}"
        )

    rows = []
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(header):
            raise InvalidMarketError(
                f"{found.origin}, row {number}: {len(header)} values are needed, got {len(line)}"
            )
        rows.append(dict(zip(header, (value.strip() for value in line), strict=True)))
    return rows


def read_daily(found: Found, name: str, column: str, check: Callable[[float], str | None]) -> Daily:
    """Read a file of one value a day, in any order.

    Args:
        found: the file.
        name: of the benchmark.
        column: of the value, beside ``date``.
        check: returns what a value must be if it is not so, else None.

    Raises:
        InvalidMarketError: A column is unknown, a date is none or stands twice, or a value is out
            of bounds. The message names the row and the value.
    """
    values: dict[date, float] = {}
    for number, row in enumerate(read_rows(found, ("date", column)), 2):
        where = f"{found.origin}, row {number}"
        day = parse_day(row["date"], f"{where}: date")
        if day in values:
            raise InvalidMarketError(f"{where}: date must stand once, got {row['date']!r} again")

        values[day] = parse_number(row[column], f"{where}: {column}")
        if (must := check(values[day])) is not None:
            raise InvalidMarketError(f"{where}: {column} must be {must}, got {row[column]!r}")

    return daily_of(values, name, found.origin)


def daily_of(values: dict[date, float], name: str, source: str) -> Daily:
    """Make a benchmark of its values by day."""
    days = sorted(values)
    return Daily(
        name,
        source,
        np.array(days, dtype="datetime64[D]"),
        np.array([values[day] for day in days], dtype=np.float64),
    )


def parse_day(text: str, what: str) -> date:
    """Return the date of an ISO text; ``what`` names it in the error.

    Raises:
        InvalidMarketError: It is no such date.
    """
    try:
        if len(text) != len("2023-12-28"):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidMarketError(
            f"{what} must be a date such as 2023-12-28, got {text!r}"
        ) from None


def parse_number(text: str, what: str) -> float:
    """Return the finite number of a text; ``what`` names it in the error.

    Raises:
        InvalidMarketError: It is no such number.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidMarketError(f"{what} must be a number such as 0.0004, got {text!r}")
    return number


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """Write a CSV file; numbers keep every digit."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def daily_to_csv(daily: Daily, column: str) -> bytes:
    """Write the file of a benchmark with one value a day."""
    return to_csv(("date", column), zip(daily.days, daily.values.tolist(), strict=True))
