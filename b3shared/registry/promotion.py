"""Makes a version live, with the same checks for every caller."""

from typing import Any

from b3shared.core.errors import IncompatibleFeaturesError
from b3shared.registry.compatibility import (
    learned_from_other_features,
    needed_lookback,
    needed_windows,
    read_description,
)
from b3shared.registry.key import ModelKey
from b3shared.registry.release import UNSET, Release
from b3shared.registry.release_state import ReleaseState
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
    key = ModelKey.checked(namespace, model_type)
    manifest = Registry(storage, namespace).manifest(key.model_type, version)

    def check(state: ReleaseState) -> None:
        check_features(storage, manifest, state.snapshot)
        check_features_version(storage, manifest, state.snapshot)

    return Release(storage).promote(
        namespace,
        model_type,
        version,
        who=who,
        why=why,
        skill=manifest.get("evaluated", {}).get("skill", "none"),
        expected=expected,
        check=check,
    )


def check_features(storage: Storage, manifest: dict[str, Any], snapshot: str | None) -> None:
    """Raise IncompatibleFeaturesError if the snapshot lacks what the version needs."""
    if snapshot is None or "features" not in manifest:
        return

    needed = needed_windows(manifest)
    description = read_description(storage, snapshot)
    features = description.features.get(needed, [])
    if features != manifest["features"]:
        missing = [name for name in manifest["features"] if name not in features]
        raise IncompatibleFeaturesError(
            f"version {manifest['version']} needs features {needed} "
            f"({len(manifest['features'])} of them); the snapshot {snapshot} has {len(features)}"
            f"{', without ' + ', '.join(missing) if missing else ''}: "
            "publish a snapshot that fits first",
            missing=missing,
        )
    if (lookback := needed_lookback(manifest)) > description.lookback:
        raise IncompatibleFeaturesError(
            f"version {manifest['version']} looks back {lookback} sessions; "
            f"the snapshot {snapshot} holds windows of {description.lookback}: publish a snapshot "
            "that fits first",
            have=description.lookback,
            needed=lookback,
        )


def check_features_version(
    storage: Storage, manifest: dict[str, Any], snapshot: str | None
) -> None:
    """Raise IncompatibleFeaturesError if the snapshot's features are of another version.

    For a version that is to replace another. What is live already, and what a rollback goes back
    to, must answer after a change of the features too; its answers are marked as degraded.
    """
    if snapshot is not None and learned_from_other_features(
        manifest, read_description(storage, snapshot).features_version
    ):
        raise IncompatibleFeaturesError(
            f"version {manifest['version']} learned from features of another version "
            f"than those of the snapshot {snapshot}: publish a snapshot first, "
            "or train again if the features have changed since the training"
        )


def rollback(
    storage: Storage, namespace: str, model_type: str, *, who: str, why: str
) -> ReleaseState:
    """Go back to the version that was live before, if the served snapshot fits it.

    Raises:
        As :meth:`b3shared.registry.release.Release.rollback`, and IncompatibleFeaturesError.
    """
    key = ModelKey.checked(namespace, model_type)

    def check(state: ReleaseState) -> None:
        before = Registry(storage, namespace).manifest(key.model_type, state.previous(key))
        check_features(storage, before, state.snapshot)

    return Release(storage).rollback(namespace, model_type, who=who, why=why, check=check)


def served_manifests(storage: Storage, state: ReleaseState) -> list[dict[str, Any]]:
    """List the manifests of every version that is live or that a rollback may reach.

    A snapshot is to have what all of them need.
    """
    return [
        Registry(storage, key.namespace).manifest(key.model_type, version)
        for key in state.live
        for version in state.past(key)
    ]


def check_live(storage: Storage, snapshot: str, state: ReleaseState) -> None:
    """Raise IncompatibleFeaturesError if a stored snapshot lacks what a live version needs."""
    for key, version in state.live.items():
        manifest = Registry(storage, key.namespace).manifest(key.model_type, version)
        check_features(storage, manifest, snapshot)
