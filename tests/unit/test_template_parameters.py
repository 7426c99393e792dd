"""The template refuses parameters that contradict each other before anything is deployed."""

import re
from typing import Any

import pytest
from paths import ROOT
from samtranslator.yaml_helper import yaml_parse

from b3shared.core.config import COMPANIES_ADDRESS, COTAHIST_ADDRESS, Settings
from b3shared.core.errors import InvalidParameterError

TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
LAKE = ROOT / "docs" / "LAKE.md"
PARAMETERS: dict[str, dict[str, Any]] = TEMPLATE["Parameters"]
TOKEN = "arn:aws:secretsmanager:sa-east-1:123456789012:secret:motherduck"


def value_of(expression: Any, given: dict[str, str]) -> Any:
    """What CloudFormation makes of a rule's expression."""
    if not isinstance(expression, dict):
        return expression
    ((function, argument),) = expression.items()
    if function == "Ref":
        return given[argument]
    values = [value_of(one, given) for one in argument]
    return {
        "Fn::Equals": lambda: values[0] == values[1],
        "Fn::Not": lambda: not values[0],
        "Fn::And": lambda: all(values),
        "Fn::Or": lambda: any(values),
    }[function]()


def refusals(**changes: str) -> list[str]:
    """The rules that some parameters break, the others at their defaults."""
    given = {name: str(parameter["Default"]) for name, parameter in PARAMETERS.items()} | changes
    return [
        name
        for name, rule in TEMPLATE["Rules"].items()
        if value_of(rule["RuleCondition"], given)
        and not all(value_of(assertion["Assert"], given) for assertion in rule["Assertions"])
    ]


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({}, []),
        ({"Quotes": "md:b3"}, ["MotherDuckNeedsItsToken"]),
        ({"Warehouse": "md:b3"}, ["MotherDuckNeedsItsToken"]),
        ({"Quotes": "md:b3", "Warehouse": "md:b3", "MotherDuckSecretArn": TOKEN}, []),
        ({"MotherDuckSecretArn": TOKEN}, []),
        ({"Environment": "LOCAL", "Warehouse": "/tmp/b3.duckdb"}, []),
        ({"PredictAuth": "jwt"}, ["TokensNeedAnIssuer"]),
        ({"JwtIssuer": "https://issuer"}, ["AnIssuerNeedsAnAudience"]),
    ],
)
def test_parameters_that_need_each_other_are_asked_for(
    changes: dict[str, str], broken: list[str]
) -> None:
    assert refusals(**changes) == broken


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        (
            "Warehouse",
            ["", "md:b3", "/data/b3.duckdb"],
            ["b3", "md:", "md:b3#table", "s3://bucket/b3.duckdb"],
        ),
        ("Quotes", ["", "md:b3", "md:b3#b3_hist"], ["b3", "md:", "/data/b3.duckdb"]),
        (
            "CotahistAddress",
            ["", COTAHIST_ADDRESS],
            ["https://mirror", "ftp://mirror/{period}.ZIP"],
        ),
        (
            "CompaniesAddress",
            ["", COMPANIES_ADDRESS],
            ["https://mirror", "https://mirror/{call}", "https://mirror/{query}/{call}"],
        ),
    ],
)
def test_the_form_of_an_address_is_checked(
    name: str, allowed: list[str], refused: list[str]
) -> None:
    pattern = PARAMETERS[name]["AllowedPattern"]
    assert [text for text in allowed + refused if re.fullmatch(pattern, text)] == allowed


def test_the_exchanges_address_is_stated_once() -> None:
    assert PARAMETERS["CotahistAddress"]["Default"] == ""
    assert PARAMETERS["CompaniesAddress"]["Default"] == ""


def test_the_pace_of_a_deployment_is_that_of_a_laptop() -> None:
    defaults = [PARAMETERS[name]["Default"] for name in ("CompaniesPace", "CompaniesDays")]
    assert defaults == [Settings().companies_pace, Settings().companies_days]
    for name, variable in (
        ("CompaniesPace", "B3_COMPANIES_PACE"),
        ("CompaniesDays", "B3_COMPANIES_DAYS"),
    ):
        for bound in ("MinValue", "MaxValue"):
            Settings.from_environment({variable: str(PARAMETERS[name][bound])})
        with pytest.raises(InvalidParameterError, match=variable):
            Settings.from_environment({variable: str(PARAMETERS[name]["MaxValue"] + 1)})


def test_the_default_scratch_holds_what_the_largest_measured_load_needs() -> None:
    """What ``tests/bench/bench_scale.py`` measured is in the table of docs/LAKE.md."""
    needed = max(
        float(mib.replace(",", ""))
        for mib in re.findall(r"\| ([\d,]+) MiB \|", LAKE.read_text(encoding="utf-8"))
    )
    assert needed > 2_800
    assert needed * 2**20 * 1.25 < PARAMETERS["ScratchSize"]["Default"] * 10**6


def test_every_step_that_reads_quotes_or_the_table_has_that_scratch() -> None:
    sized = {
        name
        for name, made in TEMPLATE["Resources"].items()
        if "EphemeralStorage" in made.get("Properties", {})
    }
    steps = (
        "IngestQuotes",
        "FetchAnnouncements",
        "LoadData",
        "PreprocessShard",
        "PreprocessData",
        "SplitData",
        "TrainRf",
        "TrainLstm",
    )
    assert sized == {
        f"{step}Function" for step in (*steps, "EvaluateModel", "RefitModel", "PublishServing")
    }
    assert {
        str(TEMPLATE["Resources"][name]["Properties"]["EphemeralStorage"]) for name in sized
    } == {str({"Size": {"Ref": "ScratchSize"}})}
