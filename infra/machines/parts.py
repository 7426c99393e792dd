"""Building blocks of the state machines: retries, catches, tasks, and their YAML."""

from typing import Any

import yaml

State = dict[str, Any]


class Quoted(str):
    """Text that stays text, whatever value a substitution inserts."""


def retrier(*errors: str, interval: int, attempts: int, **more: Any) -> State:
    """Retry some errors, waiting twice as long each time, with full jitter."""
    return {
        "ErrorEquals": list(errors),
        "IntervalSeconds": interval,
        "BackoffRate": 2,
        "MaxAttempts": attempts,
        **more,
        "JitterStrategy": "FULL",
    }


PLATFORM = retrier(
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    interval=2,
    attempts=4,
    MaxDelaySeconds=60,
)
"""Faults of the platform that pass in seconds."""

THROTTLED = retrier(
    "Lambda.TooManyRequestsException", interval=10, attempts=20, MaxDelaySeconds=120
)
"""All concurrency is used: a new account has 10, and a shard may take minutes."""

NOT_READY = retrier(
    "Lambda.ResourceNotReadyException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.CodeArtifactUserPendingException",
    interval=30,
    attempts=6,
    MaxDelaySeconds=60,
)
"""A function that was idle for weeks is inactive: the first call wakes it, and is refused."""

SOURCE = retrier("SourceUnavailableError", interval=5, attempts=2)
"""Our own error that may pass."""

KILLED = ("Sandbox.Timedout", "Runtime.ExitError", "Lambda.Unknown")
"""What a function ends with that was killed: out of time or memory."""

PASSING = [PLATFORM, THROTTLED, NOT_READY, SOURCE]
"""What every task retries. Nothing else gets better by trying again."""


def task(
    function: str,
    timeout: int,
    *,
    retry: list[State] | None = None,
    catch: tuple[str, str] | None = None,
    **more: Any,
) -> State:
    """Return a state that calls a Lambda function.

    Args:
        function: substitution that holds the function's ARN.
        timeout: seconds; more than the function's own, which is to end first.
        retry: retriers; default :data:`PASSING`.
        catch: result path of any error, and the state that follows it.
        more: other fields of the state, such as ``Next``.
    """
    state: State = {"Type": "Task", "Resource": f"${{{function}}}", "TimeoutSeconds": timeout}
    following = {name: more.pop(name) for name in ("Next", "End") if name in more}
    state |= more
    state["Retry"] = PASSING if retry is None else retry
    if catch is not None:
        state["Catch"] = caught(*catch)
    return state | following


def caught(result_path: str, following: str) -> list[State]:
    """Catch every error."""
    return [{"ErrorEquals": ["States.ALL"], "ResultPath": result_path, "Next": following}]


def notification(message: str, following: str, **subject: str) -> State:
    """Publish a message to the topic of failures; go on even if that fails."""
    parameters = {
        "TopicArn": "${FailureTopicArn}",
        **subject,
        "Message.$": f"States.JsonToString({message})",
    }

    return {
        "Type": "Task",
        "Resource": "arn:${Partition}:states:::sns:publish",
        "TimeoutSeconds": 30,
        "Parameters": parameters,
        "ResultPath": None,
        "Catch": caught("$.unnotified", following),
        "Next": following,
    }


def choice(default: str, *rules: tuple[str, str, Any, str]) -> State:
    """Go on by the first rule that holds: variable, comparison, value, next state."""
    return {
        "Type": "Choice",
        "Choices": [
            {"Variable": variable, comparison: value, "Next": following}
            for variable, comparison, value, following in rules
        ],
        "Default": default,
    }


ENDS: dict[str, State] = {
    "Failed": {"Type": "Fail", "ErrorPath": "$.error.Error", "CausePath": "$.error.Cause"},
    "Done": {"Type": "Succeed"},
}
"""The two ends of an execution."""


class _Dumper(yaml.SafeDumper):
    """Writes every value in full (no anchors), and lists of texts on one line."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write a repeated value in full each time."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists, too."""
        super().increase_indent(flow, False)


def _list(dumper: _Dumper, data: list[Any]) -> yaml.Node:
    texts = all(isinstance(item, str) for item in data)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=texts)


def _quoted(dumper: _Dumper, data: Quoted) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(data), style='"')


_Dumper.add_representer(list, _list)
_Dumper.add_representer(Quoted, _quoted)


def to_yaml(machine: State, source: str) -> str:
    """The text of a definition file."""
    head = f"# Written by `python -m infra.machines` from {source}: edit that.\n"
    body = yaml.dump(
        machine,
        Dumper=_Dumper,
        sort_keys=False,
        width=100,
        allow_unicode=True,
        default_flow_style=False,
    )
    return head + body
