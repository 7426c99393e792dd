"""Computes the posterior probability of a corporate action from the facts of a candidate row.

Bayes' rule over four hypotheses for a jump of the price:

* **action**: one share became f; the price opens at the last close over f, give or take the
  volatility of a night.
* **move**: nothing happened to the shares; the price really jumped. Such days trade much and have a
  wide range.
* **right**: another right left the price: a large dividend, a subscription right, a spin-off.
* **bad tick**: one price is wrong; the levels before and after it agree.

Every piece of evidence multiplies the odds; a fact that the source lacks leaves them as they are.
All scales are in units of the ticker's own trailing volatility, so that one rule fits a bank and a
penny stock.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import gamma, pi, sqrt

import numpy as np

from b3shared.core.arrays import Array, FloatArray, IntArray

MARKET_PRIOR = 5e-4
"""Splits, reverse splits and bonuses per session of a share: about one in eight years."""

BAD_TICK_PRIOR = 1e-4
"""Wrong prices, of a whole session or of its open alone, per session of a share."""

BAD_TICK_WIDTH = 6.0
"""A wrong price lies between e**-3 and e**3 times the right one, log uniform: density 1/6."""

SHOCK_PRIOR = 3e-6
"""News that no volatility foretells, per session of a share."""

SHOCK_WIDTH = 4.0
"""The price after such news lies between e**-2 and e**2 times the one before."""

GREAT_RIGHT = 0.005
"""Share of the other rights that are worth a good part of the price."""

GREATEST_RIGHT = 2.3
"""Greatest fall by such a right, as a log ratio: nine tenths of the price."""


@dataclass(frozen=True)
class StudentT:
    """A Student t distribution with a location and a scale.

    Attributes:
        centre: location, in the evidence's own unit.
        scale: in the same unit.
        freedom: degrees of freedom; the fewer, the heavier the tails.
    """

    centre: float
    scale: float
    freedom: float = 3.0

    def density(self, x: FloatArray, shift: FloatArray | float = 0.0) -> FloatArray:
        """Return the density at ``x`` of the distribution moved by ``shift``.

        It is 1 (no evidence) where ``x`` is NaN.
        """
        nu = self.freedom
        norm = gamma((nu + 1) / 2) / (gamma(nu / 2) * sqrt(nu * pi) * self.scale)
        z = (x - self.centre - shift) / self.scale
        return np.where(np.isnan(z), 1.0, norm * (1 + z * z / nu) ** (-(nu + 1) / 2))


NIGHT = StudentT(0.0, 0.3)
"""Gap from the close to the next open, without the market's gap, in volatilities. Its tail is also
that of real jumps."""

FIRST_PRICE = StudentT(0.1, 0.6, 2.0)
"""The same gap around the expected price after an action: the first trades in a new unit are less
certain."""

DRIFT = StudentT(0.0, 2.0)
"""What the level of some closes adds to the gap, in volatilities."""

STAYS = StudentT(0.0, 2.0)
"""The level of some closes around the expected one after an action, in volatilities. With a heavier
tail than that of the drift, a price that goes back would still pass for a split."""

VOLUME_OF_SPLIT = StudentT(0.2, 1.1)
"""Log of shares traded over their usual number; a split by f multiplies the usual number by f."""

VOLUME_OF_MOVE = StudentT(0.8, 1.8)
"""The same on a day on which the price really jumped."""

RANGE_OF_SPLIT = StudentT(0.5, 0.7)
"""Log of the session's (log high over low) over its usual size, after an action."""

RANGE_OF_MOVE = StudentT(1.1, 0.8)
"""The same on a day on which the price really jumped: it goes on moving all day."""

IDENTITY = {"dismes": (0.98, 0.025), "isin": (0.15, 0.002)}
"""Probability that the distribution number or the ISIN changes: (with an action, without one)."""

UNKNOWN = -1
NO_MARK = 0
GROWN = 1
GROUPED = 2
OTHER = 3
SEVERAL = 4
"""What the ex-mark of a session says: a bonus or split, a grouping, another right, several."""

