"""The return head's unit and its interval: returns are learnt in volatilities over the horizon.

NumPy only: predict too.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any, Self

import numpy as np

from b3shared.core.arrays import FloatArray
from b3shared.core.errors import TooLittleHistoryError

SHRINKAGE = (0.1, 1.0)
"""Bounds of the shrinkage: never more than the network says, and never so little that its order of the shares is lost."""


@dataclass(frozen=True)
class ReturnScale:
    """From returns in units of volatility to fractions, with a split-conformal interval.

    The unit of a row is its trailing daily volatility times sqrt(horizon), so that calm and wild shares weigh alike.
    What a network says of returns is mostly too much: it is shrunk towards zero by the slope of the least-squares line
    through the origin, outcomes on forecasts, as the temperature tempers probabilities. The interval is that of split
    conformal prediction with a scaled score (Lei et al. 2018; Vovk et al. 2005)::

        r_hat = shrinkage * unit * what the network says
        score = |r - r_hat| / unit    on rows that came after those used for training and for stopping
        quantile = the ceil((n + 1) * level)-th smallest score
        interval = r_hat -+ quantile * unit

    Its coverage is ``level`` where later rows are exchangeable with those: markets drift, so it is measured as well.

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
        """The shrinkage and the quantile of rows that the model has not seen.

        Args:
            scaled: (rows,) forecast returns in units.
            volatility: (rows,) trailing daily volatility, a fraction.
            future: (rows,) what happened, a fraction.
            horizon: sessions.
            level: as above.

        Raises:
            TooLittleHistoryError: Too few rows for the level.
        """
        happened, said = future / unit_of(volatility, horizon), np.asarray(scaled, dtype=np.float64)
        shrinkage = (
            float(np.clip(said @ happened / (said @ said), *SHRINKAGE)) if said.any() else 1.0
        )
        score = np.abs(happened - shrinkage * said)
        rank = int(np.ceil((len(score) + 1) * level))
        if rank > len(score):
            needed = next(n for n in count(rank) if np.ceil((n + 1) * level) <= n)
            raise TooLittleHistoryError(
                f"{len(score)} rows to set the interval on; a level of {level} needs at least {needed}",
                rows=len(score),
                needed=needed,
            )
        return cls(horizon, level, float(np.partition(score, rank - 1)[rank - 1]), shrinkage)

    def returns(self, scaled: FloatArray, volatility: FloatArray) -> FloatArray:
        """(rows,) float64 returns as fractions, of returns in units."""
        values: FloatArray = (
            self.shrinkage
            * np.asarray(scaled, dtype=np.float64)
            * unit_of(volatility, self.horizon)
        )
        return values

    def intervals(self, returns: FloatArray, volatility: FloatArray) -> FloatArray:
        """(rows, 2) float64 lower and upper end; a return is never below -1."""
        half = self.quantile * unit_of(volatility, self.horizon)
        return np.stack([np.maximum(returns - half, -1.0), returns + half], axis=1)

    def to_json(self) -> dict[str, Any]:
        """As JSON types; :meth:`from_json` reads it."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` gave."""
        return cls(**stored)


def unit_of(volatility: FloatArray, horizon: int) -> FloatArray:
    """(rows,) float64: trailing daily volatility times sqrt(horizon); at least 1e-4, for shares that do not move."""
    unit: FloatArray = np.maximum(np.asarray(volatility, dtype=np.float64), 1e-4) * np.sqrt(horizon)
    return unit
