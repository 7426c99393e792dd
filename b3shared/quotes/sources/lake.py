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
from b3shared.quotes.corporate_actions.history import current_events
from b3shared.quotes.corporate_actions.splits import Splits, no_splits
from b3shared.quotes.corporate_actions.table import no_actions, with_actions
from b3shared.quotes.lake.lake import Lake, relation_of
from b3shared.quotes.lake.manifest import DETECTED, LakeFile, Manifest
from b3shared.quotes.lake.merge import NO_WHOLE_FILE, SESSION_CREATED
from b3shared.quotes.sources.base import DuckDBReader
from b3shared.quotes.sources.query import QuoteQuery, cast_column, select_column
from b3shared.storage import open_storage
from b3shared.storage.database import connect, parquet_files


class LakeSource(DuckDBReader):
    """Reads the quotes of a lake, with its corporate actions.

    Only the years that a query needs are fetched, all from one state of the lake. A dividend is NaN
    where neither the quotes nor the announcements know it.

    Args:
        location: storage address of the lake's own prefix, such as ``s3://bucket/lake/quotes``.
    """

    nullable = frozenset({"dividend"})

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
            quotes, detected = self._fetched(query, Path(folder))
            for name, path in detected.items():
                connection.execute(
                    f"CREATE TABLE lake_{name} AS FROM read_parquet({parquet_files([path])})"
                )
            yield connection, relation_of(quotes, detected.get("renames"))

    def _fetched(self, query: QuoteQuery, folder: Path) -> tuple[list[Path], dict[str, Path]]:
        """Fetch the quotes of a query's years, and what was made from all quotes, by its name.

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
                named = zip(DETECTED, manifest.detected(), strict=True)
                return quotes, {
                    name: self._lake.fetch(file, folder) for name, file in named if file
                }
            except ArtifactNotFoundError:  # the lake changed twice since its manifest was read
                newer = self._lake.manifest()
                if newer == manifest:
                    raise
                manifest = newer

    def _completed(
        self, connection: duckdb.DuckDBPyConnection, frame: pd.DataFrame
    ) -> pd.DataFrame:
        """Add the lake's corporate actions to quotes that have none of their own."""
        if not _has_events(connection):
            return frame

        acting = connection.execute("FROM lake_actions WHERE kind <> 'ex_mark'").df()
        events = current_events(acting)
        out = with_actions(frame, events, connection.table("lake_coverage").df())
        known = {"split_factor"} | ({"dividend"} if out["dividend"].notna().any() else set())
        out.attrs["missing"] = [name for name in frame.attrs["missing"] if name not in known]
        return out

    def _splits(
        self, connection: duckdb.DuckDBPyConnection, relation: str, *, listed: bool
    ) -> Splits:
        """Return the splits to correct: the lake's own are read with its quotes already.

        A split that the user gave stays, whatever the prices show.
        """
        if not _has_events(connection):
            return super()._splits(connection, relation, listed=listed)

        findings = connection.table("lake_findings").df()
        if not listed:
            return Splits(no_actions(), no_splits(), findings)
        untraced = super()._splits(connection, relation, listed=True).untraced
        events = current_events(connection.table("lake_actions").df())
        given = events[events["state"] == "given"]
        days = pd.MultiIndex.from_frame(given[["ticker", "date"]])
        named = pd.MultiIndex.from_frame(untraced[["ticker", "date"]])
        return Splits(no_actions(), untraced.loc[~named.isin(days)], findings)


def _has_events(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the lake has corporate actions and what is known of them.

    Those of a lake from before they were united are found anew, in its prices.
    """
    sql = "SELECT 1 FROM duckdb_tables() WHERE table_name = 'lake_coverage'"
    return connection.execute(sql).fetchone() is not None
