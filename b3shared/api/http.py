"""The HTTP side that both API functions share: bodies, answers, and one form of every error.

With :mod:`b3shared.pipeline.handler` the only module that imports Powertools.
"""

import binascii
import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from b3shared.api.errors import HTTP_STATUS, error_body, short
from b3shared.api.json_body import json_object
from b3shared.core.errors import B3Error

Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]

MAX_BODY = 100_000
"""Longest body of a request, in characters; the longest that makes sense fits many times over."""


def make_app(logger: Logger) -> APIGatewayHttpResolver:
    """Return a resolver that validates requests by their models and has one form of errors.

    Args:
        logger: told of errors.
    """
    app = APIGatewayHttpResolver(enable_validation=True, json_body_deserializer=json_object)

    def report_unforeseen(error: Exception) -> Response[Any]:
        logger.exception("unforeseen error")
        request_id = app.lambda_context.aws_request_id
        message = f"an unforeseen error; the log has it under request {request_id}"
        return answered(error_body("INTERNAL", message), 500)

    def refuse_route(error: NotFoundError) -> Response[Any]:
        event = app.current_event
        return answered(unknown_route(event.http_method, event.path), 404)

    app.exception_handler(B3Error)(partial(_refuse, logger))
    app.exception_handler(RequestValidationError)(_refuse_invalid)
    app.exception_handler([UnicodeError, binascii.Error])(_refuse_unreadable)
    app.exception_handler(Exception)(report_unforeseen)
    app.not_found(refuse_route)
    return app


def _refuse(logger: Logger, error: B3Error) -> Response[Any]:
    status = HTTP_STATUS.get(error.code, 500)  # what is not listed is our fault
    log = logger.warning if status >= 500 else logger.info
    log("refused", extra={"code": error.code, "reason": error.message, "status": status})
    return answered(error_body(error.code, error.message, error.details), status)


def _refuse_invalid(error: RequestValidationError) -> Response[Any]:
    reasons = dict.fromkeys(map(_reason, error.errors()))
    return answered(error_body("INVALID_PARAMETER", "; ".join(reasons)), 422)


def _refuse_unreadable(error: Exception) -> Response[Any]:
    return answered(error_body("INVALID_PARAMETER", f"body: not text ({error})"), 422)


def make_handler(app: APIGatewayHttpResolver, logger: Logger) -> Handler:
    """Return the handler of an API function: it answers requests of API Gateway (payload 2.0).

    A body is read as JSON whatever its type is said to be.

    Args:
        app: with its routes.
        logger: gets the request's id.
    """

    @logger.inject_lambda_context(
        correlation_id_path=correlation_paths.API_GATEWAY_HTTP, clear_state=True
    )
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        if (length := len(event.get("body") or "")) > MAX_BODY:
            message = f"the body has {length:,} characters; {MAX_BODY:,} are allowed"
            return to_gateway(error_body("BODY_TOO_LARGE", message), 413)
        headers = (event.get("headers") or {}) | {"content-type": "application/json"}
        return app.resolve(event | {"headers": headers}, context)

    return handler


def answered(body: dict[str, Any], status: int = 200) -> Response[Any]:
    """Return JSON as the resolver wants it, not validated: tests hold every answer to its model."""
    return Response(
        status_code=status, content_type="application/json", body=json.dumps(body, allow_nan=False)
    )


def to_gateway(body: dict[str, Any], status: int) -> dict[str, Any]:
    """Return JSON as API Gateway wants it, for answers that no route gives."""
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(body),
    }


def unknown_route(method: str, path: str) -> dict[str, Any]:
    """Return the error of a path that does not exist."""
    return error_body("UNKNOWN_ROUTE", f"{method} {path}: there is no such route")


def _reason(error: dict[str, Any]) -> str:
    """Word one finding of the validator, with the field's name as the caller wrote it."""
    # a union adds the name of its branch to the path: tickers.constrained-str
    path = [
        str(part)
        for part in error["loc"][1:]
        if not re.search(r"[\[\]-]|^literal|^str$|^float$", str(part))
    ]
    value = error["input"]
    got = f", got {short(value)}" if isinstance(value, str | int | float) else ""
    return f"{'.'.join(path) or 'body'}: {error['msg'][0].lower()}{error['msg'][1:]}{got}"
