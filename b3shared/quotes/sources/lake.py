"""The deployment's lake as a source."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd

from b3shared.core.clock import today
from b3shared.core.errors import ArtifactNotFoundError, NoQuotesError
from b3shared.quotes.corporate_actions.splits import Splits, no_splits
from b3shared.quotes.corporate_actions.table import no_actions, with_actions
from b3shared.quotes.lake.lake import ACTIONS_TABLE, Lake, relation_of
from b3shared.quotes.lake.manifest import LakeFile, Manifest
from b3shared.quotes.lake.merge import NO_WHOLE_FILE, SESSION_CREATED
from b3shared.quotes.sources.base import DuckDBReader
from b3shared.quotes.sources.query import QuoteQuery, cast_column, select_column
from b3shared.storage import open_storage
from b3shared.storage.database import connect, parquet_files


class LakeSource(DuckDBReader):
    """Reads the quotes of a lake.

    Only the years that a query needs are fetched, all from one state of the lake.

    Args:
        location: storage address of the lake's own prefix, such as ``s3://bucket/lake/quotes``.
    """

    def __init__(self, location: str) -> None:
        self.name = location
        self._lake = Lake(open_storage(location), "")

    def newest(self) -> date:
        """Return the last session of the lake up to today."""
        for year in sorted(self._years(self._lake.manifest()), reverse=True):
            if year > today().year:
                continue
            if found := self._newest(QuoteQuery(date(year, 1, 1), date(year, 12, 31))):
                return found
        raise self._no_quotes()

    def complete_days(self, start: date, end: date) -> list[date]:
        """Return the days for which the lake has more than a subset of the exchange's tickers."""
        day = cast_column("date")
        with self._relation(QuoteQuery(start, end)) as (connection, relation):
            known = SESSION_CREATED in self._columns(connection, relation)
            complete = (
                f"AND {SESSION_CREATED} IS DISTINCT FROM DATE '{NO_WHOLE_FILE}'" if known else ""
            )
            sql = (
                f"SELECT DISTINCT {day} AS day FROM {relation} "
                f"WHERE {day} BETWEEN ? AND ? {complete} ORDER BY day"
            )
            return [found.date() for found in self._fetch(connection, sql, [start, end])["day"]]

    def newest_complete_day(self) -> date:
        """Return the last of :meth:`complete_days` up to today, or the last session of all."""
        for year in sorted(self._years(self._lake.manifest()), reverse=True):
            if days := self.complete_days(date(year, 1, 1), min(date(year, 12, 31), today())):
                return days[-1]
        return self.newest()

    def papers(self) -> pd.DataFrame:
        """Return the kinds of paper of each ticker: ticker, bdi_code and type, each trio once."""
        with self._relation(QuoteQuery()) as (connection, relation):
            columns = self._columns(connection, relation)
            names = ("ticker", "bdi_code", "type")
            select = ", ".join(select_column(name, columns) for name in names)
            sql = f"SELECT DISTINCT {select} FROM {relation} WHERE ticker IS NOT NULL ORDER BY ALL"
            return self._fetch(connection, sql, [])

    def state(self) -> str | None:
        """Return a hash of the lake's content; None if no manifest names its files."""
        return self._lake.manifest().content()

    def _years(self, manifest: Manifest) -> Mapping[int, tuple[LakeFile, ...]]:
        if not manifest.years:
            raise NoQuotesError(
                f"{self.name} holds no year=YYYY/*.parquet: put quotes into the lake first"
            )
        return manifest.years

    @contextmanager
    def _relation(self, query: QuoteQuery) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        with tempfile.TemporaryDirectory(prefix="b3-lake-") as folder, connect() as connection:
            quotes, actions, renames = self._fetched(query, Path(folder))
            if actions:
                connection.execute(
                    f"CREATE TABLE {ACTIONS_TABLE} AS FROM read_parquet({parquet_files([actions])})"
                )
            yield connection, relation_of(quotes, renames)

    def _fetched(
        self, query: QuoteQuery, folder: Path
    ) -> tuple[list[Path], Path | None, Path | None]:
        """Fetch the quotes of a query's years, the corporate actions and the renames.

        All are of one manifest. A query outside the lake gets its newest year, of which it reads no
        row.
        """
        first, last = (query.start or date.min).year, (query.end or date.max).year
        manifest = self._lake.manifest()

        while True:
            years = self._years(manifest)
            wanted = [
                file for year, files in years.items() if first <= year <= last for file in files
            ]
            try:
                quotes = [self._lake.fetch(file, folder) for file in wanted or years[max(years)]]
                others = (manifest.actions, manifest.renames)
                actions, renames = (
                    self._lake.fetch(file, folder) if file else None for file in others
                )
                return quotes, actions, renames
            except ArtifactNotFoundError:  # the lake changed twice since its manifest was read
                newer = self._lake.manifest()
                if newer == manifest:
                    raise
                manifest = newer

    def _completed(
        self, connection: duckdb.DuckDBPyConnection, frame: pd.DataFrame
    ) -> pd.DataFrame:
        """Add the lake's corporate actions to quotes that have none of their own."""
        if not _has_actions(connection):
            return frame

        out = with_actions(frame, connection.table(ACTIONS_TABLE).df())
        out.attrs["missing"] = [name for name in frame.attrs["missing"] if name != "split_factor"]
        return out

    def _splits(
        self, connection: duckdb.DuckDBPyConnection, relation: str, *, listed: bool
    ) -> Splits:
        """Return the splits to correct: the lake's own are read with its quotes already.

        A split that the user gave stays, whatever the prices show.
        """
        if not _has_actions(connection):
            return super()._splits(connection, relation, listed=listed)
        if not listed:
            return Splits(no_actions(), no_splits())

        untraced = super()._splits(connection, relation, listed=True).untraced
        given = connection.execute(
            f"SELECT ticker, date FROM {ACTIONS_TABLE} WHERE source = 'given'"
        ).fetchall()
        named = zip(untraced["ticker"], untraced["date"].dt.date, strict=True)
        days = {(ticker, pd.Timestamp(day).date()) for ticker, day in given}
        return Splits(no_actions(), untraced.loc[[row not in days for row in named]])


def _has_actions(connection: duckdb.DuckDBPyConnection) -> bool:
    sql = "SELECT 1 FROM duckdb_tables() WHERE table_name = ?"
    return connection.execute(sql, [ACTIONS_TABLE]).fetchone() is not None
