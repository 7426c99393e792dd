"""Step 4: search, train, calibrate; and what the model says of every labelled row of the parts."""

from pathlib import Path
from typing import Any

import numpy as np

from b3shared.models.base import model_class
from b3shared.pipeline.runner import Context
from b3shared.pipeline.table import load_parts, load_table, newest_rows

PREDICTIONS = "predictions.npz"


def execute(context: Context) -> tuple[list[Path], dict[str, Any]]:
    """Fit on ``train``, calibrate on ``val``, save with checked parity, and forecast all three parts."""
    data, parts = load_table(context), load_parts(context)
    model = model_class(context.params.model_type)(context.params)
    summary = model.fit(data, parts["train"], parts["val"], context.progress)
    files = model.save(context.out, data.take(newest_rows(data)))
    forecasts: dict[str, Any] = {}
    for name, rows in parts.items():
        forecast = model.forecast(data, rows)
        forecasts[name] = forecast.probabilities
        if forecast.returns is not None:
            forecasts[f"{name}_returns"] = forecast.returns
    path = context.out / PREDICTIONS
    np.savez(path, allow_pickle=False, **forecasts)
    return [*files, path], summary
