"""Step 4: search, train and calibrate the model, and forecast every part's rows with it."""

from pathlib import Path
from typing import Any

from b3shared.models.base import model_class
from b3shared.pipeline.artifacts import load_parts, load_table, newest_covered, save_predictions
from b3shared.pipeline.runner import Context


def execute(context: Context) -> tuple[list[Path], dict[str, Any]]:
    """Fit on ``train``, calibrate on ``val``, save with checked parity, and forecast all parts."""
    data = load_table(context)
    parts = load_parts(context)

    model = model_class(context.params.model_type)(context.params)
    summary = model.fit(data, parts["train"], parts["val"], context.session)
    files = model.save(context.out, data, newest_covered(model, data))

    covered = {part: rows[model.covers(data, rows)] for part, rows in parts.items()}
    forecasts = {part: model.forecast(data, rows) for part, rows in covered.items()}
    return [*files, save_predictions(context.out, covered, forecasts)], summary
