"""The training table and its parts, as the later steps read them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from b3shared.core.arrays import Array, IntArray
from b3shared.dataset.table import Dataset
from b3shared.models.base import Forecast, Model
from b3shared.params.steps import Step
from b3shared.pipeline.runner import Context

PREDICTIONS = "predictions.npz"


SPLIT = "split.npz"


QUOTES = "quotes.parquet"
"""The artifact, where one shard is enough."""


def load_table(context: Context) -> Dataset:
    """The training table."""
    return Dataset.load(context.inputs(Step.PREPROCESS_DATA))


def load_parts(context: Context) -> dict[str, IntArray]:
    """Row indices of ``train``, ``val`` and ``test``."""
    with np.load(context.inputs(Step.SPLIT_DATA, SPLIT) / SPLIT, allow_pickle=False) as stored:
        return {name: stored[name] for name in ("train", "val", "test")}


def newest_covered(model: Model, data: Dataset) -> IntArray:
    """The last row of every ticker that the model covers, labelled or not; a gap may keep the ticker's newest ones out."""
    rows = np.arange(len(data))
    covered = rows[model.covers(data, rows)]
    return covered[last_of_each(data.ticker[covered])]


def last_of_each(ticker: Array) -> IntArray:
    """Positions of the last row of every ticker, in rows sorted by ticker."""
    return np.flatnonzero(np.append(ticker[1:] != ticker[:-1], True))


def shard_names(artifacts: Mapping[str, Any]) -> list[str]:
    """The step's artifacts with quotes, in the order of their tickers."""
    return sorted(name for name in artifacts if name.startswith("quotes"))


def load_predictions(path: Path) -> tuple[dict[str, IntArray], dict[str, Forecast]]:
    """By part: the rows that the model covers, and what it said of them."""
    with np.load(path, allow_pickle=False) as stored:
        parts = [name.removesuffix("_rows") for name in stored.files if name.endswith("_rows")]
        said = ("probabilities", "returns", "intervals")
        forecasts = {
            part: Forecast(**{what: stored.get(f"{part}_{what}") for what in said})
            for part in parts
        }
        return {part: stored[f"{part}_rows"] for part in parts}, forecasts
