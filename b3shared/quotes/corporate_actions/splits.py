"""Splits as the prices tell them: looked for where a source lists none, refused where it lists those of adjusted prices."""

from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from b3shared.quotes.corporate_actions.detection import detect_actions
from b3shared.quotes.corporate_actions.listed_splits import untraced_splits, without_untraced
from b3shared.quotes.corporate_actions.table import MINIMAL_CONFIDENCE, no_actions, with_actions
from b3shared.quotes.findings import EXAMPLES, Finding
from b3shared.storage.database import connect


@dataclass(frozen=True)
class Splits:
    """What the prices of a source say of its splits.

    Attributes:
        detected: corporate actions found in the prices
            (:data:`b3shared.quotes.corporate_actions.table.ACTION_TYPES`); empty for a source that
            lists its own.
        untraced: ``ticker``, ``date`` and ``factor`` of listed splits that the prices do not show.
    """

    detected: pd.DataFrame
    untraced: pd.DataFrame

    @classmethod
    def found(
        cls, connection: duckdb.DuckDBPyConnection, relation: str, *, listed: bool
    ) -> "Splits":
        """Look at all quotes of a relation.

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
        """The same for quotes in memory."""
        with connect() as connection:
            connection.register("quotes", quotes)
            return cls.found(connection, "quotes", listed=listed)

    def applied(self, quotes: pd.DataFrame) -> tuple[pd.DataFrame, list[Finding]]:
        """Quotes of the source with the splits as they are, and what was changed, two findings.

        Args:
            quotes: rows in the schema, all of the source or some.
        """
        quotes, untraced = without_untraced(quotes, self.untraced)
        if len(self.detected):
            quotes = with_actions(quotes, self.detected)
        return quotes, [untraced, self._detected(quotes)]

    def _detected(self, quotes: pd.DataFrame) -> Finding:
        """The splits that were found in the prices and are applied now."""
        certain = (self.detected["confidence"] >= MINIMAL_CONFIDENCE) & (
            self.detected["factor"] != 1
        )
        rows = self.detected[certain & self._within(quotes)]
        shown = zip(rows["ticker"], rows["date"], rows["factor"], rows["confidence"], strict=True)
        examples = tuple(_example(*row) for row in list(shown)[:EXAMPLES])
        return Finding("detected_split", len(rows), "kept", examples)

    def _within(self, quotes: pd.DataFrame) -> Any:
        """Mask of the detected actions that concern a ticker and the days of the quotes."""
        dated = quotes["date"].dropna()
        if dated.empty:
            return np.zeros(len(self.detected), dtype=bool)
        return self.detected["ticker"].isin(quotes["ticker"].unique()) & self.detected[
            "date"
        ].between(dated.min(), dated.max())


def no_splits() -> pd.DataFrame:
    """An empty table of listed splits."""
    kinds = {"ticker": "object", "date": "datetime64[s]", "factor": "float64"}
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})


def _example(ticker: str, day: pd.Timestamp, factor: float, confidence: float) -> str:
    return f"{ticker} {day.date()}: split_factor {factor:g} found in the prices, confidence {confidence:.2f}"
