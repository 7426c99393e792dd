"""Keeps what is live in memory: the release, its snapshot and its versions.

A look at the storage runs in a thread of its own. A request that has something to answer from waits
a moment for it and no longer, so a storage that is slow, hangs or fails costs no request its
answer.
"""

import logging
import time
from collections.abc import Callable

from b3shared.core.errors import B3Error, NothingLiveError, UnknownModelError
from b3shared.registry.key import ModelKey
from b3shared.registry.versions import Registry
from b3shared.serving.background import Task, begin
from b3shared.serving.release_reader import Pair, ReleaseReader, Served
from b3shared.serving.rows import check_fits
from b3shared.serving.snapshot import Snapshot
from b3shared.serving.version import Version
from b3shared.serving.version_cache import VersionCache
from b3shared.storage import Storage

CHECK_SECONDS = 60.0
"""Seconds between two looks at the release while requests can be answered."""
RETRY_SECONDS = 1.0
"""Seconds between two looks while a request cannot be answered, to see a promotion soon."""
MOMENT_SECONDS = 0.25
"""Seconds that a request waits for a look if it can be answered; S3 needs a tenth of it."""
COLD_SECONDS = 8.0
"""Seconds that a request waits for a look if it cannot be answered without it.

The function's time-out is longer.
"""
HUNG_SECONDS = 30.0
"""Seconds after which a look that has not ended is given up and the next one begins."""

_LOG = logging.getLogger(__name__)


class Live:
    """Follows ``serving/release.json``, reading it once a minute at most.

    A request for a model that nothing can answer makes the next look due after a second.

    What cannot be read, cannot be loaded or cannot answer does not replace what was live before.
    :meth:`doubts` then says so, and the answer is marked as degraded.

    Args:
        storage: of the deployment.
        namespace: of the registry.
        clock: seconds that only grow, for tests.
        moment: seconds that a request waits for a look if it can be answered.
        cold: seconds that a request waits for a look if it cannot.
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
        self._versions = VersionCache(Registry(storage, namespace))
        self._served = Served()
        self._look: Task[Served] | None = None
        self._checked: float | None = None
        self._unchecked: str | None = None

    def refresh(self) -> None:
        """Check whether the release has changed, if the last check is long enough ago.

        What a look finds is served from the next call on; a request sees one state from its
        beginning to its end.
        """
        self._refresh(lambda: bool(self._served.pairs))

    def ask(self, model_type: str, name: str | None = None) -> Pair:
        """Refresh, and return what answers for a model, as :meth:`pair` does.

        Where nothing answers for it, the look is due after :data:`RETRY_SECONDS`, and the request
        waits for it: the version may have been made live, or its features published, just now.
        """
        self._refresh(lambda: self._can_answer(model_type, name))
        snapshot, version = self.pair(model_type, name)
        if not _fits(snapshot, version):
            self._refresh(lambda: False)
        return self.pair(model_type, name)

    def pair(self, model_type: str, name: str | None = None) -> Pair:
        """Return the live version of a type, or another one by its name, and its snapshot.

        Raises:
            As :attr:`snapshot` and :meth:`version`.
        """
        pair = self._served.pairs.get(model_type)
        if pair and name in (None, pair[1].name):
            return pair
        return self.snapshot, self.version(model_type, name)

    @property
    def snapshot(self) -> Snapshot:
        """Return the newest snapshot; raise NothingLiveError if there is none."""
        if self._served.snapshot is None:
            raise NothingLiveError(self._why_no_snapshot())
        return self._served.snapshot

    def version(self, model_type: str, name: str | None = None) -> Version:
        """Return the live version of a type, or another one by its name.

        Raises:
            NothingLiveError: No name is given and no version is live.
            UnknownModelError: Not registered.
            ArtifactCorruptError: A file is not what was registered, or the version cannot answer.
            SourceUnavailableError: The storage does not give the version in time.
        """
        pair = self._served.pairs.get(model_type)
        if pair and name in (None, pair[1].name):
            return pair[1]
        if not name:
            raise NothingLiveError(self._why_no_version(model_type))

        try:
            return self._versions.get(model_type, name, self._cold)
        except UnknownModelError as error:
            live = f"{pair[1].name} is live" if pair else "none is live"
            raise UnknownModelError(
                f"{error.message}; {live}, and GET /api/b3/models/{model_type} lists all",
                **error.details,
            ) from error

    def skill(self, model_type: str, version: Version) -> str:
        """Return the skill that the evaluation found in a version: "none", "weak" or "proven"."""
        evaluated = str(version.manifest.get("evaluated", {}).get("skill", "none"))
        pair = self._served.pairs.get(model_type)
        if pair is None or pair[1].name != version.name:
            return evaluated
        return self._served.skill.get(model_type, evaluated)

    def doubts(self, model_type: str, version: Version) -> list[str]:
        """List the reasons why a version's answer may differ from what the release asks for."""
        served = self._served
        pair = served.pairs.get(model_type)
        of_version = None
        if pair is not None and version is pair[1]:
            of_version = served.doubts.get(model_type)

        reasons = (self._unchecked, of_version or served.broken)
        return [reason for reason in reasons if reason]

    def _can_answer(self, model_type: str, name: str | None) -> bool:
        """Return whether a request can be answered without another look.

        A version that is not live is read from the registry, so it only needs a snapshot.
        """
        pair = self._served.pairs.get(model_type)
        if name is None:
            return pair is not None
        return (pair is not None and pair[1].name == name) or self._served.snapshot is not None

    def _refresh(self, can_answer: Callable[[], bool]) -> None:
        """Begin a look if one is due, and wait for it: briefly if the request can be answered."""
        self._adopt()
        answers = can_answer()
        due = self._is_due(CHECK_SECONDS if answers else RETRY_SECONDS)
        if due:
            self._checked = self._clock()
            self._look = self._begin()

        if self._look and (due or not answers):
            self._look.ended.wait(self._moment if answers else self._cold)
            self._adopt()

    def _is_due(self, wait: float) -> bool:
        """Return whether the next look is due; one that hangs delays it for a limited time."""
        now = self._clock()
        if self._look:
            if now - self._look.began < HUNG_SECONDS:
                return False
            self._unchecked = _unchecked("no answer")
        return self._checked is None or now - self._checked >= wait

    def _begin(self) -> Task[Served]:
        """Begin a look, and forget one that was given up."""
        served = self._served
        reader = ReleaseReader(self.storage, self.namespace, self._versions)
        return begin(lambda: reader.read(served), "release", self._clock())

    def _adopt(self) -> None:
        """Serve what the look found, if it has ended."""
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

    def _why_no_snapshot(self) -> str:
        if self._served.broken:
            return self._served.broken
        if self._unchecked or self._look:
            return _UNREAD
        return (
            "no snapshot of features is published yet: run the pipeline once "
            "(POST /api/b3/complete-pipeline)"
        )

    def _why_no_version(self, model_type: str) -> str:
        if doubt := self._served.doubts.get(model_type):
            return doubt
        if self._unchecked or self._look:
            return _UNREAD
        return (
            f"no version of {ModelKey(self.namespace, model_type)} is live yet: run the pipeline "
            f"(POST /api/b3/complete-pipeline with model_type {model_type}), "
            "or promote a registered version"
        )


_UNREAD = "what is live could not be read: try again in a minute; the log of predict has the reason"


def _fits(snapshot: Snapshot, version: Version) -> bool:
    """Return whether a snapshot has the input of a version."""
    try:
        check_fits(snapshot, version)
    except B3Error:
        return False
    return True


def _unchecked(reason: str) -> str:
    return f"what is live could not be checked ({reason}); this was live before"
