"""Starts the scheduled runs: one per model type and week."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from b3shared.core.config import Settings
from b3shared.runs.schedule import start_scheduled
from b3shared.runs.starter import Starter
from b3shared.runs.state_machine import StateMachine
from b3shared.storage import open_storage

logger = Logger()
settings = Settings.from_environment()
storage = open_storage(settings.storage)
starter = Starter(StateMachine(settings.state_machine), settings.max_running)


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Start the run of ``{"model_type", "scheduled_time"}``."""
    answer = start_scheduled(
        storage, starter, event["model_type"], event["scheduled_time"], settings.quotes
    )
    logger.info("schedule", extra=answer)
    return answer
