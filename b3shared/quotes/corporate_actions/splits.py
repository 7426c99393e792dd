"""The splits of a source, checked against its prices.

Splits are detected where the source lists none. Listed ones are refused where the prices are
adjusted for them already.
"""

from dataclasses import dataclass, field
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from b3shared.quotes.corporate_actions.detection import detect_actions
from b3shared.quotes.corporate_actions.event_findings import report, to_table
from b3shared.quotes.corporate_actions.listed_splits import untraced_splits, without_untraced
from b3shared.quotes.corporate_actions.table import MINIMAL_CONFIDENCE, no_actions, with_actions
from b3shared.quotes.findings import EXAMPLES, Finding
from b3shared.storage.database import connect


@dataclass(frozen=True)
class Splits:
    """The splits of a source that its prices show or contradict.

    Attributes:
        detected: corporate actions found in the prices
            (:data:`b3shared.quotes.corporate_actions.table.ACTION_TYPES`); empty for a source that
            lists its own.
        untraced: ``ticker``, ``date`` and ``factor`` of listed splits that the prices do not show.
        event_findings: columns as in
            :data:`b3shared.quotes.corporate_actions.event_findings.FINDING_TYPES`; empty for a
            source without announcements.
    """

    detected: pd.DataFrame
    untraced: pd.DataFrame
    event_findings: pd.DataFrame = field(default_factory=lambda: to_table([]))

    @classmethod
    def found(
        cls, connection: duckdb.DuckDBPyConnection, relation: str, *, listed: bool
    ) -> "Splits":
        """Detect or check the splits in all quotes of a relation.

        Args:
            connection: where the relation can be read.
            relation: what may stand after FROM, in the schema of :mod:`b3shared.quotes.schema`.
            listed: whether the source lists its splits itself.

        Raises:
            duckdb.Error, B3Error: The relation cannot be read.
        """
        if listed:
            return cls(no_actions(), untraced_splits(connection, relation))
        return cls(detect_actions(connection, relation), no_splits())

    @classmethod
    def in_frame(cls, quotes: pd.DataFrame, *, listed: bool) -> "Splits":
        """Detect or check the splits in quotes in memory, as :meth:`found` does."""
        with connect() as connection:
            connection.register("quotes", quotes)
            return cls.found(connection, "quotes", listed=listed)

    def applied(self, quotes: pd.DataFrame) -> tuple[pd.DataFrame, list[Finding]]:
        """Apply the splits to quotes of the source; return the quotes and the findings.

        The findings are of the same kinds in the same order for all parts of a source.

        Args:
            quotes: rows in the schema, all of the source or some.
        """
        quotes, untraced = without_untraced(quotes, self.untraced)
        if len(self.detected):
            quotes = with_actions(quotes, self.detected)
        own = self.event_findings[self._within(self.event_findings, quotes)]
        return quotes, [untraced, self._detected(quotes), *report(own)]

    def _detected(self, quotes: pd.DataFrame) -> Finding:
        """The finding of the detected splits that are applied."""
        certain = (self.detected["confidence"] >= MINIMAL_CONFIDENCE) & (
            self.detected["factor"] != 1
        )
        rows = self.detected[certain & self._within(self.detected, quotes)]
        shown = zip(rows["ticker"], rows["date"], rows["factor"], rows["confidence"], strict=True)
        examples = tuple(_example(*row) for row in list(shown)[:EXAMPLES])
        return Finding("detected_split", len(rows), "kept", examples)

    @staticmethod
    def _within(table: pd.DataFrame, quotes: pd.DataFrame) -> Any:
        """Mask of the rows of the quotes' tickers, from their first to their last day."""
        days = quotes["date"].dropna()
        if days.empty:
            return np.zeros(len(table), dtype=bool)
        of_ticker = table["ticker"].isin(quotes["ticker"].unique())
        return of_ticker & table["date"].between(days.min(), days.max())


def no_splits() -> pd.DataFrame:
    """Return an empty table of listed splits."""
    kinds = {"ticker": "object", "date": "datetime64[s]", "factor": "float64"}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})


def _example(ticker: str, day: pd.Timestamp, factor: float, confidence: float) -> str:
    return (
        f"{ticker} {day.date()}: split_factor {factor:g} found in the prices, "
        f"confidence {confidence:.2f}"
    )
