"""Loads a registered version, so that it can answer."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from b3shared.models.base import METADATA_FILE, ONNX_FILE
from b3shared.models.scorer import Scorer
from b3shared.params.run import PipelineParams
from b3shared.registry.compatibility import needed_windows
from b3shared.registry.versions import Registry


@dataclass(frozen=True)
class Version:
    """A version of a model, loaded.

    Attributes:
        name: of the version, as registered.
        scorer: answers.
        manifest: what was registered.
        params: of the run that made it.
        windows: name of the windows of a snapshot that it needs.
    """

    name: str
    scorer: Scorer
    manifest: dict[str, Any]
    params: PipelineParams
    windows: str

    @classmethod
    def load(cls, registry: Registry, model_type: str, name: str, folder: Path) -> Self:
        """Download a registered version into a folder and read it.

        Raises:
            UnknownModelError: Not registered.
            ArtifactCorruptError: A file is not what was registered.
            SourceUnavailableError: The storage cannot be reached.
        """
        path = registry.fetch(model_type, name, folder, [ONNX_FILE, METADATA_FILE])
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        params = PipelineParams.from_values(manifest["params"])
        return cls(name, Scorer.load(path), manifest, params, needed_windows(manifest))
