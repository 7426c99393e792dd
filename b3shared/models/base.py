"""The interface of a model: training, forecasting, saving, loading.

To add one, write a subclass and register it in :mod:`b3shared.params.models`.
"""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.core.errors import ArtifactNotFoundError
from b3shared.core.vocabulary import CLASSES
from b3shared.dataset.table import Dataset
from b3shared.models.calibration import Calibration
from b3shared.params.models import model_spec
from b3shared.params.run import PipelineParams

Progress = Callable[[dict[str, Any]], None]
"""Receives progress now and then: a small JSON-able dict of phase, amount done and figures."""

ONNX_FILE = "model.onnx"
"""The served form of a model."""

METADATA_FILE = "model.json"
"""What the scorer needs beside it: feature names, calibration, base rates, importance."""


class Checkpoint(Protocol):
    """Stores the work of a long training, which may be killed and called again."""

    def load(self) -> bytes | None:
        """Return what this attempt or an earlier one saved last; None if nothing was saved."""
        ...

    def restart(self) -> None:
        """Discard what was loaded: it is of another training, and this one begins now."""
        ...

    def save(self, data: bytes) -> None:
        """Keep this in place of what was saved before.

        Raises:
            SupersededError: Another attempt at the same training has taken over; this one must
                stop.
        """
        ...


@dataclass(frozen=True)
class TrainingSession:
    """The surroundings of a training: progress, checkpoint, time limit.

    Attributes:
        progress: receives the progress.
        checkpoint: None where a training that is interrupted simply starts again.
        seconds_left: seconds until the training must have stopped, with what it needs to save its
            work.
    """

    progress: Progress = lambda _: None
    checkpoint: Checkpoint | None = None
    seconds_left: Callable[[], float] = lambda: math.inf


class Unfinished(Exception):  # noqa: N818 - no error: the training goes on when it is called again
    """The session's time is up; all work of the unfinished training is in the checkpoint.

    Args:
        words: how far it is, as for :data:`Progress`.
    """

    def __init__(self, words: dict[str, Any]) -> None:
        super().__init__(f"not finished: {words}")
        self.words = words


@dataclass(frozen=True)
class Forecast:
    """Probabilities, and perhaps returns with intervals, of some rows.

    Attributes:
        probabilities: (rows, 3) float64 in the order of :data:`b3shared.core.vocabulary.CLASSES`,
            calibrated, rows sum to 1.
        returns: (rows,) float64 total return over the horizon, a fraction; None for a model that
            forecasts none.
        intervals: (rows, 2) float64 lower and upper end of the return, of the level the model was
            asked for; likewise.
    """

    probabilities: FloatArray
    returns: FloatArray | None = None
    intervals: FloatArray | None = None


def trained_on(data: Dataset, rows: IntArray) -> dict[str, Any]:
    """Describe the rows of a training for the manifest.

    Args:
        data: the complete table.
        rows: those that the model learned from, labelled.

    Returns:
        ``train_end``: ISO date at whose close the newest of their labels was known;
        ``cross_section``: median number of tickers on a date of the table.
    """
    tickers = np.unique(data.date, return_counts=True)[1]
    return {"train_end": str(data.label_end[rows].max()), "cross_section": int(np.median(tickers))}


def without_clock(summary: dict[str, Any]) -> dict[str, Any]:
    """Drop from a training's summary what differs between equal trainings: seconds and slices.

    A version is named by the hash of its files, so equal trainings must write equal files. The
    step's record keeps the seconds.
    """
    kept = {name: value for name, value in summary.items() if name not in ("seconds", "slices")}
    if "history" in kept:
        kept["history"] = [
            {n: v for n, v in epoch.items() if n != "seconds"} for epoch in kept["history"]
        ]
    return kept


