"""Stage 5: save a model as a version of the registry, load one."""

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from b3shared.core.config import Settings
from b3shared.core.versions import features_version_of
from b3shared.models.base import Model, model_class
from b3shared.params.models import DEFAULT_MODEL_TYPE, model_spec
from b3shared.params.run import PipelineParams
from b3shared.registry.manifest import Lineage, build_manifest
from b3shared.registry.release import Release
from b3shared.registry.versions import Registry
from b3shared.services.frames import to_table
from b3shared.storage import Storage, open_storage


class B3ModelSavingService:
    """Immutable, hashed versions of models; which of them is live is the release's business.

    Args:
        storage: folder, ``s3://`` address or opened storage; None is the deployment's
            (``B3_STORAGE``).
    """

    def __init__(self, storage: str | Path | Storage | None = None) -> None:
        if storage is None:
            storage = Settings.from_environment().storage
        self.storage = storage if isinstance(storage, Storage) else open_storage(storage)

    def save_model(
        self,
        model: Model,
        X_check: pd.DataFrame,
        df_processed: pd.DataFrame | None = None,
        *,
        model_dir: str = "models",
        evaluation: Any = None,
        manifest: dict[str, Any] | None = None,
    ) -> str:
        """Register a trained model and return its version, which is not live yet.

        Args:
            model: trained.
            X_check: some rows of features, on which the served form is compared with the model: for
                the LSTM whole windows, so more than ``lookback`` sessions of a ticker.
            df_processed: the second result of ``preprocess_data``; the LSTM needs it. It knows
                where the quotes come from; else ``X_check`` does.
            model_dir: namespace of the registry.
            evaluation: what :class:`B3ModelEvaluationService` returned; stored beside the model.
            manifest: further facts to keep.

        Raises:
            ParityError: The served form does not answer as the model does.
            InvalidQuotesError: The frames are not those of ``preprocess_data``, or the model needs
                ``df_processed``.
        """
        unlabelled = pd.Series(None, X_check.index, dtype=object)
        check, rows = to_table({"check": (X_check, unlabelled)}, model.model_type, df_processed)
        attrs: dict[Any, Any] = (X_check if df_processed is None else df_processed).attrs

        described = build_manifest(
            model.params,
            trained={"refit": False} | model.summary,
            features=list(check.feature_names),
            features_version=features_version_of(attrs),
            lineage=Lineage(**attrs.get("lineage", {})),
            evaluated=None if evaluation is None else evaluation.summary(),
        )
        with tempfile.TemporaryDirectory() as folder:
            files = model.save(Path(folder), check, rows["check"])
            beside = [] if evaluation is None else evaluation.save(Path(folder))
            registry = Registry(self.storage, model_dir)
            return registry.register(
                model.model_type, files, described | (manifest or {}), beside=beside
            )

    def load_model(
        self,
        *,
        model_type: str = DEFAULT_MODEL_TYPE,
        model_dir: str = "models",
        model_version: str | None = None,
    ) -> Model:
        """Load a registered model, by default the live version, checking the hash of each file.

        Raises:
            NothingLiveError: No version is named and none is live.
            UnknownModelError: No such version.
            ArtifactCorruptError: A file is not what was registered.
        """
        kind = model_spec(model_type).name
        registry = Registry(self.storage, model_dir)
        version = model_version or Release(self.storage).live(model_dir, kind)
        params = PipelineParams.from_values(registry.manifest(kind, version)["params"])
        with tempfile.TemporaryDirectory() as folder:
            return model_class(kind).load(registry.fetch(kind, version, Path(folder)), params)