RIGHT_MARK = 0.95
"""Probability of the mark that names the action, on its day."""

WRONG_MARK = 2e-5
"""Probability of the mark of the opposite action: no better than chance."""

MARK_OF_ACTION = {NO_MARK: 0.027, OTHER: 0.003, SEVERAL: 0.02}
"""Probability of the other marks on the day of an action."""

MARK_OTHERWISE = {
    False: {NO_MARK: 0.9989, OTHER: 1e-3, SEVERAL: 1e-4, GROWN: 1e-5, GROUPED: 1e-5},
    True: {NO_MARK: 0.05, OTHER: 0.93, SEVERAL: 0.0184, GROWN: 8e-4, GROUPED: 8e-4},
}
"""Probability of each mark on other days, by whether the distribution number changed."""


def _roundness(n: int) -> float:
    """Relative frequency of a whole number among split factors of its size."""
    if n <= 5 or n % 10 == 0:
        return 1.0
    if n <= 10:
        return 0.5
    return 0.1 if n % 5 == 0 else 0.005


def plausible_factors() -> tuple[FloatArray, FloatArray]:
    """Return the factors that companies choose and their prior: (factors,) and (factors,).

    The factors are whole numbers and their inverses, round ones more often; ratios of small
    numbers; and bonuses in whole percent. The prior sums to 1.
    """
    weights: dict[Fraction, float] = {}

    def add(factor: Fraction, weight: float) -> None:
        weights[factor] = max(weight, weights.get(factor, 0.0))

    for n in [*range(2, 101), *range(110, 201, 10), 250, 300, 400, 500, 600, 750, 800, 1000]:
        weight = _roundness(n) / sqrt(n)
        add(Fraction(n), weight)
        add(Fraction(1, n), weight)

    for few, many in ((2, 3), (2, 5), (3, 4), (3, 5), (2, 7), (4, 5)):
        add(Fraction(many, few), 0.02)
        add(Fraction(few, many), 0.02)

    for percent in range(1, 31):
        weight = 0.2 if percent % 10 == 0 else 0.1 if percent % 5 == 0 else 0.02
        add(Fraction(100 + percent, 100), weight)

    factors = sorted(weights)
    prior = np.array([weights[factor] for factor in factors])
    return np.array([float(factor) for factor in factors]), prior / prior.sum()


NEAR = 1.25
"""The confidence of a factor includes the factors within this ratio of it."""

FACTORS, FACTOR_PRIOR = plausible_factors()


@dataclass(frozen=True)
class Evidence:
    """Facts on some candidate rows; (rows,) float64 each, NaN where a fact is unknown.

    Attributes:
        gap: log of the first price over the last close of before, market's gap removed.
        level: log of the median close from the row on over the median close before it; NaN on the
            newest day.
        around: log of the next close over the last one of before: no jump if the row's price alone
            is wrong; NaN on the newest day.
        rebound: log of the close over the last one but one of before: no jump if the price of
            before alone is wrong.
        scale: volatility of a night, with the rounding of prices to the cent.
        volume: log of shares traded over their usual number.
        range: log of (log high over low) over its usual size; NaN where high and low are equal: a
            price that is stuck tells nothing of a calm day.
        dismes, isin: 1 where it changed, 0 where not.
        mark: (rows,) int: the mark that appeared; :data:`UNKNOWN` where marks are not known.
    """

    gap: FloatArray
    level: FloatArray
    around: FloatArray
    rebound: FloatArray
    scale: FloatArray
    volume: FloatArray
    range: FloatArray
    dismes: FloatArray
    isin: FloatArray
    mark: IntArray


@dataclass(frozen=True)
class Posterior:
    """The result for some candidate rows, (rows,) each.

    Attributes:
        factor: the most probable one.
        confidence: probability that an action took place whose factor lies within a quarter of this
            one: applied, it leaves no jump that would itself count as an action.
        any_action: probability that an action with some factor took place.
    """

    factor: FloatArray
    confidence: FloatArray
    any_action: FloatArray


