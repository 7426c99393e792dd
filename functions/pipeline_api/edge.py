"""Between HTTP and the control: bodies in, answers out."""

import json
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from b3shared.api.json_body import json_of
from b3shared.core.errors import InvalidParameterError


class BodyTooLargeError(InvalidParameterError):
    """A request's body is longer than any that makes sense."""

    code = "BODY_TOO_LARGE"


MAX_BODY = 100_000
"""Bytes of a request's body; parameters fit many times over."""


def body_of(event: APIGatewayProxyEventV2) -> dict[str, Any]:
    """The JSON object of a request; no body is an empty one.

    Raises:
        InvalidParameterError: Not a JSON object in UTF-8.
        BodyTooLargeError: Too long.
    """
    if len(event.body or "") > MAX_BODY:
        raise BodyTooLargeError(
            f"the body has {len(event.body or ''):,} bytes; {MAX_BODY:,} are allowed"
        )
    try:
        text = event.decoded_body
    except ValueError as error:  # no base64, or no UTF-8
        raise InvalidParameterError(f"body: not text ({error})") from error
    body = json_of(text) if text else {}
    if not isinstance(body, dict):
        raise InvalidParameterError(f"body: must be a JSON object, got {type(body).__name__}")
    return body


def caller_of(event: APIGatewayProxyEventV2) -> str:
    """Who asks, for the release's history: the IAM identity or the token's subject; else where from."""
    authorizer = event.request_context.authorizer
    if authorizer and authorizer.iam and authorizer.iam.user_arn:
        return str(authorizer.iam.user_arn)
    if authorizer and authorizer.jwt_claim:
        return f"jwt:{authorizer.jwt_claim.get('sub', 'unknown')}"
    return f"http:{event.request_context.http.source_ip}"


def answered(answer: tuple[int, dict[str, Any]]) -> Response[str]:
    """An answer as the resolver wants it."""
    status, body = answer
    return Response(
        status_code=status, content_type="application/json", body=json.dumps(body, allow_nan=False)
    )
