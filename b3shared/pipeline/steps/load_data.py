"""Step 1: quotes of the period and the tickers, clean, with what was found and left out; in shards where they are many."""

from pathlib import Path
from typing import Any

from b3shared.pipeline.artifacts import QUOTES
from b3shared.pipeline.runner import Context
from b3shared.quotes.loading.shards import load_shards
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
    return files, loaded.report | {"shards": len(files)}
