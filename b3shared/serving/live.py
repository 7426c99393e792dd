"""What is live, kept in memory: the release, its snapshot, its versions. Refreshing can never fail a request."""

import json
import logging
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from b3shared.documents import from_json
from b3shared.errors import NothingLiveError
from b3shared.models.base import METADATA_FILE, ONNX_FILE
from b3shared.models.scorer import Scorer
from b3shared.params import PipelineParams
from b3shared.registry import Registry
from b3shared.release import KEY
from b3shared.serving.offer import needed_offer
from b3shared.serving.snapshot import Snapshot
from b3shared.storage import Storage

CHECK_SECONDS = 60.0
"""The release is looked at once in so many seconds at most, as long as there is something to answer from."""
RETRY_SECONDS = 1.0
"""The same while there is nothing to answer from: the first release shall be seen soon."""
KEPT_VERSIONS = 8
"""Versions kept beside those that are live; the one that was not asked for longest leaves first."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Version:
    """A registered version, ready to answer; ``offer`` names the windows of a snapshot that it is fed with."""

    name: str
    scorer: Scorer
    manifest: dict[str, Any]
    params: PipelineParams
    offer: str


class Live:
    """Follows ``serving/release.json`` with one conditional read a minute at most.

    What cannot be read or loaded does not replace what was live before; :meth:`doubts` then says so, and the answer is
    marked as degraded.

    Args:
        storage: of the deployment.
        namespace: of the registry.
        clock: seconds that only grow, for tests.
    """

    def __init__(self, storage: Storage, namespace: str = "models", clock: Callable[[], float] = time.monotonic) -> None:
        self.storage, self.namespace, self._clock = storage, namespace, clock
        self._registry = Registry(storage, namespace)
        self._loaded: OrderedDict[tuple[str, str], Version] = OrderedDict()
        self._live: dict[str, Version] = {}
        self._skill: dict[str, str] = {}
        self._snapshot: Snapshot | None = None
        self._snapshot_key: str | None = None
        self._unchecked: str | None = None
        self._broken: dict[str, str] = {}
        self._etag: str | None = None
        self._checked: float | None = None

    def refresh(self) -> None:
        """Look whether the release has changed, if the last look is long enough ago."""
        now = self._clock()
        wait = CHECK_SECONDS if self._live and self._snapshot else RETRY_SECONDS
        if self._checked is not None and now - self._checked < wait:
            return
        self._checked = now
        try:
            self._follow()
            self._unchecked = None
        except Exception as error:
            self._unchecked = f"what is live could not be checked ({type(error).__name__}); this was live before"
            _LOG.warning("release not refreshed: %s", error)

    def doubts(self, model_type: str, version: Version) -> list[str]:
        """Why an answer of a version may not be what the release asks for; empty if it is."""
        broken = self._broken.get(model_type) if version is self._live.get(model_type) else None
        return [reason for reason in (self._unchecked, broken) if reason]

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that is served; NothingLiveError if none is."""
        if self._snapshot is None:
            raise NothingLiveError(
                "what is live could not be read: try again in a minute; the log of predict has the reason"
                if self._unchecked
                else "no snapshot of features is published yet: run the pipeline once (POST /api/b3/complete-pipeline)"
            )
        return self._snapshot

    def skill(self, model_type: str, version: Version) -> str:
        """What the evaluation could show of a version: "none", "weak" or "proven"."""
        evaluated = str(version.manifest.get("evaluated", {}).get("skill", "none"))
        live = self._live.get(model_type)
        return self._skill.get(model_type, evaluated) if live and live.name == version.name else evaluated

    def version(self, model_type: str, name: str | None = None) -> Version:
        """The live version of a type, or another one by its name.

        Raises:
            NothingLiveError: No name is given and no version is live.
            UnknownModelError: Not registered.
            ArtifactCorruptError: A file is not what was registered.
        """
        live = self._live.get(model_type)
        if live and name in (None, live.name):
            return live
        if name:
            return self._load(model_type, name)
        raise NothingLiveError(
            self._broken.get(model_type)
            or f"no version of {self.namespace}/{model_type} is live yet: run the pipeline (POST /api/b3/complete-pipeline "
            f"with model_type {model_type}), or promote a registered version"
        )

    def _follow(self) -> None:
        found = self.storage.read_if_changed(KEY, self._etag) if self._etag else self.storage.read_versioned(KEY)
        if found is None:
            return
        release = from_json(found[0], KEY)
        key = release["snapshot"]
        snapshot = self._snapshot if key in (None, self._snapshot_key) else self._load_snapshot(key)
        named = {key.split("/")[1]: key for key in release["live"] if key.startswith(f"{self.namespace}/")}
        live, broken = {}, {}
        for kind, name in ((kind, release["live"][key]) for kind, key in named.items()):
            try:
                live[kind] = self._live_again(kind, name)
            except Exception as error:
                before = self._live.get(kind)
                broken[kind] = _why_broken(f"{self.namespace}/{kind}", name, error, before)
                _LOG.error("%s: %s", broken[kind], error)
                live |= {kind: before} if before else {}
        self._snapshot, self._snapshot_key = snapshot, key
        self._live, self._broken = live, broken
        self._skill = {kind: release["skill"][key] for kind, key in named.items() if kind not in broken}
        self._etag = None if broken else found[1]  # what is broken is tried again at the next look

    def _live_again(self, kind: str, name: str) -> Version:
        """A version that is to be live, from memory if it is there."""
        live = self._live.get(kind)
        return live if live and live.name == name else self._load(kind, name)

    def _load(self, model_type: str, name: str) -> Version:
        key = (model_type, name)
        if key not in self._loaded:
            with tempfile.TemporaryDirectory() as folder:
                path = self._registry.fetch(model_type, name, Path(folder), [ONNX_FILE, METADATA_FILE])
                manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
                params = PipelineParams.of(manifest["params"])
                self._loaded[key] = Version(name, Scorer.load(path), manifest, params, needed_offer(manifest))
            while len(self._loaded) > KEPT_VERSIONS:
                self._loaded.popitem(last=False)
        self._loaded.move_to_end(key)
        return self._loaded[key]

    def _load_snapshot(self, key: str) -> Snapshot:
        with tempfile.TemporaryDirectory() as folder:
            return Snapshot.load(self.storage.download(key, Path(folder, "snapshot.npz")))


def _why_broken(key: str, name: str, error: Exception, before: Version | None) -> str:
    instead = f"{before.name} answers instead" if before else "roll back, or promote another version"
    return f"version {name} of {key} is live but cannot be loaded ({type(error).__name__}): {instead}"
