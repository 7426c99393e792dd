"""The HTTP API on this machine: turns requests into invocations, as API Gateway does."""

import json
import queue
import socket
import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from infra.local.errors import ClosingError, PortTakenError
from infra.local.http_io import BodyTooLargeError, SinglePacketHandler
from infra.local.payload import BadResponseError, Request, Response, event_v2, message, response_v2
from infra.local.routes import Cors, Route, routes_of
from infra.local.worker import Outcome

BODY_LIMIT = 10 * 1024 * 1024
"""Largest request body in bytes (HTTP API quotas)."""

EVENT_LIMIT = 6 * 1024 * 1024
"""Largest event of a synchronous invocation in bytes (Lambda quotas).

A binary body grows by a third in it.
"""

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")

Invoke = Callable[[str, bytes], Outcome]


def is_local(url: str) -> bool:
    """Whether an address, with its scheme, is one of this machine's own names."""
    try:
        return urlsplit(url).hostname in LOCAL_HOSTS
    except ValueError:
        return False


class Gateway:
    """Routes requests to functions and applies CORS.

    Args:
        bodies: OpenAPI documents of the deployed HTTP APIs.
        invoke: Runs a function by its ARN with an event.
        timeout: Seconds until an integration that has not answered becomes a 503; API Gateway's own
            limit is 30.
        log: Takes a line about an answer that could not be used.
    """

    def __init__(
        self,
        bodies: list[dict[str, Any]],
        invoke: Invoke,
        timeout: float | None,
        log: Callable[[str], None],
    ) -> None:
        self._routes: list[Route] = sorted(route for body in bodies for route in routes_of(body))
        self._cors = next((cors for body in bodies if (cors := Cors.from_document(body))), None)
        self._invoke = invoke
        self._timeout = timeout
        self._log = log

    def refusal(self, host: str | None, origin: str | None) -> Response | None:
        """Return the refusal of a request from another site's page or to another host name."""
        if not is_local(f"http://{host}"):
            return message(
                421, "Misdirected Request: this server answers to localhost and 127.0.0.1 only"
            )
        if (
            origin is not None
            and not is_local(origin)
            and not (self._cors and self._cors.allows(origin))
        ):
            return message(403, f"Forbidden: origin {origin} is not allowed")
        return None

    def answer(self, request: Request) -> Response:
        """Answer a request that was not refused."""
        origin = request.headers.get("Origin")
        if (
            request.method == "OPTIONS"
            and self._cors
            and origin
            and request.headers.get("Access-Control-Request-Method")
        ):
            return Response(204, self._cors.preflight(origin), b"")

        response = self._route(request)
        if not self._cors:
            return response

        headers = [
            (name, value)
            for name, value in response.headers
            if not name.startswith("access-control-")
        ]
        return Response(
            response.status,
            headers + (self._cors.response(origin) if origin else []),
            response.body,
        )

    def _route(self, request: Request) -> Response:
        for route in self._routes:
            variables = route.match(request.method, request.path)
            if variables is not None:
                event = json.dumps(event_v2(request, route.key, variables)).encode()
                if len(event) > EVENT_LIMIT:
                    return message(413, "Request Entity Too Large")
                return self._integrate(route.function_arn, event)
        return message(404, "Not Found")

    def _integrate(self, arn: str, event: bytes) -> Response:
        try:
            outcome = self._invoke_in_time(arn, event)
            if outcome is None:
                return message(503, "Service Unavailable")
            if not outcome.failed:
                return response_v2(outcome.payload)
        except BadResponseError as error:
            self._log(f"{arn} answered what API Gateway does not take: {error}")
        except ClosingError:
            return message(503, "Service Unavailable")
        return message(500, "Internal Server Error")

    def _invoke_in_time(self, arn: str, event: bytes) -> Outcome | None:
        if self._timeout is None:
            return self._invoke(arn, event)

        answers: queue.SimpleQueue[Outcome | Exception] = queue.SimpleQueue()

        def run() -> None:
            try:
                answers.put(self._invoke(arn, event))
            except Exception as error:
                answers.put(error)

        threading.Thread(target=run, daemon=True).start()

        try:
            answer = answers.get(timeout=self._timeout)
        except queue.Empty:
            return None  # the function goes on, as it does on AWS
        if isinstance(answer, Exception):
            raise answer
        return answer


class _Handler(SinglePacketHandler):
    server: "GatewayServer"
    max_body = BODY_LIMIT

    def _serve(self) -> None:
        gateway = self.server.gateway
        response = gateway.refusal(self.headers.get("Host"), self.headers.get("Origin"))
        request_id = ""
        if response is not None:
            self.close_connection = True
        else:
            try:
                request = self._request()
                request_id = request.request_id
                response = gateway.answer(request)
            except BodyTooLargeError:
                response = message(413, "Request Entity Too Large")
            except ValueError:
                self.close_connection = True
                response = message(400, "Bad Request")

        self.reply(
            response.status, [*response.headers, ("apigw-requestid", request_id)], response.body
        )

    def _request(self) -> Request:
        return Request(
            method=self.command,
            target=self.path,
            headers=self.headers,
            body=self.read_body(),
            source_ip=str(self.client_address[0]),
            protocol=self.request_version,
            port=self.server.server_port,
        )

    do_DELETE = do_GET = do_HEAD = do_OPTIONS = do_PATCH = do_POST = do_PUT = _serve  # noqa: N815  # http.server calls them so


class GatewayServer(ThreadingHTTPServer):
    """Server with a thread per connection, kept alive between requests.

    Args:
        port: Where to listen on 127.0.0.1; 0 for any free port.

    Raises:
        PortTakenError: Another program listens there.
    """

    daemon_threads = True
    request_queue_size = 128
    gateway: Gateway

    def __init__(self, port: int) -> None:
        refuse_taken(port)
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise PortTakenError(port) from error

    def serve(self, gateway: Gateway) -> None:
        """Start answering requests in the background."""
        self.gateway = gateway
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        ).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore callers that hung up."""


def refuse_taken(port: int) -> None:
    """Raise PortTakenError if a program answers on a port already; macOS would let us share it."""
    if port:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise PortTakenError(port)
