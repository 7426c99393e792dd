"""Any request to the predict function is answered by its schema or refused in the one form."""

from typing import Any

from four_tickers import BASES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from predict_function import Answer, PredictFunction
from served_store import TICKERS

from b3shared.api.schemas import AssetsAnswer, BatchAnswer, PredictAnswer

TEXT = st.text(max_size=30)
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**400)])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "ticker": st.sampled_from([*TICKERS, " petr4 ", "PETR", "ſ"]) | JSON,
        "tickers": st.lists(st.sampled_from(TICKERS) | TEXT, max_size=5) | st.just("all") | JSON,
        "model_type": st.sampled_from(["rf", "random_forest", "lstm", "RF"]) | JSON,
        "model_version": st.sampled_from(
            [None, "20231226-00000000", "20231226-../../..", "２０２３１２２６-00000000"]
        )
        | JSON,
        "search": TEXT,
    },
)
WRONG = st.sampled_from(
    ["[" * 19_000, "9" * 5000, '{"ticker": ' + "9" * 5000 + "}", '{"ticker": "\\ud800"}', "1e999"]
)
DEEP = st.integers(1, 400).map(lambda depth: '{"ticker": ' + "[" * depth + "]" * depth + "}")
BODIES = NEARLY | JSON | TEXT | WRONG | DEEP
QUERIES = st.dictionaries(
    st.sampled_from(["search", "page", "page_size", "other"]), TEXT | st.integers().map(str)
)
SCHEMAS = {"predict": PredictAnswer, "batch": BatchAnswer, "assets": AssetsAnswer}
ANYTHING = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def conforms(answer: Answer, name: str) -> None:
    """Check that an answer has its schema or the form of errors; 5xx only where nothing is live."""
    assert answer.content_type == "application/json"
    if answer.status == 200:
        answer.ok(SCHEMAS[name])
    else:
        assert answer.status in {404, 413, 422} or answer.body["code"] == "NOTHING_LIVE", (
            answer.body
        )
        answer.error(answer.status, answer.body["code"])


@given(
    base=st.sampled_from(BASES),
    route=st.sampled_from(["predict", "batch"]),
    body=BODIES,
    encoded=st.booleans(),
)
@ANYTHING
def test_any_post_is_answered_or_refused(
    function: PredictFunction, base: str, route: str, body: Any, encoded: bool
) -> None:
    path = f"{base}/predict" if route == "predict" else f"{base}/predict/batch"
    conforms(function.call("POST", path, body, isBase64Encoded=encoded), route)


@given(query=QUERIES, base=st.sampled_from(BASES))
@ANYTHING
def test_any_search_is_answered_or_refused(
    function: PredictFunction, query: dict[str, str], base: str
) -> None:
    conforms(function.call("GET", f"{base}/assets", query=query), "assets")


@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH"]),
    path=TEXT.map("/{}".format),
    body=BODIES,
)
@ANYTHING
def test_any_unknown_path_is_404(
    function: PredictFunction, method: str, path: str, body: Any
) -> None:
    function.call(method, path, body).error(404, "UNKNOWN_ROUTE")
