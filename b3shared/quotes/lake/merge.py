"""New quotes into a year of the lake: whole days replaced, or single rows, in bounded memory.

Files may come in any order: every row remembers when the exchange made the file that it is from,
and every session when the newest whole file of it was made. What is known from a newer file stays,
so that the end is that of files in the order in which they were made.
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
"""Columns of the exchange's files. Corporate actions are no part of them; ``dismes`` is what tells of one."""

MEMORY = "512MB"
"""What DuckDB may hold; beyond that it goes to disk."""

FILE_CREATED, SESSION_CREATED = "file_created", "session_created"
"""Columns of the lake: the header's date of a row's file, and of the newest whole file of its session. NULL where that is
not known: quotes of another source, or of before there were these columns. Any file may replace those."""

NO_WHOLE_FILE = date(1900, 1, 1)
"""What a session that only subsets of the exchange's files tell of has as the date of its whole file: before any."""

_COLUMNS = ", ".join(STAGED_TYPES)


@dataclass(frozen=True)
class YearChange:
    """What a file changes in a year.

    Attributes:
        year: which.
        days: sessions of the file.
        added: rows that were not there.
        changed: rows that were there with other values.
        removed: rows of those sessions that the file does not have.
        confirmed: rows that stay as they are, of which the lake did not know that a file as new as
            this one says so.
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
        """JSON types."""
        return asdict(self) | {"kept_newer": [str(day) for day in self.kept_newer]}


@dataclass(frozen=True)
class Standing:
    """What a file may replace.

    Attributes:
        created: date of its header.
        whole_days: every row of its sessions, also of tickers that it lacks; else only rows of the
            same ticker and day.
        force: also what is known from a newer file.
    """

    created: date
    whole_days: bool = True
    force: bool = False

    @property
    def keeps(self) -> str:
        """SQL: what is known from a file of after this day stays."""
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
        """Take some rows in; columns that are missing are NULL.

        A ticker has one row a day, over all calls.
        """
        known = ", ".join(name for name in STAGED_TYPES if name in frame.columns)
        self._connection.register("chunk", frame)
        self._connection.execute(f"INSERT INTO incoming BY NAME SELECT {known} FROM chunk")
        self._connection.unregister("chunk")

    def years(self) -> list[int]:
        """The years of the quotes, sorted."""
        return [
            int(row[0]) for row in self._rows("SELECT DISTINCT year(date) FROM incoming ORDER BY 1")
        ]

    def merge(
        self, year: int, existing: Sequence[Path], target: Path, standing: Standing
    ) -> YearChange:
        """Write a year of the lake with the new quotes in it, sorted by ticker and date; the same rows, the same bytes.

        What the exchange's files do not tell and the lake knows of a ticker and date stays: a
        vendor's corporate actions.

        Args:
            year: which.
            existing: the year's files so far.
            target: the file to write.
            standing: of the file of the new quotes.
        """
        run = self._connection.execute
        run(f"CREATE OR REPLACE TEMP TABLE there AS {self._there(existing)}")
        run(
            f"CREATE OR REPLACE TEMP VIEW file AS SELECT * FROM incoming WHERE year(date) = {int(year)}"
        )
        run(f"CREATE OR REPLACE TEMP TABLE open AS {self._open(standing)}")
        run(
            f"CREATE OR REPLACE TEMP VIEW newer AS SELECT * FROM there WHERE {FILE_CREATED} > {standing.keeps}"
        )
        stamped = f"SELECT file.*, DATE '{standing.created}' AS {FILE_CREATED}, {SESSION_CREATED} FROM file JOIN open USING (date)"
        run(f"CREATE OR REPLACE TEMP VIEW new AS {stamped} ANTI JOIN newer USING (ticker, date)")
        run(f"CREATE OR REPLACE TEMP VIEW kept AS {self._kept(standing)}")
        run(
            f"COPY (SELECT * FROM (FROM kept UNION ALL BY NAME {self._with_known()}) "
            f"ORDER BY ticker, date) TO {literal(target)} (FORMAT parquet, COMPRESSION zstd)"
        )
        return self._change(year, standing)

    @staticmethod
    def _there(existing: Sequence[Path]) -> str:
        """SQL of the year so far, with all columns and in their order."""
        lake = f"(SELECT *, NULL::DATE AS {FILE_CREATED}, NULL::DATE AS {SESSION_CREATED} FROM incoming LIMIT 0)"
        if not existing:
            return lake
        return (
            f"{lake} UNION ALL BY NAME SELECT * REPLACE (CAST(date AS DATE) AS date) "
            f"FROM read_parquet({parquet_files(existing)}, union_by_name = true, hive_partitioning = false)"
        )

    @staticmethod
    def _open(standing: Standing) -> str:
        """SQL of the sessions of the file that no newer whole file tells of, and what they are known from afterwards."""
        known = (
            f"SELECT date, true AS known, max({SESSION_CREATED}) AS was FROM there GROUP BY date"
        )
        unless_whole = f"CASE WHEN known THEN was ELSE DATE '{NO_WHOLE_FILE}' END"
        afterwards = f"DATE '{standing.created}'" if standing.whole_days else unless_whole
        return (
            f"SELECT date, {afterwards} AS {SESSION_CREATED} FROM (SELECT DISTINCT date FROM file) "
            f"LEFT JOIN ({known}) USING (date) WHERE was IS NULL OR was <= {standing.keeps}"
        )

    @staticmethod
    def _kept(standing: Standing) -> str:
        """SQL of the rows that stay."""
        stays = (
            f"open.date IS NULL OR {FILE_CREATED} > {standing.keeps}"
            if standing.whole_days
            else "NOT EXISTS (SELECT 1 FROM new WHERE new.ticker = there.ticker AND new.date = there.date)"
        )
        session = f"coalesce(open.{SESSION_CREATED}, there.{SESSION_CREATED}) AS {SESSION_CREATED}"
        return f"SELECT there.* REPLACE ({session}) FROM there LEFT JOIN open ON there.date = open.date WHERE {stays}"

    def _with_known(self) -> str:
        """SQL of the new rows, with the columns that only the lake has."""
        there = [str(row[0]) for row in self._rows("DESCRIBE there")]
        own = {*STAGED_TYPES, FILE_CREATED, SESSION_CREATED}
        known = ", ".join('"' + name.replace('"', '""') + '"' for name in there if name not in own)
        if not known:
            return "SELECT * FROM new"
        one = f"PARTITION BY ticker, date ORDER BY volume DESC NULLS LAST, {known}"
        was = f"SELECT ticker, date, {known} FROM there QUALIFY row_number() OVER ({one}) = 1"
        return f"SELECT * FROM new LEFT JOIN ({was}) USING (ticker, date)"

    def _change(self, year: int, standing: Standing) -> YearChange:
        values, all_ = (
            f"SELECT {_COLUMNS} FROM",
            f"SELECT {_COLUMNS}, {FILE_CREATED}, {SESSION_CREATED} FROM",
        )
        differing = self._count(f"{values} new EXCEPT {values} there")
        noted = self._count(
            f"({all_} new UNION ALL {all_} kept SEMI JOIN open USING (date)) EXCEPT {all_} there"
        )
        added = self._count("FROM new ANTI JOIN there USING (ticker, date)")
        after = "SELECT ticker, date FROM kept UNION ALL SELECT ticker, date FROM new"
        gone = f"FROM there SEMI JOIN open USING (date) ANTI JOIN ({after}) USING (ticker, date)"
        of_newer = "date" if standing.whole_days else "ticker, date"
        newer = f"FROM file ANTI JOIN open USING (date) UNION ALL FROM file SEMI JOIN newer USING ({of_newer})"
        return YearChange(
            year=year,
            days=self._count("SELECT DISTINCT date FROM file"),
            added=added,
            changed=differing - added,
            removed=self._count(gone),
            confirmed=noted - differing,
            kept_newer=tuple(
                row[0] for row in self._rows(f"SELECT DISTINCT date FROM ({newer}) ORDER BY 1")
            ),
        )

    def _count(self, query: str) -> int:
        return int(self._rows(f"SELECT count(*) FROM ({query})")[0][0])

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql).fetchall()
