"""The features' formulas, one ticker's rows at a time."""

from collections.abc import Callable, Collection
from functools import partial

import numpy as np

from b3shared.core.arrays import FloatArray
from b3shared.features.rolling import move_max, move_mean, move_std
from b3shared.features.series import LONGEST_WINDOW, Series
from b3shared.quotes.schema import PRECOMPUTED

BOOK = ("best_buy_sell_spread", "close_to_best_buy")
"""Features of ``v1`` that need the order book's best bid and ask."""


V1 = (*PRECOMPUTED, "close")
"""The reference project's features, in its order."""


V2_BASE = (
    "return_1",
    "return_2",
    "return_5",
    "return_10",
    "return_20",
    "return_60",
    "return_120",
    "volatility_5",
    "volatility_20",
    "volatility_60",
    "range_20",
    "intraday",
    "volume_surprise",
    "rsi_14",
    "stochastic_14",
    "macd_relative",
    "bollinger_z",
    "distance_to_high",
)


def formulas(
    s: Series, version: str, columns: Collection[str]
) -> dict[str, Callable[[], FloatArray]]:
    """The formula of every feature that needs no other ticker; one at a time, so that one grid at a time is in memory.

    Args:
        s: the series.
        version: "v1" or "v2".
        columns: those that have a value somewhere in the source; without a book ``v1`` lacks two
            features.
    """
    if version == "v2":
        return _v2(s)
    book = {"best_buy", "best_sell"} <= set(columns)
    return {name: grid for name, grid in _v1(s).items() if book or name not in BOOK}


def _v1(s: Series) -> dict[str, Callable[[], FloatArray]]:
    def now(column: str) -> FloatArray:
        return s.now(s.raw(column))

    def deviation_of_intraday() -> FloatArray:
        open_ = s.raw("open")
        return move_std((s.raw("close") - open_) / open_, 5, s.newest)

    def breakout() -> FloatArray:
        high = s.price("high")
        highest = move_max(high, 20, s.newest)
        return np.where(np.isnan(highest), np.nan, (s.now(high) == highest).astype(np.float64))

    return {
        "rolling_volatility_5": deviation_of_intraday,
        "moving_avg_10": lambda: s.own_basis(move_mean(s.close, 10, s.newest)),
        "macd": lambda: s.own_basis(s.macd),
        "rsi_14": lambda: s.rsi,
        "volume_change": s.volume_change,
        "avg_volume_10": lambda: move_mean(s.volume, 10, s.newest) * s.now(s.share_factor),
        "best_buy_sell_spread": lambda: now("best_sell") - now("best_buy"),
        "close_to_best_buy": lambda: (now("close") - now("best_buy")) / now("best_buy"),
        "price_momentum_5": lambda: s.total_return(5),
        "high_breakout_20": breakout,
        "bollinger_upper": lambda: s.own_basis(
            move_mean(s.close, 20, s.newest) + 2.0 * move_std(s.close, 20, s.newest)
        ),
        "stochastic_14": lambda: s.stochastic,
        "close": lambda: now("close"),
    }


def _v2(s: Series) -> dict[str, Callable[[], FloatArray]]:
    def surprise() -> FloatArray:
        log_volume = np.log(s.volume)
        return s.now(log_volume) - move_mean(log_volume, 20, s.newest)

    def bollinger() -> FloatArray:
        return (s.now(s.close) - move_mean(s.close, 20, s.newest)) / move_std(s.close, 20, s.newest)

    grids: dict[str, Callable[[], FloatArray]] = {
        **{f"return_{n}": partial(s.total_return, n) for n in (1, 2, 5, 10, 20, 60, 120)},
        **{f"volatility_{n}": partial(move_std, s.daily_return, n, s.newest) for n in (5, 20, 60)},
        "range_20": lambda: move_mean(np.log(s.raw("high") / s.raw("low")), 20, s.newest),
        "intraday": lambda: s.now(s.raw("close")) / s.now(s.raw("open")) - 1.0,
        "volume_surprise": surprise,
        "rsi_14": lambda: s.rsi,
        "stochastic_14": lambda: s.stochastic,
        "macd_relative": lambda: s.macd / s.now(s.close),
        "bollinger_z": bollinger,
        "distance_to_high": lambda: (
            s.now(s.close) / move_max(s.close, LONGEST_WINDOW, s.newest, least=60) - 1.0
        ),
    }
    return {name: grids[name] for name in V2_BASE}
