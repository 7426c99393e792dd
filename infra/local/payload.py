"""Converts HTTP to and from Lambda's events, in API Gateway's payload format 2.0.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import binascii
import json
import time
import uuid
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from infra.local.aws import ACCOUNT

TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml")
"""Bodies of these types reach the function as text; all others, forms too, as base64."""

_FROM_SERVER = {
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
}


class BadResponseError(Exception):
    """API Gateway does not accept the function's answer; the caller sees a 500."""


@dataclass(frozen=True)
class Request:
    """An HTTP request.

    Attributes:
        method: GET, POST, ...
        target: Path and query string, percent-encoded.
        headers: Its headers, repeated ones included.
        body: Its body.
        source_ip: The caller.
        protocol: Such as ``HTTP/1.1``.
        port: The port that the request came in on.
    """

    method: str
    target: str
    headers: Message
    body: bytes
    source_ip: str = "127.0.0.1"
    protocol: str = "HTTP/1.1"
    port: int = 80
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def path(self) -> str:
        """The path, decoded."""
        return unquote(urlsplit(self.target).path) or "/"


def event_v2(request: Request, route_key: str, path_parameters: dict[str, str]) -> dict[str, Any]:
    """Make the event that a function gets for a request.

    Args:
        request: The request.
        route_key: The route that matched.
        path_parameters: Variables of the route.
    """
    query = urlsplit(request.target).query
    parameters = _joined(parse_qsl(query, keep_blank_values=True))
    now = time.time()

    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": request.path,
        "rawQueryString": query,
        "headers": _headers(request),
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "local",
            "domainName": request.headers.get("Host", ""),
            "domainPrefix": "local",
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": request.protocol,
                "sourceIp": request.source_ip,
                "userAgent": request.headers.get("User-Agent", ""),
            },
            "requestId": request.request_id,
            "routeKey": route_key,
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
            "timeEpoch": int(now * 1000),
        },
        "isBase64Encoded": False,
    }

    if cookies := [
        c.strip()
        for header in request.headers.get_all("Cookie", [])
        for c in header.split(";")
        if c.strip()
    ]:
        event["cookies"] = cookies
    if parameters:
        event["queryStringParameters"] = parameters
    if path_parameters:
        event["pathParameters"] = path_parameters
    if request.body:
        event["body"], event["isBase64Encoded"] = _body(request)
    return event


def _headers(request: Request) -> dict[str, str]:
    headers = _joined(
        [
            (name.lower(), value)
            for name, value in request.headers.items()
            if name.lower() != "cookie"
        ]
    )

    return headers | {
        "x-amzn-trace-id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}",
        "x-forwarded-for": request.source_ip,
        "x-forwarded-port": str(request.port),
        "x-forwarded-proto": "http",
    }


def _joined(pairs: list[tuple[str, str]]) -> dict[str, str]:
    out: dict[str, str] = {}
    for name, value in pairs:
        out[name] = f"{out[name]},{value}" if name in out else value
    return out


def _body(request: Request) -> tuple[str, bool]:
    kind = request.headers.get("Content-Type", "text/plain").lower()
    if kind.startswith(TEXT_TYPES):
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(request.body).decode(), True


@dataclass(frozen=True)
class Response:
    """An HTTP answer."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def message(status: int, text: str) -> Response:
    """Make an answer of API Gateway itself."""
    return Response(
        status, [("content-type", "application/json")], json.dumps({"message": text}).encode()
    )


def response_v2(payload: bytes) -> Response:
    """Make an HTTP answer of a function's; without a ``statusCode`` it is the body of a 200.

    Args:
        payload: The function's answer as JSON.

    Raises:
        BadResponseError: Its status, headers, cookies or body are not what API Gateway takes.
    """
    answer = json.loads(payload)
    if not (isinstance(answer, dict) and "statusCode" in answer):
        body = answer if isinstance(answer, str) else json.dumps(answer)
        return Response(200, [("content-type", "application/json")], body.encode())

    try:
        status = int(answer["statusCode"])
    except (TypeError, ValueError):
        raise BadResponseError(f"statusCode {answer['statusCode']!r}") from None
    if not 100 <= status <= 599:
        raise BadResponseError(f"statusCode {status}")

    headers = [(str(k).lower(), _header_value(v)) for k, v in (answer.get("headers") or {}).items()]
    headers = [(name, value) for name, value in headers if name not in _FROM_SERVER]
    if "content-type" not in (name for name, _ in headers):
        headers.append(("content-type", "text/plain;charset=UTF-8"))
    headers += [("set-cookie", _header_value(cookie)) for cookie in answer.get("cookies") or []]
    return Response(status, headers, _response_body(answer))


def _header_value(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if "\r" in text or "\n" in text:
        raise BadResponseError("a header with a line break")
    return text


def _response_body(answer: dict[str, Any]) -> bytes:
    body = answer.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise BadResponseError(f"body of type {type(body).__name__}, which must be text")
    if not answer.get("isBase64Encoded"):
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise BadResponseError("body is not base64") from error
