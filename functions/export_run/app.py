"""Writes the results of an execution into the warehouse, where they can be read with SQL."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from b3shared.core.config import Settings
from b3shared.pipeline.export_run import export_run
from b3shared.runs.run import Run
from b3shared.storage import open_storage

logger = Logger()
settings = Settings.from_environment()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Export ``{"run_id", "execution"}``; returns rows by table."""
    logger.append_keys(run_id=event["run_id"], correlation_id=event["execution"])
    run = Run.open(open_storage(settings.storage), event["run_id"])
    answer = export_run(run, event["execution"], settings.warehouse)
    logger.info("run exported", extra=answer)
    return answer
