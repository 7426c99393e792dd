"""The HTTP API on this machine: events in payload format 2.0, answers, CORS, refusals."""

import base64
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from typing import Any

import pytest
import requests

from infra.local import LocalStack
from infra.local.gateway import Gateway, GatewayServer
from infra.local.payload import BadResponseError, Request, event_v2, response_v2
from infra.local.routes import routes_of
from infra.local.worker import Outcome

FRONT = "https://front.example"

# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html,
# format 2.0, without the parts that need an authorizer, a client certificate or stage variables.
DOCUMENTED = json.loads("""
{
  "version": "2.0",
  "routeKey": "$default",
  "rawPath": "/my/path",
  "rawQueryString": "parameter1=value1&parameter1=value2&parameter2=value",
  "cookies": ["cookie1", "cookie2"],
  "headers": {"header1": "value1", "header2": "value1,value2"},
  "queryStringParameters": {"parameter1": "value1,value2", "parameter2": "value"},
  "requestContext": {
    "accountId": "123456789012",
    "apiId": "api-id",
    "domainName": "id.execute-api.us-east-1.amazonaws.com",
    "domainPrefix": "id",
    "http": {
      "method": "POST",
      "path": "/my/path",
      "protocol": "HTTP/1.1",
      "sourceIp": "192.0.2.1",
      "userAgent": "agent"
    },
    "requestId": "id",
    "routeKey": "$default",
    "stage": "$default",
    "time": "12/Mar/2020:19:03:58 +0000",
    "timeEpoch": 1583348638390
  },
  "body": "Hello from Lambda",
  "pathParameters": {"parameter1": "value1"},
  "isBase64Encoded": false
}
""")


def documented_request() -> Request:
    headers = Message()
    for name, value in (
        ("Header1", "value1"),
        ("Header2", "value1"),
        ("Header2", "value2"),
        ("Cookie", "cookie1; cookie2"),
        ("User-Agent", "agent"),
        ("Host", "id.execute-api.us-east-1.amazonaws.com"),
    ):
        headers[name] = value
    target = "/my/path?parameter1=value1&parameter1=value2&parameter2=value"

    return Request(
        "POST", target, headers, b"Hello from Lambda", source_ip="192.0.2.1", request_id="id"
    )


def test_the_event_is_the_one_that_aws_documents() -> None:
    event = event_v2(documented_request(), "$default", {"parameter1": "value1"})
    assert event.keys() == DOCUMENTED.keys()
    assert event["requestContext"].keys() == DOCUMENTED["requestContext"].keys()
    for name in ("domainPrefix", "apiId", "time", "timeEpoch"):  # not the request's
        event["requestContext"][name] = DOCUMENTED["requestContext"][name]
    assert {name: event["headers"][name] for name in DOCUMENTED["headers"]} == DOCUMENTED["headers"]
    event["headers"] = DOCUMENTED["headers"]
    assert event == DOCUMENTED


@pytest.fixture
def url(small_stack: LocalStack) -> str:
    return small_stack.api_url


def answer(url: str, **wanted: Any) -> requests.Response:
    return requests.post(f"{url}/answer", json=wanted, timeout=30)


def test_a_get_reaches_its_function_with_query_and_path_parameters(url: str) -> None:
    event = requests.get(f"{url}/assets/PETR4%20F?page=1&page=2&empty=", timeout=30).json()
    assert event["routeKey"] == "GET /assets/{ticker}"
    assert event["pathParameters"] == {"ticker": "PETR4 F"}
    assert event["queryStringParameters"] == {"page": "1,2", "empty": ""}
    assert event["rawQueryString"] == "page=1&page=2&empty="
    assert "body" not in event
    assert event["isBase64Encoded"] is False


def test_a_greedy_route_takes_the_rest_of_the_path_with_any_method(url: str) -> None:
    event = requests.delete(f"{url}/files/a/b.txt", timeout=30).json()
    assert event["routeKey"] == "ANY /files/{proxy+}"
    assert event["pathParameters"] == {"proxy": "a/b.txt"}


def test_a_dot_in_a_route_matches_only_a_dot(url: str) -> None:
    assert requests.get(f"{url}/swagger/swagger.yml", timeout=30).status_code == 200
    assert requests.get(f"{url}/swagger/swagger_yml", timeout=30).status_code == 404


def test_an_unknown_route_or_method_is_not_found(url: str) -> None:
    for response in (
        requests.get(f"{url}/nowhere", timeout=30),
        requests.post(f"{url}/assets", timeout=30),
    ):
        assert (response.status_code, response.json()) == (404, {"message": "Not Found"})


