"""The newest features, for predictions: step 8 of a run, and after every change of the lake."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from b3shared.core.config import Settings
from b3shared.params.steps import Step
from b3shared.pipeline.requests import StepRequest, perform
from b3shared.pipeline.serving_snapshot import refresh

logger = Logger()
settings = Settings.from_environment()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Do the step of the run that the event names, or serve the newest quotes: ``{"refresh": true}``."""
    if event.get("refresh") is True:
        published = refresh(settings)
        logger.info("serving refreshed", extra={"published": published})
        return published
    request = StepRequest.of(event)
    logger.append_keys(run_id=request.run_id, correlation_id=request.correlation_id)
    answer = perform(Step.PUBLISH_SERVING, request, settings)
    logger.info("step done", extra=answer)
    return answer
