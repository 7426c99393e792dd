"""What is live. ``serving/release.json`` is the only thing that serving follows.

Pointers and history are one object, changed by one compare-and-swap: they commit together or not at
all.
"""

from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date
from enum import Enum
from typing import Any, Final, get_args

from b3shared.core.errors import (
    ArtifactNotFoundError,
    ConflictError,
    InvalidParameterError,
    NothingLiveError,
    UnknownModelError,
)
from b3shared.core.serialization import from_json, iso_date, to_json, utc_now
from b3shared.core.skill import Skill
from b3shared.registry.versions import Registry, checked_model_type
from b3shared.storage import Storage

KEY = "serving/release.json"
MAX_EVENTS = 200
SNAPSHOT = "snapshot"
SNAPSHOT_RETRIES = 5

Event = dict[str, Any]


class _Unset(Enum):
    UNSET = "whatever is live"


UNSET: Final = _Unset.UNSET


@dataclass(frozen=True)
class ReleaseState:
    """The release at one moment.

    Attributes:
        sequence: number of changes so far; every change raises it by one.
        live: "<namespace>/<type>" -> version.
        skill: the same keys -> "none", "weak" or "proven", of the live version.
        snapshot: key of the newest feature windows.
        as_of: ISO date of the snapshot.
        events: the last 200 changes, newest last: {at, who, action, why, key, from, to, skill,
            sequence}.
        etag: of the stored object; None before the first change.
    """

    sequence: int = 0
    live: dict[str, str] = field(default_factory=dict)
    skill: dict[str, str] = field(default_factory=dict)
    snapshot: str | None = None
    as_of: str | None = None
    events: list[Event] = field(default_factory=list)
    etag: str | None = None


