"""Stores immutable model versions with the hashes of their files.

Which of them is live is kept by :mod:`b3shared.registry.release`.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from b3shared.core.errors import (
    ArtifactCorruptError,
    ArtifactNotFoundError,
    ConflictError,
    InvalidParameterError,
    UnknownModelError,
)
from b3shared.core.serialization import file_sha256, from_json, iso_date, to_json, utc_now
from b3shared.params.models import model_spec, model_types
from b3shared.params.run import NAMESPACE_PATTERN
from b3shared.registry.key import ModelKey
from b3shared.storage import Storage

Manifest = dict[str, Any]

_MANIFEST = "manifest.json"
_VERSION = re.compile(r"\d{8}-[0-9a-f]{8}")


class Registry:
    """The versions of one namespace, at ``models/<namespace>/<type>/<version>/``.

    A version is there once its ``manifest.json`` is, which is written last and once.

    Args:
        storage: where.
        namespace: ``model_dir`` of the Python and the HTTP API.

    Raises:
        InvalidParameterError: Malformed namespace.
    """

    def __init__(self, storage: Storage, namespace: str) -> None:
        if not re.fullmatch(NAMESPACE_PATTERN, namespace):
            raise InvalidParameterError(
                f"model_dir {namespace!r}: 1 to 32 of a-z, 0-9 and '-' are allowed"
            )
        self.storage = storage
        self.namespace = namespace

    def register(
        self, model_type: str, files: list[Path], manifest: Manifest, *, beside: Sequence[Path] = ()
    ) -> str:
        """Store a version and return its name.

        The name is ``<train_end as YYYYMMDD>-<first 8 hex of the model's hash>``.

        The same model and ``train_end`` again are the same version; what was stored first stays.

        Args:
            model_type: as in :func:`b3shared.params.models.model_spec`.
            files: the model's local files, with different names: they make the version what it is.
            beside: further files to keep with it, such as its evaluation. They name their run, so
                those of an equal model may differ; the first ones stay.
            manifest: JSON types; needs ``train_end``, the ISO date of the newest row that was
                learned from. ``version``, ``model_type``, ``namespace``, ``created_at`` and
                ``files`` {name: {sha256, bytes}} are filled in; of a file beside the model also
                ``folder``, where it lies.

        Raises:
            InvalidParameterError: No files, two of one name, no or a malformed ``train_end``, or no
                JSON.
            ArtifactNotFoundError: A file does not exist.
            ConflictError: Other content has this very version.
        """
        model_type = model_spec(model_type).name
        train_end = iso_date(manifest.get("train_end"), "train_end")
        described = _described([*files, *beside])
        own = {file.name for file in files}
        for name in (
            described.keys() - own
        ):  # in a folder of their own: another run's must not overwrite them
            described[name]["folder"] = _hash(
                {file.name: described[file.name]["sha256"] for file in beside}
            )
        made_of: dict[str, Any] = {
            name: facts["sha256"] for name, facts in described.items() if name in own
        }
        if (features := manifest.get("features_version")) is not None:
            made_of["features_version"] = (
                features  # equal files that learned from other features are another version
            )

        version = f"{train_end:%Y%m%d}-{_hash(made_of)}"
        document = manifest | {
            "train_end": train_end.isoformat(),
            "version": version,
            "model_type": model_type,
            "namespace": self.namespace,
            "created_at": utc_now(),
            "files": described,
        }
        data = to_json(document)
        if not self._is_stored(model_type, version, described, own):
            for file in [*files, *beside]:
                facts = described[file.name]
                if (
                    self.storage.upload(file, self._file_key(model_type, version, file.name, facts))
                    != facts["sha256"]
                ):
                    raise ArtifactCorruptError(
                        f"{file} changed while it was being registered", path=str(file)
                    )
            try:
                self.storage.create(self._key(model_type, version, _MANIFEST), data)
            except ConflictError:  # somebody registered the same at the same time
                self._is_stored(model_type, version, described, own)
        return version

    def versions(self, model_type: str) -> list[Manifest]:
        """List the manifests of all versions of a type, newest ``train_end`` first."""
        model_type = model_spec(model_type).name
        names = self.storage.folders(f"models/{ModelKey(self.namespace, model_type)}/")
        found = [manifest for name in names if (manifest := self._read(model_type, name))]
        return sorted(found, key=lambda m: (m["train_end"], m["created_at"]), reverse=True)

    def manifest(self, model_type: str, version: str) -> Manifest:
        """Return the manifest of a version; raise UnknownModelError if there is none."""
        manifest = self._read(model_spec(model_type).name, version)
        if manifest is None:
            raise self._unknown(
                model_type, version, [m["version"] for m in self.versions(model_type)]
            )
        return manifest

    def _unknown(
        self, model_type: str, version: str, known: list[str] | None = None
    ) -> UnknownModelError:
        kind = model_spec(model_type).name
        hint = "" if known is None else f"; known are {', '.join(known) or 'none'}"
        return UnknownModelError(
            f"{ModelKey(self.namespace, kind)} has no version {version!r}{hint}",
            model_type=kind,
            version=version,
            **({} if known is None else {"known": known}),
        )

    def fetch(
        self, model_type: str, version: str, folder: Path, names: Sequence[str] | None = None
    ) -> Path:
        """Download a version to ``folder/<version>``, check every hash, and return that folder.

        With ``names``, only these files.

        ``manifest.json`` is written last there too: a folder that has it is complete.

        Raises:
            UnknownModelError: No such version. The known ones are not named: listing them is dear,
                and this is on the way of public requests.
            ArtifactNotFoundError: The version was registered without one of ``names``.
            ArtifactCorruptError: A file is gone or its hash differs.
        """
        manifest = self._read(model_spec(model_type).name, version)
        if manifest is None:
            raise self._unknown(model_type, version)

        target = folder / version
        for name in manifest["files"] if names is None else names:
            if name not in manifest["files"]:
                raise ArtifactNotFoundError(
                    f"version {version} has no {name!r}, "
                    f"only {', '.join(sorted(manifest['files']))}"
                )
            facts = manifest["files"][name]
            key = self._file_key(manifest["model_type"], version, name, facts)
            try:
                self.storage.download(key, target / name, facts["sha256"])
            except ArtifactNotFoundError as error:
                raise ArtifactCorruptError(
                    f"version {version} lacks its file {name!r}", key=key
                ) from error
        self.storage.download(
            self._key(manifest["model_type"], version, _MANIFEST), target / _MANIFEST
        )
        return target

    def types(self) -> list[str]:
        """List the model types that have a version, sorted."""
        names = self.storage.folders(f"models/{self.namespace}/")
        return [name for name in names if name in model_types() and self.versions(name)]

    def _key(self, model_type: str, version: str, name: str) -> str:
        return f"models/{ModelKey(self.namespace, model_type)}/{version}/{name}"

    def _file_key(self, model_type: str, version: str, name: str, facts: dict[str, Any]) -> str:
        folder = facts.get("folder")
        return self._key(model_type, version, f"{folder}/{name}" if folder else name)

    def _read(self, model_type: str, version: str) -> Manifest | None:
        if not _VERSION.fullmatch(version):
            return None
        key = self._key(model_type, version, _MANIFEST)
        found = self.storage.read_versioned(key)
        manifest: Manifest | None = from_json(found[0], key) if found else None
        return manifest

    def _is_stored(
        self, model_type: str, version: str, files: dict[str, Any], own: set[str]
    ) -> bool:
        """Whether the version is registered; ConflictError if with other files of the model."""
        stored = self._read(model_type, version)
        if stored and any(stored["files"].get(name) != files[name] for name in own):
            raise ConflictError(
                f"{model_type} {version} is registered with other files", version=version
            )
        return stored is not None


def _hash(document: dict[str, Any]) -> str:
    """First 8 hex digits of the SHA-256 of a JSON document."""
    return hashlib.sha256(to_json(document)).hexdigest()[:8]


def _described(files: list[Path]) -> dict[str, dict[str, Any]]:
    names = [file.name for file in files]
    if not names or len(set(names)) < len(names) or _MANIFEST in names:
        raise InvalidParameterError(
            f"files {names}: at least one, with different names other than {_MANIFEST}, is needed"
        )

    for file in files:
        if not file.is_file():
            raise ArtifactNotFoundError(
                f"{file} is not a file, so it cannot be registered", path=str(file)
            )
    return {
        file.name: {"sha256": file_sha256(file), "bytes": file.stat().st_size} for file in files
    }
