"""The control API: start and follow runs, promote and roll back versions."""

import json
from typing import Any

import description
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext
from edge import answered, body_of, caller_of

from b3shared.api.control import Control, Limits
from b3shared.api.documented import CHANGES, RUNS, documented
from b3shared.api.errors import HTTP_STATUS, error_body
from b3shared.api.schemas import ControlAnswer
from b3shared.core.config import Settings
from b3shared.core.errors import B3Error
from b3shared.params.steps import Step
from b3shared.runs.state_machine import StateMachine
from b3shared.storage import open_storage

logger = Logger()
app = APIGatewayHttpResolver()
settings = Settings.from_environment()
storage = open_storage(settings.storage)
machine = StateMachine(settings.state_machine)
limits = Limits(settings.wait_seconds, settings.max_running)
STEPS = documented(ControlAnswer, "runs", RUNS, accepted=True)
STATUS = documented(ControlAnswer, "runs", ("UNKNOWN_RUN",))
LISTS = documented(ControlAnswer, "versions")
MOVES = documented(ControlAnswer, "versions", CHANGES)
OPEN = documented(ControlAnswer, "health")


def control() -> Control:
    """The deployment's control, aware of how long this invocation may still take."""
    return Control(
        storage, machine, limits, lambda: app.lambda_context.get_remaining_time_in_millis() / 1000
    )


def key() -> str | None:
    """The caller's Idempotency-Key."""
    return app.current_event.headers.get("idempotency-key")


@app.post("/api/b3/complete-pipeline", **STEPS)
def complete_pipeline() -> Response[str]:
    """Start a whole run."""
    return answered(control().complete_pipeline(body_of(app.current_event), key()))


@app.post("/api/b3/load-data", **STEPS)
def load_data() -> Response[str]:
    """Load quotes; starts a new run unless one is named."""
    return answered(control().step(Step.LOAD_DATA, body_of(app.current_event), key()))


@app.post("/api/b3/preprocess-data", **STEPS)
def preprocess_data() -> Response[str]:
    """Make features and labels."""
    return answered(control().step(Step.PREPROCESS_DATA, body_of(app.current_event)))


@app.post("/api/b3/split-data", **STEPS)
def split_data() -> Response[str]:
    """Split by date."""
    return answered(control().step(Step.SPLIT_DATA, body_of(app.current_event)))


@app.post("/api/b3/train-model", **STEPS)
def train_model() -> Response[str]:
    """Train."""
    return answered(control().step(Step.TRAIN_MODEL, body_of(app.current_event)))


@app.post("/api/b3/evaluate-model", **STEPS)
def evaluate_model() -> Response[str]:
    """Evaluate."""
    return answered(control().step(Step.EVALUATE_MODEL, body_of(app.current_event)))


@app.post("/api/b3/save-model", **STEPS)
def save_model() -> Response[str]:
    """Refit, register, decide, publish."""
    return answered(control().step(Step.SAVE_MODEL, body_of(app.current_event)))


@app.get("/api/b3/pipeline-status", **STATUS)
def pipeline_status() -> Response[str]:
    """Where a run stands."""
    return answered(control().status(app.current_event.query_string_parameters.get("run_id")))


@app.post("/api/b3/clear-state", **STATUS)
def clear_state() -> Response[str]:
    """No current run any more."""
    return answered(control().clear_state())


@app.get("/api/b3/models", **LISTS)
def models() -> Response[str]:
    """Versions of all model types."""
    return answered(
        control().models(None, app.current_event.query_string_parameters.get("model_dir", "models"))
    )


@app.get("/api/b3/models/<model_type>", **LISTS)
def models_of(model_type: str) -> Response[str]:
    """Versions of one model type."""
    namespace = app.current_event.query_string_parameters.get("model_dir", "models")
    return answered(control().models(model_type, namespace))


@app.post("/api/b3/models/<model_type>/promote", **MOVES)
def promote(model_type: str) -> Response[str]:
    """Make a version live."""
    return answered(
        control().promote(model_type, body_of(app.current_event), caller_of(app.current_event))
    )


@app.post("/api/b3/models/<model_type>/rollback", **MOVES)
def rollback(model_type: str) -> Response[str]:
    """Go back to the version before."""
    return answered(
        control().rollback(model_type, body_of(app.current_event), caller_of(app.current_event))
    )


@app.get("/health", **OPEN)
def health() -> Response[str]:
    """Whether the function answers at all; touches nothing."""
    return answered((200, {"status": "ok"}))


@app.get("/swagger", include_in_schema=False, compress=True)
def swagger() -> Response[str]:
    """The API's page; loads nothing from elsewhere."""
    return Response(
        status_code=200, content_type="text/html; charset=utf-8", body=description.page()
    )


@app.get("/swagger/swagger.yml", include_in_schema=False)
def swagger_yml() -> Response[str]:
    """The API's description."""
    return Response(
        status_code=200, content_type="application/yaml; charset=utf-8", body=description.spec()
    )


@app.exception_handler(B3Error)
def refused(error: B3Error) -> Response[str]:
    """An error of ours in the one form of errors; what is not listed is our fault."""
    status = HTTP_STATUS.get(error.code, 500)
    logger.warning("refused", extra={"code": error.code, "reason": error.message, "status": status})
    return answered((status, error_body(error.code, error.message, error.details)))


@app.not_found
def unknown_route(error: NotFoundError) -> Response[str]:
    """A path that is not ours."""
    event = app.current_event
    return answered(
        (
            404,
            error_body(
                "UNKNOWN_ROUTE", f"{event.http_method} {event.path}: there is no such route"
            ),
        )
    )


@app.exception_handler(Exception)
def failed(error: Exception) -> Response[str]:
    """An error that nobody foresaw: the log has all of it, the caller a name to find it by."""
    logger.exception("unforeseen error")
    request_id = app.lambda_context.aws_request_id
    return answered(
        (
            500,
            error_body(
                "INTERNAL", f"an unforeseen error; the log has it under request {request_id}"
            ),
        )
    )


@logger.inject_lambda_context(
    correlation_id_path=correlation_paths.API_GATEWAY_HTTP, clear_state=True
)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer a request of API Gateway (payload 2.0)."""
    if (
        event.get("routeKey") == "$default"
    ):  # open to all: whatever path it claims, it is none of the control's routes
        method, path = event["requestContext"]["http"]["method"], event["rawPath"]
        body = error_body("UNKNOWN_ROUTE", f"{method} {path}: there is no such route")
        return {
            "statusCode": 404,
            "headers": {"content-type": "application/json"},
            "body": json.dumps(body),
        }
    return app.resolve(event, context)
