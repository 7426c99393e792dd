"""Making a version live: by the pipeline's gate, over HTTP, on the command line; the same checks for all."""

from typing import Any

from b3shared.core.errors import IncompatibleFeaturesError
from b3shared.params.models import model_spec
from b3shared.registry.compatibility import (
    learned_from_other_features,
    needed_lookback,
    needed_offer,
    read_offer,
)
from b3shared.registry.release import UNSET, Release, ReleaseState
from b3shared.registry.versions import Registry
from b3shared.storage import Storage


def promote(
    storage: Storage,
    namespace: str,
    model_type: str,
    version: str,
    *,
    who: str,
    why: str,
    expected: Any = UNSET,
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
        IncompatibleFeaturesError: The snapshot that is served lacks features or sessions that the
            version needs, or its features are of another version than those that it learned from.
        ConflictError: Another version is live than ``expected``, or the race was lost.
    """
    kind = model_spec(model_type).name
    manifest = Registry(storage, namespace).manifest(kind, version)
    release = Release(storage)
    snapshot = release.state().snapshot
    check_features(storage, manifest, snapshot)
    check_features_version(storage, manifest, snapshot)
    skill = manifest.get("evaluated", {}).get("skill", "none")
    return release.promote(
        namespace, kind, version, who=who, why=why, skill=skill, expected=expected
    )


def check_features(storage: Storage, manifest: dict[str, Any], snapshot: str | None) -> None:
    """IncompatibleFeaturesError if a snapshot is served that cannot feed the version."""
    if snapshot is None or "features" not in manifest:
        return
    needed, offer = needed_offer(manifest), read_offer(storage, snapshot)
    offered = offer.features.get(needed, [])
    if offered != manifest["features"]:
        missing = [name for name in manifest["features"] if name not in offered]
        raise IncompatibleFeaturesError(
            f"version {manifest['version']} needs features {needed} ({len(manifest['features'])} of them); "
            f"the snapshot {snapshot} has {len(offered)}{', without ' + ', '.join(missing) if missing else ''}: "
            "publish a snapshot that fits first",
            missing=missing,
        )
    if (lookback := needed_lookback(manifest)) > offer.lookback:
        raise IncompatibleFeaturesError(
            f"version {manifest['version']} looks back {lookback} sessions; the snapshot {snapshot} holds windows of "
            f"{offer.lookback}: publish a snapshot that fits first",
            have=offer.lookback,
            needed=lookback,
        )


def check_features_version(
    storage: Storage, manifest: dict[str, Any], snapshot: str | None
) -> None:
    """IncompatibleFeaturesError if a snapshot is served whose features are of another version.

    For a version that is to replace another. What is live already, and what a rollback goes back
    to, must answer after a change of the features too; its answers are marked as degraded.
    """
    if snapshot is not None and learned_from_other_features(
        manifest, read_offer(storage, snapshot).features_version
    ):
        raise IncompatibleFeaturesError(
            f"version {manifest['version']} learned from features of another version than those of the snapshot "
            f"{snapshot}: publish a snapshot first, or train again if the features have changed since the training"
        )


def rollback(
    storage: Storage, namespace: str, model_type: str, *, who: str, why: str
) -> ReleaseState:
    """Go back to the version that was live before, if the snapshot that is served can feed it.

    Raises:
        As :meth:`b3shared.registry.release.Release.rollback`, and IncompatibleFeaturesError.
    """
    release = Release(storage)
    before = release.previous(namespace, model_type)
    check_features(
        storage, Registry(storage, namespace).manifest(model_type, before), release.state().snapshot
    )
    return release.rollback(namespace, model_type, who=who, why=why)


def fed_manifests(storage: Storage) -> list[dict[str, Any]]:
    """Manifests of every version that is live and of those that a rollback may reach: a snapshot is to feed them all."""
    release, found = Release(storage), []
    for key in release.state().live:
        namespace, kind = key.split("/")
        registry = Registry(storage, namespace)
        found += [registry.manifest(kind, version) for version in release.past(namespace, kind)]
    return found


def check_live(storage: Storage, snapshot: str) -> None:
    """IncompatibleFeaturesError if a stored snapshot cannot feed every version that is live."""
    for key, version in Release(storage).state().live.items():
        namespace, kind = key.split("/")
        check_features(storage, Registry(storage, namespace).manifest(kind, version), snapshot)
