"""Parameters of a run as options and as words."""

import json

import pytest
from command_line import b3, parse

from b3shared.cli.parameters import allowed, given_parameters, parse_value, parse_words
from b3shared.core.errors import InvalidParameterError
from b3shared.params.run import flat_schemas


@pytest.mark.parametrize("value", ["[" * 100_000, "9" * 5000, "{"], ids=["nested", "digits", "cut"])
def test_a_value_that_is_not_json_stays_text(value: str) -> None:
    assert parse_words([f"period={value}"]) == {"period": value}


@pytest.fixture(scope="module")
def shown() -> str:
    """The help of ``b3 run``, on one line."""
    return " ".join(b3("run", "--help").stdout.split())


@pytest.mark.parametrize("name", flat_schemas())
def test_help_has_every_parameter_with_description_default_and_bounds(
    name: str, shown: str
) -> None:
    schema = flat_schemas()[name]
    default = schema["default"]
    if isinstance(default, list):
        default = ",".join(map(str, default))
    elif not isinstance(default, str):
        default = json.dumps(default)

    described = " ".join(schema["description"].split())
    assert f"--{name.replace('_', '-')}" in shown
    assert f"{described} [default: {default}" in shown
    for limit in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        if limit in schema:
            after = shown.partition(f"{described} [default: ")[2].partition("]")[0]
            assert str(schema[limit]) in after.partition("; ")[2]


def test_options_and_words_give_the_same_values() -> None:
    words = ["horizon=5", "tickers=PETR4,VALE3", "max_depth=5,6", "refit=false", "lr=0.01"]
    options = {
        "horizon": "5",
        "tickers": "PETR4,VALE3",
        "max_depth": "5,6",
        "refit": False,
        "lr": "0.01",
        "period": None,
    }

    expected = {
        "horizon": 5,
        "tickers": ["PETR4", "VALE3"],
        "max_depth": [5, 6],
        "refit": False,
        "lr": 0.01,
    }
    assert parse_words(words) == given_parameters([], options) == expected


def test_an_option_is_read_under_its_parameters_name() -> None:
    values = parse(
        "run", "--lr", "0.01", "--no-refit", "--n-jobs", "-1", "--max-features", "sqrt,0.5"
    )
    given = {name: value for name, value in values.items() if value not in (None, ())}
    assert given_parameters([], given) == {
        "learning_rate": 0.01,
        "refit": False,
        "n_jobs": -1,
        "max_features": ["sqrt", 0.5],
    }


def test_a_parameter_that_is_given_twice_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="horizon is given as --horizon and as horizon"):
        given_parameters(["horizon=5"], {"horizon": "6"})


def test_an_option_out_of_bounds_is_refused_like_the_same_word() -> None:
    by_option = b3("run", "--horizon", "0")
    by_word = b3("run", "horizon=0")
    assert by_option.returncode == by_word.returncode == 2
    assert by_option.stderr == by_word.stderr
    assert by_option.stderr.startswith("INVALID_PARAMETER: horizon")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("horizon", "1 <= n <= 60"),
        ("label_width", "0 < x <= 5"),
        ("min_turnover", "0 <= x"),
        ("oversample", "true, false, sqrt"),
        ("max_features", "sqrt, log2, 0 < x <= 1"),
        ("period", r"^[1-9]\d{0,3}[dmy]$"),
        ("start", ""),
    ],
)
def test_accepted_values_are_described_briefly(name: str, text: str) -> None:
    assert allowed(flat_schemas()[name]) == text


def test_a_comma_makes_a_list_only_where_a_list_is_accepted() -> None:
    assert parse_value("max_depth", "5,6") == [5, 6]
    assert parse_value("period", "5,6") == "5,6"
