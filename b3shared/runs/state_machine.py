"""The state machine of the pipeline: starting and following executions, and their names."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from b3shared.core.errors import ConflictError

ALL = "all"
"""In place of the last step: every step."""


@dataclass(frozen=True)
class Execution:
    """One execution of the state machine.

    Attributes:
        arn: its ARN.
        name: as :func:`execution_name` makes it, or any other if it was started by hand.
        status: RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED.
    """

    arn: str
    name: str
    status: str

    @property
    def run_id(self) -> str:
        """Id of the run that it belongs to."""
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
        """Start an execution, or return the one of this name that is running with this input.

        Raises:
            ConflictError: An execution of this name has ended in the last 90 days, or is running
                with another input.
        """
        client = self._client
        try:
            answer = client.start_execution(
                stateMachineArn=self.arn, name=name, input=json.dumps(given, sort_keys=True)
            )
        except client.exceptions.ExecutionAlreadyExists as error:
            raise ConflictError(f"execution {name} exists already", execution=name) from error
        return Execution(answer["executionArn"], name, "RUNNING")

    def find(self, name: str) -> Execution | None:
        """Return the execution of this name, or None."""
        client = self._client
        arn = f"{self.arn.replace(':stateMachine:', ':execution:')}:{name}"
        try:
            return Execution(arn, name, client.describe_execution(executionArn=arn)["status"])
        except client.exceptions.ExecutionDoesNotExist:
            return None

    def status(self, execution: Execution) -> Execution:
        """Return the execution with its status of now."""
        answer = self._client.describe_execution(executionArn=execution.arn)
        return Execution(execution.arn, execution.name, answer["status"])

    def running(self) -> Iterator[Execution]:
        """Return all executions that are running now."""
        pages = self._client.get_paginator("list_executions")
        for page in pages.paginate(stateMachineArn=self.arn, statusFilter="RUNNING"):
            for found in page["executions"]:
                yield Execution(found["executionArn"], found["name"], found["status"])


def execution_name(run_id: str, stop_after: str | None, attempt: int) -> str:
    """Return the name of an attempt at a run up to a step; None for all steps."""
    return f"{run_id}.{stop_after or ALL}.{attempt}"


def run_of(name: str) -> str:
    """Return the run that an execution belongs to, by its name.

    One that was started by hand, under any name, belongs to no run that exists.
    """
    return name.split(".")[0]


def last_step_of(name: str) -> str:
    """Return the last step that an execution does, by its name; :data:`ALL` if it has none."""
    parts = name.split(".")
    return parts[1] if len(parts) == 3 else ALL
