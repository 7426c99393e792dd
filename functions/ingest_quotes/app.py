"""New quotes into the lake: the sessions that it lacks, years that are asked for, a file that was put into the bucket."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from b3shared.core.config import Settings
from b3shared.quotes.ingest.job import RESERVE_SECONDS, ingest_quotes
from b3shared.quotes.ingest.request import IngestRequest

logger = Logger()
settings = Settings.from_environment()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take in what the event asks for, as far as the time allows; ``request`` of the answer asks for the rest."""
    request = IngestRequest.from_event(event)

    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000

    answer = ingest_quotes(
        request,
        settings,
        more_time=lambda: seconds_left() > RESERVE_SECONDS,
        seconds_left=seconds_left,
    )
    logger.info("quotes ingested", extra={"answer": answer})
    return answer