class Release:
    """Reads and changes what is live in a storage."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def state(self) -> ReleaseState:
        """The release now; an empty one before the first change."""
        found = self.storage.read_versioned(KEY)
        if found is None:
            return ReleaseState()
        document = from_json(found[0], KEY)
        known = {f.name: document[f.name] for f in fields(ReleaseState) if f.name != "etag"}
        return ReleaseState(**known, etag=found[1])

    def live(self, namespace: str, model_type: str) -> str:
        """The live version of a type; NothingLiveError if there is none."""
        key = _key(namespace, model_type)
        state = self.state()
        if key not in state.live:
            others = ", ".join(sorted(state.live)) or "nothing"
            raise NothingLiveError(f"no version of {key} is live; live is {others}", key=key)
        return state.live[key]

    def promote(
        self,
        namespace: str,
        model_type: str,
        version: str,
        *,
        who: str,
        why: str,
        skill: Skill = "none",
        expected: str | _Unset | None = UNSET,
    ) -> ReleaseState:
        """Make a version live. What is live with the same skill already stays, without an event.

        Args:
            namespace: of the registry.
            model_type: as in :func:`b3shared.params.models.model_spec`.
            version: a registered one.
            who: who asks; goes into the event.
            why: the reason; goes into the event.
            skill: what the evaluation could show of it.
            expected: only if this version is live now; None: only if none is.

        Raises:
            UnknownModelError: The version is not registered.
            ConflictError: Another version than ``expected`` is live, or somebody else changed the
                release meanwhile.
            InvalidParameterError: No ``who`` or ``why``, or an unknown ``skill``.
        """
        if skill not in get_args(Skill):
            raise InvalidParameterError(
                f"skill {skill!r}: allowed are {', '.join(get_args(Skill))}"
            )
        key = _key(namespace, model_type)
        state = self.state()
        live = state.live.get(key)
        if expected is not UNSET and live != expected:
            raise ConflictError(f"{key}: live is {live}, not {expected}", key=key, live=live)
        Registry(self.storage, namespace).manifest(model_type, version)
        if (live, state.skill.get(key)) == (version, skill):
            return state
        return self._commit(_pointed(state, "promote", key, version, skill, who, why))

    def rollback(self, namespace: str, model_type: str, *, who: str, why: str) -> ReleaseState:
        """Go back to the version that was live before this one. Again goes further back; a promotion starts anew.

        Raises:
            NothingLiveError: No version of the type is live.
            UnknownModelError: None was live before, or it is no longer registered.
            ConflictError: Somebody else changed the release meanwhile.
            InvalidParameterError: No ``who`` or ``why``.
        """
        key, state = _key(namespace, model_type), self.state()
        version = _previous(state, key)
        Registry(self.storage, namespace).manifest(model_type, version)
        return self._commit(
            _pointed(state, "rollback", key, version, _skill(state.events, key, version), who, why)
        )

    def previous(self, namespace: str, model_type: str) -> str:
        """The version that a rollback would go to; NothingLiveError or UnknownModelError if there is none."""
        return _previous(self.state(), _key(namespace, model_type))

    def past(self, namespace: str, model_type: str) -> list[str]:
        """The versions that rollbacks can reach, the live one last."""
        return _past(self.state().events, _key(namespace, model_type))

    def set_snapshot(self, key: str, as_of: str | date, *, who: str) -> ReleaseState:
        """Serve from another snapshot of features. Lost races are tried again: the newest as_of wins in any order.

        Args:
            key: where the snapshot is stored.
            as_of: its date, ISO.
            who: who asks; goes into the event.

        Raises:
            ArtifactNotFoundError: Nothing is stored under ``key``.
            ConflictError: A snapshot of a later ``as_of`` is served already, or the race was lost
                six times.
            InvalidParameterError: Malformed ``as_of`` or no ``who``.
        """
        day = iso_date(as_of, "as_of").isoformat()
        if not self.storage.exists(key):
            raise ArtifactNotFoundError(
                f"there is no snapshot {key!r} in {self.storage.url}", key=key
            )
        for _ in range(SNAPSHOT_RETRIES):
            with suppress(ConflictError):
                return self._move_snapshot(key, day, who)
        return self._move_snapshot(key, day, who)

    def _move_snapshot(self, key: str, day: str, who: str) -> ReleaseState:
        state = self.state()
        if state.as_of and day < state.as_of:
            raise ConflictError(
                f"snapshot as of {day}: one as of {state.as_of} is served already",
                as_of=state.as_of,
            )
        if (state.snapshot, state.as_of) == (key, day):
            return state
        event = {
            "action": "set_snapshot",
            "key": SNAPSHOT,
            "from": state.snapshot,
            "to": key,
            "skill": None,
        }
        return self._commit(
            replace(_with_event(state, event, who, f"as of {day}"), snapshot=key, as_of=day)
        )

    def _commit(self, state: ReleaseState) -> ReleaseState:
        """Write the changed state if nobody changed the one that it came from (its etag); ConflictError otherwise."""
        data = to_json({name: value for name, value in asdict(state).items() if name != "etag"})
        if state.etag is None:
            return replace(state, etag=self.storage.create(KEY, data))
        return replace(state, etag=self.storage.replace(KEY, data, state.etag))


def _pointed(
    state: ReleaseState, action: str, key: str, version: str, skill: str, who: str, why: str
) -> ReleaseState:
    """The state after ``key`` was pointed at a version, with its event."""
    event = {
        "action": action,
        "key": key,
        "from": state.live.get(key),
        "to": version,
        "skill": skill,
    }
    live, skills = state.live | {key: version}, state.skill | {key: skill}
    return replace(_with_event(state, event, who, why), live=live, skill=skills)


def _with_event(state: ReleaseState, event: Event, who: str, why: str) -> ReleaseState:
    if not who.strip() or not why.strip():
        raise InvalidParameterError(
            f"who {who!r}, why {why!r}: every change of the release needs both"
        )
    sequence = state.sequence + 1
    events = [
        *state.events,
        {**event, "at": utc_now(), "who": who, "why": why, "sequence": sequence},
    ]
    if len(events) > MAX_EVENTS:
        # The oldest snapshot goes first: there is one every session, and rollback needs the
        # promotions.
        snapshots = (number for number, old in enumerate(events[:-1]) if old["key"] == SNAPSHOT)
        del events[next(snapshots, 0)]
    return replace(state, sequence=sequence, events=events)


def _previous(state: ReleaseState, key: str) -> str:
    if key not in state.live:
        raise NothingLiveError(
            f"no version of {key} is live, so there is none to go back from", key=key
        )
    past = _past(state.events, key)
    if len(past) < 2:
        raise UnknownModelError(
            f"{key}: nothing was live before {state.live[key]} to go back to", key=key
        )
    return past[-2]


def _past(events: list[Event], key: str) -> list[str]:
    """The versions that ``key`` can go back through, the live one last: a promotion adds one, a rollback takes one off."""
    past: list[str] = []
    for event in (e for e in events if e["key"] == key):
        if not past and event["from"]:
            past.append(event["from"])  # events before this one were dropped
        if event["action"] == "rollback":
            past.pop()
        if past[-1:] != [event["to"]]:
            past.append(event["to"])
    return past


def _skill(events: list[Event], key: str, version: str) -> str:
    """What was last known of a version when it was live."""
    return next(
        (str(e["skill"]) for e in reversed(events) if (e["key"], e["to"]) == (key, version)), "none"
    )


def _key(namespace: str, model_type: str) -> str:
    return f"{namespace}/{checked_model_type(model_type)}"
