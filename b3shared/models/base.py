"""What a model is to the rest of the project. Adding one means writing one subclass and naming it in ``MODELS``."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Self

from b3shared.dataset import Dataset, FloatArray, IntArray
from b3shared.models import MODELS
from b3shared.params import PipelineParams

Progress = Callable[[dict[str, Any]], None]
"""Called now and then with a small JSON-able dict: what is being done, how much of it, the figures so far."""

ONNX_FILE, METADATA_FILE = "model.onnx", "model.json"
"""The served form of a model, and what it needs to be used: feature names, calibration, base rates, importance."""


@dataclass(frozen=True)
class Forecast:
    """What a model says of some rows.

    Attributes:
        probabilities: (rows, 3) float64 in the order of :data:`b3shared.dataset.CLASSES`, calibrated, rows sum to 1.
        returns: (rows,) float64 total return over the horizon, a fraction; None for a model that does not say.
    """

    probabilities: FloatArray
    returns: FloatArray | None = None


class Model(ABC):
    """A trainable model. ``fit`` once, then ``forecast``; ``save`` writes all that serving and auditing need."""

    model_type: ClassVar[str]

    def __init__(self, params: PipelineParams) -> None:
        self.params = params

    @abstractmethod
    def fit(self, data: Dataset, train: IntArray, val: IntArray, progress: Progress) -> dict[str, Any]:
        """Choose and train on the rows ``train``, calibrate on ``val``; return a JSON-able summary of what was chosen."""

    @abstractmethod
    def refit(self, data: Dataset, rows: IntArray, progress: Progress) -> Self:
        """The same configuration and calibration, trained again on ``rows``."""

    @abstractmethod
    def forecast(self, data: Dataset, rows: IntArray) -> Forecast:
        """Score the given rows."""

    @property
    @abstractmethod
    def base_rates(self) -> FloatArray:
        """(3,) float64 class shares of the rows it was trained on, for :func:`b3shared.decision.decide`."""

    @abstractmethod
    def importance(self) -> dict[str, float]:
        """Weight of each feature, non-negative, summing to 1."""

    @abstractmethod
    def save(self, folder: Path, check: Dataset) -> list[Path]:
        """Write the native model file, ``model.onnx`` and ``model.json`` into ``folder``; return their paths.

        The ONNX file is scored on the rows of ``check`` and compared with the trained model first.

        Raises:
            ParityError: The export differs by more than 1e-5.
        """

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, params: PipelineParams) -> Self:
        """Read the native model file that this project itself wrote (checked by hash before by the caller)."""


def model_class(model_type: str) -> type[Model]:
    """The class for a model type."""
    module, name = MODELS[model_type].split(":")
    found: type[Model] = getattr(import_module(module), name)
    return found
