"""The control API: start and follow runs, promote and roll back versions."""

from typing import Annotated, Any

import description
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2
from aws_lambda_powertools.utilities.typing import LambdaContext

from b3shared.api.control import Control, Limits
from b3shared.api.documented import BODY, CHANGES, RUNS, documented
from b3shared.api.http import answered, make_app, make_handler, to_gateway, unknown_route
from b3shared.api.requests import (
    CompletePipelineRequest,
    EvaluateModelRequest,
    LoadDataRequest,
    ModelName,
    Namespace,
    PreprocessDataRequest,
    PromoteRequest,
    RollbackRequest,
    RunId,
    SaveModelRequest,
    SplitDataRequest,
    TrainModelRequest,
)
from b3shared.api.responses import (
    Answer,
    EvaluateModelAnswer,
    HealthAnswer,
    LoadDataAnswer,
    MessageAnswer,
    ModelsAnswer,
    MoveAnswer,
    PipelineStartedAnswer,
    PreprocessDataAnswer,
    RunningAnswer,
    SaveModelAnswer,
    SplitDataAnswer,
    StatusAnswer,
    StepAnswer,
    TrainModelAnswer,
)
from b3shared.api.versions import Versions
from b3shared.core.config import Settings
from b3shared.params.steps import Step
from b3shared.runs.state_machine import StateMachine
from b3shared.storage import open_storage

