"""Features of every row of the quotes, in memory: what forecasts and the serving snapshot use.

The training table is made of the same parts and the same join, out of core where it must be
(:mod:`b3shared.features.training_table`).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from b3shared.core.arrays import Array, FloatArray
from b3shared.core.vocabulary import MAX_GAP
from b3shared.features.assembly import FeatureJoin, features_part
from b3shared.features.formulas import FEATURE_SETS
from b3shared.features.series import Series
from b3shared.features.ticker_features import Coverage, TickerFeatures, ticker_features


@dataclass(frozen=True)
class Features:
    """Features of every row of the quotes, and the series that labels and baselines share.

    Attributes:
        names: names of the columns of ``X``.
        X: (rows, features) float64; NaN where the history is too short or a source has no value.
        liquid: (rows,) bool; trailing median turnover above the limit, or not knowable from the
            source.
        without: names of the set's features that the source has no columns for.
        series: the series that the features were computed from.
    """

    names: tuple[str, ...]
    X: FloatArray
    liquid: Array
    without: tuple[str, ...]
    series: Series

    @cached_property
    def complete(self) -> Array:
        """(rows,) bool; every feature has a finite value."""
        return np.isfinite(self.X).all(axis=1)

    @cached_property
    def counted(self) -> Array:
        """(rows,) bool; liquid and of known volatility: rows that may have a forecast."""
        volatility = self.series.panel.rows(self.series.volatility)
        return np.asarray(self.liquid & np.isfinite(volatility))

    @cached_property
    def eligible(self) -> Array:
        """(rows,) bool, read-only; counted and complete: the rows that models train on."""
        rows = np.asarray(self.counted & self.complete)
        rows.setflags(write=False)
        return rows


def build_features(
    frame: pd.DataFrame, version: str, min_turnover: float, max_gap: int = MAX_GAP
) -> Features:
    """Compute a feature set for every row.

    Args:
        frame: quotes of a whole source, sorted by ticker and date (:mod:`b3shared.quotes.schema`).
        version: "v1", the 13 features of the reference project; "v2", 18 scale-free features, their
            percentile ranks among the liquid tickers of the date, and 3 of the market.
        min_turnover: R$ a session that the trailing 60-session median must exceed for a row to be
            liquid.
        max_gap: sessions of the exchange from a row of a ticker to its next, at most; over a longer
            hole no feature reaches, and the ticker's history begins anew.

    Raises:
        InvalidQuotesError: The source lacks columns or tickers that the feature set needs.
    """
    coverage = Coverage.from_frame(frame)
    own = ticker_features(frame, version, min_turnover, coverage, max_gap)

    part = features_part(own)
    join = FeatureJoin([lambda: part], version)
    without = FEATURE_SETS[version].missing(join.names)
    return Features(join.names, _matrix(own, join), own.liquid, without, own.series)


def _matrix(own: TickerFeatures, join: FeatureJoin) -> FloatArray:
    """(rows, features) float64, of rows that are not liquid too: these have no rank."""
    X = np.full((len(own.liquid), len(join.names)), np.nan)
    column = {name: number for number, name in enumerate(join.names)}

    for name, values in own.columns.items():
        X[:, column[name]] = values
    for name, ranks in join.ranks():
        X[own.liquid, column[name]] = ranks
    for name, by_session in join.market.items():
        X[:, column[name]] = by_session[own.series.panel.session]
    return X
