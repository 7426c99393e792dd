"""Columns in, columns out: what is known of a ticker at the close of t. Nothing after t is used, splits included.

Every price level is in t's own share basis: history is rescaled to t, so a level equals the price traded at t and a
later split changes no past row. This is done in the forward basis of :mod:`b3shared.quotes.adjustment`: ratios are the
same in every basis, and levels are divided by t's own factor.
"""

from dataclasses import dataclass
from functools import cached_property

import bottleneck as bn
import numpy as np
import pandas as pd

from b3shared.dataset import BUY, HOLD, SELL, Array, FloatArray, IntArray
from b3shared.errors import InvalidQuotesError
from b3shared.moving import ema, exact_zero, move_max, move_mean, move_min, move_std, moving
from b3shared.quotes.adjustment import forward_factors
from b3shared.quotes.panel import Panel, lag
from b3shared.quotes.sources import PRECOMPUTED

LIQUIDITY_WINDOW = 60
"""Sessions whose median turnover decides whether a row is liquid."""

MIN_CROSS_SECTION = 5
"""Tickers under which a rank among them says nothing."""

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
MARKET = ("market_return_5", "market_return_20", "market_volatility_20")


@dataclass(frozen=True)
class Features:
    """Features of every row of the quotes, and the point-in-time columns that labels and baselines share.

    Attributes:
        names: names of the columns of ``X``.
        X: (rows, features) float64; NaN where the history is too short or a source has no value.
        liquid: (rows,) bool; trailing median turnover above the limit, or not knowable from the source.
        without: feature names that the source has no columns for, left out.
        shared: the series that labels and baselines need.
    """

    names: tuple[str, ...]
    X: FloatArray
    liquid: Array
    without: tuple[str, ...]
    shared: "Series"


class Series:
    """The price and volume series of a panel in the forward basis, as (tickers, sessions) grids of float64."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        price_factor, share_factor = forward_factors(panel.frame)
        self.price_factor = panel.grid(price_factor)
        self.share_factor = panel.grid(share_factor)

    def price(self, column: str) -> FloatArray:
        """A price column in the forward basis."""
        grid: FloatArray = self.panel.grid(column) * self.price_factor
        return grid

    @cached_property
    def close(self) -> FloatArray:
        """Closes that compound to total returns."""
        return self.price("close")

    @cached_property
    def volume(self) -> FloatArray:
        """Shares traded, counted in shares of the ticker's first session."""
        grid: FloatArray = self.panel.grid("volume") / self.share_factor
        return grid

    @cached_property
    def daily_return(self) -> FloatArray:
        """Total return from the session before to t, a fraction."""
        return self.total_return(1)

    @cached_property
    def volatility(self) -> FloatArray:
        """Sample deviation of the last 20 daily total returns."""
        return move_std(self.daily_return, 20)

    def total_return(self, sessions: int) -> FloatArray:
        """Total return over the last ``sessions`` rows of the ticker, a fraction."""
        grid: FloatArray = self.close / lag(self.close, sessions) - 1.0
        return grid

    def own_basis(self, grid: FloatArray) -> FloatArray:
        """A price level of the forward basis in t's own: what it would be in today's shares."""
        level: FloatArray = grid / self.price_factor
        return level

    def turnover(self) -> FloatArray:
        """R$ traded: the source's own figure, else close times volume; NaN where neither is known."""
        traded: FloatArray = self.panel.grid("turnover")
        return np.where(np.isnan(traded), self.panel.grid("close") * self.panel.grid("volume"), traded)

    def median_turnover(self) -> FloatArray:
        """Median turnover of the last 60 sessions in R$; NaN until there are that many."""
        return moving(bn.move_median, self.turnover(), LIQUIDITY_WINDOW)

    @cached_property
    def macd(self) -> FloatArray:
        """EMA 12 minus EMA 26 of the close (``adjust=False``), in R$ of the forward basis."""
        return ema(self.close, 12) - ema(self.close, 26)

    @cached_property
    def rsi(self) -> FloatArray:
        """RSI over 14 sessions with simple means, as the reference computes it (Wilder 1978 smooths instead)."""
        change = np.diff(self.close, axis=1, prepend=np.nan)
        # The reference's where() turns the first, unknown change into 0; so do we.
        gain = np.where(np.isnan(self.close), np.nan, np.where(change > 0, change, 0.0))
        loss = np.where(np.isnan(self.close), np.nan, np.where(change < 0, -change, 0.0))
        up, down = exact_zero(move_mean(gain, 14), gain, 14), exact_zero(move_mean(loss, 14), loss, 14)
        return 100.0 - 100.0 / (1.0 + up / down)

    @cached_property
    def stochastic(self) -> FloatArray:
        """Position of the close between the lowest and the highest close of 14 sessions, 0 to 100."""
        lowest, highest = move_min(self.close, 14), move_max(self.close, 14)
        # The fraction first: at the highest close it is exactly 1, so that ranks see ties there and no rounding.
        return 100.0 * ((self.close - lowest) / (highest - lowest))

    def rule(self) -> IntArray:
        """The reference project's buy/sell rule at t, as class codes; hold where its inputs are not known.

        Buy: RSI below 30, MACD positive, volume rising. Sell: RSI above 70, five-session momentum negative, Bollinger
        band known, volume falling.
        """
        volume_change = self.volume / lag(self.volume, 1) - 1.0
        buy = (self.rsi < 30) & (self.macd > 0) & (volume_change > 0)
        sell = (self.rsi > 70) & (self.total_return(5) < 0) & ~np.isnan(move_mean(self.close, 20)) & (volume_change < 0)
        return np.select([buy, sell], [BUY, SELL], default=HOLD).astype(np.int8)


