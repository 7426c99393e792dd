"""Steps 4 and 6 of a run, LSTM: train, and train again through the newest known label.

Called again while "partial".
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from b3shared.core.config import Settings
from b3shared.params.steps import Step
from b3shared.pipeline.requests import StepRequest, perform

logger = Logger()
settings = Settings.from_environment()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Do the step of the run that the event names, or as much of it as the function's time allows."""
    request = StepRequest.of(event)
    logger.append_keys(run_id=request.run_id, correlation_id=request.correlation_id)
    step = request.step_among(Step.TRAIN_MODEL, Step.REFIT_MODEL)
    answer = perform(step, request, settings, lambda: context.get_remaining_time_in_millis() / 1000)
    logger.info("step %s", answer["status"], extra=answer)
    return answer
