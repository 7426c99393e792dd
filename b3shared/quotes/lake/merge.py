"""Merges new quotes into a year of the lake, in bounded memory.

A file replaces whole days or single rows. Files may come in any order: every row keeps the date on
which the exchange made its file, and every session the date of its newest whole file. Rows of a
newer file stay, so that the result is that of the files in the order in which they were made.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Self

import pandas as pd

from b3shared.quotes.schema import DEFAULTS, QUOTE_TYPES
from b3shared.storage.database import connect, literal, parquet_files

STAGED_TYPES = {name: kind for name, kind in QUOTE_TYPES.items() if name not in DEFAULTS} | {
    "dismes": "INTEGER"
}
"""Columns of the exchange's files, which have no corporate actions but ``dismes``."""

MEMORY = "512MB"
"""Memory of DuckDB; beyond that it spills to disk."""

FILE_CREATED = "file_created"
"""Column of the lake: the header's date of a row's file.

NULL for quotes of another source and of older lakes; any file may replace those.
"""

SESSION_CREATED = "session_created"
"""Column of the lake: the header's date of the newest whole file of a row's session; NULL as
above."""

NO_WHOLE_FILE = date(1900, 1, 1)
"""The ``session_created`` of a session that only subsets of the exchange's files cover."""

_COLUMNS = ", ".join(STAGED_TYPES)


@dataclass(frozen=True)
class YearChange:
    """The changes of one year by one file.

    Attributes:
        year: which.
        days: sessions of the file.
        added: rows that were not there.
        changed: rows that were there with other values.
        removed: rows of those sessions that the file does not have.
        confirmed: rows with the same values, whose ``file_created`` or ``session_created`` changes.
        kept_newer: sessions of the file of which the lake has rows from a newer one, and keeps
            them.
    """

    year: int
    days: int
    added: int
    changed: int
    removed: int
    confirmed: int
    kept_newer: tuple[date, ...]

    @property
    def any(self) -> bool:
        """Whether there is a change at all."""
        return bool(self.added or self.changed or self.removed or self.confirmed)

    def to_json(self) -> dict[str, Any]:
        """Return the changes as JSON types."""
        return asdict(self) | {"kept_newer": [str(day) for day in self.kept_newer]}


@dataclass(frozen=True)
class ReplacementPolicy:
    """The rows of the lake that a file may replace.

    Attributes:
        created: date of its header.
        whole_days: every row of its sessions, also of tickers that it lacks; else only rows of the
            same ticker and day.
        force: also rows of a newer file.
    """

    created: date
    whole_days: bool = True
    force: bool = False

    @property
    def newest_replaced(self) -> str:
        """SQL of the newest file date that may be replaced."""
        return f"DATE '{date.max if self.force else self.created}'"


