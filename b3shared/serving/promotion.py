"""Making a version live: by the pipeline's gate, over HTTP, on the command line; the same checks for all."""

from typing import Any

from b3shared.errors import IncompatibleFeaturesError
from b3shared.params import MODEL_TYPES
from b3shared.registry import Registry
from b3shared.release import UNSET, Release, ReleaseState
from b3shared.serving.offer import needed_offer, offered_features
from b3shared.storage import Storage


def promote(
    storage: Storage, namespace: str, model_type: str, version: str, *, who: str, why: str, expected: Any = UNSET
) -> ReleaseState:
    """Point serving at a version.

    Args:
        storage: of the deployment.
        namespace: of the registry.
        model_type: any accepted name of the type.
        version: a registered one.
        who: who asks.
        why: the reason; both go into the event.
        expected: only if this version is live now (None: only if none is).

    Raises:
        UnknownModelError: Not registered.
        IncompatibleFeaturesError: The snapshot that is served lacks features of the version.
        ConflictError: Another version is live than ``expected``, or the race was lost.
    """
    kind = MODEL_TYPES.get(model_type, model_type)
    manifest = Registry(storage, namespace).manifest(kind, version)
    release = Release(storage)
    check_features(storage, manifest, release.state().snapshot)
    skill = manifest.get("evaluated", {}).get("skill", "none")
    return release.promote(namespace, kind, version, who=who, why=why, skill=skill, expected=expected)


def check_features(storage: Storage, manifest: dict[str, Any], snapshot: str | None) -> None:
    """IncompatibleFeaturesError if a snapshot is served that cannot feed the version."""
    if snapshot is None or "features" not in manifest:
        return
    needed = needed_offer(manifest)
    offered = offered_features(storage, snapshot).get(needed, [])
    if offered != manifest["features"]:
        missing = [name for name in manifest["features"] if name not in offered]
        raise IncompatibleFeaturesError(
            f"version {manifest['version']} needs features {needed} ({len(manifest['features'])} of them); "
            f"the snapshot {snapshot} has {len(offered)}{', without ' + ', '.join(missing) if missing else ''}: "
            "publish a snapshot that fits first",
            missing=missing,
        )


def live_manifests(storage: Storage) -> list[dict[str, Any]]:
    """Manifests of every version that is live."""
    keys = ((*key.split("/"), version) for key, version in Release(storage).state().live.items())
    return [Registry(storage, namespace).manifest(kind, version) for namespace, kind, version in keys]


def check_live(storage: Storage, snapshot: str) -> None:
    """IncompatibleFeaturesError if a stored snapshot cannot feed every version that is live."""
    for manifest in live_manifests(storage):
        check_features(storage, manifest, snapshot)
