"""The predict function through its real handler: the front end's requests, and any others."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from four_tickers import BASES
from predict_function import PredictFunction
from served_store import TICKERS, WatchedStorage, register_tiny, serve, tiny_snapshot

from b3shared.api.http import MAX_BODY
from b3shared.api.schemas import MAX_BATCH, AssetsAnswer, BatchAnswer, PredictAnswer
from b3shared.registry.promotion import promote
from b3shared.registry.versions import Registry
from b3shared.serving.live import CHECK_SECONDS
from b3shared.storage import FolderStorage

UNCLASSIFIED = {"sector": None, "subsector": None, "segment": None}


@pytest.fixture
def own(tmp_path: Path) -> PredictFunction:
    """A function to break."""
    store = FolderStorage(tmp_path / "store")
    serve(store, tiny_snapshot(), tmp_path / "snapshot")
    promote(
        store, "models", "rf", register_tiny(store, tmp_path / "one", 1), who="test", why="test"
    )
    return PredictFunction(tmp_path / "store")


@pytest.mark.parametrize("base", BASES)
def test_the_front_end_searches_tickers(function: PredictFunction, base: str) -> None:
    answer = function.call(
        "GET", f"{base}/assets", query={"page": "1", "page_size": "10", "search": "PETR"}
    )

    assert answer.ok(AssetsAnswer) == {
        "assets": [
            {"ticker": "PETR3", "company": "COMPANHIA PETR"} | UNCLASSIFIED,
            {"ticker": "PETR4", "company": "COMPANHIA PETR"} | UNCLASSIFIED,
        ],
        "pagination": {
            "page": 1,
            "page_size": 10,
            "total_count": 2,
            "total_pages": 1,
            "has_next": False,
            "has_prev": False,
        },
    }


@pytest.mark.parametrize("base", BASES)
def test_the_front_end_asks_for_a_forecast(function: PredictFunction, base: str) -> None:
    answer = function.call("POST", f"{base}/predict", {"ticker": "PETR4"})
    assert answer.content_type == "application/json"
    body = answer.ok(PredictAnswer)
    assert body["predictions"][0] in ("buy", "hold", "sell")
    assert body["ticker"] == "PETR4"
    assert body["degraded"] is True  # quotes of 2023
    assert body["message"].startswith("the newest quote is of 2023-12-28")


@pytest.mark.parametrize("base", BASES)
def test_a_batch_is_answered_row_by_row(function: PredictFunction, base: str) -> None:
    body = function.call(
        "POST", f"{base}/predict/batch", {"tickers": ["petr4", "VALE3", "XXXX9"]}
    ).ok(BatchAnswer)
    assert [row["ticker"] for row in body["predictions"]] == ["PETR4", "VALE3"]
    assert [error["ticker"] for error in body["errors"]] == ["XXXX9"]
    every = function.call("POST", f"{base}/predict/batch", {"tickers": "all"}).ok(BatchAnswer)
    assert [row["ticker"] for row in every["predictions"]] == list(TICKERS)


def test_the_longest_allowed_batch_is_answered(function: PredictFunction) -> None:
    tickers = [f"ABCDEFGH{number:04d}" for number in range(MAX_BATCH)]
    body = function.call("POST", "/predict/batch", {"tickers": tickers}).ok(BatchAnswer)
    assert len(body["errors"]) == MAX_BATCH


def test_a_version_can_be_chosen(function: PredictFunction) -> None:
    error = function.call(
        "POST", "/predict", {"ticker": "PETR4", "model_version": "20200101-00000000"}
    )

    assert "lists all" in error.error(404, "UNKNOWN_MODEL")
    live = function.call("POST", "/predict", {"ticker": "PETR4"}).ok(PredictAnswer)
    registered = [
        manifest["version"]
        for manifest in Registry(FolderStorage(function.storage), "models").versions("rf")
    ]
    (other,) = set(registered) - {live["model_version"]}
    body = function.call("POST", "/predict", {"ticker": "PETR4", "model_version": other}).ok(
        PredictAnswer
    )
    assert body["model_version"] == other
    assert body["prediction_probabilities"] != live["prediction_probabilities"]


@pytest.mark.parametrize("model_type", ["lstm", "lstm_mtl"])
def test_the_front_end_asks_the_lstm(own: PredictFunction, tmp_path: Path, model_type: str) -> None:
    store = FolderStorage(own.storage)
    promote(
        store,
        "models",
        "lstm",
        register_tiny(store, tmp_path / "lstm", 3, "lstm", lookback=4),
        who="test",
        why="test",
    )
    body = own.call("POST", "/api/b3/predict", {"ticker": "PETR4", "model_type": model_type}).ok(
        PredictAnswer
    )

    assert (body["model_type"], body["requested_model_type"]) == ("lstm", model_type)
    assert body["predicted_price"] == pytest.approx(
        body["last_price"] * (1 + body["predicted_return"])
    )
    assert body["interval"]["price_low"] < body["predicted_price"] < body["interval"]["price_high"]
    assert (body["sequence_length"], body["features_count"]) == (4, 3)
    batch = own.call("POST", "/predict/batch", {"tickers": "all", "model_type": model_type}).ok(
        BatchAnswer
    )
    assert [row["interval"]["level"] for row in batch["predictions"]] == [0.8] * len(TICKERS)
    forest = own.call("POST", "/api/b3/predict", {"ticker": "PETR4"}).ok(PredictAnswer)
    assert (forest["model_type"], forest["interval"], forest["sequence_length"]) == (
        "rf",
        None,
        None,
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "ticker: field required"),
        ({"ticker": 4}, "ticker: input should be a valid string"),
        ({"ticker": None}, "ticker: input should be a valid string"),
        ({"ticker": ""}, "ticker: string should match pattern"),
        ({"ticker": "   "}, "ticker: string should match pattern"),
        ({"ticker": "PETR-4"}, "ticker: string should match pattern"),
        ({"ticker": "A" * 13}, "ticker: string should match pattern"),
        ({"ticker": "PETR4", "tickr": "x"}, "tickr: extra inputs are not permitted"),
        (
            {"ticker": "PETR4", "model_type": "svm"},
            "model_type: input should be 'rf', 'random_forest', 'lstm' or 'lstm_mtl'",
        ),
        (
            {"ticker": "PETR4", "model_version": "latest"},
            "model_version: string should match pattern",
        ),
        (
            {"ticker": "PETR4", "model_version": "../../../secret"},
            "model_version: string should match pattern",
        ),
        ([], "body: must be a JSON object, got list"),
        ([{"ticker": "PETR4"}], "body: must be a JSON object, got list"),
        ("null", "body: must be a JSON object, got NoneType"),
        ("", "body: field required"),
        ("5", "body: must be a JSON object, got int"),
        ('"PETR4"', "body: must be a JSON object, got str"),
        ("ticker=PETR4", "body: not JSON (Expecting value at character 1)"),
        ('{"ticker": "PETR4"', "body: not JSON"),
        ('{"ticker": NaN}', "body: not JSON (NaN is not a JSON number)"),
        ('{"ticker": -Infinity}', "body: not JSON (-Infinity is not a JSON number)"),
        ('{"ticker": 1e999}', "body: not JSON (Out of range float values"),
        ('{"ticker": ' + "9" * 5000 + "}", "body: not JSON (Exceeds the limit"),
        ('{"ticker": ' + "9" * 400 + "}", "ticker: input should be a valid string"),
        ('{"ticker": "\\ud800"}', "body: not JSON (a text holds half a character"),
        ('{"ticker": "\\u0000"}', "ticker: string should match pattern"),
        ("[" * 15_000, "body: not JSON (nested deeper than 32 levels)"),
        ("[" * 40 + "]" * 40, "body: not JSON (nested deeper than 32 levels)"),
    ],
)
def test_a_body_that_is_not_allowed_is_refused_by_the_name_of_its_field(
    function: PredictFunction, body: Any, said: str
) -> None:
    assert function.call("POST", "/predict", body).error(422, "INVALID_PARAMETER").startswith(said)


@pytest.mark.parametrize(
    ("tickers", "said"),
    [
        ([], "at least 1 item"),
        (["PETR4"] * (MAX_BATCH + 1), "at most 500 items"),
        ("PETR4", "tickers: input should be 'all'"),
        (["PETR4", "!"], "tickers.1: string should match pattern"),
        (["PETR4", 5], "tickers.1: input should be a valid string"),
        (None, "tickers: "),
    ],
)
def test_batches_have_limits(function: PredictFunction, tickers: Any, said: str) -> None:
    message = function.call("POST", "/predict/batch", {"tickers": tickers}).error(
        422, "INVALID_PARAMETER"
    )
    assert said in message
    assert "constrained" not in message  # no word of the validator's insides
    assert "[" not in message.replace("[A-Za-z0-9]", "")


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({"page": "x"}, 422, "page: input should be a valid integer"),
        ({"page": "0"}, 422, "page: input should be greater than or equal to 1"),
        ({"page": "99999999999999999999"}, 422, "page: "),
        ({"page": "9" * 5000}, 422, "page: "),
        ({"page_size": "101"}, 422, "page_size: input should be less than or equal to 100"),
        ({"page_size": "1,2"}, 422, "page_size: "),
        ({"search": "a" * 61}, 422, "search: string should have at most 60 characters"),
        ({"search": "PE"}, 422, "search = 'PE': at least 3 characters are needed, or none"),
    ],
)
def test_a_query_that_is_not_allowed_is_refused(
    function: PredictFunction, query: dict[str, str], status: int, said: str
) -> None:
    assert (
        function.call("GET", "/assets", query=query)
        .error(status, "INVALID_PARAMETER")
        .startswith(said)
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/nope"),
        ("GET", "/predict"),
        ("POST", "/assets"),
        ("DELETE", "/api/b3/predict"),
        ("POST", "/api"),
    ],
)
def test_an_unknown_route_is_404_in_the_same_form(
    function: PredictFunction, method: str, path: str
) -> None:
    assert (
        function.call(method, path).error(404, "UNKNOWN_ROUTE")
        == f"{method} {path}: there is no such route"
    )


def test_an_unknown_ticker_is_404_with_similar_ones(function: PredictFunction) -> None:
    answer = function.call("POST", "/predict", {"ticker": "petr"})
    assert (
        answer.error(404, "UNKNOWN_TICKER")
        == "there are no quotes of 'PETR'; did you mean PETR4 or PETR3?"
    )
    assert answer.body["details"] == {"ticker": "PETR", "similar": ["PETR4", "PETR3"]}


def test_a_body_that_is_too_long_is_refused(function: PredictFunction) -> None:
    longest = '{"ticker": "PETR4"}'.ljust(MAX_BODY)
    function.call("POST", "/predict", longest).ok(PredictAnswer)
    answer = function.call("POST", "/predict", longest + " ")
    assert (
        answer.error(413, "BODY_TOO_LARGE")
        == "the body has 100,001 characters; 100,000 are allowed"
    )
    assert answer.content_type == "application/json"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""]
)
def test_json_is_read_whatever_the_content_type(
    function: PredictFunction, content_type: str
) -> None:
    headers = {"content-type": content_type}  # curl -d says it is a form
    function.call("POST", "/predict", {"ticker": "PETR4"}, headers=headers).ok(PredictAnswer)
    answer = function.call("POST", "/predict", "<ticker>PETR4</ticker>", headers=headers)
    assert (
        answer.error(422, "INVALID_PARAMETER") == "body: not JSON (Expecting value at character 1)"
    )


def test_a_body_in_base64_is_read_and_a_broken_one_refused(function: PredictFunction) -> None:
    encoded = base64.b64encode(b'{"ticker": "PETR4"}').decode()
    function.call("POST", "/predict", encoded, isBase64Encoded=True).ok(PredictAnswer)
    for broken in ("YWJ", base64.b64encode(b"\xff\xfe").decode()):
        answer = function.call("POST", "/predict", broken, isBase64Encoded=True)
        assert answer.error(422, "INVALID_PARAMETER").startswith("body: not text")


def test_with_nothing_live_every_answer_is_503_and_says_what_to_do(empty: PredictFunction) -> None:
    for method, path, body in [
        ("POST", "/predict", {"ticker": "PETR4"}),
        ("POST", "/api/b3/predict/batch", {"tickers": "all"}),
        ("GET", "/assets", None),
    ]:
        assert "run the pipeline" in empty.call(method, path, body).error(503, "NOTHING_LIVE")


def test_a_type_without_a_live_version_is_503(function: PredictFunction) -> None:
    answer = function.call("POST", "/predict", {"ticker": "PETR4", "model_type": "lstm"})
    assert "complete-pipeline with model_type lstm" in answer.error(503, "NOTHING_LIVE")


def test_predictions_continue_with_the_live_version_when_the_storage_breaks(
    own: PredictFunction,
) -> None:
    before = own.call("POST", "/predict", {"ticker": "PETR4"}).ok(PredictAnswer)
    broken = WatchedStorage(own.storage)
    broken.down = True
    own.app.live.storage = broken
    own.app.live._clock = lambda: 1e9 + CHECK_SECONDS
    after = own.call("POST", "/predict", {"ticker": "PETR4"}).ok(PredictAnswer)
    assert after.pop("message").startswith(before.pop("message"))
    assert after == before


def test_an_unforeseen_error_is_500_in_the_same_form_without_its_details(
    own: PredictFunction,
) -> None:
    def today() -> None:
        raise ZeroDivisionError("the secret of /etc/passwd")

    own.app.predictor.today = today
    answer = own.call("POST", "/predict", {"ticker": "PETR4"})
    assert (
        answer.error(500, "INTERNAL")
        == "an unforeseen error; the log has it under request request-1"
    )
    assert "secret" not in json.dumps(answer.body)


def test_the_description_of_the_function_names_every_answer(function: PredictFunction) -> None:
    spec = json.loads(function.app.app.get_openapi_json_schema())
    assert spec["paths"].keys() == {"/api/b3/predict", "/api/b3/predict/batch", "/assets"}
    for path in spec["paths"].values():
        for operation in path.values():
            assert {"200", "404", "413", "422", "503"} <= operation["responses"].keys()
            for status, response in operation["responses"].items():
                schema = response["content"]["application/json"]["schema"]
                assert schema["$ref"].endswith("/Error") == (status != "200")