logger = Logger()
app = make_app(logger)
answer_request = make_handler(app, logger)
settings = Settings.from_environment()
storage = open_storage(settings.storage)
machine = StateMachine(settings.state_machine)
limits = Limits(settings.wait_seconds, settings.max_running)
versions = Versions(storage)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer a request; the catch-all route is open to all and reaches no route of the control."""
    if event.get("routeKey") == "$default":
        method = event["requestContext"]["http"]["method"]
        return to_gateway(unknown_route(method, event["rawPath"]), 404)
    return answer_request(event, context)


def step_route(answer: type[StepAnswer]) -> dict[str, Any]:
    """Return how the route of a step is described."""
    return documented(answer, "runs", RUNS, accepted=RunningAnswer)


@app.post(
    "/api/b3/complete-pipeline", **documented(None, "runs", RUNS, accepted=PipelineStartedAnswer)
)
def complete_pipeline(
    request: Annotated[CompletePipelineRequest, Body(default_factory=CompletePipelineRequest)],
) -> Response[Any]:
    """Start a whole run."""
    return told(control().complete_pipeline(request, idempotency_key()))


@app.post("/api/b3/load-data", **step_route(LoadDataAnswer))
def load_data(
    request: Annotated[LoadDataRequest, Body(default_factory=LoadDataRequest)],
) -> Response[Any]:
    """Load quotes; starts a new run unless one is named."""
    return told(control().step(Step.LOAD_DATA, request, idempotency_key()))


@app.post("/api/b3/preprocess-data", **step_route(PreprocessDataAnswer))
def preprocess_data(
    request: Annotated[PreprocessDataRequest, Body(default_factory=PreprocessDataRequest)],
) -> Response[Any]:
    """Make features and labels."""
    return told(control().step(Step.PREPROCESS_DATA, request))


@app.post("/api/b3/split-data", **step_route(SplitDataAnswer))
def split_data(
    request: Annotated[SplitDataRequest, Body(default_factory=SplitDataRequest)],
) -> Response[Any]:
    """Split by date."""
    return told(control().step(Step.SPLIT_DATA, request))


@app.post("/api/b3/train-model", **step_route(TrainModelAnswer))
def train_model(
    request: Annotated[TrainModelRequest, Body(default_factory=TrainModelRequest)],
) -> Response[Any]:
    """Train."""
    return told(control().step(Step.TRAIN_MODEL, request))


@app.post("/api/b3/evaluate-model", **step_route(EvaluateModelAnswer))
def evaluate_model(
    request: Annotated[EvaluateModelRequest, Body(default_factory=EvaluateModelRequest)],
) -> Response[Any]:
    """Evaluate."""
    return told(control().step(Step.EVALUATE_MODEL, request))


@app.post("/api/b3/save-model", **step_route(SaveModelAnswer))
def save_model(
    request: Annotated[SaveModelRequest, Body(default_factory=SaveModelRequest)],
) -> Response[Any]:
    """Refit, register, decide, publish."""
    return told(control().step(Step.SAVE_MODEL, request))


@app.get("/api/b3/pipeline-status", **documented(StatusAnswer, "runs", ("UNKNOWN_RUN",)))
def pipeline_status(run_id: Annotated[RunId, Query()] = None) -> Response[Any]:
    """Return the status of a run and of its steps."""
    return told(control().status(run_id))


@app.post("/api/b3/clear-state", **documented(MessageAnswer, "runs", BODY))
def clear_state() -> Response[Any]:
    """Forget which run is the current one."""
    return told(control().clear_state())


@app.get("/api/b3/models", **documented(ModelsAnswer, "versions"))
def models(model_dir: Annotated[Namespace, Query()] = "models") -> Response[Any]:
    """List the versions of all model types."""
    return told(versions.models(None, model_dir))


@app.get("/api/b3/models/<model_type>", **documented(ModelsAnswer, "versions"))
def models_of(
    model_type: ModelName, model_dir: Annotated[Namespace, Query()] = "models"
) -> Response[Any]:
    """List the versions of one model type."""
    return told(versions.models(model_type, model_dir))


@app.post("/api/b3/models/<model_type>/promote", **documented(MoveAnswer, "versions", CHANGES))
def promote(model_type: ModelName, request: PromoteRequest) -> Response[Any]:
    """Make a version live."""
    return told(versions.promote(model_type, request, caller_of(app.current_event)))


@app.post("/api/b3/models/<model_type>/rollback", **documented(MoveAnswer, "versions", CHANGES))
def rollback(
    model_type: ModelName,
    request: Annotated[RollbackRequest, Body(default_factory=RollbackRequest)],
) -> Response[Any]:
    """Go back to the version before."""
    return told(versions.rollback(model_type, request, caller_of(app.current_event)))


@app.get("/health", **documented(HealthAnswer, "health"))
def health() -> Response[Any]:
    """Answer that the API runs, without reading anything."""
    return told(HealthAnswer(status="ok"))


@app.get("/swagger", include_in_schema=False, compress=True)
def swagger() -> Response[Any]:
    """Return the API's page; it loads nothing from elsewhere."""
    return Response(
        status_code=200, content_type="text/html; charset=utf-8", body=description.page()
    )


@app.get("/swagger/swagger.yml", include_in_schema=False)
def swagger_yml() -> Response[Any]:
    """Return the API's description."""
    return Response(
        status_code=200, content_type="application/yaml; charset=utf-8", body=description.spec()
    )


def control() -> Control:
    """Return the deployment's control, aware of how long this invocation may still take."""
    return Control(
        storage, machine, limits, lambda: app.lambda_context.get_remaining_time_in_millis() / 1000
    )


def told(answer: Answer) -> Response[Any]:
    """Return an answer of the control with its status."""
    return answered(answer.body(), answer.status_code)


def idempotency_key() -> str | None:
    """Return the caller's Idempotency-Key."""
    return app.current_event.headers.get("idempotency-key")


def caller_of(event: APIGatewayProxyEventV2) -> str:
    """Return who asks, for the release's history.

    That is the IAM identity or the token's subject, else the address that the request came from.
    """
    authorizer = event.request_context.authorizer
    if authorizer and authorizer.iam and authorizer.iam.user_arn:
        return str(authorizer.iam.user_arn)
    if authorizer and authorizer.jwt_claim:
        return f"jwt:{authorizer.jwt_claim.get('sub', 'unknown')}"
    return f"http:{event.request_context.http.source_ip}"
