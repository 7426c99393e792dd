"""A version or snapshot that loads but cannot answer does not replace what is served."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from live_world import WHO, World, name_of
from onnx import numpy_helper
from served_store import (
    FEATURES,
    TICKERS,
    WINDOWS,
)

from b3shared.registry.release import Release
from b3shared.serving.live import CHECK_SECONDS


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Rewrite ``model.json`` after a change of its content."""
    metadata = json.loads(path.read_text())
    change(metadata)
    path.write_text(json.dumps(metadata))


def without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda metadata: metadata.pop(name)


def with_value(name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda metadata: metadata.update({name: value})


BAD_METADATA = {
    "no importance": without("importance"),
    "no medians": without("medians"),
    "no base rates": without("base_rates"),
    "no calibration": without("calibration"),
    "two base rates": with_value("base_rates", [0.5, 0.5]),
    "a base rate of zero": with_value("base_rates", [0.0, 0.5, 0.5]),
    "a base rate that is NaN": with_value("base_rates", [float("nan"), 0.5, 0.5]),
    "an unknown rule": with_value("decision", "coin"),
    "one feature name fewer": with_value("feature_names", list(FEATURES[:-1])),
    "other feature names": with_value("feature_names", ["a", "b", "c"]),
    "features in another order": with_value("feature_names", list(FEATURES[::-1])),
    "importances of other features": with_value("importance", {"a": 1.0}),
    "one median fewer": with_value("medians", [0.1, 0.2]),
    "two classes calibrated": with_value(
        "calibration", {"temperature": 1.0, "grown": [0.5, 0.5], "shares": [0.5, 0.5]}
    ),
    "a temperature of zero": with_value(
        "calibration", {"temperature": 0.0, "grown": [1 / 3] * 3, "shares": [1 / 3] * 3}
    ),
}


@pytest.mark.parametrize("what", BAD_METADATA)
def test_a_version_that_loads_but_cannot_answer_does_not_replace_what_is_live(
    serving: World, what: str
) -> None:
    first = serving.live.version("rf")
    bad = serving.register(
        2, change=lambda folder: changed(folder / "model.json", BAD_METADATA[what])
    )
    serving.promote(bad)
    live = serving.after(CHECK_SECONDS)
    assert live.version("rf") is first
    (doubt,) = live.doubts("rf", first)
    assert f"version {bad} of models/rf is live but cannot be served" in doubt


@pytest.mark.parametrize("what", ["an output renamed", "other inputs"])
def test_a_network_that_does_not_fit_its_description_does_not_replace_what_is_live(
    serving: World, what: str
) -> None:
    def change(folder: Path) -> None:
        model = onnx.load(folder / "model.onnx")
        if what == "an output renamed":
            model.graph.output[0].name = model.graph.node[-1].output[0] = "answers"
        else:
            model.graph.initializer[0].CopyFrom(
                numpy_helper.from_array(np.ones((2, 3), np.float32), "actions")
            )
            model.graph.input[0].type.tensor_type.shape.dim[-1].dim_value = 2
        onnx.save(model, folder / "model.onnx")

    first = serving.live.version("rf")
    serving.promote(serving.register(2, change=change))
    live = serving.after(CHECK_SECONDS)
    assert live.version("rf") is first
    assert live.doubts("rf", first)


NAN_VOLATILITY = np.full(len(TICKERS), np.nan)
BAD_SNAPSHOTS: dict[str, Callable[[dict[str, np.ndarray]], object]] = {
    "an unknown schema": lambda s: s.update(schema=np.array(9)),
    "windows of text": lambda s: s.update(
        {f"window_{WINDOWS}": s[f"window_{WINDOWS}"].astype(str)}
    ),
    "windows of a feature fewer": lambda s: s.update(
        {f"window_{WINDOWS}": s[f"window_{WINDOWS}"][..., :-1]}
    ),
    "windows of a ticker fewer": lambda s: s.update(
        {f"window_{WINDOWS}": s[f"window_{WINDOWS}"][:-1]}
    ),
    "one feature fewer": lambda s: s.update(
        {
            f"window_{WINDOWS}": s[f"window_{WINDOWS}"][..., :-1],
            f"names_{WINDOWS}": s[f"names_{WINDOWS}"][:-1],
        }
    ),
    "features of other names": lambda s: s.update({f"names_{WINDOWS}": np.array(["a", "b", "c"])}),
    "no features": lambda s: [s.pop(name) for name in list(s) if name.endswith(WINDOWS)],
    "tickers out of order": lambda s: s.update(ticker=s["ticker"][::-1]),
    "a ticker twice": lambda s: s.update(ticker=s["ticker"][[0, 0, 2, 3]]),
    "a ticker fewer": lambda s: s.update(ticker=s["ticker"][:-1]),
    "no ticker": lambda s: s.update(
        {name: value[:0] for name, value in s.items() if value.shape[:1] == (len(TICKERS),)}
    ),
    "ages that are NaN": lambda s: s.update(age=np.full(len(TICKERS), np.nan)),
    "a volatility that is NaN": lambda s: s.update(volatility=NAN_VOLATILITY),
    "a price that is NaN": lambda s: s.update(close=NAN_VOLATILITY),
    "no dates": lambda s: s.update(date=np.full(len(TICKERS), np.datetime64("NaT", "D"))),
    "no price": lambda s: s.pop("close"),
    "only rows without features": lambda s: s.update(
        {f"window_{WINDOWS}": np.full_like(s[f"window_{WINDOWS}"], np.nan)}
    ),
}


@pytest.mark.parametrize("what", BAD_SNAPSHOTS)
def test_a_snapshot_that_loads_but_cannot_answer_does_not_replace_what_is_served(
    serving: World, what: str
) -> None:
    before = serving.live.pair("rf")
    key = serving.serve(as_of="2024-01-02")
    path = serving.folder / "store" / key
    with np.load(path) as stored:
        arrays = dict(stored)
    BAD_SNAPSHOTS[what](arrays)
    np.savez(path, allow_pickle=False, **arrays)

    live = serving.after(CHECK_SECONDS)
    assert live.pair("rf") == before
    assert live.doubts("rf", before[1])


def test_a_snapshot_of_fewer_tickers_is_accepted(serving: World) -> None:
    serving.serve(as_of="2024-01-02", tickers=("PETR4",))  # a smaller lake may be meant
    live = serving.after(CHECK_SECONDS)
    assert live.snapshot.ticker.tolist() == ["PETR4"]
    assert live.doubts("rf", live.version("rf")) == []


def test_a_rollback_is_followed_while_the_snapshot_is_broken(serving: World) -> None:
    first, second = name_of(serving.live), serving.register(2)
    serving.promote(second)
    assert name_of(serving.after(CHECK_SECONDS)) == second
    serving.store.put(serving.serve(as_of="2024-01-02"), b"no snapshot")
    serving.after(CHECK_SECONDS)
    Release(serving.store).rollback("models", "rf", **WHO)
    live = serving.after(CHECK_SECONDS)
    assert (name_of(live), str(live.snapshot.as_of)) == (first, "2023-12-28")
