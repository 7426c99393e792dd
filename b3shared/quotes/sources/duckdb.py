"""A DuckDB file or MotherDuck database as a source."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from b3shared.core.errors import InvalidQuotesError
from b3shared.quotes.sources.base import DuckDBReader
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage.database import open_database

FEATURE_TABLES = ("b3_hist", "b3_featured")
"""Tables of the reference project's warehouse, the preferred one first."""


class DuckDBSource(DuckDBReader):
    """A table of a DuckDB file or of a MotherDuck database (``md:``), read only.

    Args:
        path: of the file, or ``md:`` and the database's name.
        table: its name, with or without its schema, in capitals or not; None is ``b3_hist`` where
            there is one, else ``b3_featured``.
    """

    def __init__(self, path: str | Path, table: str | None = None) -> None:
        if table is not None and not re.fullmatch(
            r"([A-Za-z_]\w*\.)?[A-Za-z_]\w*", table, re.ASCII
        ):
            raise InvalidQuotesError(
                "table must be a name of letters, digits and _, such as b3_hist or prices.b3_hist, "
                f"got {table!r}"
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
        """Return schema and name of the table; capitals do not matter, as in DuckDB.

        Args:
            tables: schema and name of every table and view.
        """
        for wanted in [self.table] if self.table else FEATURE_TABLES:
            schema, _, table = wanted.lower().rpartition(".")
            found = [
                row for row in tables if row[1].lower() == table and schema in ("", row[0].lower())
            ]
            if len(found) > 1:
                named = " and ".join(f"{row[0]}.{row[1]}" for row in found)
                raise InvalidQuotesError(
                    f"{self.name} has {named}; name one with path#schema.table"
                )
            if found:
                return found[0]

        known = ", ".join(f"{row[0]}.{row[1]}" for row in tables) or "no table"
        raise InvalidQuotesError(
            f"{self.name} has no table {self.table or ' or '.join(FEATURE_TABLES)}; "
            f"name one with path#table. It has {known}"
        )


_TABLES = """
    SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database()
    UNION SELECT schema_name, view_name FROM duckdb_views()
    WHERE database_name = current_database() AND NOT internal
    ORDER BY 1, 2
"""
