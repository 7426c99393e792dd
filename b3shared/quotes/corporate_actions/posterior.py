"""How probable it is that a share was split, given what its quotes did: Bayes' rule over four stories of a jump.

* **action**: one share became f; the price opens at the last close over f, as usual up to the
  volatility of a night.
* **move**: nothing happened to the shares; the price really jumped. Such days trade much and far.
* **right**: something else left the price: a great dividend, a subscription right, a part of the
  company.
* **bad tick**: one price is wrong; the levels before and after it agree.

Every piece of evidence multiplies the odds; what a source lacks says nothing. All scales are in
units of the ticker's own trailing volatility, so that one rule fits a bank and a penny stock.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import gamma, pi, sqrt

import numpy as np

from b3shared.core.arrays import Array, FloatArray, IntArray

MARKET_PRIOR = 5e-4
"""Splits, reverse splits and bonuses a session of a share: about one in eight years."""
BAD_TICK_PRIOR = 1e-4
BAD_TICK_WIDTH = 6.0
"""Wrong prices, of a whole session or of its open alone, a session of a share. Such a price may lie anywhere within e**3
times or parts of the right one: log uniform, so density 1/6."""
SHOCK_PRIOR, SHOCK_WIDTH = 3e-6, 4.0
"""News that no volatility foretells, a session of a share; the price may lie within e**2 times or parts of before."""
GREAT_RIGHT, GREATEST_RIGHT = 0.005, 2.3
"""Share of rights other than on the number of shares that are worth a good part of the price; up to nine tenths of it."""


@dataclass(frozen=True)
class Tail:
    """A Student t distribution: a bell whose outliers are believed.

    Attributes:
        centre, scale: in the evidence's own unit.
        freedom: degrees; the fewer, the heavier the tails.
    """

    centre: float
    scale: float
    freedom: float = 3.0

    def density(self, x: FloatArray, shift: FloatArray | float = 0.0) -> FloatArray:
        """Density at ``x`` of the distribution moved by ``shift``; 1 (no evidence) where ``x`` is NaN."""
        nu = self.freedom
        norm = gamma((nu + 1) / 2) / (gamma(nu / 2) * sqrt(nu * pi) * self.scale)
        z = (x - self.centre - shift) / self.scale
        return np.where(np.isnan(z), 1.0, norm * (1 + z * z / nu) ** (-(nu + 1) / 2))


NIGHT = Tail(0.0, 0.3)
"""Gap from the close to the next open, market's gap removed, in volatilities; with its tail also that of real jumps."""
FIRST_PRICE = Tail(0.1, 0.6, 2.0)
"""The same around the expected price after an action: the first trades in a new unit are less certain."""
DRIFT = Tail(0.0, 2.0)
"""What the level of some closes adds to the gap, in volatilities."""
STAYS = Tail(0.0, 2.0)
"""The level of some closes around the expected one after an action, in volatilities. With a heavier tail than the drift's,
a price that goes back to where it was would still pass for a split."""
VOLUME_OF_SPLIT, VOLUME_OF_MOVE = Tail(0.2, 1.1), Tail(0.8, 1.8)
"""Log of shares traded over their usual number; after a split the usual number is f times as many."""
RANGE_OF_SPLIT, RANGE_OF_MOVE = Tail(0.5, 0.7), Tail(1.1, 0.8)
"""Log of the session's high over low, over its usual size: a real jump goes on moving all day."""

IDENTITY = {"dismes": (0.98, 0.025), "isin": (0.15, 0.002)}
"""Chance that the distribution number or the ISIN changes on the day of an action, and on any other."""
UNKNOWN, NO_MARK, GROWN, GROUPED, OTHER, SEVERAL = -1, 0, 1, 2, 3, 4
"""What the ex-mark of a session says: a bonus or split, a grouping, another right, several at once."""
MARK_OF_ACTION = {NO_MARK: 0.027, OTHER: 0.003, SEVERAL: 0.02}
"""Chance of a mark on the day of an action, but for the one that says so; the mark of the opposite action is no better than
chance."""
RIGHT_MARK, WRONG_MARK = 0.95, 2e-5
MARK_OTHERWISE = {
    False: {NO_MARK: 0.9989, OTHER: 1e-3, SEVERAL: 1e-4, GROWN: 1e-5, GROUPED: 1e-5},
    True: {NO_MARK: 0.05, OTHER: 0.93, SEVERAL: 0.0184, GROWN: 8e-4, GROUPED: 8e-4},
}
"""The same on other days, by whether the distribution number changed."""