def test_cookies_are_a_list_and_not_a_header(url: str) -> None:
    event = requests.get(f"{url}/assets", cookies={"a": "1", "b": "2"}, timeout=30).json()
    assert sorted(event["cookies"]) == ["a=1", "b=2"]
    assert "cookie" not in event["headers"]


def test_text_bodies_arrive_as_text_and_others_as_base64(url: str) -> None:
    def post(body: bytes, kind: str) -> tuple[str, bool]:
        event = requests.post(
            f"{url}/echo", data=body, headers={"Content-Type": kind}, timeout=30
        ).json()
        return event["body"], event["isBase64Encoded"]

    assert post('{"a": "é"}'.encode(), "application/json") == ('{"a": "é"}', False)
    assert post(b"\x00\xff", "application/octet-stream") == (
        base64.b64encode(b"\x00\xff").decode(),
        True,
    )
    assert post(b"a=1", "application/x-www-form-urlencoded") == (
        base64.b64encode(b"a=1").decode(),
        True,
    )


def test_a_chunked_body_arrives_whole(url: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one "
        yield b"two"

    event = requests.post(
        f"{url}/echo", data=chunks(), headers={"Content-Type": "text/plain"}, timeout=30
    ).json()
    assert event["body"] == "one two"


def test_status_headers_cookies_and_binary_bodies_reach_the_caller(url: str) -> None:
    wanted = {
        "statusCode": 201,
        "headers": {"Content-Type": "image/png", "X-Number": 7},
        "cookies": ["a=1; Path=/", "b=2"],
        "body": base64.b64encode(b"\x89PNG").decode(),
        "isBase64Encoded": True,
    }
    response = answer(url, answer=wanted)
    assert (response.status_code, response.content) == (201, b"\x89PNG")
    assert (response.headers["content-type"], response.headers["x-number"]) == ("image/png", "7")
    assert response.cookies.get_dict() == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("payload", "body"),
    [({"a": 1}, b'{"a": 1}'), ("text", b"text"), (None, b"null")],
    ids=["object", "text", "null"],
)
def test_an_answer_without_a_status_is_sent_as_the_body(
    url: str, payload: Any, body: bytes
) -> None:
    response = answer(url, answer=payload)
    assert (response.status_code, response.content, response.headers["content-type"]) == (
        200,
        body,
        "application/json",
    )


@pytest.mark.parametrize(
    "wanted",
    [
        {"raise": "secret reason"},
        {"answer": {"statusCode": "x"}},
        {"answer": {"statusCode": 200, "body": {}}},
    ],
    ids=["exception", "status", "body"],
)
def test_a_failing_function_is_answered_by_a_500_without_details(
    url: str, wanted: dict[str, Any]
) -> None:
    response = answer(url, **wanted)
    assert (response.status_code, response.json()) == (500, {"message": "Internal Server Error"})


def test_a_header_with_a_line_break_is_refused() -> None:
    with pytest.raises(BadResponseError):
        response_v2(
            json.dumps({"statusCode": 200, "headers": {"x": "a\r\nset-cookie: b"}}).encode()
        )


def test_a_connection_is_kept_between_requests(url: str) -> None:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    connection.request("GET", "/assets")
    connection.getresponse().read()
    sock = connection.sock
    connection.request("POST", "/echo", body=b"x" * 100_000, headers={"Content-Type": "text/plain"})
    assert json.loads(connection.getresponse().read())["body"] == "x" * 100_000
    assert connection.sock is sock
    assert sock is not None
    connection.close()


def test_a_body_above_ten_megabytes_is_refused(url: str) -> None:
    response = requests.post(f"{url}/echo", data=b"x" * (10 * 1024 * 1024 + 1), timeout=30)
    assert response.status_code == 413
    assert requests.get(f"{url}/assets", timeout=30).status_code == 200


def test_an_event_above_lambdas_six_megabytes_is_refused(url: str) -> None:
    assert (
        requests.post(f"{url}/echo", data=b"\xff" * (5 * 1024 * 1024), timeout=30).status_code
        == 413
    )


@pytest.mark.parametrize("server", ["api_url", "aws_url"])
def test_a_caller_that_expects_100_continue_gets_it_at_once(
    small_stack: LocalStack, server: str
) -> None:
    host, port = getattr(small_stack, server).removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(
            b"PUT /files/x HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 1\r\nExpect: 100-continue\r\n\r\n"
        )
        # Nothing of the body was sent yet: without an answer this would time out.
        assert raw.recv(1000).startswith(b"HTTP/1.1 100 Continue\r\n")
        raw.sendall(b"x")
        assert b"HTTP/1.1 " in raw.recv(1000)


