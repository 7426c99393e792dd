"""Formulas of the features that need one ticker's rows only. Add a feature here: a name and its formula.

A formula takes the series of some tickers (:class:`b3shared.features.series.Series`) and returns a
(lines, sessions) grid of float64, whose column j depends on columns up to j alone. Features that
compare the tickers of a date are in :mod:`b3shared.features.cross_section`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from b3shared.core.arrays import FloatArray
from b3shared.features.rolling import rolling_max, rolling_mean, rolling_std
from b3shared.features.series import Series

Formula = Callable[[Series], FloatArray]

BOOK = ("best_buy_sell_spread", "close_to_best_buy")
"""Features that need the order book's best bid and ask; a source without them has these left out."""

LONGEST_WINDOW = 252
"""Sessions of the longest window; only the exponential means of the MACD reach further back."""


def _intraday_deviation(s: Series) -> FloatArray:
    open_ = s.raw("open")
    return rolling_std((s.raw("close") - open_) / open_, 5)


def _distance_to_bid(s: Series) -> FloatArray:
    bid = s.raw("best_buy")
    distance: FloatArray = (s.raw("close") - bid) / bid
    return distance


def _high_breakout(s: Series) -> FloatArray:
    high = s.price("high")
    highest = rolling_max(high, 20)
    return np.where(np.isnan(highest), np.nan, (high == highest).astype(np.float64))


def _bollinger_upper(s: Series) -> FloatArray:
    return s.own_basis(rolling_mean(s.close, 20) + 2.0 * rolling_std(s.close, 20))


V1: Mapping[str, Formula] = {
    "rolling_volatility_5": _intraday_deviation,
    "moving_avg_10": lambda s: s.own_basis(rolling_mean(s.close, 10)),
    "macd": lambda s: s.own_basis(s.macd),
    "rsi_14": lambda s: s.rsi,
    "volume_change": Series.volume_change,
    "avg_volume_10": lambda s: rolling_mean(s.volume, 10) * s.share_factor,
    "best_buy_sell_spread": lambda s: s.raw("best_sell") - s.raw("best_buy"),
    "close_to_best_buy": _distance_to_bid,
    "price_momentum_5": lambda s: s.total_return(5),
    "high_breakout_20": _high_breakout,
    "bollinger_upper": _bollinger_upper,
    "stochastic_14": lambda s: s.stochastic,
    "close": lambda s: s.raw("close"),
}
"""The reference project's features, in its order."""


def _total_return(sessions: int) -> Formula:
    return lambda s: s.total_return(sessions)


def _volatility(sessions: int) -> Formula:
    return lambda s: rolling_std(s.daily_return, sessions)


def _volume_surprise(s: Series) -> FloatArray:
    log_volume: FloatArray = np.log(s.volume)
    return log_volume - rolling_mean(log_volume, 20)


def _bollinger_z(s: Series) -> FloatArray:
    return (s.close - rolling_mean(s.close, 20)) / rolling_std(s.close, 20)


def _distance_to_high(s: Series) -> FloatArray:
    return s.close / rolling_max(s.close, LONGEST_WINDOW, least=60) - 1.0


V2: Mapping[str, Formula] = {
    **{f"return_{n}": _total_return(n) for n in (1, 2, 5, 10, 20, 60, 120)},
    **{f"volatility_{n}": _volatility(n) for n in (5, 20, 60)},
    "range_20": lambda s: rolling_mean(np.log(s.raw("high") / s.raw("low")), 20),
    "intraday": lambda s: s.raw("close") / s.raw("open") - 1.0,
    "volume_surprise": _volume_surprise,
    "rsi_14": lambda s: s.rsi,
    "stochastic_14": lambda s: s.stochastic,
    "macd_relative": lambda s: s.macd / s.close,
    "bollinger_z": _bollinger_z,
    "distance_to_high": _distance_to_high,
}
"""Scale-free features: equal for tickers at R$ 1 and at R$ 100."""


@dataclass(frozen=True)
class FeatureSet:
    """A set of features that a model may be trained on.

    Attributes:
        formulas: by name, in the order of the matrix's columns.
        columns: columns of the quotes, beside the close, without which no feature is computed.
        cross_section: whether ranks within the date and features of the market are added.
    """

    formulas: Mapping[str, Formula]
    columns: tuple[str, ...]
    cross_section: bool

    def available(self, columns: Collection[str]) -> dict[str, Formula]:
        """Return the formulas that a source with these columns has values for."""
        book = {"best_buy", "best_sell"} <= set(columns)
        return {name: f for name, f in self.formulas.items() if book or name not in BOOK}

    def missing(self, names: Collection[str]) -> tuple[str, ...]:
        """Return the names of the set's features that are not among ``names``."""
        return tuple(name for name in self.formulas if name not in names)


FEATURE_SETS: Mapping[str, FeatureSet] = {
    "v1": FeatureSet(V1, ("open", "high", "volume"), cross_section=False),
    "v2": FeatureSet(V2, ("open", "high", "low", "volume"), cross_section=True),
}
