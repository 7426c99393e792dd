"""Loads the quotes of a run into a DataFrame."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from b3shared.params.run import PipelineParams
from b3shared.quotes.findings import Finding
from b3shared.quotes.loading.shards import ONE_SHARD, load_each
from b3shared.quotes.sources.base import QuoteSource
from b3shared.quotes.sources.query import QuoteQuery


@dataclass(frozen=True)
class Quotes:
    """Quotes ready for features.

    Attributes:
        frame: rows in the schema of :mod:`b3shared.quotes.schema`, sorted by ticker and date,
            unique.
        findings: data-quality findings.
        report: what was loaded and left out, as JSON types, see
            :func:`b3shared.quotes.loading.report.load_report`.
    """

    frame: pd.DataFrame
    findings: list[Finding]
    report: dict[str, Any]


def load_quotes(source: QuoteSource, params: PipelineParams) -> Quotes:
    """Read, clean and filter the quotes of a run.

    Raises:
        B3Error: See :func:`b3shared.quotes.loading.shards.load_each`.
    """
    loaded = load_each(source, params, ONE_SHARD, keep=lambda _number, frame: frame)
    (frame,) = loaded.shards
    return Quotes(frame, loaded.findings, loaded.report)


def read_quotes(source: QuoteSource, query: QuoteQuery) -> tuple[pd.DataFrame, list[Finding]]:
    """Read quotes as they are, not cleaned, with the splits that the source's prices show.

    Returns:
        The rows, and the findings of the splits that were added or removed.
    """
    with source.opened(query) as opened:
        return opened.splits(query).applied(opened.read(query))
