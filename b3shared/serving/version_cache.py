"""Keeps loaded versions in memory, so that each is read once."""

import tempfile
from collections import OrderedDict
from pathlib import Path

from b3shared.registry.versions import Registry
from b3shared.serving.background import within
from b3shared.serving.trial import check_version
from b3shared.serving.version import Version

KEPT_VERSIONS = 8
"""Versions kept beside the live ones; the least recently used one is dropped first."""


class VersionCache:
    """Loads registered versions, checks them, and keeps those that requests asked for by name.

    Args:
        registry: of the versions.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._kept: OrderedDict[tuple[str, str], Version] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def read(self, model_type: str, name: str) -> Version:
        """Return a version from memory or else from the storage, without keeping it.

        Raises:
            UnknownModelError: Not registered.
            ArtifactCorruptError: A file is not what was registered, or the version cannot answer.
        """
        if version := self._kept.get((model_type, name)):
            return version

        with tempfile.TemporaryDirectory() as folder:
            version = Version.load(self._registry, model_type, name, Path(folder))
        check_version(version)
        return version

    def get(self, model_type: str, name: str, seconds: float) -> Version:
        """Return a version and keep it.

        Args:
            model_type: canonical.
            name: of the version.
            seconds: how long to wait for the storage.

        Raises:
            SourceUnavailableError: The storage does not give the version in time.
            B3Error: As :meth:`read`.
        """
        key = (model_type, name)
        if key not in self._kept:
            self._kept[key] = within(
                seconds, lambda: self.read(model_type, name), f"version {name}"
            )
            while len(self._kept) > KEPT_VERSIONS:
                self._kept.popitem(last=False)

        self._kept.move_to_end(key)
        return self._kept[key]
