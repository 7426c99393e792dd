"""New quotes into a year of the lake: whole days replaced, or single rows, in bounded memory."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Self

import duckdb
import pandas as pd

from b3shared.quotes.databases import literal
from b3shared.quotes.schema import DEFAULTS, QUOTE_TYPES

STAGED_TYPES = {name: kind for name, kind in QUOTE_TYPES.items() if name not in DEFAULTS} | {"dismes": "INTEGER"}
"""Columns of the exchange's files. Corporate actions are no part of them; ``dismes`` is what tells of one."""

MEMORY = "512MB"
"""What DuckDB may hold; beyond that it goes to disk."""

_DAYS = "SELECT DISTINCT date FROM incoming"
_COLUMNS = ", ".join(STAGED_TYPES)


@dataclass(frozen=True)
class YearChange:
    """What new quotes change in a year.

    Attributes:
        year: which.
        days: sessions of the new quotes.
        added: rows that were not there.
        changed: rows that were there with other values.
        removed: rows of those sessions that the new quotes do not have.
    """

    year: int
    days: int
    added: int
    changed: int
    removed: int

    @property
    def any(self) -> bool:
        """Whether there is a change at all."""
        return bool(self.added or self.changed or self.removed)

    def to_json(self) -> dict[str, int]:
        """JSON types."""
        return asdict(self)


class StagedQuotes:
    """The quotes of one file, on disk until they are merged. A context manager.

    Args:
        folder: where; it must exist.
    """

    def __init__(self, folder: Path) -> None:
        config: dict[str, Any] = {"threads": 1, "memory_limit": MEMORY, "temp_directory": str(folder / "spill")}
        self._connection = duckdb.connect(str(folder / "staged.duckdb"), config=config)
        columns = ", ".join(f"{name} {kind}" for name, kind in STAGED_TYPES.items())
        self._connection.execute(f"CREATE TABLE incoming ({columns})")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def add(self, frame: pd.DataFrame) -> None:
        """Take some rows in; columns that are missing are NULL. A ticker has one row a day, over all calls."""
        known = ", ".join(name for name in STAGED_TYPES if name in frame.columns)
        self._connection.register("chunk", frame)
        self._connection.execute(f"INSERT INTO incoming BY NAME SELECT {known} FROM chunk")
        self._connection.unregister("chunk")

    def years(self) -> list[int]:
        """The years of the quotes, sorted."""
        return [int(row[0]) for row in self._rows("SELECT DISTINCT year(date) FROM incoming ORDER BY 1")]

    def days(self) -> list[date]:
        """The sessions of the quotes, sorted."""
        return [row[0] for row in self._rows(f"{_DAYS} ORDER BY 1")]

    def merge(self, year: int, existing: Sequence[Path], target: Path, *, whole_days: bool) -> YearChange:
        """Write a year of the lake with the new quotes in it, sorted by ticker and date; the same rows, the same bytes.

        What the exchange's files do not tell and the lake knows of a ticker and date stays: a vendor's corporate actions.

        Args:
            year: which.
            existing: the year's files so far.
            target: the file to write.
            whole_days: every row of a session of the new quotes is replaced, also of tickers that they lack; else only
                rows of the same ticker and day are.
        """
        lake = "(SELECT * FROM incoming LIMIT 0)"  # gives what is there all columns and their order
        if existing:
            listed = ", ".join(literal(path) for path in existing)
            lake += (
                " UNION ALL BY NAME SELECT * REPLACE (CAST(date AS DATE) AS date) "
                f"FROM read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"
            )
        run = self._connection.execute
        run(f"CREATE OR REPLACE TEMP TABLE there AS {lake}")
        run(f"CREATE OR REPLACE TEMP VIEW new AS SELECT * FROM incoming WHERE year(date) = {int(year)}")
        kept = (
            f"date IS NULL OR date NOT IN ({_DAYS})"
            if whole_days
            else "NOT EXISTS (SELECT 1 FROM new WHERE new.ticker = there.ticker AND new.date = there.date)"
        )
        change = self._change(year, whole_days=whole_days)
        run(
            f"COPY (SELECT * FROM (SELECT * FROM there WHERE {kept} UNION ALL BY NAME {self._with_known()}) "
            f"ORDER BY ticker, date) TO {literal(target)} (FORMAT parquet, COMPRESSION zstd)"
        )
        return change

    def _with_known(self) -> str:
        """SQL of the new rows, with the columns that only the lake has."""
        there = [str(row[0]) for row in self._rows("DESCRIBE there")]
        known = ", ".join('"' + name.replace('"', '""') + '"' for name in there if name not in STAGED_TYPES)
        if not known:
            return "SELECT * FROM new"
        one = f"PARTITION BY ticker, date ORDER BY volume DESC NULLS LAST, {known}"
        was = f"SELECT ticker, date, {known} FROM there QUALIFY row_number() OVER ({one}) = 1"
        return f"SELECT * FROM new LEFT JOIN ({was}) USING (ticker, date)"

    def _change(self, year: int, *, whole_days: bool) -> YearChange:
        differing = self._count(f"SELECT * FROM new EXCEPT SELECT {_COLUMNS} FROM there")
        added = self._count("FROM new ANTI JOIN there USING (ticker, date)")
        of_days = f"FROM there ANTI JOIN new USING (ticker, date) WHERE date IN ({_DAYS})"
        return YearChange(
            year=year,
            days=self._count("SELECT DISTINCT date FROM new"),
            added=added,
            changed=differing - added,
            removed=self._count(of_days) if whole_days else 0,
        )

    def _count(self, query: str) -> int:
        return int(self._rows(f"SELECT count(*) FROM ({query})")[0][0])

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql).fetchall()
