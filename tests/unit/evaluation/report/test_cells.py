"""Cells of the report's tables: their format, and the interval below a figure."""

import pytest

from b3shared.evaluation.report.cells import Cell, make_table, number, with_interval


@pytest.mark.parametrize(
    ("value", "form", "scale", "shown"),
    [
        (-0.00004, "+.1f", 1e4, "-0.4"),
        (-0.000004, "+.1f", 1e4, "+0.0"),
        (-0.0, ".2f", 1.0, "0.00"),
        (1234.5, ".0f", 1.0, "1234"),
        (None, "+.4f", 1.0, "–"),
    ],
)
def test_a_figure_is_never_shown_as_minus_zero(
    value: float | None, form: str, scale: float, shown: str
) -> None:
    assert number(value, form, scale) == shown


def test_an_interval_stands_below_its_figure_where_there_is_one() -> None:
    estimate = {"estimate": 0.5, "ci95": [0.25, 0.75]}
    assert with_interval(estimate, ".2f") == Cell("0.50", "0.25 to 0.75")
    assert with_interval(estimate | {"ci95": [None, None]}, ".2f") == Cell("0.50")
    assert with_interval(estimate | {"estimate": None}, ".2f") == Cell("–")
    assert with_interval(None, ".2f") == Cell("–")


def test_values_of_a_table_become_cells() -> None:
    table = make_table(("", "x", "y"), [["model", 1, Cell("0.50", "0.25 to 0.75")]])
    assert table.header == ["", "x", "y"]
    assert table.rows == [[Cell("model"), Cell("1"), Cell("0.50", "0.25 to 0.75")]]
