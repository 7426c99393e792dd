"""Stage 5: save a model as a version of the registry, load one."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from b3shared.config import Settings
from b3shared.models.base import Model, model_class
from b3shared.params import MODEL_TYPES, PipelineParams
from b3shared.registry import Registry
from b3shared.release import Release
from b3shared.services.frames import to_dataset
from b3shared.storage import Storage, open_storage


class B3ModelSavingService:
    """Immutable, hashed versions of models; which of them is live is the release's business.

    Args:
        storage: folder, ``s3://`` address or opened storage; None is the deployment's (``B3_STORAGE``).
    """

    def __init__(self, storage: str | Path | Storage | None = None) -> None:
        if storage is None:
            storage = Settings.from_environment().storage
        self.storage = storage if isinstance(storage, Storage) else open_storage(storage)

    def save_model(
        self,
        model: Model,
        X_check: Any,
        *,
        model_dir: str = "models",
        evaluation: Any = None,
        manifest: dict[str, Any] | None = None,
    ) -> str:
        """Register a trained model and return its version. It does not go live: promote it for that.

        Args:
            model: trained.
            X_check: some rows of features, on which the served form is compared with the model.
            model_dir: namespace of the registry.
            evaluation: what :class:`B3ModelEvaluationService` returned; stored beside the model.
            manifest: further facts to keep.

        Raises:
            ParityError: The served form does not answer as the model does.
        """
        check = to_dataset(X_check)
        facts = {
            "train_end": str(check.date.max()),
            "params": model.params.model_dump(mode="json"),
            **(manifest or {}),
        }
        with tempfile.TemporaryDirectory() as folder:
            files = model.save(Path(folder), check, np.arange(len(check)))
            if evaluation is not None:
                files += evaluation.save(Path(folder))
            return Registry(self.storage, model_dir).register(model.model_type, files, facts)

    def load_model(self, *, model_type: str = "rf", model_dir: str = "models", model_version: str | None = None) -> Model:
        """A registered model, every file checked by its hash; the live version unless one is named.

        Raises:
            NothingLiveError: No version is named and none is live.
            UnknownModelError: No such version.
            ArtifactCorruptError: A file is not what was registered.
        """
        kind = MODEL_TYPES.get(model_type, model_type)
        registry = Registry(self.storage, model_dir)
        version = model_version or Release(self.storage).live(model_dir, kind)
        params = PipelineParams.of(registry.manifest(kind, version)["params"])
        with tempfile.TemporaryDirectory() as folder:
            return model_class(kind).load(registry.fetch(kind, version, Path(folder)), params)
