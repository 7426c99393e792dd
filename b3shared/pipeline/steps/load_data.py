"""Step 1: load and clean the quotes of the period and the tickers, in shards if there are many.

What is known of the market around them is kept with them, so that an evaluation that is repeated
reads the same.
"""

from datetime import date
from pathlib import Path
from typing import Any

from b3shared.dataset.market import Market
from b3shared.pipeline.artifacts import QUOTES
from b3shared.pipeline.runner import Context
from b3shared.quotes.loading.shards import load_shards
from b3shared.quotes.market.load import load_market
from b3shared.quotes.sources import open_source
from b3shared.quotes.sources.base import QuoteSource
from b3shared.quotes.sources.parquet import ParquetSource


def execute(context: Context) -> tuple[list[Path], dict[str, Any]]:
    """Read the deployment's quotes, or the Parquet file that the user gave as input."""
    source: QuoteSource = open_source(context.settings.quotes)
    if context.plan.input:
        given = context.plan.input
        path = context.storage.download(given.key, context.folder / "given.parquet", given.sha256)
        source = ParquetSource(path, given.key)

    loaded = load_shards(source, context.params, context.out, context.settings.shard_rows)
    files = loaded.shards
    if len(files) == 1:
        files = [files[0].rename(context.out / QUOTES)]
    report = loaded.report | {"shards": len(files)}

    market = _market(context, source, report)
    # without anything known there is no file, and the output is that of the quotes alone
    return ([*files, market.save(context.out)] if market else files), report


def _market(context: Context, source: QuoteSource, report: dict[str, Any]) -> Market:
    """Load the market between the first and the last session of the loaded quotes."""
    first, last = (date.fromisoformat(report[f"{end}_session"]) for end in ("first", "last"))
    return load_market(source, first, last, context.storage, context.settings.quotes)
