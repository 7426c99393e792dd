"""The control function through its real handler, over a machine that finishes nothing."""

import base64
from typing import Any

import pytest
from control_function import ControlFunction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from b3shared.api.schemas import Error
from b3shared.params.run import PipelineParams, flat_schemas

STEPS = (
    "load-data",
    "preprocess-data",
    "split-data",
    "train-model",
    "evaluate-model",
    "save-model",
)
POSTS = ("complete-pipeline", *STEPS, "clear-state", "models/rf/promote", "models/lstm/rollback")
REFUSED = {404, 409, 413, 422, 429}


@pytest.fixture(scope="module")
def function(tmp_path_factory: pytest.TempPathFactory) -> ControlFunction:
    return ControlFunction(tmp_path_factory.mktemp("control"))


def refused(answer: tuple[int, dict[str, Any]]) -> str:
    """The message of a 422 in the one form of errors."""
    status, body = answer
    assert (status, body["code"]) == (422, "INVALID_PARAMETER"), answer
    return Error.model_validate(body, strict=True).message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{", "body: not JSON (Expecting property name"),
        ("[]", "body: must be a JSON object, got list"),
        ('"x"', "body: must be a JSON object, got str"),
        ('{"wait_seconds": ' + "9" * 5000 + "}", "body: not JSON (Exceeds the limit (4300 digits)"),
        ('{"horizon": NaN}', "body: not JSON (NaN is not a JSON number)"),
        ('{"min_turnover": 1e999}', "body: not JSON (Out of range float values"),
        ('{"run_id": "\\ud800"}', "body: not JSON (a text holds half a character"),
        ("[" * 90_000, "body: not JSON (nested deeper than 32 levels)"),
        (
            '{"horizon": ' + "[" * 500 + "]" * 500 + "}",
            "body: not JSON (nested deeper than 32 levels)",
        ),
        ({"min_turnover": "inf"}, "min_turnover must be a finite number >= 0, got 'inf'"),
        ({"run_id": "a\u0000"}, "run_id: string should match pattern"),
        ({"wait_seconds": -(10**400)}, "wait_seconds must be a number of seconds >= 0, got -1000"),
    ],
    ids=range(12),
)
def test_a_malformed_body_is_422_with_the_reason(
    function: ControlFunction, body: Any, said: str
) -> None:
    assert refused(function.post("load-data", body)).startswith(said)


def test_a_wait_beyond_all_floats_is_cut_to_what_is_allowed(function: ControlFunction) -> None:
    status, body = function.post("load-data", {"run_id": "patient", "wait_seconds": 10**400})
    assert (status, body["training_status"]) == (202, "running")


def test_a_body_in_base64_that_is_no_text_is_422(function: ControlFunction) -> None:
    for broken in ("YWJ", base64.b64encode(b"\xff\xfe").decode()):
        assert refused(function.post("load-data", broken, isBase64Encoded=True)).startswith(
            "body: not text"
        )


@pytest.mark.parametrize(
    "why",
    ["x" * 501, " ", "", 5, ["because"], False],
    ids=["long", "blank", "empty", "5", "list", "no"],
)
def test_a_reason_that_is_empty_too_long_or_no_text_is_refused(
    function: ControlFunction, why: Any
) -> None:
    for route in ("models/rf/promote", "models/rf/rollback"):
        body = {"why": why} | (
            {"model_version": "20231228-00000000"} if route.endswith("promote") else {}
        )
        status, answer = function.post(route, body)
        if (
            answer["code"] == "NOTHING_LIVE"
        ):  # a rollback looks whether there is anything to go back from first
            continue
        assert refused((status, answer)).startswith("why: ")


def test_a_key_with_a_lone_surrogate_is_accepted(function: ControlFunction) -> None:
    status, body = function.post("complete-pipeline", {}, headers={"idempotency-key": "\ud800"})
    assert (status, body["status"]) == (202, "success")


# -- whatever else somebody may send

TEXT = st.text(alphabet=st.characters(), max_size=20) | st.sampled_from(
    ["\x00", "../x", "inputs/\x00", "\ud800", "x" * 3000]
)
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**400), 2**63, 1e308, -0.0])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
NAMES = sorted({*flat_schemas(), *PipelineParams.model_fields})
OTHERS = ("run_id", "input_key", "wait_seconds", "model_version", "why", "expected", "model_dir")
NEARLY = st.dictionaries(st.sampled_from([*NAMES, *OTHERS, *OTHERS]), JSON, max_size=3)
WRONG = st.sampled_from(
    [
        "[" * 50_000,
        "9" * 5000,
        '{"a": NaN}',
        '{"wait_seconds": 1e999}',
        '{"why": "\\ud800"}',
        "{",
        " ",
    ]
)
DEEP = st.integers(1, 400).map(lambda depth: '{"tickers": ' + "[" * depth + "]" * depth + "}")
BODIES = NEARLY | JSON | TEXT | WRONG | DEEP
ANYTHING = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def conforms(answer: tuple[int, dict[str, Any]]) -> None:
    """Check that an answer succeeds or has the form of errors; 5xx only where nothing is live."""
    status, body = answer
    if status >= 300:
        assert status in REFUSED or body["code"] == "NOTHING_LIVE", answer
        Error.model_validate(body, strict=True)


@given(route=st.sampled_from(POSTS), body=BODIES, encoded=st.booleans())
@ANYTHING
def test_any_post_is_answered_or_refused(
    function: ControlFunction, route: str, body: Any, encoded: bool
) -> None:
    conforms(function.post(route, body, isBase64Encoded=encoded))


@given(
    path=st.sampled_from(["pipeline-status", "models", "models/rf"]) | TEXT.map("models/{}".format),
    query=st.dictionaries(st.sampled_from(["run_id", "model_dir", "other"]), TEXT),
)
@ANYTHING
def test_any_get_is_answered_or_refused(
    function: ControlFunction, path: str, query: dict[str, str]
) -> None:
    conforms(function.call("GET", f"/api/b3/{path}", query=query))
