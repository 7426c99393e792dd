"""Delivers an event or a schedule's input to its target."""

from collections.abc import Callable
from typing import Any


def deliver(client: Callable[[str], Any], arn: str, body: str) -> None:
    """Start a target without waiting for its result.

    Args:
        client: Returns a service's boto3 client.
        arn: ARN of a function, a state machine or a topic.
        body: The input as JSON.

    Raises:
        ValueError: The target is of another kind.
    """
    service = arn.split(":")[2]
    if service == "states":
        client("stepfunctions").start_execution(stateMachineArn=arn, input=body)
    elif service == "lambda":
        client("lambda").invoke(FunctionName=arn, InvocationType="Event", Payload=body.encode())
    elif service == "sns":
        client("sns").publish(TopicArn=arn, Message=body)
    else:
        raise ValueError(
            f"the local stack delivers to functions, state machines and topics, not to {arn}"
        )