class Model(ABC):
    """A trainable model: ``fit`` once, then ``forecast`` and ``save``.

    Attributes:
        params: of the run.
        calibration: from raw to calibrated probabilities.
        feature_names: columns of the training.
        medians: (features,) float64 of the training rows; what "feature absent" means to an
            explanation by occlusion.
        summary: JSON-able record of the training, with what :func:`trained_on` returns.
    """

    calibration: Calibration
    feature_names: tuple[str, ...]
    medians: FloatArray
    summary: dict[str, Any]

    def __init__(self, params: PipelineParams) -> None:
        self.params = params

    @property
    def model_type(self) -> str:
        """The model type under which the catalogue has the class."""
        return self.params.model_type

    @abstractmethod
    def fit(
        self, data: Dataset, train: IntArray, val: IntArray, session: TrainingSession
    ) -> dict[str, Any]:
        """Train on the rows ``train``, calibrate on ``val``; return a JSON-able summary.

        Raises:
            Unfinished: The session's time is up; call again with the same arguments.
            SupersededError: Another attempt at the same training has taken over.
        """

    @abstractmethod
    def refit(self, data: Dataset, rows: IntArray, session: TrainingSession) -> Self:
        """Train the same configuration again on ``rows``; raises as :meth:`fit`."""

    def covers(self, data: Dataset, rows: IntArray) -> Array:
        """(rows,) bool: which of the rows the model can score.

        A sequence model needs a complete window.
        """
        return np.ones(len(rows), dtype=bool)

    @abstractmethod
    def forecast(self, data: Dataset, rows: IntArray) -> Forecast:
        """Score the given rows, all of them covered."""

    @property
    @abstractmethod
    def base_rates(self) -> FloatArray:
        """(3,) float64 class shares of the training rows; the decision rule divides by them."""

    @abstractmethod
    def importance(self) -> dict[str, float]:
        """Return the weight of each feature, non-negative, summing to 1."""

    @abstractmethod
    def save(self, folder: Path, data: Dataset, check: IntArray) -> list[Path]:
        """Write the trained model's file, ``model.onnx`` and ``model.json``; return their paths.

        The ONNX file is scored on the rows ``check`` of ``data`` (those that the model covers) and
        compared with the trained model first.

        Raises:
            ParityError: The export differs by more than 1e-5.
        """

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, params: PipelineParams) -> Self:
        """Read what :meth:`save` wrote; the caller has compared the files with their hashes."""

    def _metadata(self, **more: Any) -> dict[str, Any]:
        """Describe the model for ``model.json``: what the scorer and an audit need."""
        decides = {
            "model_type": self.model_type,
            "feature_names": list(self.feature_names),
            "classes": list(CLASSES),
            "base_rates": self.base_rates.tolist(),
            "calibration": self.calibration.to_json(),
            "decision": self.params.decision,
        }

        return {
            **decides,
            "importance": self.importance(),
            "medians": self.medians.tolist(),
            "summary": without_clock(self.summary),
            "params": self.params.model_dump(mode="json"),
            **more,
        }

    def _write_served(self, folder: Path, onnx: bytes, text: str) -> tuple[Path, list[Path]]:
        """Write ``model.onnx`` and ``model.json``; return the model file's path, and all paths."""
        folder.mkdir(parents=True, exist_ok=True)
        native = folder / self.params.model_file
        exported = folder / ONNX_FILE
        described = folder / METADATA_FILE
        exported.write_bytes(onnx)
        described.write_text(text + "\n", encoding="utf-8")
        return native, [native, exported, described]

    @staticmethod
    def _read_metadata(folder: Path, params: PipelineParams) -> tuple[Path, dict[str, Any]]:
        """Return the model file's path and ``model.json``; ArtifactNotFoundError without them."""
        native = folder / params.model_file
        described = folder / METADATA_FILE
        for path in (native, described):
            if not path.is_file():
                raise ArtifactNotFoundError(
                    f"{folder} has no {path.name}; saving a model writes it there"
                )
        metadata: dict[str, Any] = json.loads(described.read_text(encoding="utf-8"))
        return native, metadata


def model_class(model_type: str) -> type[Model]:
    """Import the class of a model type."""
    module, _, name = model_spec(model_type).implementation.partition(":")
    found: type[Model] = getattr(import_module(module), name)
    return found
