"""The control API's routes about registered versions, without HTTP: list, promote, roll back."""

from typing import Any

from b3shared.api.requests import PromoteRequest, RollbackRequest
from b3shared.api.responses import (
    ModelsAnswer,
    ModelVersions,
    MoveAnswer,
    RegisteredVersion,
)
from b3shared.params.models import model_spec
from b3shared.registry.key import ModelKey
from b3shared.registry.promotion import promote, rollback
from b3shared.registry.release import Release
from b3shared.registry.versions import Registry
from b3shared.storage import Storage


class Versions:
    """Lists the versions of a deployment and changes what is live.

    Args:
        storage: of the deployment.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def models(self, model_type: str | None, namespace: str) -> ModelsAnswer:
        """Return the registered versions of one model type (None: of all), and what is live."""
        registry = Registry(self.storage, namespace)
        state = Release(self.storage).state()
        types = registry.types() if model_type is None else [model_spec(model_type).name]

        listed = {}
        for kind in types:
            key = ModelKey(namespace, kind)
            listed[kind] = ModelVersions.model_validate(
                {
                    "live": state.live.get(key),
                    "skill": state.skill.get(key),
                    "versions": [_version(manifest) for manifest in registry.versions(kind)],
                    "events": [event for event in state.events if event["key"] == str(key)],
                }
            )
        return ModelsAnswer(status="success", namespace=namespace, models=listed)

    def promote(self, model_type: str, request: PromoteRequest, who: str) -> MoveAnswer:
        """Make a version live.

        Raises:
            UnknownModelError: It is not registered.
            ConflictError: The race was lost, or ``expected`` is not what is live.
        """
        before = Release(self.storage).state().live
        expected = {"expected": request.expected} if request.checks_live else {}

        after = promote(
            self.storage,
            request.model_dir,
            model_type,
            request.model_version,
            who=who,
            why=request.reason,
            **expected,
        )
        return _moved(request.model_dir, model_type, before, after.live)

    def rollback(self, model_type: str, request: RollbackRequest, who: str) -> MoveAnswer:
        """Go back to the version that was live before."""
        before = Release(self.storage).state().live
        after = rollback(self.storage, request.model_dir, model_type, who=who, why=request.reason)
        return _moved(request.model_dir, model_type, before, after.live)


def _version(manifest: dict[str, Any]) -> RegisteredVersion:
    kept = ("version", "created_at", "train_end", "target", "feature_set", "lineage")
    fields = {name: manifest.get(name) for name in kept}
    return RegisteredVersion.model_validate(fields | {"evaluation": manifest.get("evaluated")})


def _moved(
    namespace: str, model_type: str, before: dict[ModelKey, str], after: dict[ModelKey, str]
) -> MoveAnswer:
    key = ModelKey.checked(namespace, model_type)
    moved = {"status": "success", "model": str(key), "from": before.get(key), "to": after.get(key)}
    return MoveAnswer.model_validate(moved)
