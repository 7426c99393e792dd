"""Reads routes and CORS configuration from a deployed HTTP API's OpenAPI document."""

import re
from dataclasses import dataclass, field
from typing import Any

ANY_METHOD = "x-amazon-apigateway-any-method"


@dataclass(frozen=True, order=True)
class Route:
    """A route of an HTTP API; routes sort most specific first.

    Attributes:
        rank: Sort key: $default last, greedy before it, then fewer variables, then exact methods.
        method: HTTP method or ANY.
        key: API Gateway's name of the route, such as ``GET /assets/{ticker}``.
        pattern: Matches a request's path and names its variables.
        function_arn: The function behind it.
    """

    rank: tuple[bool, bool, int, bool]
    method: str
    key: str
    pattern: re.Pattern[str] = field(compare=False)
    function_arn: str

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Return the path's variables if the route takes the request, else None."""
        if self.method not in ("ANY", method):
            return None
        found = self.pattern.fullmatch(path)
        return None if found is None else found.groupdict()


def routes_of(body: dict[str, Any]) -> list[Route]:
    """Read the routes of an API, most specific first.

    Args:
        body: The OpenAPI document that SAM generates, its references resolved.
    """
    routes = []
    for path, operations in body.get("paths", {}).items():
        for name, operation in operations.items():
            integration = operation.get("x-amazon-apigateway-integration")
            if integration is None:
                continue

            arn = integration["uri"].split("functions/", 1)[1].rsplit("/invocations", 1)[0]
            method = "ANY" if name == ANY_METHOD else name.upper()
            default = path == "/$default"
            rank = (default, "+}" in path, path.count("{"), method == "ANY")
            key = "$default" if default else f"{method} {path}"
            pattern = re.compile(".*" if default else _pattern(path), re.DOTALL)
            routes.append(Route(rank, method, key, pattern, arn))
    return sorted(routes)


def _pattern(path: str) -> str:
    parts = re.split(r"(\{\w+\+?\})", path)
    return "".join(_variable(part) if part.startswith("{") else re.escape(part) for part in parts)


def _variable(part: str) -> str:
    name = part.strip("{}+")
    return f"(?P<{name}>.+)" if part.endswith("+}") else f"(?P<{name}>[^/]+)"


@dataclass(frozen=True)
class Cors:
    """CORS configuration of an HTTP API, and the headers that API Gateway sends for it.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html
    """

    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    max_age: int | None = None
    credentials: bool = False

    @classmethod
    def from_document(cls, body: dict[str, Any]) -> "Cors | None":
        """Read the configuration of an API's OpenAPI document; None where there is none."""
        cors = body.get("x-amazon-apigateway-cors")
        if not cors:
            return None
        return cls(
            origins=tuple(cors.get("allowOrigins", ())),
            methods=tuple(cors.get("allowMethods", ())),
            headers=tuple(cors.get("allowHeaders", ())),
            expose=tuple(cors.get("exposeHeaders", ())),
            max_age=None if cors.get("maxAge") is None else int(cors["maxAge"]),
            credentials=str(cors.get("allowCredentials", False)).lower() == "true",
        )

    def allows(self, origin: str) -> bool:
        """Whether pages of this origin may read answers."""
        return any(
            origin == allowed or allowed == "*" or _scheme_matches(allowed, origin)
            for allowed in self.origins
        )

    def preflight(self, origin: str) -> list[tuple[str, str]]:
        """Return the headers of the answer to a preflight request."""
        if not self.allows(origin):
            return []
        headers = self._origin_headers(origin)
        if self.methods:
            headers.append(("access-control-allow-methods", ",".join(self.methods)))
        if self.headers:
            headers.append(("access-control-allow-headers", ",".join(self.headers)))
        if self.max_age is not None:
            headers.append(("access-control-max-age", str(self.max_age)))
        return headers

    def response(self, origin: str) -> list[tuple[str, str]]:
        """Return the headers that replace the function's own CORS headers in an answer."""
        if not self.allows(origin):
            return []
        exposed = [("access-control-expose-headers", ",".join(self.expose))] if self.expose else []
        return self._origin_headers(origin) + exposed

    def _origin_headers(self, origin: str) -> list[tuple[str, str]]:
        everyone = "*" in self.origins and not self.credentials
        headers = [("access-control-allow-origin", "*" if everyone else origin)]
        if not everyone:
            headers.append(("vary", "origin"))
        if self.credentials:
            headers.append(("access-control-allow-credentials", "true"))
        return headers


def _scheme_matches(allowed: str, origin: str) -> bool:
    return allowed in ("http://*", "https://*") and origin.startswith(allowed[:-1])
