"""Step 1: quotes of the period and the tickers, clean, with what was found and left out."""

from pathlib import Path
from typing import Any

from b3shared.pipeline.runner import Context
from b3shared.quotes.loading import load_quotes
from b3shared.quotes.sources import ParquetSource, QuoteSource, open_source
from b3shared.quotes.tables import write_parquet

QUOTES = "quotes.parquet"


def execute(context: Context) -> tuple[list[Path], dict[str, Any]]:
    """Read the deployment's quotes, or the Parquet file that the user gave as input."""
    source: QuoteSource = open_source(context.settings.quotes)
    if context.plan.input:
        given = context.plan.input
        path = context.storage.download(given.key, context.folder / "given.parquet", given.sha256)
        source = ParquetSource(path, given.key)
    quotes = load_quotes(source, context.params)
    return [write_parquet(quotes.frame, context.out / QUOTES)], quotes.report
