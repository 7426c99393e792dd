"""A model for the catalogue's test: softmax regression on standardised features."""

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from pydantic import Field

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.core.vocabulary import CLASSES
from b3shared.dataset.table import Dataset
from b3shared.models.base import Forecast, Model, TrainingSession, trained_on
from b3shared.models.calibration import Calibration
from b3shared.models.parity import assert_parity
from b3shared.params.base import Params


class ToyParams(Params):
    rounds: int = Field(default=20, ge=1, le=100, description="gradient steps")
    step_width: float = Field(default=0.5, gt=0, le=10, description="width of a gradient step")


class ToyModel(Model):
    """Weights (features + 1, classes) on clipped features; the last row is the intercept."""

    weights: FloatArray

    def fit(
        self, data: Dataset, train: IntArray, val: IntArray, session: TrainingSession
    ) -> dict[str, Any]:
        self._learn(data, train, session)
        raw = self._raw(data.X[val])
        self.calibration = self.calibration.fit(raw, data.label[val])
        return self.summary

    def refit(self, data: Dataset, rows: IntArray, session: TrainingSession) -> Self:
        again = type(self)(self.params)
        again._learn(data, rows, session)
        again.calibration = self.calibration.with_priors_of(again.calibration)
        return again

    def forecast(self, data: Dataset, rows: IntArray) -> Forecast:
        return Forecast(self.calibration.apply(self._raw(data.X[rows])))

    @property
    def base_rates(self) -> FloatArray:
        return np.array(self.calibration.shares)

    def importance(self) -> dict[str, float]:
        size = np.abs(self.weights[:-1]).sum(axis=1)
        return dict(zip(self.feature_names, (size / size.sum()).tolist(), strict=True))

    def save(self, folder: Path, data: Dataset, check: IntArray) -> list[Path]:
        onnx = self._exported()
        X = np.asarray(data.X[check], dtype=np.float32)
        metadata = self._metadata(parity=assert_parity(onnx, X, self._raw(X)))
        native, paths = self._write_served(folder, onnx, json.dumps(metadata))
        native.write_text(json.dumps(self.weights.tolist()), encoding="utf-8")
        return paths

    @classmethod
    def load(cls, folder: Path, params: Any) -> Self:
        native, metadata = cls._read_metadata(folder, params)
        model = cls(params)
        model.weights = np.array(json.loads(native.read_text(encoding="utf-8")))
        model.calibration = Calibration.from_json(metadata["calibration"])
        model.feature_names = tuple(metadata["feature_names"])
        model.medians = np.array(metadata["medians"])
        model.summary = metadata["summary"]
        return model

    def _learn(self, data: Dataset, rows: IntArray, session: TrainingSession) -> None:
        own = self.params.own(ToyParams)
        X, y = data.X[rows], data.label[rows]
        self.feature_names = data.feature_names
        self.medians = np.median(X, axis=0).astype(np.float64)
        self.weights = np.zeros((X.shape[1] + 1, len(CLASSES)))
        inputs = np.column_stack([np.clip(X, -3, 3), np.ones(len(X))])

        for done in range(own.rounds):
            session.progress({"phase": "train", "done": done, "total": own.rounds})
            error = self._raw(X) - np.eye(len(CLASSES))[y]
            self.weights -= own.step_width / len(X) * inputs.T @ error
        self.calibration = Calibration.from_labels(y, balanced=False)
        self.summary = {"rounds": own.rounds, **trained_on(data, rows)}

    def _raw(self, X: FloatArray) -> FloatArray:
        logits = np.clip(X, -3, 3) @ self.weights[:-1] + self.weights[-1]
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def _exported(self) -> bytes:
        width = len(self.feature_names)
        constants = {
            "low": np.float32(-3),
            "high": np.float32(3),
            "slopes": self.weights[:-1].astype(np.float32),
            "intercept": self.weights[-1].astype(np.float32),
        }
        nodes = [
            helper.make_node("Clip", ["features", "low", "high"], ["clipped"]),
            helper.make_node("MatMul", ["clipped", "slopes"], ["product"]),
            helper.make_node("Add", ["product", "intercept"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"]),
        ]

        graph = helper.make_graph(
            nodes,
            "toy",
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, width])],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 3])],
            [numpy_helper.from_array(np.asarray(c), name) for name, c in constants.items()],
        )
        opset = [helper.make_opsetid("", 13)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        return model.SerializeToString()
