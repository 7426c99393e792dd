"""What is live, kept in memory: the release, its snapshot, its versions.

A look at the storage runs in a thread of its own. A request that has something to answer from waits
a moment for it and no longer, so a storage that is slow, hangs or fails costs no request its
answer.
"""

import logging
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from b3shared.core.errors import (
    NothingLiveError,
    UnknownModelError,
)
from b3shared.registry.key import ModelKey
from b3shared.registry.release import Release
from b3shared.registry.versions import Registry
from b3shared.serving.background import Task, begin, within
from b3shared.serving.snapshot import Snapshot
from b3shared.serving.trial import check_snapshot, check_together, check_version, works_together
from b3shared.serving.version import Version
from b3shared.storage import Storage

CHECK_SECONDS = 60.0
"""The release is looked at once in so many seconds at most, while there is something to answer from."""
RETRY_SECONDS = 1.0
"""The same while there is nothing to answer from: the first release is to be seen soon."""
MOMENT_SECONDS = 0.25
"""How long a request waits for a look while there is something to answer from.

S3 needs a tenth of it.
"""
COLD_SECONDS = 8.0
"""How long a request waits where it cannot answer without the storage.

The function's time-out is longer.
"""
HUNG_SECONDS = 30.0
"""After so long a look that has not ended is given up, and the next one begins."""
KEPT_VERSIONS = 8
"""Versions kept beside those that are live; the one that was not asked for longest leaves first."""

_LOG = logging.getLogger(__name__)

Pair = tuple[Snapshot, Version]
"""A version and the snapshot that feeds it."""


@dataclass(frozen=True)
class _Served:
    """What answers are made from; replaced as a whole, never changed.

    Attributes:
        snapshot: the newest good one, and ``snapshot_key``, where it was read.
        pairs: model type -> what answers for it. Where the newest snapshot and version do not work
            together, a pair holds the one that did before.
        skill: model type -> what the evaluation showed of the live version.
        doubts: model type -> why its pair is not what the release names.
        broken: why the snapshot that the release names is not served; None if it is.
        etag: of the release; None where something of it could not be served, and is tried again.
    """

    snapshot: Snapshot | None = None
    snapshot_key: str | None = None
    pairs: dict[str, Pair] = field(default_factory=dict)
    skill: dict[str, str] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)
    broken: str | None = None
    etag: str | None = None


