"""The protocol of a source of quotes, and the reader of relations that DuckDB can name."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from typing import Literal, Protocol

import duckdb
import pandas as pd

from b3shared.core.arrays import Array
from b3shared.core.clock import today
from b3shared.core.errors import InvalidQuotesError, NoQuotesError
from b3shared.quotes.corporate_actions.splits import Splits
from b3shared.quotes.schema import ALIASES, PRECOMPUTED, QUOTE_TYPES, REQUIRED
from b3shared.quotes.sources.query import (
    ORDER,
    QuoteQuery,
    cast_column,
    cast_finite,
    select_column,
)
from b3shared.storage.database import reading_error


class QuoteSource(Protocol):
    """A place that quotes can be read from."""

    @property
    def name(self) -> str:
        """Name in reports and errors."""
        ...

    def newest(self) -> date:
        """Return the last session of the source up to today; rows of the future do not count.

        Raises:
            NoQuotesError: There is none.
        """
        ...

    def days(self, start: date, end: date) -> Array:
        """Return the days on which any ticker has a row, (days,) datetime64[D], sorted."""
        ...

    def counts(self, query: QuoteQuery, by: Literal["ticker", "date"]) -> pd.DataFrame:
        """Count rows by ticker or date.

        Returns:
            The ticker or date (sorted, NULL last), ``rows``, and ``dated``: rows with a date.
        """
        ...

    def opened(self, query: QuoteQuery) -> AbstractContextManager["QuoteSource"]:
        """Open the source for a query, so that reading it in parts fetches nothing twice."""
        ...

    def splits(self, query: QuoteQuery) -> Splits:
        """Return the splits that the source's prices show, from the query's quotes or from more."""
        ...

    def read(self, query: QuoteQuery) -> pd.DataFrame:
        """Read quotes in the schema of :mod:`b3shared.quotes.schema`, sorted by ticker and date.

        Columns that the source lacks are all NULL (``split_factor`` is 1) and named in
        ``frame.attrs["missing"]``. Of rows
        for one ticker and date the one with the most volume comes last. Rows without a date belong
        to every period and rows without a ticker to every list of tickers, so that
        :func:`b3shared.quotes.loading.cleaning.clean` can count them.
        """
        ...


class DuckDBReader(ABC):
    """Reads any relation that DuckDB can name into the schema.

    Attributes:
        name: in reports and errors.
        nullable: columns of the schema whose NULL means "not known" in every such source, and not
            its default.
    """

    name: str
    nullable: frozenset[str] = frozenset()

    @abstractmethod
    def _relation(
        self, query: QuoteQuery
    ) -> AbstractContextManager[tuple[duckdb.DuckDBPyConnection, str]]: ...

    def newest(self) -> date:
        """Return the last session up to today; see :class:`QuoteSource`."""
        if (found := self._newest(QuoteQuery())) is None:
            raise self._no_quotes()
        return found

    def _newest(self, query: QuoteQuery) -> date | None:
        """Return the last session up to today in the relation of a query."""
        day = cast_column("date")
        with self._relation(query) as (connection, relation):
            self._columns(connection, relation)
            sql = f"SELECT max({day}) AS newest FROM {relation} WHERE {day} <= ?"
            newest = self._fetch(connection, sql, [today()])["newest"].iloc[0]
        return None if pd.isna(newest) else pd.Timestamp(newest).date()

    def days(self, start: date, end: date) -> Array:
        """Return the days of a period on which the source has rows; see :class:`QuoteSource`."""
        day = cast_column("date")
        with self._relation(QuoteQuery(start, end)) as (connection, relation):
            self._columns(connection, relation)
            sql = (
                f"SELECT DISTINCT {day} AS day FROM {relation} "
                f"WHERE {day} BETWEEN ? AND ? ORDER BY day"
            )
            found = self._fetch(connection, sql, [start, end])["day"]
        return found.to_numpy().astype("datetime64[D]")

    def counts(self, query: QuoteQuery, by: Literal["ticker", "date"]) -> pd.DataFrame:
        """Count rows by ticker or date; see :class:`QuoteSource`."""
        where, values = query.where()
        with self._relation(query) as (connection, relation):
            self._columns(connection, relation)
            key = cast_column(by, QUOTE_TYPES[by])
            sql = (
                f"SELECT {key} AS {by}, count(*) AS rows, count({cast_column('date')}) AS dated "
                f"FROM {relation}{where} GROUP BY 1 ORDER BY 1 NULLS LAST"
            )
            return self._fetch(connection, sql, values)

    @contextmanager
    def opened(self, query: QuoteQuery) -> Iterator[QuoteSource]:
        """Open the source for a query; see :class:`QuoteSource`."""
        with self._relation(query) as relation:
            yield _Opened(self, *relation)

    def splits(self, query: QuoteQuery) -> Splits:
        """Return the splits that the prices show; see :class:`QuoteSource`."""
        with self._relation(query) as (connection, relation):
            columns = self._columns(connection, relation)
            select = ", ".join(select_column(column, columns) for column in QUOTE_TYPES)
            try:
                return self._splits(
                    connection,
                    f"(SELECT {select} FROM {relation})",
                    listed="split_factor" in columns,
                )
            except duckdb.Error as error:
                raise reading_error(error, self.name) from error

    def _splits(
        self, connection: duckdb.DuckDBPyConnection, relation: str, *, listed: bool
    ) -> Splits:
        """Return the splits that the prices of a relation show."""
        return Splits.found(connection, relation, listed=listed)

    def _no_quotes(self) -> NoQuotesError:
        return NoQuotesError(
            f"{self.name} holds no rows dated up to today ({today()}); "
            "at least one quote is needed",
            source=self.name,
        )

    def read(self, query: QuoteQuery) -> pd.DataFrame:
        """Read quotes in the schema; see :class:`QuoteSource`."""
        with self._relation(query) as (connection, relation):
            columns = self._columns(connection, relation)
            nullable = self._nullable(connection, relation, columns)
            select = ", ".join(select_column(column, columns, nullable) for column in QUOTE_TYPES)
            extra = [c for c in PRECOMPUTED if c in columns] if "open" not in columns else []
            if len(extra) == len(PRECOMPUTED):
                select += ", " + ", ".join(
                    f"{cast_finite(columns[c], 'DOUBLE')} AS {c}" for c in extra
                )

            where, values = query.where()
            sql = f"SELECT {select} FROM {relation}{where} ORDER BY {ORDER}"
            frame = self._fetch(connection, sql, values)
            frame["date"] = frame["date"].astype("datetime64[s]")
            frame.attrs["missing"] = [c for c in QUOTE_TYPES if c not in columns]
            return self._completed(connection, frame)

    def _nullable(
        self, connection: duckdb.DuckDBPyConnection, relation: str, columns: dict[str, str]
    ) -> frozenset[str]:
        """Return the columns whose NULL means "not known".

        ``dividend`` is one where the whole source has zeros beside, or no value at all. In a column
        of payments alone a NULL stands for none.
        """
        if "dividend" in self.nullable or "dividend" not in columns:
            return self.nullable
        value = cast_column(columns["dividend"], "DOUBLE")
        sql = (
            f"SELECT EXISTS (SELECT 1 FROM {relation} WHERE {value} = 0) OR NOT EXISTS "
            f"(SELECT 1 FROM {relation} WHERE {value} IS NOT NULL AND NOT isnan({value})) AS found"
        )
        unknown = bool(self._fetch(connection, sql, [])["found"].iloc[0])
        return self.nullable | {"dividend"} if unknown else self.nullable

    def _completed(
        self, connection: duckdb.DuckDBPyConnection, frame: pd.DataFrame
    ) -> pd.DataFrame:
        """Add to the rows that were read what the source keeps apart from its quotes."""
        return frame

    def _columns(self, connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
        """Return schema column -> column of the source; refuse a relation that holds no quotes."""
        try:
            described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        except duckdb.Error as error:
            raise reading_error(error, self.name) from error

        found = {str(row[0]).lower(): str(row[0]) for row in described}
        columns = {ALIASES.get(lower, lower): name for lower, name in found.items()}
        if missing := [c for c in REQUIRED if c not in columns]:
            optional = [c for c in QUOTE_TYPES if c not in REQUIRED]
            raise InvalidQuotesError(
                f"{self.name} lacks {', '.join(missing)}; quotes need at least "
                f"{', '.join(REQUIRED)}, and may have {', '.join(optional)}. "
                f"It has {', '.join(found)}",
                missing=missing,
            )
        return columns

    def _fetch(
        self, connection: duckdb.DuckDBPyConnection, sql: str, values: list[object]
    ) -> pd.DataFrame:
        try:
            return connection.execute(sql, values).df()
        except duckdb.Error as error:
            raise reading_error(error, self.name) from error


class _Opened(DuckDBReader):
    """A source whose connection stays open."""

    def __init__(
        self, source: DuckDBReader, connection: duckdb.DuckDBPyConnection, relation: str
    ) -> None:
        self.name = source.name
        self.nullable = source.nullable
        self._source = source
        self._open_relation = (connection, relation)

    @contextmanager
    def _relation(self, query: QuoteQuery) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        yield self._open_relation

    def _completed(
        self, connection: duckdb.DuckDBPyConnection, frame: pd.DataFrame
    ) -> pd.DataFrame:
        return self._source._completed(connection, frame)

    def _splits(
        self, connection: duckdb.DuckDBPyConnection, relation: str, *, listed: bool
    ) -> Splits:
        return self._source._splits(connection, relation, listed=listed)
