"""Step Functions and secrets, as far as this project needs them. The only other place of boto3 is the S3 storage."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from b3shared.core.errors import ConflictError, SourceUnavailableError
from b3shared.executions import last_step_of, run_of


def read_secret(arn: str) -> str:
    """The text of a secret of Secrets Manager.

    Raises:
        SourceUnavailableError: There is none, it may not be read, or it holds bytes.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        text = boto3.client("secretsmanager").get_secret_value(SecretId=arn).get("SecretString")
    except (BotoCoreError, ClientError) as error:
        raise SourceUnavailableError(f"secret {arn} cannot be read: {error}") from error
    if not text:
        raise SourceUnavailableError(f"secret {arn} holds no text; the token alone, as text, is needed")
    return str(text).strip()


@dataclass(frozen=True)
class Execution:
    """One execution of the state machine.

    Attributes:
        arn: its ARN.
        name: as :mod:`b3shared.executions` makes it, or any other if it was started by hand.
        status: RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED.
    """

    arn: str
    name: str
    status: str

    @property
    def run_id(self) -> str:
        """The run that it belongs to."""
        return run_of(self.name)

    @property
    def stop_after(self) -> str:
        """The last step that it does, or "all"."""
        return last_step_of(self.name)


class StateMachine:
    """The deployed state machine.

    Args:
        arn: of the state machine.
    """

    def __init__(self, arn: str) -> None:
        self.arn = arn

    @cached_property
    def _client(self) -> Any:
        import boto3

        return boto3.client("stepfunctions")

    def start(self, name: str, given: dict[str, Any]) -> Execution:
        """Start an execution.

        Raises:
            ConflictError: An execution of this name exists, or existed in the last 90 days.
        """
        client = self._client
        try:
            answer = client.start_execution(stateMachineArn=self.arn, name=name, input=json.dumps(given))
        except client.exceptions.ExecutionAlreadyExists as error:
            raise ConflictError(f"execution {name} was started before", execution=name) from error
        return Execution(answer["executionArn"], name, "RUNNING")

    def find(self, name: str) -> Execution | None:
        """The execution of this name, or None."""
        client = self._client
        arn = f"{self.arn.replace(':stateMachine:', ':execution:')}:{name}"
        try:
            return Execution(arn, name, client.describe_execution(executionArn=arn)["status"])
        except client.exceptions.ExecutionDoesNotExist:
            return None

    def status(self, execution: Execution) -> Execution:
        """The execution as it stands now."""
        answer = self._client.describe_execution(executionArn=execution.arn)
        return Execution(execution.arn, execution.name, answer["status"])

    def running(self) -> Iterator[Execution]:
        """All executions that are running now."""
        pages = self._client.get_paginator("list_executions")
        for page in pages.paginate(stateMachineArn=self.arn, statusFilter="RUNNING"):
            for found in page["executions"]:
                yield Execution(found["executionArn"], found["name"], found["status"])
