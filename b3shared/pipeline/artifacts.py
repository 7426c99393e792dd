"""The training table and its parts, as the later steps read them."""

import numpy as np

from b3shared.dataset.table import Array, Dataset, IntArray
from b3shared.models.base import Model
from b3shared.params.run import Step
from b3shared.pipeline.runner import Context
from b3shared.pipeline.steps.split_data import SPLIT


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