class StagedQuotes:
    """The quotes of one file, on disk until they are merged. A context manager.

    Args:
        folder: where; it must exist.
    """

    def __init__(self, folder: Path) -> None:
        self._connection = connect(folder / "staged.duckdb", memory_limit=MEMORY, threads=1)
        columns = ", ".join(f"{name} {kind}" for name, kind in STAGED_TYPES.items())
        self._connection.execute(f"CREATE TABLE incoming ({columns})")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def add(self, frame: pd.DataFrame) -> None:
        """Add some rows; missing columns are NULL.

        A ticker must have at most one row a day, over all calls.
        """
        known = ", ".join(name for name in STAGED_TYPES if name in frame.columns)
        self._connection.register("chunk", frame)
        self._connection.execute(f"INSERT INTO incoming BY NAME SELECT {known} FROM chunk")
        self._connection.unregister("chunk")

    def years(self) -> list[int]:
        """Return the years of the quotes, sorted."""
        rows = self._rows("SELECT DISTINCT year(date) FROM incoming ORDER BY 1")
        return [int(row[0]) for row in rows]

    def merge(
        self, year: int, existing: Sequence[Path], target: Path, policy: ReplacementPolicy
    ) -> YearChange:
        """Write a year of the lake with the new quotes, sorted by ticker and date.

        The same rows give the same bytes. Columns that only the lake has, such as a vendor's
        corporate actions, keep their values by ticker and date.

        Args:
            year: which.
            existing: the year's files so far.
            target: the file to write.
            policy: what the new quotes may replace.
        """
        run = self._connection.execute
        run(f"CREATE OR REPLACE TEMP TABLE there AS {self._there(existing)}")
        run(
            "CREATE OR REPLACE TEMP VIEW file AS "
            f"SELECT * FROM incoming WHERE year(date) = {int(year)}"
        )
        run(f"CREATE OR REPLACE TEMP TABLE open AS {self._open(policy)}")
        run(
            "CREATE OR REPLACE TEMP VIEW newer AS "
            f"SELECT * FROM there WHERE {FILE_CREATED} > {policy.newest_replaced}"
        )
        run(f"CREATE OR REPLACE TEMP VIEW new AS {self._new(policy)}")
        run(f"CREATE OR REPLACE TEMP VIEW kept AS {self._kept(policy)}")
        run(
            f"COPY (SELECT * FROM (FROM kept UNION ALL BY NAME {self._new_with_lake_columns()}) "
            f"ORDER BY ticker, date) TO {literal(target)} (FORMAT parquet, COMPRESSION zstd)"
        )
        return self._change(year, policy)

    @staticmethod
    def _there(existing: Sequence[Path]) -> str:
        """SQL of the year so far, with all columns and in their order."""
        empty = (
            f"(SELECT *, NULL::DATE AS {FILE_CREATED}, NULL::DATE AS {SESSION_CREATED} "
            "FROM incoming LIMIT 0)"
        )
        if not existing:
            return empty
        files = parquet_files(existing)
        return (
            f"{empty} UNION ALL BY NAME SELECT * REPLACE (CAST(date AS DATE) AS date) "
            f"FROM read_parquet({files}, union_by_name = true, hive_partitioning = false)"
        )

    @staticmethod
    def _open(policy: ReplacementPolicy) -> str:
        """SQL of the sessions of the file that no newer whole file covers.

        Each has the ``session_created`` that it will have after the merge.
        """
        known = (
            f"SELECT date, true AS known, max({SESSION_CREATED}) AS was FROM there GROUP BY date"
        )
        of_subset = f"CASE WHEN known THEN was ELSE DATE '{NO_WHOLE_FILE}' END"
        after = f"DATE '{policy.created}'" if policy.whole_days else of_subset
        return (
            f"SELECT date, {after} AS {SESSION_CREATED} FROM (SELECT DISTINCT date FROM file) "
            f"LEFT JOIN ({known}) USING (date) WHERE was IS NULL OR was <= {policy.newest_replaced}"
        )

    @staticmethod
    def _new(policy: ReplacementPolicy) -> str:
        """SQL of the rows of the file that enter the lake."""
        return (
            f"SELECT file.*, DATE '{policy.created}' AS {FILE_CREATED}, {SESSION_CREATED} "
            "FROM file JOIN open USING (date) ANTI JOIN newer USING (ticker, date)"
        )

    @staticmethod
    def _kept(policy: ReplacementPolicy) -> str:
        """SQL of the rows of the lake that stay."""
        if policy.whole_days:
            stays = f"open.date IS NULL OR {FILE_CREATED} > {policy.newest_replaced}"
        else:
            same = "new.ticker = there.ticker AND new.date = there.date"
            stays = f"NOT EXISTS (SELECT 1 FROM new WHERE {same})"
        session = f"coalesce(open.{SESSION_CREATED}, there.{SESSION_CREATED}) AS {SESSION_CREATED}"
        return (
            f"SELECT there.* REPLACE ({session}) FROM there "
            f"LEFT JOIN open ON there.date = open.date WHERE {stays}"
        )

    def _new_with_lake_columns(self) -> str:
        """SQL of the new rows, with the columns that only the lake has."""
        there = [str(row[0]) for row in self._rows("DESCRIBE there")]
        own = {*STAGED_TYPES, FILE_CREATED, SESSION_CREATED}
        known = ", ".join('"' + name.replace('"', '""') + '"' for name in there if name not in own)
        if not known:
            return "SELECT * FROM new"

        one = f"PARTITION BY ticker, date ORDER BY volume DESC NULLS LAST, {known}"
        was = f"SELECT ticker, date, {known} FROM there QUALIFY row_number() OVER ({one}) = 1"
        return f"SELECT * FROM new LEFT JOIN ({was}) USING (ticker, date)"

    def _change(self, year: int, policy: ReplacementPolicy) -> YearChange:
        """Count what the merge changed."""
        values = f"SELECT {_COLUMNS} FROM"
        stamped = f"SELECT {_COLUMNS}, {FILE_CREATED}, {SESSION_CREATED} FROM"
        differing = self._count(f"{values} new EXCEPT {values} there")
        restamped = self._count(
            f"({stamped} new UNION ALL {stamped} kept SEMI JOIN open USING (date)) "
            f"EXCEPT {stamped} there"
        )
        added = self._count("FROM new ANTI JOIN there USING (ticker, date)")

        after = "SELECT ticker, date FROM kept UNION ALL SELECT ticker, date FROM new"
        gone = f"FROM there SEMI JOIN open USING (date) ANTI JOIN ({after}) USING (ticker, date)"
        key = "date" if policy.whole_days else "ticker, date"
        newer = (
            "FROM file ANTI JOIN open USING (date) "
            f"UNION ALL FROM file SEMI JOIN newer USING ({key})"
        )
        kept_newer = self._rows(f"SELECT DISTINCT date FROM ({newer}) ORDER BY 1")
        return YearChange(
            year=year,
            days=self._count("SELECT DISTINCT date FROM file"),
            added=added,
            changed=differing - added,
            removed=self._count(gone),
            confirmed=restamped - differing,
            kept_newer=tuple(row[0] for row in kept_newer),
        )

    def _count(self, query: str) -> int:
        return int(self._rows(f"SELECT count(*) FROM ({query})")[0][0])

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql).fetchall()
