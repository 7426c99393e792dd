"""The part of the emulator that the patches of moto use."""

from typing import Any, Protocol

from moto.awslambda.models import LambdaFunction

from infra.local.template import FunctionSource
from infra.local.worker import Outcome


class Host(Protocol):
    """The part of the emulator that the patches use."""

    def invoke(self, function: LambdaFunction, payload: bytes, arn: str) -> Outcome:
        """Run a function and wait for its answer."""

    def invoke_later(self, function: LambdaFunction, payload: bytes, arn: str) -> None:
        """Run a function without waiting, and again if it fails."""

    def source(self, logical_id: str) -> FunctionSource:
        """Return the place of a function's code."""

    def definition(self, key: str) -> str:
        """Return the text of a state machine's definition file."""

    def client(self, service: str) -> Any:
        """Return a service's boto3 client of the emulator."""
