"""Records in a run why its execution failed, for pipeline-status and the notification."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from b3shared.core.config import Settings
from b3shared.runs.failures import failed_step, record_failure
from b3shared.runs.run import Run
from b3shared.storage import open_storage

logger = Logger()
settings = Settings.from_environment()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Record the error of ``{"run_id", "error", "started_at", "last"}``."""
    logger.append_keys(run_id=event["run_id"])
    run = Run.open(open_storage(settings.storage), event["run_id"])
    answer = record_failure(run, event["error"], event["started_at"], failed_step(event["last"]))
    logger.error("run failed", extra={"failure": answer})
    return answer