class Live:
    """Follows ``serving/release.json`` with one conditional read a minute at most.

    What cannot be read, cannot be loaded or cannot answer does not replace what was live before.
    :meth:`doubts` then says so, and the answer is marked as degraded.

    Args:
        storage: of the deployment.
        namespace: of the registry.
        clock: seconds that only grow, for tests.
        moment: seconds that a request waits for a look while there is something to answer from.
        cold: seconds that a request waits where there is nothing to answer from.
    """

    def __init__(
        self,
        storage: Storage,
        namespace: str = "models",
        clock: Callable[[], float] = time.monotonic,
        *,
        moment: float = MOMENT_SECONDS,
        cold: float = COLD_SECONDS,
    ) -> None:
        self.storage = storage
        self.namespace = namespace
        self._clock = clock
        self._moment = moment
        self._cold = cold
        self._registry = Registry(storage, namespace)
        self._loaded: OrderedDict[tuple[str, str], Version] = OrderedDict()
        self._served = _Served()
        self._look: Task[_Served] | None = None
        self._checked: float | None = None
        self._unchecked: str | None = None

    def refresh(self) -> None:
        """Look whether the release has changed, if the last look is long enough ago.

        What a look finds is served from the next call on; a request sees one state from its
        beginning to its end.
        """
        self._adopt()
        due = self._is_due()
        if due:
            self._checked = self._clock()
            self._look = self._begin()

        if self._look and (due or not self._answers):
            self._look.ended.wait(self._moment if self._answers else self._cold)
            self._adopt()

    def doubts(self, model_type: str, version: Version) -> list[str]:
        """Why an answer of a version may not be what the release asks for; empty if it is."""
        pair = self._served.pairs.get(model_type)
        if pair is None or version is not pair[1]:
            return [reason for reason in (self._unchecked, self._served.broken) if reason]
        reasons = (self._unchecked, self._served.doubts.get(model_type) or self._served.broken)
        return [reason for reason in reasons if reason]

    @property
    def snapshot(self) -> Snapshot:
        """The newest snapshot; NothingLiveError if there is none."""
        if self._served.snapshot is None:
            raise NothingLiveError(self._why_no_snapshot())
        return self._served.snapshot

    def pair(self, model_type: str, name: str | None = None) -> Pair:
        """The live version of a type, or another one by its name, and the snapshot to feed it with.

        Raises:
            As :attr:`snapshot` and :meth:`version`.
        """
        pair = self._served.pairs.get(model_type)
        if pair and name in (None, pair[1].name):
            return pair
        return self.snapshot, self.version(model_type, name)

    def skill(self, model_type: str, version: Version) -> str:
        """What the evaluation could show of a version: "none", "weak" or "proven"."""
        evaluated = str(version.manifest.get("evaluated", {}).get("skill", "none"))
        pair = self._served.pairs.get(model_type)
        if pair is None or pair[1].name != version.name:
            return evaluated
        return self._served.skill.get(model_type, evaluated)

    def version(self, model_type: str, name: str | None = None) -> Version:
        """The live version of a type, or another one by its name.

        Raises:
            NothingLiveError: No name is given and no version is live.
            UnknownModelError: Not registered.
            ArtifactCorruptError: A file is not what was registered, or the version cannot answer.
            SourceUnavailableError: The storage does not give the version in time.
        """
        pair = self._served.pairs.get(model_type)
        if pair and name in (None, pair[1].name):
            return pair[1]
        if name:
            return self._asked(model_type, name)
        raise NothingLiveError(
            self._served.doubts.get(model_type)
            or f"no version of {ModelKey(self.namespace, model_type)} is live yet: run the pipeline "
            f"(POST /api/b3/complete-pipeline with model_type {model_type}), or promote a registered version"
        )

    @property
    def _answers(self) -> bool:
        """Whether there is something to answer from."""
        return bool(self._served.pairs)

    def _is_due(self) -> bool:
        """Whether it is time for the next look; a look that hangs delays it, and not for ever."""
        now = self._clock()
        if self._look:
            if now - self._look.began < HUNG_SECONDS:
                return False
            self._unchecked = _unchecked("no answer")
        wait = CHECK_SECONDS if self._answers else RETRY_SECONDS
        return self._checked is None or now - self._checked >= wait

    def _begin(self) -> Task[_Served]:
        """Begin a look. One that was given up is forgotten, whatever it finds."""
        served = self._served
        return begin(lambda: self._follow(served), "release", self._clock())

    def _adopt(self) -> None:
        """Serve what the look has found, if it has ended."""
        look = self._look
        if look is None or not look.ended.is_set():
            return

        self._look = None
        self._unchecked = None
        if look.result is not None:
            self._served = look.result
        if look.error is not None:
            self._unchecked = _unchecked(type(look.error).__name__)
            _LOG.warning("release not refreshed: %s", look.error)

    def _follow(self, before: _Served) -> _Served:
        """What is to be served now, given what was served before."""
        state = Release(self.storage).changed_since(before.etag)
        if state is None:
            return before

        snapshot, broken = self._snapshot(state.snapshot, before)
        pairs: dict[str, Pair] = {}
        skill: dict[str, str] = {}
        doubts: dict[str, str] = {}
        for key, name in state.live.items():
            if key.namespace != self.namespace:
                continue

            pair, doubt = self._pair(key, name, snapshot, before)
            if pair:
                pairs[key.model_type] = pair
            if doubt:
                doubts[key.model_type] = doubt
            else:
                skill[key.model_type] = state.skill[key]

        return _Served(
            snapshot=snapshot,
            snapshot_key=before.snapshot_key if broken else state.snapshot,
            pairs=pairs,
            skill=skill,
            doubts=doubts,
            broken=broken,
            etag=None if broken or doubts else state.etag,
        )

    def _snapshot(self, key: str | None, before: _Served) -> tuple[Snapshot | None, str | None]:
        """The snapshot that the release names; else the one before it, and why."""
        if key in (None, before.snapshot_key):
            return before.snapshot, None
        try:
            with tempfile.TemporaryDirectory() as folder:
                snapshot = Snapshot.load(
                    self.storage.download(str(key), Path(folder, "snapshot.npz"))
                )
            check_snapshot(snapshot)
            return snapshot, None
        except Exception as error:
            answers = (
                f"that of {before.snapshot.as_of} answers instead"
                if before.snapshot
                else "publish another one"
            )
            reason = f"the snapshot {key} cannot be served ({type(error).__name__}): {answers}"
            _LOG.error("%s: %s", reason, error)
            return before.snapshot, reason

    def _pair(
        self, key: ModelKey, name: str, snapshot: Snapshot | None, before: _Served
    ) -> tuple[Pair | None, str | None]:
        """What is to answer for a type, and why it is not what the release names."""
        old = before.pairs.get(key.model_type)
        version: Version | None = None
        try:
            version = old[1] if old and old[1].name == name else self._read(key.model_type, name)
            if snapshot is None:
                return None, None
            check_together(snapshot, version, cold=old is None)
            return (snapshot, version), None
        except Exception as error:
            doubt = _why_broken(key, name, error, old)
            _LOG.error("%s: %s", doubt, error)

        if old is None:
            return None, doubt
        candidates = [(snapshot, old[1]), (old[0], version)]
        for pair in ((s, v) for s, v in candidates if s is not None and v is not None):
            if works_together(*pair):
                return pair, doubt
        return old, doubt

    def _asked(self, model_type: str, name: str) -> Version:
        """A version that is not live, from memory or from the storage, in bounded time."""
        key = (model_type, name)
        if key not in self._loaded:
            try:
                version = within(
                    self._cold, lambda: self._read(model_type, name), f"version {name}"
                )
            except UnknownModelError as error:
                pair = self._served.pairs.get(model_type)
                live = f"{pair[1].name} is live" if pair else "none is live"
                raise UnknownModelError(
                    f"{error.message}; {live}, and GET /api/b3/models/{model_type} lists all",
                    **error.details,
                ) from error
            self._loaded[key] = version
            while len(self._loaded) > KEPT_VERSIONS:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(key)
        return self._loaded[key]

    def _read(self, model_type: str, name: str) -> Version:
        if version := self._loaded.get((model_type, name)):
            return version
        with tempfile.TemporaryDirectory() as folder:
            version = Version.load(self._registry, model_type, name, Path(folder))
        check_version(version)
        return version

    def _why_no_snapshot(self) -> str:
        if self._served.broken:
            return self._served.broken
        if self._unchecked or self._look:
            return "what is live could not be read: try again in a minute; the log of predict has the reason"
        return "no snapshot of features is published yet: run the pipeline once (POST /api/b3/complete-pipeline)"


def _unchecked(reason: str) -> str:
    return f"what is live could not be checked ({reason}); this was live before"


def _why_broken(key: ModelKey, name: str, error: Exception, before: Pair | None) -> str:
    reason = f"version {name} of {key} is live but cannot be served ({type(error).__name__})"
    return (
        f"{reason}: {before[1].name} answers instead"
        if before
        else f"{reason}: roll back, or promote another"
    )
