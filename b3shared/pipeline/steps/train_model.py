"""Step 4: search, train, calibrate; and what the model says of every labelled row of the parts."""

from pathlib import Path
from typing import Any

import numpy as np

from b3shared.dataset.table import IntArray
from b3shared.models.base import Forecast, model_class
from b3shared.pipeline.runner import Context
from b3shared.pipeline.artifacts import load_parts, load_table, newest_covered

PREDICTIONS = "predictions.npz"


def execute(context: Context) -> tuple[list[Path], dict[str, Any]]:
    """Fit on ``train``, calibrate on ``val``, save with checked parity, and forecast all three parts."""
    data, parts = load_table(context), load_parts(context)
    model = model_class(context.params.model_type)(context.params)
    summary = model.fit(data, parts["train"], parts["val"], context.session)
    files = model.save(context.out, data, newest_covered(model, data))
    stored: dict[str, Any] = {}
    for name, rows in parts.items():
        covered = rows[model.covers(data, rows)]
        forecast = model.forecast(data, covered)
        stored |= {f"{name}_rows": covered, f"{name}_probabilities": forecast.probabilities}
        if forecast.returns is not None:
            stored |= {f"{name}_returns": forecast.returns, f"{name}_intervals": forecast.intervals}
    path = context.out / PREDICTIONS
    np.savez(path, allow_pickle=False, **stored)
    return [*files, path], summary


def load_predictions(path: Path) -> tuple[dict[str, IntArray], dict[str, Forecast]]:
    """By part: the rows that the model covers, and what it said of them."""
    with np.load(path, allow_pickle=False) as stored:
        parts = [name.removesuffix("_rows") for name in stored.files if name.endswith("_rows")]
        said = ("probabilities", "returns", "intervals")
        forecasts = {part: Forecast(**{what: stored.get(f"{part}_{what}") for what in said}) for part in parts}
        return {part: stored[f"{part}_rows"] for part in parts}, forecasts
