"""The pieces of the report: nothing comes in unescaped, no figure is minus nothing."""

import pytest

from b3shared.evaluation.markup import Html, definitions, folded, number, table, with_interval, words


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
def test_a_figure_is_never_minus_nothing(value: float | None, form: str, scale: float, shown: str) -> None:
    assert number(value, form, scale) == shown


def test_an_interval_stands_below_its_figure_where_there_is_one() -> None:
    assert with_interval({"estimate": 0.5, "ci95": [0.25, 0.75]}, ".2f") == "0.50<small>0.25 to 0.75</small>"
    assert with_interval({"estimate": 0.5, "ci95": [None, None]}, ".2f") == "0.50"
    assert with_interval({"estimate": None, "ci95": [None, None]}, ".2f") == with_interval(None, ".2f") == "–"


def test_everything_that_comes_in_as_text_is_escaped() -> None:
    bad, good = "<b>&'", "&lt;b&gt;&amp;&#x27;"
    for made in (
        table([bad, bad], [[bad, bad]], bad),
        definitions({bad: bad}),
        folded(bad, Html("")),
        words(bad),
    ):
        assert bad not in made
        assert good in made


def test_a_row_is_named_by_its_header_and_the_caption_does_not_scroll_with_the_table() -> None:
    made = table(["", "x"], [["model", 1], ["other", 2]], "of the test part")
    assert made.index("of the test part") < made.index('<div class="wide">')
    assert '<tr class="ours"><th scope="row">model</th><td>1</td></tr>' in made
    assert '<tr><th scope="row">other</th><td>2</td></tr>' in made