def compute_posterior(evidence: Evidence) -> Posterior:
    """Return the most probable factor of every row, and the probability of an action."""
    e = evidence
    gap = e.gap[:, None]
    level = e.level[:, None]
    scale = e.scale[:, None]
    volume = e.volume[:, None]
    spread = e.range[:, None]
    log_f = np.log(FACTORS)[None, :]

    action = MARKET_PRIOR * FACTOR_PRIOR * FIRST_PRICE.density((gap + log_f) / scale) / scale
    action = action * STAYS.density((level + log_f) / scale)
    action = action * VOLUME_OF_SPLIT.density(volume, log_f) * RANGE_OF_SPLIT.density(spread)
    action = action * _identity(e, 0) * _mark_of_action(e.mark[:, None], log_f)

    ordinary = _identity(e, 1) * _mark_otherwise(e)
    after = DRIFT.density((level - gap) / scale)  # the level stays where the gap put it
    crowded = VOLUME_OF_MOVE.density(volume) * RANGE_OF_MOVE.density(spread)
    calm = VOLUME_OF_SPLIT.density(volume) * RANGE_OF_SPLIT.density(spread)
    jump = NIGHT.density(gap / scale) / scale + SHOCK_PRIOR / SHOCK_WIDTH
    move = jump * after * crowded * ordinary
    right = _right_density(e) * after * calm * ordinary
    back = DRIFT.density(e.around / e.scale) + DRIFT.density(e.rebound / e.scale)
    tick = BAD_TICK_PRIOR / BAD_TICK_WIDTH * back[:, None] * crowded * ordinary

    total = action.sum(axis=1) + (move + right + tick)[:, 0]
    best = action.argmax(axis=1)
    near = np.abs(log_f - log_f[0, best][:, None]) < np.log(NEAR)
    return Posterior(
        factor=FACTORS[best],
        confidence=np.where(near, action, 0.0).sum(axis=1) / total,
        any_action=action.sum(axis=1) / total,
    )


def _identity(e: Evidence, hypothesis: int) -> FloatArray:
    """Probability of the observed ISIN and distribution number, (rows, 1).

    ``hypothesis`` is the index in :data:`IDENTITY`: 0 with an action, 1 without one.
    """
    out = np.ones(len(e.gap))
    for name, chances in IDENTITY.items():
        changed: Array = getattr(e, name)
        chance = chances[hypothesis]
        out *= np.where(np.isnan(changed), 1.0, np.where(changed == 1, chance, 1 - chance))
    return out[:, None]


def _mark_of_action(mark: IntArray, log_f: FloatArray) -> FloatArray:
    """Probability of a mark if one share became f, (rows, factors).

    The exchange marks growth with B and a grouping with G.
    """
    names_it = np.where(log_f > 0, GROWN, GROUPED)
    other = np.select(
        [mark == kind for kind in MARK_OF_ACTION], list(MARK_OF_ACTION.values()), WRONG_MARK
    )
    return np.where(mark == UNKNOWN, 1.0, np.where(mark == names_it, RIGHT_MARK, other))


def _mark_otherwise(e: Evidence) -> FloatArray:
    """Probability of a mark if nothing happened to the number of shares, (rows, 1)."""
    chances = {
        rose: np.select([e.mark == kind for kind in table], list(table.values()), 1.0)
        for rose, table in MARK_OTHERWISE.items()
    }
    return np.where(e.dismes == 1, chances[True], chances[False])[:, None]


def _right_density(e: Evidence) -> FloatArray:
    """Density of the gap if another right left the price, (rows, 1).

    It is 0 where no right left, or the price rose.
    """
    present = (e.dismes == 1) | np.isin(e.mark, (OTHER, SEVERAL))
    return np.where(present & (e.gap < 0), GREAT_RIGHT / GREATEST_RIGHT, 0.0)[:, None]
