"""What a source of quotes is, and how any relation that DuckDB can name is read as one."""

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
from b3shared.quotes.sources.query import ORDER, QuoteQuery, known, selected, typed
from b3shared.storage.database import reading_error


class QuoteSource(Protocol):
    """A place that quotes can be read from."""

    @property
    def name(self) -> str:
        """What to call it in reports and errors."""
        ...

    def newest(self) -> date:
        """The last session of the source up to today; rows of the future do not count.

        Raises:
            NoQuotesError: There is none.
        """
        ...

    def days(self, start: date, end: date) -> Array:
        """(days,) datetime64[D], sorted: those of the period on which there is any row, whatever its ticker."""
        ...

    def counts(self, query: QuoteQuery, by: Literal["ticker", "date"]) -> pd.DataFrame:
        """How many rows there are by ticker or date: it, ``rows`` and ``dated`` (those with a date), sorted, NULL last."""
        ...

    def opened(self, query: QuoteQuery) -> AbstractContextManager["QuoteSource"]:
        """The source with all that a query needs at hand, so that reading it in parts fetches nothing twice."""
        ...

    def splits(self, query: QuoteQuery) -> Splits:
        """What the source's prices say of its splits; made of all quotes that are read for the query, or of more."""
        ...

    def read(self, query: QuoteQuery) -> pd.DataFrame:
        """Quotes in the schema of :mod:`b3shared.quotes.schema`, sorted by ticker and date.

        Columns that the source lacks are all NULL and named in ``frame.attrs["missing"]``. Of rows
        for one ticker and date the one with the most volume comes last. Rows without a date belong
        to every period and rows without a ticker to every list of tickers, so that
        :func:`b3shared.quotes.loading.cleaning.clean` can count them.
        """
        ...


class DuckDBReader(ABC):
    """Reads any relation that DuckDB can name into the schema."""

    name: str

    @abstractmethod
    def _relation(
        self, query: QuoteQuery
    ) -> AbstractContextManager[tuple[duckdb.DuckDBPyConnection, str]]: ...

    def newest(self) -> date:
        """The last session of the source up to today."""
        if (found := self._newest(QuoteQuery())) is None:
            raise self._no_quotes()
        return found

    def _newest(self, query: QuoteQuery) -> date | None:
        """The last session up to today among what the relation of a query holds."""
        day = typed("date")
        with self._relation(query) as (connection, relation):
            self._columns(connection, relation)
            sql = f"SELECT max({day}) AS newest FROM {relation} WHERE {day} <= ?"
            newest = self._fetch(connection, sql, [today()])["newest"].iloc[0]
        return None if pd.isna(newest) else pd.Timestamp(newest).date()

    def days(self, start: date, end: date) -> Array:
        """The days of a period on which the source has rows; see :class:`QuoteSource`."""
        day, query = typed("date"), QuoteQuery(start, end)
        with self._relation(query) as (connection, relation):
            self._columns(connection, relation)
            sql = f"SELECT DISTINCT {day} AS day FROM {relation} WHERE {day} BETWEEN ? AND ? ORDER BY day"
            found = self._fetch(connection, sql, [start, end])["day"]
        return found.to_numpy().astype("datetime64[D]")

    def counts(self, query: QuoteQuery, by: Literal["ticker", "date"]) -> pd.DataFrame:
        """Rows by ticker or date; see :class:`QuoteSource`."""
        where, values = query.where()
        with self._relation(query) as (connection, relation):
            self._columns(connection, relation)
            what = f"{typed(by, QUOTE_TYPES[by])} AS {by}, count(*) AS rows, count({typed('date')}) AS dated"
            sql = f"SELECT {what} FROM {relation}{where} GROUP BY 1 ORDER BY 1 NULLS LAST"
            return self._fetch(connection, sql, values)

    @contextmanager
    def opened(self, query: QuoteQuery) -> Iterator[QuoteSource]:
        """The source at hand; see :class:`QuoteSource`."""
        with self._relation(query) as relation:
            yield _Opened(self, *relation)

    def splits(self, query: QuoteQuery) -> Splits:
        """What the prices say of the splits; see :class:`QuoteSource`."""
        with self._relation(query) as (connection, relation):
            columns = self._columns(connection, relation)
            select = ", ".join(selected(column, columns) for column in QUOTE_TYPES)
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
        """The same of a relation in the schema."""
        return Splits.found(connection, relation, listed=listed)

    def _no_quotes(self) -> NoQuotesError:
        return NoQuotesError(
            f"{self.name} holds no rows dated up to today ({today()}); at least one quote is needed",
            source=self.name,
        )

    def read(self, query: QuoteQuery) -> pd.DataFrame:
        """Quotes in the schema; see :class:`QuoteSource`."""
        with self._relation(query) as (connection, relation):
            columns = self._columns(connection, relation)
            select = ", ".join(selected(column, columns) for column in QUOTE_TYPES)
            extra = [c for c in PRECOMPUTED if c in columns] if "open" not in columns else []
            if len(extra) == len(PRECOMPUTED):
                select += ", " + ", ".join(f"{known(columns[c], 'DOUBLE')} AS {c}" for c in extra)
            where, values = query.where()
            frame = self._fetch(
                connection, f"SELECT {select} FROM {relation}{where} ORDER BY {ORDER}", values
            )
            frame["date"] = frame["date"].astype("datetime64[s]")
            frame.attrs["missing"] = [c for c in QUOTE_TYPES if c not in columns]
            return self._completed(connection, frame)

    def _completed(
        self, connection: duckdb.DuckDBPyConnection, frame: pd.DataFrame
    ) -> pd.DataFrame:
        """What was read, with what the source keeps apart from its quotes."""
        return frame

    def _columns(self, connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
        """Schema column -> column of the source."""
        try:
            described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        except duckdb.Error as error:
            raise reading_error(error, self.name) from error
        found = {str(row[0]).lower(): str(row[0]) for row in described}
        columns = {ALIASES.get(lower, lower): name for lower, name in found.items()}
        if missing := [c for c in REQUIRED if c not in columns]:
            raise InvalidQuotesError(
                f"{self.name} lacks {', '.join(missing)}; quotes need at least {', '.join(REQUIRED)}, "
                f"and may have {', '.join(c for c in QUOTE_TYPES if c not in REQUIRED)}. It has {', '.join(found)}",
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
    """A source whose connection is open and stays so."""

    def __init__(
        self, source: DuckDBReader, connection: duckdb.DuckDBPyConnection, relation: str
    ) -> None:
        self.name = source.name
        self._source, self._at_hand = source, (connection, relation)

    @contextmanager
    def _relation(self, query: QuoteQuery) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        yield self._at_hand

    def _completed(
        self, connection: duckdb.DuckDBPyConnection, frame: pd.DataFrame
    ) -> pd.DataFrame:
        return self._source._completed(connection, frame)

    def _splits(
        self, connection: duckdb.DuckDBPyConnection, relation: str, *, listed: bool
    ) -> Splits:
        return self._source._splits(connection, relation, listed=listed)
