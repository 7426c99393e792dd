"""What is live, kept in memory: the release, its snapshot, the versions asked for. Refreshing can never fail a request."""

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
from b3shared.registry import Registry
from b3shared.release import KEY
from b3shared.serving.snapshot import Snapshot
from b3shared.storage import Storage

CHECK_SECONDS = 60.0
KEPT_VERSIONS = 8
"""Versions in memory; the one that was not asked for longest leaves first."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Version:
    """A registered version, ready to answer."""

    name: str
    scorer: Scorer
    manifest: dict[str, Any]


class Live:
    """Follows ``serving/release.json`` with one conditional read a minute at most.

    If a refresh fails, what was live stays in use and ``stale_reason`` says so: an answer is then marked as degraded.

    Args:
        storage: of the deployment.
        namespace: of the registry.
        clock: seconds that only grow, for tests.
    """

    def __init__(self, storage: Storage, namespace: str = "models", clock: Callable[[], float] = time.monotonic) -> None:
        self.storage, self.namespace, self._clock = storage, namespace, clock
        self.stale_reason: str | None = None
        self._registry = Registry(storage, namespace)
        self._versions: OrderedDict[tuple[str, str], Version] = OrderedDict()
        self._release: dict[str, Any] | None = None
        self._snapshot: Snapshot | None = None
        self._snapshot_key: str | None = None
        self._etag, self._checked = "", -CHECK_SECONDS

    def refresh(self) -> None:
        """Look whether the release has changed, if the last look is long enough ago."""
        now = self._clock()
        if now - self._checked < CHECK_SECONDS:
            return
        self._checked = now
        try:
            self._follow()
            self.stale_reason = None
        except Exception as error:
            if self._release is None:
                self._checked = -CHECK_SECONDS  # nothing to fall back on: look again at the next request
            self.stale_reason = f"the release could not be checked ({type(error).__name__})"
            _LOG.warning("release not refreshed: %s", error)

    def _follow(self) -> None:
        found = self.storage.read_if_changed(KEY, self._etag) if self._etag else self.storage.read_versioned(KEY)
        if found is None:
            return
        release = from_json(found[0], KEY)
        if release["snapshot"] and release["snapshot"] != self._snapshot_key:
            self._snapshot = self._load_snapshot(release["snapshot"])
            self._snapshot_key = release["snapshot"]
        for key, version in release["live"].items():  # before it counts: a version that cannot be loaded is never live here
            namespace, kind = key.split("/")
            if namespace == self.namespace:
                self.version(kind, version)
        self._release, self._etag = release, found[1]

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that is served; NothingLiveError if none is."""
        if self._snapshot is None:
            raise NothingLiveError("no snapshot of features is published yet: run the pipeline once (complete-pipeline)")
        return self._snapshot

    def live_version(self, model_type: str) -> str:
        """Name of the live version; NothingLiveError if there is none."""
        version: str | None = (self._release or {}).get("live", {}).get(f"{self.namespace}/{model_type}")
        if version is None:
            raise NothingLiveError(
                f"no version of {self.namespace}/{model_type} is live yet: run the pipeline (complete-pipeline with "
                f"model_type {model_type}), or promote a registered version"
            )
        return version

    def skill(self, model_type: str, version: Version) -> str:
        """What the evaluation could show of a version."""
        release = self._release or {}
        key = f"{self.namespace}/{model_type}"
        if release.get("live", {}).get(key) == version.name:
            return str(release["skill"].get(key, "none"))
        return str(version.manifest.get("evaluated", {}).get("skill", "none"))

    def version(self, model_type: str, name: str) -> Version:
        """A version by name, loaded once.

        Raises:
            UnknownModelError: Not registered.
            ArtifactCorruptError: A file is not what was registered.
        """
        key = (model_type, name)
        if key not in self._versions:
            with tempfile.TemporaryDirectory() as folder:
                path = self._registry.fetch(model_type, name, Path(folder), [ONNX_FILE, METADATA_FILE])
                manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
                self._versions[key] = Version(name, Scorer.load(path), manifest)
            while len(self._versions) > KEPT_VERSIONS:
                self._versions.popitem(last=False)
        self._versions.move_to_end(key)
        return self._versions[key]

    def _load_snapshot(self, key: str) -> Snapshot:
        with tempfile.TemporaryDirectory() as folder:
            return Snapshot.load(self.storage.download(key, Path(folder, "snapshot.npz")))
