"""Exports the network to one ONNX file, and checks that the file answers as the network."""

import copy
import logging
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.core.tempdir import temporary_cache
from b3shared.models.base import Forecast
from b3shared.models.lstm.batches import raw_forecast
from b3shared.models.lstm.network import MultiTaskLSTM
from b3shared.models.lstm.windows import Windows
from b3shared.models.parity import TOLERANCE, assert_close
from b3shared.models.scorer import Scorer, open_session

CHECKED = 2048
"""Windows that are compared at most."""


class _Served(nn.Module):
    """The network with the names and the softmax of the served form."""

    def __init__(self, network: MultiTaskLSTM) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        away = self.network.distance(features)
        # asinh by its formula: ONNX Runtime's own works a value at a time, and took as long as the
        # rest of a forecast
        scaled = torch.sign(away) * torch.log(away.abs() + torch.sqrt(away * away + 1))
        logits, returns = self.network.answer(scaled)
        return torch.softmax(logits, dim=1), returns


def export_network(network: MultiTaskLSTM, lookback: int) -> bytes:
    """Convert a trained network to ONNX; equal networks give equal bytes.

    Returns:
        An ONNX model in one piece: input "features" float32 (batch, lookback, features), outputs
        "probabilities" float32 (batch, 3), uncalibrated, and "returns" float32 (batch,), in units
        of volatility.
    """
    served = _Served(copy.deepcopy(network).cpu()).eval()
    example = torch.zeros(2, lookback, len(network.center))
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    with warnings.catch_warnings(), temporary_cache("TORCHINDUCTOR_CACHE_DIR"):
        warnings.simplefilter("ignore")  # of torch about its own parts
        quiet.setLevel(logging.ERROR)
        try:
            program = torch.onnx.export(
                served,
                (example,),
                dynamo=True,
                verbose=False,
                external_data=False,
                input_names=["features"],
                output_names=["probabilities", "returns"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
        finally:
            quiet.setLevel(level)
    assert program is not None  # noqa: S101 - dynamo=True always returns one

    model = program.model_proto
    _forget_the_source(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _forget_the_source(model: Any) -> None:
    """Drop the exporter's notes: stack traces with the paths of this machine."""
    graph = model.graph

    for noted in (
        model,
        graph,
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.value_info,
        *graph.initializer,
    ):
        del noted.metadata_props[:]
        noted.doc_string = ""


def assert_network_parity(
    onnx: bytes, network: MultiTaskLSTM, windows: Windows, rows: IntArray
) -> tuple[dict[str, Any], FloatArray]:
    """Compare the outputs of both forms, for one window alone and the others at once.

    Args:
        onnx: the exported network.
        network: the trained one.
        windows: of the table.
        rows: newest row of each window.

    Returns:
        JSON-able: as :func:`b3shared.models.parity.assert_close`, with ``max_difference_returns``,
        in units of volatility; and the windows compared, (checked, lookback, features) float32.

    Raises:
        ParityError: A difference above :data:`b3shared.models.parity.TOLERANCE`, or no window to
            check.
    """
    checked = spread(rows)
    X = np.empty((windows.lookback, len(checked), windows.X.shape[1]), dtype=np.float32)
    windows.gather(checked, X)
    X = np.ascontiguousarray(X.transpose(1, 0, 2))
    probabilities, returns = raw_forecast(network, windows, checked)

    session = open_session(onnx)
    names = ["probabilities", "returns"]
    answers = [session.run(names, {"features": part}) for part in (X[:1], X[1:]) if len(part)]
    outputs = [
        np.concatenate([none, *(answer[n] for answer in answers)])
        for n, none in enumerate((np.empty((0, 3)), []))
    ]
    parity: dict[str, Any] = dict(assert_close(outputs[0], probabilities))
    units = assert_close(outputs[1][:, None], returns[:, None], what="return, in volatilities")
    return parity | {"max_difference_returns": units["max_difference"]}, X


def assert_served_parity(
    onnx: bytes,
    metadata: Mapping[str, Any],
    X: FloatArray,
    volatility: FloatArray,
    expected: Forecast,
) -> None:
    """Compare the scorer's forecast with the trained model's: calibrated, in fractions.

    Args:
        onnx: the exported network.
        metadata: content of ``model.json``.
        X: (rows, lookback, features) float32.
        volatility: (rows,) trailing daily volatility.
        expected: of the same rows.

    Raises:
        ParityError: A difference above the tolerance.
    """
    served = Scorer(onnx, metadata).score(X, volatility)
    # a temperature below 1 magnifies float32 rounding by as much
    tolerance = TOLERANCE / min(1.0, metadata["calibration"]["temperature"])
    assert_close(served.probabilities, expected.probabilities, tolerance)
    for answer, forecast in (
        (served.returns, expected.returns),
        (served.intervals, expected.intervals),
    ):
        assert answer is not None and forecast is not None  # noqa: S101, PT018 - both have a return scale
        assert_close(answer.reshape(len(X), -1), forecast.reshape(len(X), -1), what="return")


def spread(rows: IntArray) -> IntArray:
    """Choose at most :data:`CHECKED` of the rows, evenly spread."""
    return rows[np.linspace(0, len(rows) - 1, min(CHECKED, len(rows))).astype(np.int64)]
