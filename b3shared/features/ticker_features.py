"""Features that need one ticker's rows only, computed for all tickers of a source or for some.

Nothing after the close of t is used, splits included. Every price level is in t's own share basis:
history is rescaled to t, so a level equals the price traded at t and a later split changes no past
row. The series are kept in the forward basis of :mod:`b3shared.features.adjustment`: ratios are the
same in every basis, and levels are divided by t's own factor.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from b3shared.core.arrays import Array, FloatArray
from b3shared.core.errors import InvalidQuotesError
from b3shared.core.vocabulary import MAX_GAP
from b3shared.features.cross_section import MIN_CROSS_SECTION
from b3shared.features.formulas import FEATURE_SETS, V1
from b3shared.features.panel import Panel
from b3shared.features.series import Series
from b3shared.quotes.schema import PRECOMPUTED


@dataclass(frozen=True)
class Coverage:
    """Tickers and columns of a whole source, which a part of its tickers does not show.

    Attributes:
        tickers: number of tickers.
        columns: columns with a value somewhere.
        sample: some of the tickers, for messages.
    """

    tickers: int
    columns: frozenset[str]
    sample: tuple[str, ...] = ()

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> "Coverage":
        """Return the coverage of a table that holds the whole source."""
        tickers = pd.unique(frame["ticker"])
        known = (str(c) for c in frame.columns if c in PRECOMPUTED or frame[c].notna().any())
        return cls(len(tickers), frozenset(known), tuple(map(str, tickers[:MIN_CROSS_SECTION])))

    def is_precomputed(self, version: str) -> bool:
        """Whether the source carries the features of this set as columns of its own."""
        return version == "v1" and set(PRECOMPUTED) <= self.columns

    def check(self, version: str) -> None:
        """Raise InvalidQuotesError if a feature set cannot be computed."""
        if self.is_precomputed(version):
            return

        feature_set = FEATURE_SETS[version]
        needed = feature_set.columns
        if missing := [c for c in needed if c not in self.columns]:
            raise InvalidQuotesError(
                f"feature set {version} needs {', '.join(needed)}; "
                f"the source has no {', '.join(missing)}",
                missing=missing,
            )

        if feature_set.cross_section and self.tickers < MIN_CROSS_SECTION:
            named = f" ({', '.join(self.sample)})" if self.sample else ""
            raise InvalidQuotesError(
                f"feature set {version} ranks tickers against each other and needs at least "
                f"{MIN_CROSS_SECTION}; there are {self.tickers}{named}: "
                "load more tickers or use features='v1'",
                tickers=self.tickers,
            )


@dataclass(frozen=True)
class TickerFeatures:
    """Values per row of the features that need no other ticker.

    Attributes:
        columns: (rows,) float64 by name; NaN where the history is too short or a source has no
            value.
        liquid: (rows,) bool; trailing median turnover above the limit, or not knowable from the
            source.
        series: the series that labels and baselines share.
    """

    columns: dict[str, FloatArray]
    liquid: Array
    series: Series


def ticker_features(
    frame: pd.DataFrame,
    version: str,
    min_turnover: float,
    coverage: Coverage,
    max_gap: int = MAX_GAP,
) -> TickerFeatures:
    """Compute the features that need no other ticker.

    Args:
        frame: quotes of some tickers, sorted by ticker and date (:mod:`b3shared.quotes.schema`).
        version: "v1" or "v2", see :data:`b3shared.features.formulas.FEATURE_SETS`.
        min_turnover: R$ a session that the trailing 60-session median must exceed for a row to be
            liquid.
        coverage: of the whole source.
        max_gap: longest hole, in sessions of the exchange, that a ticker's history reaches over.

    Raises:
        InvalidQuotesError: The source lacks columns or tickers that the feature set needs.
    """
    coverage.check(version)
    series = Series(Panel(frame, max_gap))

    with np.errstate(divide="ignore", invalid="ignore"):
        if coverage.is_precomputed(version):
            columns = {name: frame[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in V1}
        else:
            available = FEATURE_SETS[version].available(coverage.columns)
            columns = {
                name: series.panel.rows(formula(series)) for name, formula in available.items()
            }

        liquid = np.ones(len(frame), dtype=bool)
        if not coverage.columns.isdisjoint(("turnover", "volume")):
            liquid = series.panel.rows(series.median_turnover()) > min_turnover

    return TickerFeatures(columns, liquid, series)
