"""Queries of quotes, and their SQL. Names are quoted and checked, every value is a parameter."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from b3shared.quotes.schema import ABSENT, DEFAULTS, QUOTE_TYPES

ORDER = "ticker, date, volume NULLS FIRST" + "".join(
    f", {column} NULLS FIRST"
    for column in QUOTE_TYPES
    if column not in ("ticker", "date", "volume")
)
"""Order of rows: of two rows for one day the one with more volume comes last.

The other columns make the order the same each time.
"""


@dataclass(frozen=True)
class QuoteQuery:
    """Period and tickers of quotes to read; None means no limit.

    Attributes:
        start: first day.
        end: last day, included.
        tickers: the tickers.
        first_ticker: first ticker of a part of the source.
        before_ticker: ticker before which the part ends. Rows without a ticker come after all.
    """

    start: date | None = None
    end: date | None = None
    tickers: tuple[str, ...] | None = None
    first_ticker: str | None = None
    before_ticker: str | None = None

    def where(self) -> tuple[str, list[object]]:
        """Return the condition as SQL (empty, or with a leading WHERE), and its values.

        Rows without a date belong to every period, and those without a ticker to every list of
        tickers.
        """
        conditions: list[str] = []
        values: list[object] = []

        if self.start:
            conditions.append(f"coalesce({cast_column('date')} >= ?, true)")
            values.append(self.start)
        if self.end:
            conditions.append(f"coalesce({cast_column('date')} <= ?, true)")
            values.append(self.end)

        if self.tickers is not None:
            conditions.append("coalesce(list_contains(?::VARCHAR[], ticker), true)")
            values.append(list(self.tickers))
        if self.first_ticker is not None:
            # Rows without a ticker are in the last part; the plain form lets DuckDB skip whole row
            # groups.
            conditions.append(
                "ticker >= ?" if self.before_ticker is not None else "coalesce(ticker >= ?, true)"
            )
            values.append(self.first_ticker)
        if self.before_ticker is not None:
            conditions.append("ticker < ?")
            values.append(self.before_ticker)

        return (" WHERE " + " AND ".join(conditions) if conditions else ""), values


def cast_column(name: str, kind: str = "DATE") -> str:
    """Write a cast of a source's column to a type."""
    quoted = '"' + name.replace('"', '""') + '"'
    return f"CAST({quoted} AS {kind})"


def cast_finite(name: str, kind: str) -> str:
    """Write a cast of a source's column to a type, with NULL for values that are no number.

    pandas, polars and others write a hole as NaN, and a division by zero as an infinity.
    """
    if kind not in ("DOUBLE", "BIGINT"):
        return cast_column(name, kind)
    return f"CASE WHEN isfinite({cast_column(name, 'DOUBLE')}) THEN {cast_column(name, kind)} END"


def select_column(
    column: str, columns: dict[str, str], nullable: Collection[str] = frozenset()
) -> str:
    """Write the expression of a column of the schema.

    A column that the source lacks is :data:`~b3shared.quotes.schema.ABSENT`, else NULL. A NULL of
    a corporate action is :data:`~b3shared.quotes.schema.DEFAULTS`.

    Args:
        column: of the schema.
        columns: column of the schema -> column of the source.
        nullable: columns of the schema whose NULL stays: it means "not known" there.
    """
    kind = QUOTE_TYPES[column]
    if column not in columns:
        return f"CAST({ABSENT.get(column, 'NULL')} AS {kind}) AS {column}"

    if column in DEFAULTS and column not in nullable:
        # NaN means that there is no action. An infinite factor is a fault that cleaning reports.
        value = cast_column(columns[column], kind)
        absent = f"{value} IS NULL OR isnan({value})"
        return f"CASE WHEN {absent} THEN {DEFAULTS[column]} ELSE {value} END AS {column}"
    return f"{cast_finite(columns[column], kind)} AS {column}"
