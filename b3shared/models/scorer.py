"""Scores a saved model with ONNX Runtime and NumPy.

``predict`` imports it, so nothing here may import what trains.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.core.errors import (
    ArtifactNotFoundError,
    IncompatibleFeaturesError,
    InvalidQuotesError,
)
from b3shared.models.base import METADATA_FILE, ONNX_FILE, Forecast
from b3shared.models.calibration import Calibration
from b3shared.models.conformal import ReturnScale
from b3shared.models.decision import decide


def open_session(onnx: bytes) -> Any:
    """Open an ONNX Runtime session on one thread: on Lambda's one vCPU a second only costs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])


class Scorer:
    """A model version ready to score rows.

    Args:
        onnx: content of ``model.onnx``: first input float32 (rows, ..., features), output
            "probabilities" (rows, 3) in the order of :data:`b3shared.core.vocabulary.CLASSES`, and,
            where the model forecasts them, "returns" (rows,) in volatilities.
        metadata: content of ``model.json``; ``feature_names``, ``calibration``, ``base_rates`` and
            ``decision`` are used, and ``return_scale`` where the model forecasts returns.

    Attributes:
        metadata: as given.
        feature_names: names of the last axis of the input, in order.
        calibration: what turns raw probabilities into calibrated ones.
        base_rates: (3,) class shares of the training rows.
        return_scale: what turns the model's returns into fractions with an interval; None if it
            forecasts none.
    """

    def __init__(self, onnx: bytes, metadata: Mapping[str, Any]) -> None:
        self.metadata = metadata
        self.feature_names: tuple[str, ...] = tuple(metadata["feature_names"])
        self.calibration = Calibration.from_json(metadata["calibration"])
        self.base_rates: FloatArray = np.array(metadata["base_rates"], dtype=np.float64)

        self._session = open_session(onnx)
        self._input = self._session.get_inputs()[0]
        forecasts_returns = {output.name for output in self._session.get_outputs()} >= {
            "returns"
        } and "return_scale" in metadata
        self.return_scale = (
            ReturnScale.from_json(metadata["return_scale"]) if forecasts_returns else None
        )

    @property
    def takes_sequences(self) -> bool:
        """Whether an input row is (lookback, features) and not (features,)."""
        return len(self._input.shape) == 3

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read ``model.onnx`` and ``model.json`` of a folder.

        Raises:
            ArtifactNotFoundError: One of the two files is not there.
        """
        for name in (ONNX_FILE, METADATA_FILE):
            if not (folder / name).is_file():
                raise ArtifactNotFoundError(
                    f"{folder} has no {name}; a model folder holds {ONNX_FILE} and {METADATA_FILE}"
                )
        metadata = json.loads((folder / METADATA_FILE).read_text(encoding="utf-8"))
        return cls((folder / ONNX_FILE).read_bytes(), metadata)

    def score(self, X: FloatArray, volatility: FloatArray | None = None) -> Forecast:
        """Return calibrated probabilities, and returns with intervals where there are any.

        Args:
            X: (rows, features), or what shape the model's input has; float32.
            volatility: (rows,) trailing daily volatility, a fraction: the unit of the model's
                returns. Without it the forecast has probabilities only.

        Raises:
            IncompatibleFeaturesError: Not as many axes or features as the model was trained on.
            InvalidQuotesError: A feature or a volatility is NaN or infinite, or there is not one
                volatility a row.
        """
        X = np.ascontiguousarray(X, dtype=np.float32)
        expected = self._input.shape
        if X.ndim != len(expected) or X.shape[-1] != len(self.feature_names):
            raise IncompatibleFeaturesError(
                f"features must have {len(expected)} axes with {len(self.feature_names)} features "
                f"on the last ({', '.join(self.feature_names)}), got shape {X.shape}"
            )

        check_finite(X, self.feature_names)
        if self.return_scale is None or volatility is None:
            (raw,) = self._session.run(["probabilities"], {self._input.name: X})
            return Forecast(self.calibration.apply(raw))
        volatility = check_volatility(volatility, len(X))

        raw, scaled = self._session.run(["probabilities", "returns"], {self._input.name: X})
        returns = self.return_scale.returns(scaled.reshape(len(X)), volatility)
        return Forecast(
            self.calibration.apply(raw), returns, self.return_scale.intervals(returns, volatility)
        )

    def decide(self, forecast: Forecast) -> IntArray:
        """Return class codes of a forecast, by the rule that the model was saved with."""
        return decide(
            forecast.probabilities, self.base_rates, self.metadata["decision"], forecast.returns
        )


def check_finite(X: FloatArray, feature_names: tuple[str, ...]) -> None:
    """Refuse NaN and infinity: a tree would silently send them down one branch.

    Raises:
        InvalidQuotesError: Naming the features.
    """
    finite = np.isfinite(X)
    if not finite.all():
        bad = ~finite.reshape(-1, len(feature_names)).all(axis=0)
        names = [name for name, is_bad in zip(feature_names, bad, strict=True) if is_bad]
        raise InvalidQuotesError(
            f"features {', '.join(names)} hold NaN or infinity; every value must be finite",
            features=names,
        )


def check_volatility(volatility: FloatArray, rows: int) -> FloatArray:
    """Return (rows,) float64; InvalidQuotesError unless there is one finite value a row."""
    volatility = np.asarray(volatility, dtype=np.float64)
    if volatility.shape != (rows,):
        raise InvalidQuotesError(
            f"volatility must have one value for each of {rows} rows, got shape {volatility.shape}"
        )
    if not np.isfinite(volatility).all():
        raise InvalidQuotesError(
            "a volatility is NaN or infinity; every value must be a finite number"
        )
    return volatility
