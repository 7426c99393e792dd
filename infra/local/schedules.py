"""Fires deployed schedules on request: the emulator has no clock."""

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from infra.local.aws import ACCOUNT, REGION
from infra.local.delivery import deliver

Client = Callable[[str], Any]


def fire_schedules(
    client: Client, name_contains: str = "", at: datetime | None = None
) -> list[str]:
    """Start the target of every matching schedule, enabled or not, once with its input.

    Args:
        client: Returns a service's boto3 client.
        name_contains: Part of a schedule's or a scheduled rule's name; all by default.
        at: Time that the input names; now by default.

    Returns:
        Names of the schedules and rules that were fired.
    """
    moment = (at or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    fired = []
    for name, arn, body in (*_schedules(client, moment), *_rules(client, moment)):
        if name_contains in name:
            deliver(client, arn, body)
            fired.append(name)
    return fired


def _schedules(client: Client, moment: str) -> Iterator[tuple[str, str, str]]:
    scheduler = client("scheduler")
    for page in scheduler.get_paginator("list_schedules").paginate():
        for summary in page["Schedules"]:
            schedule = scheduler.get_schedule(Name=summary["Name"], GroupName=summary["GroupName"])
            target = schedule["Target"]
            body = _with_context(target.get("Input", "{}"), schedule["Arn"], moment)
            yield schedule["Name"], target["Arn"], body


def _with_context(text: str, arn: str, moment: str) -> str:
    """Replace EventBridge Scheduler's context attributes in a text."""
    values = {
        "schedule-arn": arn,
        "scheduled-time": moment,
        "execution-id": str(uuid.uuid4()),
        "attempt-number": "1",
    }
    for name, value in values.items():
        text = text.replace(f"<aws.scheduler.{name}>", value)
    return text


def _rules(client: Client, moment: str) -> Iterator[tuple[str, str, str]]:
    events = client("events")
    for rule in events.list_rules()["Rules"]:
        if "ScheduleExpression" not in rule:
            continue
        for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
            body = target.get("Input") or _scheduled_event(rule["Arn"], moment)
            yield rule["Name"], target["Arn"], body


def _scheduled_event(rule_arn: str, moment: str) -> str:
    event = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT,
        "time": moment,
        "region": REGION,
        "resources": [rule_arn],
        "detail": {},
    }

    return json.dumps(event)
