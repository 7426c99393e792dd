"""The release as a value: what is live, the snapshot, and the history of both."""

from dataclasses import dataclass, field, replace
from typing import Any, Self

from b3shared.core.errors import (
    ArtifactCorruptError,
    InvalidParameterError,
    NothingLiveError,
    UnknownModelError,
)
from b3shared.core.serialization import from_json, to_json, utc_now
from b3shared.registry.key import ModelKey

KEY = "serving/release.json"
MAX_EVENTS = 200
SNAPSHOT = "snapshot"
"""The key of events that move the snapshot."""

Event = dict[str, Any]


@dataclass(frozen=True)
class ReleaseState:
    """The release at one moment.

    Attributes:
        sequence: number of changes so far; every change raises it by one.
        live: model -> version.
        skill: model -> "none", "weak" or "proven", of the live version.
        snapshot: key of the newest feature windows.
        as_of: ISO date of the snapshot.
        events: the last 200 changes, newest last: {at, who, action, why, key, from, to, skill,
            sequence}.
        etag: of the stored object; None before the first change.
    """

    sequence: int = 0
    live: dict[ModelKey, str] = field(default_factory=dict)
    skill: dict[ModelKey, str] = field(default_factory=dict)
    snapshot: str | None = None
    as_of: str | None = None
    events: list[Event] = field(default_factory=list)
    etag: str | None = None

    @classmethod
    def from_document(cls, data: bytes, etag: str) -> Self:
        """Read a stored release; ArtifactCorruptError if it is not one."""
        document = from_json(data, KEY)

        try:
            return cls(
                sequence=document["sequence"],
                live={ModelKey.parse(key): name for key, name in document["live"].items()},
                skill={ModelKey.parse(key): skill for key, skill in document["skill"].items()},
                snapshot=document["snapshot"],
                as_of=document["as_of"],
                events=document["events"],
                etag=etag,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ArtifactCorruptError(f"{KEY!r} is not a release: {error!r}", key=KEY) from error

    def to_document(self) -> bytes:
        """Return the stored form."""
        document = vars(self) | {
            "live": {str(key): version for key, version in self.live.items()},
            "skill": {str(key): skill for key, skill in self.skill.items()},
        }
        del document["etag"]
        return to_json(document)

    def past(self, key: ModelKey) -> list[str]:
        """List the versions that rollbacks can reach, the live one last.

        A promotion adds one, a rollback takes one off.
        """
        past: list[str] = []
        for event in (e for e in self.events if e["key"] == str(key)):
            if not past and event["from"]:
                past.append(event["from"])  # events before this one were dropped
            if event["action"] == "rollback":
                past.pop()
            if past[-1:] != [event["to"]]:
                past.append(event["to"])
        return past

    def previous(self, key: ModelKey) -> str:
        """Return the version that a rollback would go to.

        Raises:
            NothingLiveError: No version of the model is live.
            UnknownModelError: None was live before.
        """
        if key not in self.live:
            raise NothingLiveError(
                f"no version of {key} is live, so there is none to go back from", key=str(key)
            )

        past = self.past(key)
        if len(past) < 2:
            raise UnknownModelError(
                f"{key}: nothing was live before {self.live[key]} to go back to", key=str(key)
            )
        return past[-2]

    def last_skill(self, key: ModelKey, version: str) -> str:
        """Return the skill that a version had when it was last made live; "none" if unknown."""
        for event in reversed(self.events):
            if (event["key"], event["to"]) == (str(key), version):
                return str(event["skill"])
        return "none"

    def pointed(
        self, action: str, key: ModelKey, version: str, skill: str, who: str, why: str
    ) -> Self:
        """Return the state after a model was pointed at a version, with its event."""
        event = {
            "action": action,
            "key": str(key),
            "from": self.live.get(key),
            "to": version,
            "skill": skill,
        }

        return replace(
            self._with_event(event, who, why),
            live=self.live | {key: version},
            skill=self.skill | {key: skill},
        )

    def with_snapshot(self, key: str, day: str, who: str) -> Self:
        """Return the state after it was moved to another snapshot, with its event."""
        event = {
            "action": "set_snapshot",
            "key": SNAPSHOT,
            "from": self.snapshot,
            "to": key,
            "skill": None,
        }

        return replace(
            self._with_event(event, who, f"as of {day}"),
            snapshot=key,
            as_of=day,
        )

    def _with_event(self, event: Event, who: str, why: str) -> Self:
        """Return the state with one more event; an old one leaves where there are too many."""
        if not who.strip() or not why.strip():
            raise InvalidParameterError(
                f"who and why must not be empty, got who={who!r} and why={why!r}"
            )

        sequence = self.sequence + 1
        event = {**event, "at": utc_now(), "who": who, "why": why, "sequence": sequence}
        events = [*self.events, event]
        if len(events) > MAX_EVENTS:
            # The oldest snapshot goes first: there is one every session, and rollback needs the
            # promotions.
            snapshots = (number for number, old in enumerate(events[:-1]) if old["key"] == SNAPSHOT)
            del events[next(snapshots, 0)]
        return replace(self, sequence=sequence, events=events)
