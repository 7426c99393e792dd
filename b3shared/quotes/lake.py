"""The deployment's lake of daily quotes: ``year=YYYY/*.parquet`` under one prefix of a storage."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd

from b3shared.clock import today
from b3shared.errors import NoQuotesError
from b3shared.quotes.sources import DuckDBReader, QuoteQuery, QuoteSource
from b3shared.quotes.tables import write_parquet
from b3shared.storage import Storage, open_storage

LAKE = "lake/quotes"
"""Prefix of the lake in a deployment's storage."""

_KEY = re.compile(r"year=(?P<year>[12]\d{3})/.+\.parquet")


class LakeSource(DuckDBReader):
    """Quotes of a lake; only the years that a query needs are fetched.

    Args:
        location: storage address of the lake's own prefix, such as ``s3://bucket/lake/quotes``.
    """

    def __init__(self, location: str) -> None:
        self.name = location
        self._storage = open_storage(location)

    def newest(self) -> date:
        """The last session of the lake up to today."""
        for year in sorted(self._years(), reverse=True):
            if year > today().year:
                continue
            if found := self._newest(QuoteQuery(date(year, 1, 1), date(year, 12, 31))):
                return found
        raise self._no_quotes()

    def _years(self) -> dict[int, list[str]]:
        """Keys of the lake by year.

        Raises:
            NoQuotesError: There are none.
        """
        years: dict[int, list[str]] = {}
        for key in self._storage.list():
            if found := _KEY.fullmatch(key):
                years.setdefault(int(found["year"]), []).append(key)
        if not years:
            raise NoQuotesError(f"{self.name} holds no year=YYYY/*.parquet: put quotes into the lake first")
        return years

    @contextmanager
    def _relation(self, query: QuoteQuery) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        first, last = (query.start or date.min).year, (query.end or date.max).year
        years = self._years()
        wanted = [key for year, keys in years.items() if first <= year <= last for key in keys]
        with tempfile.TemporaryDirectory(prefix="b3-lake-") as folder, duckdb.connect() as connection:
            for key in wanted or years[max(years)]:  # a query outside the lake reads no row of its newest year
                self._storage.download(key, Path(folder, key))
            yield connection, f"read_parquet('{folder}/**/*.parquet', union_by_name = true, hive_partitioning = false)"


def write_lake(frame: pd.DataFrame, storage: Storage, prefix: str = LAKE) -> list[str]:
    """Put quotes into a lake, one file a year; a year that is there is replaced as a whole. Returns the keys.

    Years without a quote stay as they are; rows without a date go with the newest year, so that a load counts them.
    """
    keys = []
    years = frame["date"].dt.year
    with tempfile.TemporaryDirectory(prefix="b3-lake-") as folder:
        for found, rows in frame.groupby(years.fillna(years.max()), sort=True):
            year = int(found)
            path = write_parquet(rows, Path(folder, f"{year}.parquet"))
            keys.append(f"{prefix}/year={year}/quotes.parquet")
            storage.upload(path, keys[-1])
            for other in storage.list(f"{prefix}/year={year}/"):  # only now: a reader never finds the year empty
                if other != keys[-1] and other.endswith(".parquet"):
                    storage.delete(other)
    return keys


def replace_lake(source: QuoteSource, storage: Storage, prefix: str = LAKE) -> list[str]:
    """Make a lake hold all quotes of a source and no others. Returns the keys.

    Years that the source lacks are deleted last: whoever reads meanwhile finds old or new quotes, never none.

    Raises:
        NoQuotesError: The source has no quote up to today; the lake stays as it is.
    """
    source.newest()
    keys = write_lake(source.read(QuoteQuery()), storage, prefix)
    for other in storage.list(f"{prefix}/"):
        if other not in keys and _KEY.fullmatch(other.removeprefix(f"{prefix}/")):
            storage.delete(other)
    return keys
