"""Compute the features and labels of some of the tickers: a shard of step 2."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from b3shared.core.config import Settings
from b3shared.pipeline.preprocess_shards import ShardRequest, perform_shard

logger = Logger()
settings = Settings.from_environment()


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Make the shard of the run that the event names."""
    request = ShardRequest.from_event(event)
    logger.append_keys(
        run_id=request.run_id, correlation_id=request.correlation_id, shard=request.shard
    )
    answer = perform_shard(request, settings)
    logger.info("shard done", extra=answer)
    return answer
