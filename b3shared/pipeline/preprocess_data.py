"""Step 2: features and labels."""

from pathlib import Path
from typing import Any

from b3shared.params import Step
from b3shared.pipeline.load_data import QUOTES
from b3shared.pipeline.runner import Context
from b3shared.preprocess import preprocess
from b3shared.quotes.quality import clean
from b3shared.quotes.sources import ParquetSource, QuoteQuery


def execute(context: Context) -> tuple[list[Path], dict[str, Any]]:
    """Build the training table of the loaded quotes, or of the user's own edited quotes (cleaned first)."""
    if context.plan.input:
        given = context.plan.input
        path = context.storage.download(given.key, context.folder / QUOTES, given.sha256)
        frame, _ = clean(ParquetSource(path, given.key).read(QuoteQuery()))
    else:
        frame = ParquetSource(context.inputs(Step.LOAD_DATA, QUOTES) / QUOTES).read(QuoteQuery())
    made = preprocess(frame, context.params)
    return made.data.save(context.out), made.report
