"""Predictions, and the list of tickers. Imports nothing that trains."""

import json
from datetime import date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from b3shared.config import Settings
from b3shared.control.answers import HTTP_STATUS, error_body
from b3shared.errors import B3Error
from b3shared.schemas import AssetsAnswer, BatchAnswer, BatchRequest, Error, PredictAnswer, PredictRequest
from b3shared.serving.assets import list_assets
from b3shared.serving.live import Live
from b3shared.serving.predictor import Predictor
from b3shared.storage import open_storage

ZONE = ZoneInfo("America/Sao_Paulo")
ERRORS = {
    status: {"description": text, "content": {"application/json": {"model": Error}}}
    for status, text in {
        400: "The request is not what is allowed",
        404: "No such ticker, version or route",
        409: "The served features do not fit the version",
        413: "The request is too long",
        422: "The request is not valid, or there is too little history",
        429: "Too many requests",
        500: "Our fault",
        503: "Nothing is live yet",
    }.items()
}

logger = Logger()
app = APIGatewayHttpResolver(enable_validation=True)
settings = Settings.from_environment()
live = Live(open_storage(settings.storage))


def today() -> date:
    """The current date at the exchange."""
    return datetime.now(ZONE).date()


predictor = Predictor(live, today)


def answered(body: dict[str, Any], status: int = 200) -> Response[Any]:
    """JSON as it is: the answers are built to the schema, and tests hold them against it."""
    return Response(status_code=status, content_type="application/json", body=json.dumps(body, allow_nan=False))


@app.post(
    "/api/b3/predict",
    responses=ERRORS | {200: {"description": "The forecast", "content": {"application/json": {"model": PredictAnswer}}}},
    tags=["predictions"],
)
@app.post("/predict", include_in_schema=False)
def predict(request: PredictRequest) -> Response[Any]:
    """Forecast one ticker, with reasons."""
    return answered(predictor.predict(request.ticker, request.model_type, request.model_version))


@app.post(
    "/api/b3/predict/batch",
    responses=ERRORS | {200: {"description": "Forecasts in short", "content": {"application/json": {"model": BatchAnswer}}}},
    tags=["predictions"],
)
@app.post("/predict/batch", include_in_schema=False)
def predict_batch(request: BatchRequest) -> Response[Any]:
    """Forecast many tickers, or all."""
    tickers = None if request.tickers == "all" else list(request.tickers)
    return answered(predictor.batch(tickers, request.model_type, request.model_version))


@app.get(
    "/assets",
    responses=ERRORS | {200: {"description": "A page of tickers", "content": {"application/json": {"model": AssetsAnswer}}}},
    tags=["predictions"],
)
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
    """An error of ours in the one form of errors."""
    return answered(error_body(error.code, error.message, error.details), HTTP_STATUS.get(error.code, 500))


@app.exception_handler(RequestValidationError)
def invalid(error: RequestValidationError) -> Response[Any]:
    """What the schema does not allow, in the same form."""
    wrong = [f"{'.'.join(str(part) for part in e['loc'][1:]) or 'body'}: {e['msg']}" for e in error.errors()]
    return answered(error_body("INVALID_PARAMETER", "; ".join(wrong)), 422)


@app.not_found
def unknown_route(error: NotFoundError) -> Response[Any]:
    """A path that is not ours."""
    event = app.current_event
    return answered(error_body("UNKNOWN_ROUTE", f"{event.http_method} {event.path}: there is no such route"), 404)


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP, clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer a request of API Gateway (payload 2.0)."""
    return app.resolve(event, context)