def test_a_request_that_is_not_http_is_answered_by_a_400(url: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:5000", "localhost.evil.example", "", "127.0.0.1.evil.example"],
)
def test_other_names_for_this_machine_are_refused(url: str, host: str) -> None:
    response = requests.get(f"{url}/assets", headers={"Host": host}, timeout=30)
    assert response.status_code == 421


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:5000"])
def test_this_machines_own_names_are_answered(url: str, host: str) -> None:
    assert requests.get(f"{url}/assets", headers={"Host": host}, timeout=30).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost.evil.example", FRONT + ".evil.example"],
)
def test_pages_of_other_sites_are_refused(url: str, origin: str) -> None:
    response = requests.post(f"{url}/echo", headers={"Origin": origin}, timeout=30)
    assert response.status_code == 403
    assert "access-control-allow-origin" not in response.headers


def test_local_pages_and_the_configured_front_end_are_answered(url: str) -> None:
    local = requests.get(f"{url}/assets", headers={"Origin": "http://localhost:3000"}, timeout=30)
    assert local.status_code == 200
    assert (
        "access-control-allow-origin" not in local.headers
    )  # as on AWS: only what CorsConfiguration names
    front = requests.get(f"{url}/assets", headers={"Origin": FRONT}, timeout=30)
    assert front.status_code == 200
    assert front.headers["access-control-allow-origin"] == FRONT


def test_a_preflight_is_answered_from_the_cors_configuration(url: str) -> None:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    response = requests.options(f"{url}/echo", headers={"Origin": FRONT, **asked}, timeout=30)

    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["access-control-allow-origin"] == FRONT
    assert response.headers["access-control-allow-methods"] == "GET,POST"
    assert response.headers["access-control-allow-headers"] == "content-type"
    assert response.headers["access-control-max-age"] == "600"

    refused = requests.options(
        f"{url}/echo", headers={"Origin": "http://localhost:1", **asked}, timeout=30
    )

    assert refused.status_code == 204
    assert "access-control-allow-origin" not in refused.headers


def test_the_functions_own_cors_headers_do_not_get_through(url: str) -> None:
    wanted = {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*"}, "body": ""}
    assert "access-control-allow-origin" not in answer(url, answer=wanted).headers


def test_the_aws_endpoint_is_not_for_web_pages(small_stack: LocalStack) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "http://localhost:3000"}):
        assert requests.get(small_stack.aws_url, headers=headers, timeout=30).status_code == 403
    assert requests.post(f"{small_stack.aws_url}/moto-api/reset", timeout=30).status_code == 403


def gateway_without_stack(
    timeout: float | None, entered: threading.Event, released: threading.Event
) -> str:
    """Start a gateway before a Python function that answers once ``released`` is set."""
    function = "arn:aws:lambda:x:1:function:slow"
    uri = f"arn:aws:apigateway:x:lambda:path/2015-03-31/functions/{function}/invocations"
    body = {"paths": {"/slow": {"get": {"x-amazon-apigateway-integration": {"uri": uri}}}}}

    def invoke(arn: str, event: bytes) -> Outcome:
        assert arn == function
        entered.set()
        assert released.wait(30)
        return Outcome(b'"done"')

    server = GatewayServer(0)
    server.serve(Gateway([body], invoke, timeout, print))
    return f"http://127.0.0.1:{server.server_port}/slow"


def test_an_integration_slower_than_the_limit_is_answered_by_a_503() -> None:
    released = threading.Event()
    response = requests.get(gateway_without_stack(0.2, threading.Event(), released), timeout=30)
    released.set()
    assert (response.status_code, response.json()) == (503, {"message": "Service Unavailable"})


@pytest.mark.parametrize("timeout", [30, None])
def test_an_integration_within_the_limit_or_without_one_is_waited_for(
    timeout: float | None,
) -> None:
    entered, released = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        response = pool.submit(
            requests.get, gateway_without_stack(timeout, entered, released), timeout=30
        )
        assert entered.wait(30)
        assert not response.done()
        released.set()
        assert response.result().text == "done"


def test_the_most_specific_route_wins() -> None:
    uri = {"x-amazon-apigateway-integration": {"uri": "path/functions/arn/invocations"}}
    paths = ["/$default", "/{proxy+}", "/a/{b}", "/a/b", "/a/{proxy+}"]
    body = {
        "paths": {path: {"x-amazon-apigateway-any-method": uri} for path in paths}
        | {"/a/b": {"get": uri, "post": uri}}
    }
    first = {
        path: next(r.key for r in routes_of(body) if r.match("GET", path) is not None)
        for path in ("/a/b", "/a/c", "/a/c/d", "/z")
    }

    assert first == {
        "/a/b": "GET /a/b",
        "/a/c": "ANY /a/{b}",
        "/a/c/d": "ANY /a/{proxy+}",
        "/z": "ANY /{proxy+}",
    }
