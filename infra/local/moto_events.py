"""The patch of moto's EventBridge; see :mod:`infra.local.moto_patches`."""

# The types of a library forbid replacing its functions:
# mypy: disable-error-code="method-assign"

import json
import threading
import uuid
from datetime import UTC, datetime
from typing import Any

from moto.events.models import Rule
from moto.events.utils import EventTemplateParser

from infra.local.delivery import deliver
from infra.local.moto_host import Host


def deliver_events(host: Host) -> None:
    """Deliver events to functions, state machines and topics: in moto such rules fail.

    A schedule's rule matches no event (in moto: any), a disabled rule delivers nothing, and times
    are written as AWS writes them.
    """
    plain = Rule.send_to_targets

    def send(self: Rule, event: dict[str, Any], transform_input: bool = True) -> None:
        if (
            self.state == "DISABLED"
            or not self.event_pattern.get_pattern()
            or not self.event_pattern.matches_event(event)
        ):
            return

        ours = [
            target
            for target in self.targets
            if target["Arn"].split(":")[2] in ("lambda", "states", "sns")
        ]
        others = [target for target in self.targets if target not in ours]

        for target in ours:
            body = _target_input(target, event)
            threading.Thread(
                target=deliver, args=(host.client, target["Arn"], body), daemon=True
            ).start()

        if others:
            rule = Rule.__new__(Rule)
            rule.__dict__.update(self.__dict__, targets=others)
            plain(rule, event, transform_input)

    Rule.send_to_targets = send


def _target_input(target: dict[str, Any], event: dict[str, Any]) -> str:
    if "Input" in target:
        return str(target["Input"])

    moment = event.get("time")
    if isinstance(moment, int | float):
        event = {
            **event,
            "time": datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    event = {**event, "id": event.get("id") or str(uuid.uuid4())}
    event.pop("ingestion-time", None)

    if "InputTransformer" in target:
        transformer = target["InputTransformer"]
        return json.dumps(
            EventTemplateParser.parse(
                transformer["InputTemplate"], transformer.get("InputPathsMap", {}), event
            )
        )
    for part in target.get("InputPath", "$").split(".")[1:]:
        event = event[part]
    return json.dumps(event)
