"""Cells of the report's tables: numbers as text, each with its interval below it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Metrics = Mapping[str, Any]
"""The metrics of an evaluation, or a part of them: JSON types."""

NOT_DEFINED = "–"


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: the number, formatted, or words.
        interval: "low to high", shown below the number; empty without an interval.
        left: whether it is aligned to the left, as words in a table of numbers are.
    """

    text: str
    interval: str = ""
    left: bool = False


@dataclass(frozen=True)
class Table:
    """A table whose first column names the row.

    Attributes:
        header: headings of the columns; that of the first column is often empty.
        rows: one cell per column.
    """

    header: list[str]
    rows: list[list[Cell]]


def make_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """Make a table; values that are not cells become cells of their text."""
    return Table(list(header), [[_as_cell(value) for value in row] for row in rows])


def _as_cell(value: object) -> Cell:
    return value if isinstance(value, Cell) else Cell(str(value))


def number(value: float | None, form: str, scale: float = 1.0) -> str:
    """Format a number, never as -0; a dash where it is not defined."""
    if value is None:
        return NOT_DEFINED
    return format(scale * value, form.replace(".", "z.", 1))


def with_interval(found: Mapping[str, Any] | None, form: str, scale: float = 1.0) -> Cell:
    """Make a cell of an estimate and its 95 % interval; a dash where it is not defined."""
    if found is None or found["estimate"] is None:
        return Cell(NOT_DEFINED)

    low, high = found["ci95"]
    interval = "" if low is None else f"{number(low, form, scale)} to {number(high, form, scale)}"
    return Cell(number(found["estimate"], form, scale), interval)
