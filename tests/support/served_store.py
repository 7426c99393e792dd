"""Makes a small store that predictions can be served from.

The models are a line of NumPy each, and the windows hold known numbers.
"""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from b3shared.params.run import PipelineParams
from b3shared.quotes.calendar import sessions_after
from b3shared.registry.compatibility import Universe, windows_name
from b3shared.registry.release import Release
from b3shared.registry.release_state import KEY
from b3shared.registry.versions import Registry
from b3shared.serving.snapshot import AHEAD, Snapshot
from b3shared.storage import FolderStorage, Storage

FEATURES = ("momentum", "volatility", "volume")
TICKERS = ("BBAS3", "PETR3", "PETR4", "VALE3")
MEDIANS = (0.1, -0.2, 0.3)
WINDOWS = windows_name("v2", Universe(PipelineParams().min_turnover))
SCALE = {"horizon": 4, "level": 0.8, "quantile": 1.5}
VOLATILITY = (0.01, 0.02, 0.03, 0.04)


def weights(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of a tiny model: (features, 3) for actions, (features, 1) for returns."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(len(FEATURES), 3)).astype(np.float32), rng.normal(
        size=(len(FEATURES), 1)
    ).astype(np.float32)


def tiny_onnx(seed: int, sequences: bool) -> bytes:
    """Return an ONNX model that computes softmax(features @ actions).

    For sequences, the features are their mean over the sessions, and the model gives returns too.
    """
    actions, returns = weights(seed)
    shape: list[Any] = [None, None, len(FEATURES)] if sequences else [None, len(FEATURES)]
    nodes = [
        helper.make_node("MatMul", ["row", "actions"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    outputs = [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 3])]
    first = helper.make_node("Identity", ["features"], ["row"])
    if sequences:
        first = helper.make_node("ReduceMean", ["features"], ["row"], axes=[1], keepdims=0)
        nodes.append(helper.make_node("MatMul", ["row", "weights"], ["returns"]))
        outputs.append(helper.make_tensor_value_info("returns", TensorProto.FLOAT, [None, 1]))
    graph = helper.make_graph(
        [first, *nodes],
        "tiny",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, shape)],
        outputs,
        [numpy_helper.from_array(actions, "actions"), numpy_helper.from_array(returns, "weights")],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    ).SerializeToString()


def register_tiny(
    storage: Storage,
    folder: Path,
    seed: int,
    kind: str = "rf",
    skill: str = "weak",
    features_version: int | None = None,
    change: Callable[[Path], object] = lambda _: None,
    **params: Any,
) -> str:
    """Register a model of :func:`tiny_onnx` and return its version; an LSTM takes sequences.

    ``change`` may change the files before they are registered.
    """
    folder.mkdir(exist_ok=True, parents=True)
    shares = [0.25, 0.45, 0.3]
    metadata = {
        "feature_names": list(FEATURES),
        "calibration": {"temperature": 1.0, "grown": [1 / 3] * 3, "shares": shares},
        "base_rates": shares,
        "decision": "lift",
        "importance": dict.fromkeys(FEATURES, 1 / 3),
        "medians": list(MEDIANS),
        "seed": seed,
    } | ({"return_scale": SCALE} if kind == "lstm" else {})
    files = [folder / "model.onnx", folder / "model.json"]
    files[0].write_bytes(tiny_onnx(seed, sequences=kind == "lstm"))
    files[1].write_text(json.dumps(metadata))
    change(folder)
    manifest = {
        "train_end": "2023-12-26",
        "feature_set": "v2",
        "features": list(FEATURES),
        "target": "direction, horizon 2, width 0.5",
        "evaluated": {"skill": skill},
        "features_version": features_version,
        "params": PipelineParams.from_values({"model_type": kind} | params).model_dump(mode="json"),
    }
    return Registry(storage, "models").register(kind, files, manifest)


def tiny_snapshot(
    as_of: str = "2023-12-28", lookback: int = 4, tickers: tuple[str, ...] = TICKERS
) -> Snapshot:
    """Windows of random numbers, for tickers that traded on the newest sessions."""
    count = len(tickers)
    windows = (
        np.random.default_rng(len(as_of))
        .normal(size=(count, lookback, len(FEATURES)))
        .astype(np.float32)
    )
    return Snapshot(
        as_of=np.datetime64(as_of, "D"),
        ticker=np.array(tickers),
        company=np.array([f"COMPANHIA {ticker[:4]}" for ticker in tickers]),
        isin=np.array([f"BR{ticker}" for ticker in tickers]),
        date=np.full(count, np.datetime64(as_of, "D")),
        age=np.zeros(count, np.int32),
        sessions=np.full(count, 700, np.int32),
        close=np.arange(1, count + 1) * 10.0,
        volatility=np.resize(VOLATILITY, count),
        turnover=np.full(count, 5e7),
        names={WINDOWS: FEATURES},
        windows={WINDOWS: windows},
        slots={WINDOWS: np.tile(np.arange(100, 100 + lookback, dtype=np.int32), (count, 1))},
        upcoming=sessions_after(date.fromisoformat(as_of), AHEAD),
        dividends_until=np.full(count, np.datetime64(as_of, "D")),
    )


def serve(storage: Storage, snapshot: Snapshot, folder: Path) -> str:
    """Store a snapshot and point the release at it."""
    folder.mkdir(exist_ok=True, parents=True)
    key = snapshot.save(storage, folder)
    Release(storage).set_snapshot(key, str(snapshot.as_of), who="test")
    return key


class WatchedStorage(FolderStorage):
    """A folder that writes down every look at the release, and that can be out of reach."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.looks: list[str] = []
        self.reads: list[str] = []
        self.down = False

    def read_versioned(self, key: str) -> tuple[bytes, str] | None:
        self._look(key, "plain")
        return super().read_versioned(key)

    def read_if_changed(self, key: str, etag: str) -> tuple[bytes, str] | None:
        self._look(key, "conditional")
        return FolderStorage(self.url).read_if_changed(key, etag)

    def _receive(self, key: str, path: Path) -> None:
        self._look(key, "download")
        super()._receive(key, path)

    def folders(self, prefix: str = "") -> list[str]:
        self.reads.append(f"folders of {prefix}")
        return super().folders(prefix)

    def _look(self, key: str, how: str) -> None:
        self.reads.append(key)
        if key == KEY:
            self.looks.append(how)
        if self.down:
            raise OSError("out of reach")