def plausible_factors() -> tuple[FloatArray, FloatArray]:
    """Factors that companies choose, and how often: (factors,) and (factors,) summing to 1.

    Whole numbers and their inverses, round ones more often; ratios of small numbers; bonuses in
    whole percent.
    """
    weights: dict[Fraction, float] = {}

    def add(factor: Fraction, weight: float) -> None:
        weights[factor] = max(weight, weights.get(factor, 0.0))

    for n in [*range(2, 101), *range(110, 201, 10), 250, 300, 400, 500, 600, 750, 800, 1000]:
        round_ = 1.0 if n <= 5 or n % 10 == 0 else 0.5 if n <= 10 else 0.1 if n % 5 == 0 else 0.005
        add(Fraction(n), round_ / sqrt(n))
        add(Fraction(1, n), round_ / sqrt(n))
    for few, many in ((2, 3), (2, 5), (3, 4), (3, 5), (2, 7), (4, 5)):
        add(Fraction(many, few), 0.02)
        add(Fraction(few, many), 0.02)
    for percent in range(1, 31):
        add(
            Fraction(100 + percent, 100),
            0.2 if percent % 10 == 0 else 0.1 if percent % 5 == 0 else 0.02,
        )
    factors = sorted(weights)
    prior = np.array([weights[f] for f in factors])
    return np.array([float(f) for f in factors]), prior / prior.sum()


NEAR = 1.25
"""Factors closer than this are one for the confidence."""

FACTORS, FACTOR_PRIOR = plausible_factors()


@dataclass(frozen=True)
class Evidence:
    """What is known of some suspicious rows; (rows,) float64 each, NaN for what is not known.

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
        range: log of (log high over low) over its usual size.
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
class Verdict:
    """What (rows,) come to.

    Attributes:
        factor: the most probable one.
        confidence: probability that an action took place whose factor lies within a quarter of this
            one: applied, it leaves no jump that would itself count as an action.
        any_action: probability that an action with some factor took place.
    """

    factor: FloatArray
    confidence: FloatArray
    any_action: FloatArray


def judge(evidence: Evidence) -> Verdict:
    """The most probable factor of every row, and how probable an action is there."""
    e = evidence
    column = [x[:, None] for x in (e.gap, e.level, e.scale, e.volume, e.range)]
    gap, level, scale, volume, spread = column
    log_f = np.log(FACTORS)[None, :]
    action = MARKET_PRIOR * FACTOR_PRIOR * FIRST_PRICE.density((gap + log_f) / scale) / scale
    action = action * STAYS.density((level + log_f) / scale)
    action = action * VOLUME_OF_SPLIT.density(volume, log_f) * RANGE_OF_SPLIT.density(spread)
    action = action * _named(e, 0) * _marked(e.mark[:, None], log_f)
    ordinary = _named(e, 1) * _marked_otherwise(e)
    after = DRIFT.density((level - gap) / scale)  # the level stays where the gap put it
    crowd = VOLUME_OF_MOVE.density(volume) * RANGE_OF_MOVE.density(spread)
    calm = VOLUME_OF_SPLIT.density(volume) * RANGE_OF_SPLIT.density(spread)
    move = (
        (NIGHT.density(gap / scale) / scale + SHOCK_PRIOR / SHOCK_WIDTH) * after * crowd * ordinary
    )
    left = _right_left(e) * after * calm * ordinary
    back = DRIFT.density(e.around / e.scale) + DRIFT.density(e.rebound / e.scale)
    tick = BAD_TICK_PRIOR / BAD_TICK_WIDTH * back[:, None] * crowd * ordinary
    total = action.sum(axis=1) + (move + left + tick)[:, 0]
    best = action.argmax(axis=1)
    near = np.abs(log_f - log_f[0, best][:, None]) < np.log(NEAR)
    return Verdict(
        factor=FACTORS[best],
        confidence=np.where(near, action, 0.0).sum(axis=1) / total,
        any_action=action.sum(axis=1) / total,
    )


def _named(e: Evidence, story: int) -> FloatArray:
    """Probability of what ISIN and distribution number did, (rows, 1); ``story`` 0 an action, 1 none."""
    out = np.ones(len(e.gap))
    for name, chance in IDENTITY.items():
        changed: Array = getattr(e, name)
        out *= np.where(
            np.isnan(changed), 1.0, np.where(changed == 1, chance[story], 1 - chance[story])
        )
    return out[:, None]


def _marked(mark: IntArray, log_f: FloatArray) -> FloatArray:
    """Probability of a mark if one share became f, (rows, factors): growth is marked B, grouping G."""
    says_so = np.where(log_f > 0, GROWN, GROUPED)
    seen = np.select(
        [mark == kind for kind in MARK_OF_ACTION], list(MARK_OF_ACTION.values()), WRONG_MARK
    )
    return np.where(mark == UNKNOWN, 1.0, np.where(mark == says_so, RIGHT_MARK, seen))


def _marked_otherwise(e: Evidence) -> FloatArray:
    """Probability of a mark if nothing happened to the number of shares, (rows, 1)."""
    chances = {
        rose: np.select([e.mark == kind for kind in table], list(table.values()), 1.0)
        for rose, table in MARK_OTHERWISE.items()
    }
    return np.where(e.dismes == 1, chances[True], chances[False])[:, None]


def _right_left(e: Evidence) -> FloatArray:
    """Density of the gap if another right left the price, (rows, 1); 0 where there was none or the price rose."""
    there = (e.dismes == 1) | np.isin(e.mark, (OTHER, SEVERAL))
    return np.where(there & (e.gap < 0), GREAT_RIGHT / GREATEST_RIGHT, 0.0)[:, None]
