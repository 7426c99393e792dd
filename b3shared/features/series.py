"""Price and volume series of tickers, which features, labels and baselines share."""

from functools import cached_property

import numpy as np

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.core.vocabulary import BUY, HOLD, SELL
from b3shared.features.adjustment import forward_factors
from b3shared.features.panel import Panel, lag
from b3shared.features.rolling import (
    ema,
    rolling_max,
    rolling_mean,
    rolling_median,
    rolling_min,
    rolling_std,
)

LIQUIDITY_WINDOW = 60
"""Sessions whose median turnover decides whether a row is liquid."""


class Series:
    """Price and volume series of a panel, as (lines, sessions) grids of float64.

    Prices are in the forward basis (:mod:`b3shared.features.adjustment`).

    Args:
        panel: quotes of some tickers.

    Attributes:
        panel: the panel.
        price_factor: factor from prices as traded to the forward basis.
        share_factor: factor from shares of the ticker's first session to today's.
    """

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        price_factor, share_factor = forward_factors(panel.frame)
        self.price_factor = panel.grid(price_factor)
        self.share_factor = panel.grid(share_factor)

    def raw(self, column: str) -> FloatArray:
        """A column as it was traded."""
        grid: FloatArray = self.panel.grid(column)
        return grid

    def price(self, column: str) -> FloatArray:
        """A price column in the forward basis."""
        grid: FloatArray = self.raw(column) * self.price_factor
        return grid

    @cached_property
    def close(self) -> FloatArray:
        """Closes that compound to total returns."""
        return self.price("close")

    @cached_property
    def volume(self) -> FloatArray:
        """Shares traded, counted in shares of the ticker's first session."""
        grid: FloatArray = self.raw("volume") / self.share_factor
        return grid

    @cached_property
    def daily_return(self) -> FloatArray:
        """Total return from the session before to t, a fraction."""
        grid: FloatArray = self.close / lag(self.close, 1) - 1.0
        return grid

    @cached_property
    def turnover(self) -> FloatArray:
        """R$ traded: the source's own figure, else close times volume; NaN if neither is known."""
        traded: FloatArray = self.raw("turnover")
        return np.where(np.isnan(traded), self.raw("close") * self.raw("volume"), traded)

    @cached_property
    def volatility(self) -> FloatArray:
        """Sample deviation of the last 20 daily total returns."""
        return rolling_std(self.daily_return, 20)

    def total_return(self, sessions: int) -> FloatArray:
        """Total return over the last ``sessions`` rows of the ticker, a fraction."""
        grid: FloatArray = self.close / lag(self.close, sessions) - 1.0
        return grid

    def own_basis(self, grid: FloatArray) -> FloatArray:
        """Convert a price level of the forward basis to t's own basis."""
        level: FloatArray = grid / self.price_factor
        return level

    def volume_change(self) -> FloatArray:
        """Shares traded against the session before, a fraction."""
        grid: FloatArray = self.volume / lag(self.volume, 1) - 1.0
        return grid

    def median_turnover(self) -> FloatArray:
        """Median turnover of the last 60 sessions in R$; NaN until there are that many."""
        return rolling_median(self.turnover, LIQUIDITY_WINDOW)

    def ema(self, span: int) -> FloatArray:
        """Exponential mean of the close (``adjust=False``)."""
        return ema(self.close, span)

    @cached_property
    def macd(self) -> FloatArray:
        """EMA 12 minus EMA 26 of the close, in R$ of the forward basis."""
        return self.ema(12) - self.ema(26)

    @cached_property
    def rsi(self) -> FloatArray:
        """RSI over 14 sessions with simple means, as the reference project computes it.

        Wilder (1978) smooths exponentially instead.
        """
        change = np.diff(self.close, axis=1, prepend=np.nan)
        # The reference's where() turns the first, unknown change into 0; so do we.
        gain = np.where(np.isnan(self.close), np.nan, np.where(change > 0, change, 0.0))
        loss = np.where(np.isnan(self.close), np.nan, np.where(change < 0, -change, 0.0))
        return 100.0 - 100.0 / (1.0 + rolling_mean(gain, 14) / rolling_mean(loss, 14))

    @cached_property
    def stochastic(self) -> FloatArray:
        """Position of the close between the lowest and highest of 14 sessions, 0 to 100."""
        lowest = rolling_min(self.close, 14)
        highest = rolling_max(self.close, 14)
        # The fraction first: at the highest close it is exactly 1, so that ranks see ties there.
        return 100.0 * ((self.close - lowest) / (highest - lowest))

    def rule(self) -> IntArray:
        """The reference project's buy/sell rule at t, as int8 class codes; hold by default.

        Buy: RSI below 30, MACD positive, volume rising. Sell: RSI above 70, five-session momentum
        negative, Bollinger band known, volume falling.
        """
        change = self.volume_change()
        buy = (self.rsi < 30) & (self.macd > 0) & (change > 0)
        banded = ~np.isnan(rolling_mean(self.close, 20))
        sell = (self.rsi > 70) & (self.total_return(5) < 0) & banded & (change < 0)
        return np.select([buy, sell], [BUY, SELL], default=HOLD).astype(np.int8)
