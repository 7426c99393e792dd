"""Predictions, and the list of tickers. Imports nothing that trains."""

import binascii
import json
import re
from typing import Annotated, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from b3shared.api.documented import BODY, PREDICTS, documented
from b3shared.api.errors import HTTP_STATUS, error_body
from b3shared.api.json_body import json_of
from b3shared.api.schemas import (
    AssetsAnswer,
    BatchAnswer,
    BatchRequest,
    PredictAnswer,
    PredictRequest,
)
from b3shared.core.clock import today
from b3shared.core.config import Settings
from b3shared.core.errors import B3Error
from b3shared.serving.assets import list_assets
from b3shared.serving.live import Live
from b3shared.serving.predictor import Predictor
from b3shared.storage import IMPATIENT, open_storage

MAX_BODY = 20_000
"""Characters of a request's body: more than the longest batch needs."""
logger = Logger()
app = APIGatewayHttpResolver(enable_validation=True, json_body_deserializer=json_of)
settings = Settings.from_environment()
live = Live(open_storage(settings.storage, IMPATIENT))
predictor = Predictor(live, today)


def answered(body: dict[str, Any], status: int = 200) -> Response[Any]:
    """JSON as it is: the answers are built to the schema, and tests hold them against it."""
    return Response(
        status_code=status, content_type="application/json", body=json.dumps(body, allow_nan=False)
    )


@app.post("/api/b3/predict", **documented(PredictAnswer, "predictions", PREDICTS))
@app.post("/predict", include_in_schema=False)
def predict(request: PredictRequest) -> Response[Any]:
    """Forecast one ticker, with reasons."""
    return answered(predictor.predict(request.ticker, request.model_type, request.model_version))


@app.post("/api/b3/predict/batch", **documented(BatchAnswer, "predictions", PREDICTS))
@app.post("/predict/batch", include_in_schema=False)
def predict_batch(request: BatchRequest) -> Response[Any]:
    """Forecast many tickers, or all."""
    tickers = None if request.tickers == "all" else list(request.tickers)
    return answered(predictor.batch(tickers, request.model_type, request.model_version))


@app.get("/assets", **documented(AssetsAnswer, "predictions", (*BODY, "NOTHING_LIVE")))
@app.get("/api/b3/assets", include_in_schema=False)
def assets(
    search: Annotated[str, Query(max_length=60)] = "",
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    page_size: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response[Any]:
    """Search the tickers of the lake."""
    live.refresh()
    return answered(list_assets(live.snapshot, search, page, page_size))


@app.exception_handler(B3Error)
def refused(error: B3Error) -> Response[Any]:
    """An error of ours in the one form of errors; what is not listed is our fault."""
    status = HTTP_STATUS.get(error.code, 500)
    if status >= 500:
        logger.warning("refused", extra={"code": error.code, "reason": error.message})
    return answered(error_body(error.code, error.message, error.details), status)


@app.exception_handler(RequestValidationError)
def invalid(error: RequestValidationError) -> Response[Any]:
    """What the schema does not allow, in the same form."""
    return answered(
        error_body(
            "INVALID_PARAMETER", "; ".join(dict.fromkeys(map(what_is_wrong, error.errors())))
        ),
        422,
    )


@app.exception_handler([UnicodeDecodeError, binascii.Error])
def unreadable(error: Exception) -> Response[Any]:
    """A body that is no text."""
    return answered(error_body("INVALID_PARAMETER", f"body: not text ({error})"), 422)


@app.exception_handler(Exception)
def failed(error: Exception) -> Response[Any]:
    """An error that nobody foresaw: the log has all of it, the caller a name to find it by."""
    logger.exception("unforeseen error")
    request_id = app.lambda_context.aws_request_id
    return answered(
        error_body("INTERNAL", f"an unforeseen error; the log has it under request {request_id}"),
        500,
    )


@app.not_found
def unknown_route(error: NotFoundError) -> Response[Any]:
    """A path that is not ours."""
    event = app.current_event
    return answered(
        error_body("UNKNOWN_ROUTE", f"{event.http_method} {event.path}: there is no such route"),
        404,
    )


def what_is_wrong(error: dict[str, Any]) -> str:
    """One finding of the validator, with the field's name as the caller wrote it."""
    # a union adds the name of its branch to the path: tickers.constrained-str
    path = [str(part) for part in error["loc"][1:] if not re.search(r"[\[\]-]|^literal", str(part))]
    return f"{'.'.join(path) or 'body'}: {error['msg'][0].lower()}{error['msg'][1:]}"


@logger.inject_lambda_context(
    correlation_id_path=correlation_paths.API_GATEWAY_HTTP, clear_state=True
)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer a request of API Gateway (payload 2.0).

    A body is read as JSON whatever its type is said to be.
    """
    if (length := len(event.get("body") or "")) > MAX_BODY:
        body = error_body(
            "BODY_TOO_LARGE", f"the body has {length:,} characters; {MAX_BODY:,} are allowed"
        )
        return {
            "statusCode": 413,
            "headers": {"Content-Type": "application/json"},
            "body": json.dumps(body),
        }
    return app.resolve(
        event | {"headers": (event.get("headers") or {}) | {"content-type": "application/json"}},
        context,
    )
