"""Step 3: split the rows by date into train, validation and test."""

from pathlib import Path
from typing import Any

from b3shared.dataset.npz import map_npz
from b3shared.dataset.split import Split, purged_split
from b3shared.dataset.table import COLUMNS
from b3shared.params.steps import Step
from b3shared.pipeline.artifacts import save_split
from b3shared.pipeline.runner import Context


def execute(context: Context) -> tuple[list[Path], dict[str, Any]]:
    """Split by date, purged and embargoed; store row indices only."""
    table = map_npz(context.inputs(Step.PREPROCESS_DATA, COLUMNS) / COLUMNS)
    p = context.params
    split = purged_split(
        table["date"],
        table["label_end"],
        test_size=p.test_size,
        val_size=p.val_size,
        embargo_days=p.embargo_days,
    )
    return [save_split(context.out, split)], describe(split)


def describe(split: Split) -> dict[str, Any]:
    """Return sizes, dates and rows left out, as JSON types."""
    sizes = {
        "train_size": len(split.train),
        "validation_size": len(split.val),
        "test_size": len(split.test),
    }
    return {**sizes, "boundaries": split.boundaries, "left_out": split.dropped}
