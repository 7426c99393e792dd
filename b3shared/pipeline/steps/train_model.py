"""Step 4: search, train, calibrate; and what the model says of every labelled row of the parts."""

from pathlib import Path
from typing import Any

import numpy as np

from b3shared.models.base import model_class
from b3shared.pipeline.artifacts import PREDICTIONS, load_parts, load_table, newest_covered
from b3shared.pipeline.runner import Context


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
