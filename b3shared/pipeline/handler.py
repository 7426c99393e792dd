"""Lambda handlers of the steps, made by one function.

With :mod:`b3shared.api.http` the only module that imports Powertools: the layers have it, a laptop
may not.
"""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from b3shared.core.config import Settings
from b3shared.params.steps import Step
from b3shared.pipeline.requests import StepRequest, perform

Handler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


def make_handler(*steps: Step) -> Handler:
    """Return the handler of a function that does a step of the run that its event names.

    The deployment's settings are read here, once per start of the function.

    Args:
        steps: what the function does; where there are several, the event names one of them.
    """
    logger = Logger()
    settings = Settings.from_environment()

    @logger.inject_lambda_context(clear_state=True)
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        request = StepRequest.from_event(event)
        logger.append_keys(run_id=request.run_id, correlation_id=request.correlation_id)

        step = steps[0] if len(steps) == 1 else request.step_among(*steps)
        answer = perform(
            step, request, settings, lambda: context.get_remaining_time_in_millis() / 1000
        )

        logger.info("step %s", answer["status"], extra=answer)
        return answer

    return handler
