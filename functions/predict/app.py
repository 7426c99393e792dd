"""Predictions, and the list of tickers. Imports nothing that trains."""

from typing import Annotated, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from b3shared.api.documented import BODY, PREDICTS, documented
from b3shared.api.http import answered, make_app, make_handler
from b3shared.api.schemas import (
    AssetsAnswer,
    BatchAnswer,
    BatchRequest,
    PredictAnswer,
    PredictRequest,
)
from b3shared.core.clock import today
from b3shared.core.config import Settings
from b3shared.serving.assets import list_assets
from b3shared.serving.live import Live
from b3shared.serving.predictor import Predictor
from b3shared.storage import IMPATIENT, open_storage

logger = Logger()
app = make_app(logger)
handler = make_handler(app, logger)
settings = Settings.from_environment()
live = Live(open_storage(settings.storage, IMPATIENT))
predictor = Predictor(live, today)


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
