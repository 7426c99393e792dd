"""Where quotes come from: Parquet (a file, a folder) and DuckDB files, behind one small interface."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from b3shared.core.errors import InvalidQuotesError, NoQuotesError, SourceUnavailableError
from b3shared.storage.database import connect, is_motherduck, open_database, parquet_files
from b3shared.quotes.lake.manifest import KEY as MANIFEST
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.quotes.sources.base import PRECOMPUTED, DuckDBReader, QuoteSource

__all__ = [
    "FEATURE_TABLES",
    "PRECOMPUTED",
    "DuckDBReader",
    "DuckDBSource",
    "ParquetSource",
    "QuoteQuery",
    "QuoteSource",
    "open_source",
]

FEATURE_TABLES = ("b3_hist", "b3_featured")
"""Tables of the reference project's warehouse, in the order in which they are looked for."""


class ParquetSource(DuckDBReader):
    """A Parquet file, or a folder of them (hive partitions welcome).

    Args:
        path: of the file or folder.
        name: what to call it in reports and errors, where that is not the path.
    """

    def __init__(self, path: str | Path, name: str | None = None) -> None:
        self.path = Path(path)
        self.name = name or str(path)

    @contextmanager
    def _relation(self, query: QuoteQuery) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        if not self.path.exists():
            raise SourceUnavailableError(f"{self.name} does not exist; give a Parquet file or a folder of them")
        files = self.files()
        if not files:
            raise NoQuotesError(f"{self.name} holds no *.parquet file; {_how_to_convert('quotes.csv')}")
        if files == [self.path] and self.path.stat().st_size == 0:
            raise NoQuotesError(f"{self.name} is empty (0 bytes); a Parquet file with quotes is needed")
        for file in files:
            _check_is_parquet(file, self.name if file == self.path else str(file))
        with connect() as connection:
            yield connection, f"read_parquet({parquet_files(files)}, union_by_name = true)"

    def files(self) -> list[Path]:
        """The files that are read, sorted."""
        if not self.path.is_dir():
            return [self.path]
        return sorted(file for file in self.path.rglob("*.parquet") if file.is_file())


def _check_is_parquet(file: Path, name: str) -> None:
    """InvalidQuotesError unless a file, of that name for people, begins as Parquet does."""
    with file.open("rb") as opened:
        begin = opened.read(len(_PARQUET))
    if begin != _PARQUET:
        raise InvalidQuotesError(
            f"{name} cannot be read as quotes: it is not a Parquet file; {_how_to_convert(Path(name).name)}"
        )


def _how_to_convert(name: str) -> str:
    """What to do with quotes in another form than Parquet."""
    return (
        "CSV and other text is not read yet: convert it to Parquet, in Python with "
        f"""duckdb.sql("COPY (FROM read_csv('{name}')) TO 'quotes.parquet'"); read_csv takes delim=';', """
        "decimal_separator=',' and dateformat='%d/%m/%Y' where the file needs them"
    )


_PARQUET = b"PAR1"


class DuckDBSource(DuckDBReader):
    """A table of a DuckDB file or of a MotherDuck database (``md:``), read only.

    Args:
        path: of the file, or ``md:`` and the database's name.
        table: its name, with or without its schema, in capitals or not; None is ``b3_hist`` where there is one, else
            ``b3_featured``.
    """

    def __init__(self, path: str | Path, table: str | None = None) -> None:
        if table is not None and not re.fullmatch(r"([A-Za-z_]\w*\.)?[A-Za-z_]\w*", table, re.ASCII):
            raise InvalidQuotesError(
                f"table must be a name of letters, digits and _, such as b3_hist or prices.b3_hist, got {table!r}"
            )
        self.location = str(path)
        self.table = table
        self.name = f"{path}#{table}" if table else str(path)

    @contextmanager
    def _relation(self, query: QuoteQuery) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        with open_database(self.location) as connection:
            schema, table = self._found(connection.execute(_TABLES).fetchall())
            yield connection, f'"{schema}"."{table}"'

    def _found(self, tables: list[tuple[str, str]]) -> tuple[str, str]:
        """Schema and name of the table; DuckDB does not tell capitals from small letters, so neither does this.

        Args:
            tables: schema and name of every table and view.
        """
        for wanted in [self.table] if self.table else FEATURE_TABLES:
            schema, _, table = wanted.lower().rpartition(".")
            found = [row for row in tables if row[1].lower() == table and schema in ("", row[0].lower())]
            if len(found) > 1:
                named = " and ".join(f"{row[0]}.{row[1]}" for row in found)
                raise InvalidQuotesError(f"{self.name} has {named}; name one with path#schema.table")
            if found:
                return found[0]
        known = ", ".join(f"{row[0]}.{row[1]}" for row in tables) or "no table"
        raise InvalidQuotesError(
            f"{self.name} has no table {self.table or ' or '.join(FEATURE_TABLES)}; name one with path#table. It has {known}"
        )


def open_source(location: str | Path) -> QuoteSource:
    """The source of a location.

    A lake, at ``s3://`` or in a folder with a manifest; a ``md:`` database of MotherDuck or a ``*.duckdb``/``*.db``
    file, both optionally with ``#table``; else a Parquet file or a folder of them.

    Raises:
        SourceUnavailableError: No such file or folder.
    """
    path, _, table = str(location).partition("#")
    if path.startswith("s3://") or (Path(path) / MANIFEST).is_file():
        from b3shared.quotes.lake.lake import LakeSource  # boto3 only where it is needed

        return LakeSource(path)
    if is_motherduck(path) or path.lower().endswith((".duckdb", ".db", ".ddb")):
        return DuckDBSource(path, table or None)
    return ParquetSource(str(location))


_TABLES = """
    SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database()
    UNION SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = current_database() AND NOT internal
    ORDER BY 1, 2
"""
