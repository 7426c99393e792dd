"""Turns returns in units of volatility into fractions with intervals.

NumPy only, because predict applies it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any, Self

import numpy as np

from b3shared.core.arrays import FloatArray
from b3shared.core.errors import TooLittleHistoryError

SHRINKAGE = (0.1, 1.0)
"""Bounds of the shrinkage: no growth, and never so little that the order of the shares is lost."""


@dataclass(frozen=True)
class ReturnScale:
    """Scales returns in units of volatility to fractions, with a split-conformal interval.

    The unit of a row is its trailing daily volatility times sqrt(horizon), so that calm and wild
    shares weigh alike. A network's returns are mostly too large: they are shrunk towards zero by
    the slope of the least-squares line through the origin, outcomes on forecasts, as the
    temperature tempers probabilities. The interval is that of split conformal prediction with a
    scaled score (Lei et al. 2018; Vovk et al. 2005)::

        r_hat = shrinkage * unit * output of the network
        score = |r - r_hat| / unit    on rows after those of training and stopping
        quantile = the ceil((n + 1) * level)-th smallest score
        interval = r_hat -+ quantile * unit

    Its coverage is ``level`` where later rows are exchangeable with those. Markets drift, so the
    evaluation measures it as well.

    Attributes:
        horizon: sessions from the close of t to the outcome.
        level: share of outcomes that the interval is to cover.
        quantile: half-width in units.
        shrinkage: factor within :data:`SHRINKAGE`.
    """

    horizon: int
    level: float
    quantile: float
    shrinkage: float = 1.0

    @classmethod
    def fit(
        cls,
        scaled: FloatArray,
        volatility: FloatArray,
        future: FloatArray,
        *,
        horizon: int,
        level: float,
    ) -> Self:
        """Fit shrinkage and quantile on rows that the model has not seen.

        Args:
            scaled: (rows,) forecast returns in units.
            volatility: (rows,) trailing daily volatility, a fraction.
            future: (rows,) actual returns, fractions.
            horizon: sessions.
            level: as above.

        Raises:
            TooLittleHistoryError: Too few rows for the level.
        """
        actual = future / unit_of(volatility, horizon)
        predicted = np.asarray(scaled, dtype=np.float64)
        shrinkage = 1.0
        if predicted.any():
            slope = predicted @ actual / (predicted @ predicted)
            shrinkage = float(np.clip(slope, *SHRINKAGE))

        score = np.abs(actual - shrinkage * predicted)
        rank = int(np.ceil((len(score) + 1) * level))
        if rank > len(score):
            needed = next(n for n in count(rank) if np.ceil((n + 1) * level) <= n)
            raise TooLittleHistoryError(
                f"the interval of level {level} needs at least {needed} rows, got {len(score)}",
                rows=len(score),
                needed=needed,
            )
        return cls(horizon, level, float(np.partition(score, rank - 1)[rank - 1]), shrinkage)

    def returns(self, scaled: FloatArray, volatility: FloatArray) -> FloatArray:
        """Return (rows,) float64 fractions of returns in units."""
        values: FloatArray = (
            self.shrinkage
            * np.asarray(scaled, dtype=np.float64)
            * unit_of(volatility, self.horizon)
        )
        return values

    def intervals(self, returns: FloatArray, volatility: FloatArray) -> FloatArray:
        """Return (rows, 2) float64 lower and upper ends; a return is never below -1."""
        half = self.quantile * unit_of(volatility, self.horizon)
        return np.stack([np.maximum(returns - half, -1.0), returns + half], axis=1)

    def to_json(self) -> dict[str, Any]:
        """Return JSON types, for :meth:`from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` returned."""
        return cls(**stored)


def unit_of(volatility: FloatArray, horizon: int) -> FloatArray:
    """Return (rows,) float64 units: trailing daily volatility times sqrt(horizon).

    The volatility counts as 1e-4 at least, for shares that do not move.
    """
    unit: FloatArray = np.maximum(np.asarray(volatility, dtype=np.float64), 1e-4) * np.sqrt(horizon)
    return unit
