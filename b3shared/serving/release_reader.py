"""Reads what is live: the release, its snapshot and its versions.

What cannot be read or cannot answer does not replace what answered before.
"""

import logging
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from b3shared.registry.key import ModelKey
from b3shared.registry.release import Release
from b3shared.serving.snapshot import Snapshot
from b3shared.serving.trial import check_snapshot, check_together, works_together
from b3shared.serving.version import Version
from b3shared.serving.version_cache import VersionCache
from b3shared.storage import Storage

_LOG = logging.getLogger(__name__)

Pair = tuple[Snapshot, Version]
"""A version and the snapshot with its input."""


@dataclass(frozen=True)
class Served:
    """The snapshot and the versions that answers are made from. Replaced, never changed.

    Attributes:
        snapshot: the newest good one, and ``snapshot_key``, where it was read.
        pairs: model type -> what answers for it. Where the newest snapshot and version do not work
            together, a pair holds the one that did before.
        skill: model type -> the skill that the evaluation found in the live version.
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


class ReleaseReader:
    """Reads the release with its snapshot and its versions.

    Args:
        storage: of the deployment.
        namespace: of the registry; models of others are not read.
        versions: loads the versions.
    """

    def __init__(self, storage: Storage, namespace: str, versions: VersionCache) -> None:
        self._storage = storage
        self._namespace = namespace
        self._versions = versions

    def read(self, before: Served) -> Served:
        """Return what is to be served now, given what was served before."""
        state = Release(self._storage).changed_since(before.etag)
        if state is None:
            return before

        snapshot, broken = self._snapshot(state.snapshot, before)
        pairs: dict[str, Pair] = {}
        skill: dict[str, str] = {}
        doubts: dict[str, str] = {}
        for key, name in state.live.items():
            if key.namespace != self._namespace:
                continue

            pair, doubt = self._pair(key, name, snapshot, before)
            if pair:
                pairs[key.model_type] = pair
            if doubt:
                doubts[key.model_type] = doubt
            else:
                skill[key.model_type] = state.skill[key]

        return Served(
            snapshot=snapshot,
            snapshot_key=before.snapshot_key if broken else state.snapshot,
            pairs=pairs,
            skill=skill,
            doubts=doubts,
            broken=broken,
            etag=None if broken or doubts else state.etag,
        )

    def _snapshot(self, key: str | None, before: Served) -> tuple[Snapshot | None, str | None]:
        """Return the snapshot of the release, or else the one before it and the reason."""
        if key in (None, before.snapshot_key):
            return before.snapshot, None

        try:
            with tempfile.TemporaryDirectory() as folder:
                path = self._storage.download(str(key), Path(folder, "snapshot.npz"))
                snapshot = Snapshot.load(path)
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
        self, key: ModelKey, name: str, snapshot: Snapshot | None, before: Served
    ) -> tuple[Pair | None, str | None]:
        """Return what answers for a model, and the reason if the release names something else."""
        old = before.pairs.get(key.model_type)
        version: Version | None = None
        try:
            if old and old[1].name == name:
                version = old[1]
            else:
                version = self._versions.read(key.model_type, name)
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


def _why_broken(key: ModelKey, name: str, error: Exception, before: Pair | None) -> str:
    reason = f"version {name} of {key} is live but cannot be served ({type(error).__name__})"
    if before:
        return f"{reason}: {before[1].name} answers instead"
    return f"{reason}: roll back, or promote another"
