"""What is live. ``serving/release.json`` is the only thing that serving follows.

Pointers and history are one object, changed by one compare-and-swap: they commit together or not at
all.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date
from enum import Enum
from typing import Final, get_args

from b3shared.core.errors import (
    ArtifactNotFoundError,
    ConflictError,
    InvalidParameterError,
    NothingLiveError,
)
from b3shared.core.serialization import iso_date
from b3shared.core.skill import Skill
from b3shared.registry.key import ModelKey
from b3shared.registry.release_state import KEY, ReleaseState
from b3shared.registry.versions import Registry
from b3shared.storage import Storage

SNAPSHOT_RETRIES = 5


class _Unset(Enum):
    UNSET = "whatever is live"


UNSET: Final = _Unset.UNSET


Check = Callable[[ReleaseState], None]
"""Looks at the release that is about to change, and raises to keep it as it is."""


def no_check(_: ReleaseState) -> None:
    """Let every change pass."""


class Release:
    """Reads and changes what is live in a storage.

    A ``check`` sees the very state that a change replaces, so nothing changes in between.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def state(self) -> ReleaseState:
        """Return the release now; an empty one before the first change."""
        found = self.storage.read_versioned(KEY)
        return ReleaseState() if found is None else ReleaseState.from_document(*found)

    def changed_since(self, etag: str | None) -> ReleaseState | None:
        """Return the release if it is another than that of ``etag``, else None.

        Args:
            etag: of a state seen before; None for none, then a release that exists is a change.
        """
        if etag is None:
            found = self.storage.read_versioned(KEY)
        else:
            found = self.storage.read_if_changed(KEY, etag)
        return None if found is None else ReleaseState.from_document(*found)

    def live(self, namespace: str, model_type: str) -> str:
        """Return the live version of a type; NothingLiveError if there is none."""
        key = ModelKey.checked(namespace, model_type)
        state = self.state()
        if key not in state.live:
            others = ", ".join(map(str, sorted(state.live))) or "nothing"
            raise NothingLiveError(f"no version of {key} is live; live is {others}", key=str(key))
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
        check: Check = no_check,
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
            check: may refuse the change.

        Raises:
            UnknownModelError: The version is not registered.
            ConflictError: Another version than ``expected`` is live, or somebody else changed the
                release meanwhile.
            InvalidParameterError: No ``who`` or ``why``, or an unknown ``skill``.
        """
        if skill not in get_args(Skill):
            raise InvalidParameterError(
                f"skill must be one of {', '.join(get_args(Skill))}, got {skill!r}"
            )
        key = ModelKey.checked(namespace, model_type)
        Registry(self.storage, namespace).manifest(key.model_type, version)

        state = self.state()
        check(state)
        live = state.live.get(key)
        if expected is not UNSET and live != expected:
            raise ConflictError(f"{key}: live is {live}, not {expected}", key=str(key), live=live)
        if (live, state.skill.get(key)) == (version, skill):
            return state
        return self._commit(state.pointed("promote", key, version, skill, who, why))

    def rollback(
        self,
        namespace: str,
        model_type: str,
        *,
        who: str,
        why: str,
        check: Check = no_check,
    ) -> ReleaseState:
        """Go back to the version that was live before this one.

        Again goes further back; a promotion starts anew.

        Raises:
            NothingLiveError: No version of the type is live.
            UnknownModelError: None was live before, or it is no longer registered.
            ConflictError: Somebody else changed the release meanwhile.
            InvalidParameterError: No ``who`` or ``why``.
        """
        key = ModelKey.checked(namespace, model_type)
        state = self.state()
        version = state.previous(key)
        Registry(self.storage, namespace).manifest(key.model_type, version)
        check(state)

        skill = state.last_skill(key, version)
        return self._commit(state.pointed("rollback", key, version, skill, who, why))

    def set_snapshot(
        self, key: str, as_of: str | date, *, who: str, check: Check = no_check
    ) -> ReleaseState:
        """Serve from another snapshot of features.

        Lost races are tried again: the newest ``as_of`` wins in any order.

        Args:
            key: where the snapshot is stored.
            as_of: its date, ISO.
            who: who asks; goes into the event.
            check: may refuse the change.

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
                return self._move_snapshot(key, day, who, check)
        return self._move_snapshot(key, day, who, check)

    def _move_snapshot(self, key: str, day: str, who: str, check: Check) -> ReleaseState:
        state = self.state()
        check(state)
        if state.as_of and day < state.as_of:
            raise ConflictError(
                f"snapshot as of {day}: one as of {state.as_of} is served already",
                as_of=state.as_of,
            )
        if (state.snapshot, state.as_of) == (key, day):
            return state

        return self._commit(state.with_snapshot(key, day, who))

    def _commit(self, state: ReleaseState) -> ReleaseState:
        """Write a changed state; ConflictError if the one that it came from was changed since."""
        data = state.to_document()
        if state.etag is None:
            return replace(state, etag=self.storage.create(KEY, data))
        return replace(state, etag=self.storage.replace(KEY, data, state.etag))