def build_features(frame: pd.DataFrame, version: str, min_turnover: float) -> Features:
    """Compute a feature set for every row.

    Args:
        frame: quotes sorted by ticker and date (see :mod:`b3shared.quotes.schema`).
        version: "v1", the 13 features of the reference project; "v2", 18 scale-free features, their percentile ranks
            among the liquid tickers of the date, and 3 of the market.
        min_turnover: R$ a session that the trailing 60-session median must exceed for a row to be liquid.

    Raises:
        InvalidQuotesError: The source lacks columns without which the feature set cannot be had.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        shared = Series(Panel(frame))
        liquid = _liquid(shared, min_turnover)
        columns = _v1(frame, shared) if version == "v1" else _v2(frame, shared, liquid)
    without = tuple(name for name in BOOK if version == "v1" and name not in columns)
    return Features(tuple(columns), np.column_stack(list(columns.values())), liquid, without, shared)


def _v1(frame: pd.DataFrame, s: Series) -> dict[str, FloatArray]:
    if set(PRECOMPUTED) <= set(frame.columns):
        return {name: frame[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in V1}
    _require(frame, "v1", ("open", "high", "volume"))
    open_, high = s.panel.grid("open"), s.price("high")
    bid, ask, close = s.panel.grid("best_buy"), s.panel.grid("best_sell"), s.panel.grid("close")
    mean20, std20 = move_mean(s.close, 20), move_std(s.close, 20)
    highest = move_max(high, 20)
    grids = {
        "rolling_volatility_5": move_std((close - open_) / open_, 5),
        "moving_avg_10": s.own_basis(move_mean(s.close, 10)),
        "macd": s.own_basis(s.macd),
        "rsi_14": s.rsi,
        "volume_change": s.volume / lag(s.volume, 1) - 1.0,
        "avg_volume_10": move_mean(s.volume, 10) * s.share_factor,
        "best_buy_sell_spread": ask - bid,
        "close_to_best_buy": (close - bid) / bid,
        "price_momentum_5": s.total_return(5),
        "high_breakout_20": np.where(np.isnan(highest), np.nan, (high == highest).astype(np.float64)),
        "bollinger_upper": s.own_basis(mean20 + 2.0 * std20),
        "stochastic_14": s.stochastic,
        "close": close,
    }
    no_book = frame["best_buy"].isna().all() or frame["best_sell"].isna().all()
    return {name: s.panel.rows(grid) for name, grid in grids.items() if not (no_book and name in BOOK)}


def _v2(frame: pd.DataFrame, s: Series, liquid: Array) -> dict[str, FloatArray]:
    _require(frame, "v2", ("open", "high", "low", "volume"))
    if len(s.panel.tickers) < MIN_CROSS_SECTION:
        raise InvalidQuotesError(
            f"feature set v2 ranks tickers against each other and needs at least {MIN_CROSS_SECTION}; there are "
            f"{len(s.panel.tickers)} ({', '.join(s.panel.tickers)}): load more tickers or use features='v1'",
            tickers=len(s.panel.tickers),
        )
    log_volume = np.log(s.volume)
    mean20 = move_mean(s.close, 20)
    grids = {f"return_{n}": s.total_return(n) for n in (1, 2, 5, 10, 20, 60, 120)}
    grids |= {f"volatility_{n}": move_std(s.daily_return, n) for n in (5, 20, 60)}
    grids |= {
        "range_20": move_mean(np.log(s.panel.grid("high") / s.panel.grid("low")), 20),
        "intraday": s.panel.grid("close") / s.panel.grid("open") - 1.0,
        "volume_surprise": log_volume - move_mean(log_volume, 20),
        "rsi_14": s.rsi,
        "stochastic_14": s.stochastic,
        "macd_relative": s.macd / s.close,
        "bollinger_z": (s.close - mean20) / move_std(s.close, 20),
        "distance_to_high": s.close / move_max(s.close, 252, least=60) - 1.0,
    }
    columns = {name: s.panel.rows(grids[name]) for name in V2_BASE}
    ranks = {f"{name}_rank": percentile_rank(s.panel, values, liquid) for name, values in columns.items()}
    return columns | ranks | _market(s, liquid)


def _market(s: Series, liquid: Array) -> dict[str, FloatArray]:
    """Of the equal-weight mean daily return of the liquid rows: 5- and 20-session sums and the 20-session deviation."""
    returns = s.panel.by_date(np.where(liquid, s.panel.rows(s.daily_return), np.nan))
    present = ~np.isnan(returns)
    total = np.where(present, returns, 0.0).sum(axis=1)
    mean = np.where(present.any(axis=1), total / np.maximum(present.sum(axis=1), 1), np.nan)[None, :]
    grids = (move_mean(mean, 5) * 5, move_mean(mean, 20) * 20, move_std(mean, 20))
    return {name: grid[0, s.panel.session] for name, grid in zip(MARKET, grids, strict=True)}


def percentile_rank(panel: Panel, values: FloatArray, among: Array) -> FloatArray:
    """Rank of each row's value within its date, in (0, 1]: average rank over the count; NaN outside ``among``."""
    by_date = panel.by_date(np.where(among, values, np.nan))
    ranks = bn.nanrankdata(by_date, axis=1) / np.maximum((~np.isnan(by_date)).sum(axis=1, keepdims=True), 1)
    out: FloatArray = ranks[panel.session, panel.line]
    return out


def _liquid(s: Series, min_turnover: float) -> Array:
    """Rows whose trailing median turnover exceeds the limit; all rows when the source knows no turnover at all."""
    if np.isnan(s.turnover()).all():
        return np.ones(len(s.panel.frame), dtype=bool)
    return np.asarray(s.panel.rows(s.median_turnover()) > min_turnover)


def _require(frame: pd.DataFrame, version: str, columns: tuple[str, ...]) -> None:
    if missing := [c for c in columns if frame[c].isna().all()]:
        raise InvalidQuotesError(
            f"feature set {version} needs {', '.join(columns)}; the source has no {', '.join(missing)}", missing=missing
        )
