"""Artifacts that a step leaves to later steps: their names, and how they are written and read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from b3shared.core.arrays import Array, IntArray
from b3shared.dataset.market import MARKET, Market
from b3shared.dataset.split import PARTS, Split
from b3shared.dataset.table import Dataset
from b3shared.models.base import Forecast, Model
from b3shared.params.steps import Step
from b3shared.pipeline.runner import Context

QUOTES = "quotes.parquet"
"""Loaded quotes, where one shard is enough."""

SPLIT = "split.npz"
PREDICTIONS = "predictions.npz"

_FORECAST_FIELDS = ("probabilities", "returns", "intervals")


def shard_names(artifacts: Mapping[str, Any]) -> list[str]:
    """Return the names of the artifacts with quotes, in the order of their tickers."""
    return sorted(name for name in artifacts if name.startswith("quotes"))


def load_table(context: Context) -> Dataset:
    """Load the training table."""
    return Dataset.load(context.inputs(Step.PREPROCESS_DATA))


def load_market_of(context: Context) -> Market:
    """Load the market that was kept with the quotes; it knows nothing in a run without one."""
    if MARKET not in context.plan.upstream[Step.LOAD_DATA].artifacts:
        return Market()
    return Market.load(context.inputs(Step.LOAD_DATA, MARKET) / MARKET)


def save_split(folder: Path, split: Split) -> Path:
    """Write the row indices of the parts and return the path."""
    path = folder / SPLIT
    rows = {part: getattr(split, part) for part in PARTS}
    np.savez(path, allow_pickle=False, **rows)
    return path


def load_parts(context: Context) -> dict[str, IntArray]:
    """Load the row indices of ``train``, ``val`` and ``test``."""
    with np.load(context.inputs(Step.SPLIT_DATA, SPLIT) / SPLIT, allow_pickle=False) as stored:
        return {part: stored[part] for part in PARTS}


def save_predictions(
    folder: Path, rows: Mapping[str, IntArray], forecasts: Mapping[str, Forecast]
) -> Path:
    """Write each part's covered rows and their forecasts, and return the path."""
    stored: dict[str, Any] = {}
    for part, forecast in forecasts.items():
        stored[f"{part}_rows"] = rows[part]
        for field in _FORECAST_FIELDS:
            if (values := getattr(forecast, field)) is not None:
                stored[f"{part}_{field}"] = values

    path = folder / PREDICTIONS
    np.savez(path, allow_pickle=False, **stored)
    return path


def load_predictions(path: Path) -> tuple[dict[str, IntArray], dict[str, Forecast]]:
    """Load what :func:`save_predictions` wrote: covered rows by part, and forecasts by part."""
    with np.load(path, allow_pickle=False) as stored:
        parts = [name.removesuffix("_rows") for name in stored.files if name.endswith("_rows")]
        rows = {part: stored[f"{part}_rows"] for part in parts}
        forecasts = {
            part: Forecast(**{field: stored.get(f"{part}_{field}") for field in _FORECAST_FIELDS})
            for part in parts
        }
    return rows, forecasts


def newest_covered(model: Model, data: Dataset) -> IntArray:
    """Return the last row of every ticker that the model can forecast, labelled or not.

    It may be older than the ticker's last row: a model of sequences cannot forecast rows soon after
    a hole.
    """
    rows = np.arange(len(data))
    covered = rows[model.covers(data, rows)]
    return covered[last_of_each(data.ticker[covered])]


def last_of_each(ticker: Array) -> IntArray:
    """Return positions of the last row of every ticker, in rows sorted by ticker."""
    return np.flatnonzero(np.append(ticker[1:] != ticker[:-1], True))
