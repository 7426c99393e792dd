"""Publish the newest features for predictions: step 8 of a run, and when the lake changes."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from b3shared.core.config import Settings
from b3shared.params.steps import Step
from b3shared.pipeline.handler import make_handler
from b3shared.pipeline.publish_snapshot import refresh_serving

logger = Logger()
settings = Settings.from_environment()
publish_after_run = make_handler(Step.PUBLISH_SERVING)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Do step 8 of the run that the event names, or publish the lake's: ``{"refresh": true}``."""
    if event.get("refresh") is True:
        return refresh(event, context)
    return publish_after_run(event, context)


@logger.inject_lambda_context(clear_state=True)
def refresh(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Publish the features of the lake's newest quotes."""
    published = refresh_serving(settings)
    logger.info("serving refreshed", extra={"published": published})
    return published
