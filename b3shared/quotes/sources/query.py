"""Which quotes to read, and how that is said in SQL. Names are quoted and checked; every value is a parameter."""

from dataclasses import dataclass
from datetime import date

from b3shared.quotes.schema import DEFAULTS, QUOTE_TYPES

ORDER = "ticker, date, volume NULLS FIRST" + "".join(
    f", {column} NULLS FIRST"
    for column in QUOTE_TYPES
    if column not in ("ticker", "date", "volume")
)
"""Of two rows for one day the one with more volume comes last; every other column makes the order the same each time."""


@dataclass(frozen=True)
class QuoteQuery:
    """Which quotes to read; None means no limit.

    ``first_ticker`` and ``before_ticker`` cut a source into parts by ticker; rows without one come
    after all.
    """

    start: date | None = None
    end: date | None = None
    tickers: tuple[str, ...] | None = None
    first_ticker: str | None = None
    before_ticker: str | None = None

    def where(self) -> tuple[str, list[object]]:
        """The condition as SQL (empty, or with a leading WHERE), and its values.

        Rows without a date belong to every period, and those without a ticker to every list of
        tickers.
        """
        conditions: list[str] = []
        values: list[object] = []
        if self.start:
            conditions.append(f"coalesce({typed('date')} >= ?, true)")
            values.append(self.start)
        if self.end:
            conditions.append(f"coalesce({typed('date')} <= ?, true)")
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


def typed(name: str, kind: str = "DATE") -> str:
    """A column of a source as a type."""
    quoted = '"' + name.replace('"', '""') + '"'
    return f"CAST({quoted} AS {kind})"


def known(name: str, kind: str) -> str:
    """A column of a source as a type; what is no number is NULL where numbers are wanted.

    pandas, polars and others write a hole as NaN, and a division by zero as an infinity.
    """
    if kind not in ("DOUBLE", "BIGINT"):
        return typed(name, kind)
    return f"CASE WHEN isfinite({typed(name, 'DOUBLE')}) THEN {typed(name, kind)} END"


def selected(column: str, columns: dict[str, str]) -> str:
    """A column of the schema from those of a source; NULL or its default where the source has none.

    Args:
        column: of the schema.
        columns: column of the schema -> column of the source.
    """
    kind = QUOTE_TYPES[column]
    if column not in columns:
        return f"CAST({DEFAULTS.get(column, 'NULL')} AS {kind}) AS {column}"
    if (
        column in DEFAULTS
    ):  # an infinite factor is a fault that the quality check reports; NaN says that there is none
        value = typed(columns[column], kind)
        return f"CASE WHEN {value} IS NULL OR isnan({value}) THEN {DEFAULTS[column]} ELSE {value} END AS {column}"
    return f"{known(columns[column], kind)} AS {column}"
