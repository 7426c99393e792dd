"""Step 2: make the training table, features and labels, of the quotes."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from b3shared.core.versions import FEATURES_VERSION
from b3shared.dataset.npz import map_npz
from b3shared.features.assembly import Part, TableJoin
from b3shared.features.training_table import describe, preprocess
from b3shared.params.steps import Step
from b3shared.pipeline.artifacts import QUOTES
from b3shared.pipeline.preprocess_shards import Shards
from b3shared.pipeline.runner import Context
from b3shared.quotes.findings import findings_report
from b3shared.quotes.loading.cleaning import clean
from b3shared.quotes.loading.load import read_quotes
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery


def execute(context: Context) -> tuple[list[Path], dict[str, Any]]:
    """Make the table of the loaded quotes, or of the user's own edited quotes, cleaned first."""
    cleaning: dict[str, Any] = {}
    if context.plan.input:
        given = context.plan.input
        path = context.storage.download(given.key, context.folder / QUOTES, given.sha256)
        raw, corrected = read_quotes(ParquetSource(path, given.key), QuoteQuery())
        frame, findings = clean(raw)
        cleaning = findings_report(corrected + findings)
    elif (shards := Shards(context)).several:
        return _joined(context, shards)
    else:
        path = context.inputs(Step.LOAD_DATA, QUOTES) / QUOTES
        frame = ParquetSource(path, loaded=True).read(QuoteQuery())

    made = preprocess(frame, context.params)
    return made.data.save(context.out), _versioned(made.report | cleaning)


def _joined(context: Context, shards: Shards) -> tuple[list[Path], dict[str, Any]]:
    """Make the table out of core: shard by shard, unless that is done, then joined."""
    parts: list[Callable[[], Part]] = [
        partial(map_npz, shards.local(number)) for number in range(len(shards))
    ]
    join = TableJoin(parts, context.params.features, scratch=context.folder)
    return join.save(context.out), _versioned(describe(join, shards.coverage, context.params))


def _versioned(report: dict[str, Any]) -> dict[str, Any]:
    """Add the version of the features: another may be deployed when the model is saved."""
    return report | {"features_version": FEATURES_VERSION}
