"""Plan whose announcements are due, and fetch those of a batch of companies."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from b3shared.core.config import Settings
from b3shared.quotes.ingest.announcements import perform_announcements
from b3shared.quotes.ingest.announcements_request import AnnouncementsRequest

logger = Logger()
settings = Settings.from_environment()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Make the plan, or fetch the batch that the event names, as far as the time allows.

    ``request`` of the answer asks for the rest.
    """
    request = AnnouncementsRequest.from_event(event)
    answer = perform_announcements(
        request, settings, seconds_left=lambda: context.get_remaining_time_in_millis() / 1000
    )
    logger.info("announcements", extra={"answer": answer})
    return answer
