"""One session after another counted into carried histories, by the formulas of whole ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from b3shared.cross_section import MARKET_SESSIONS, CrossSection, MarketReturn, market_features, rank_names
from b3shared.dataset import Array, FloatArray
from b3shared.moving import ema_step
from b3shared.quotes.adjustment import factor_steps
from b3shared.quotes.digests import ACTIONS, QUOTED
from b3shared.series import Series, formulas

if TYPE_CHECKING:
    from b3shared.incremental import FeatureState

FACTORS = ("price_factor", "share_factor")

Grids = dict[str, FloatArray]


@dataclass(frozen=True)
class NewFeatures:
    """Features of appended rows, sorted by date and ticker.

    Attributes:
        names: names of the columns of ``X``.
        ticker: (rows,) str.
        date: (rows,) datetime64[D].
        X: (rows, features) float64.
        liquid: (rows,) bool.
        volatility: (rows,) float64, trailing 20-session deviation of daily total returns.
        turnover: (rows,) float64, trailing 60-session median in R$.
    """

    names: tuple[str, ...]
    ticker: Array
    date: Array
    X: FloatArray
    liquid: Array
    volatility: FloatArray
    turnover: FloatArray


class _Newest(Series):
    """The series of tickers whose newest session is in the last column, of which alone figures are wanted."""

    newest = 1

    def __init__(self, tail: Mapping[str, FloatArray], ema: Mapping[int, FloatArray]) -> None:
        self._tail, self._ema = tail, ema
        self.price_factor, self.share_factor = tail["price_factor"], tail["share_factor"]

    def raw(self, column: str) -> FloatArray:
        return self._tail[column]

    def ema(self, span: int) -> FloatArray:
        return self._ema[span][:, None]


class Appending:
    """Appends session after session to a state of its own, which it changes in place."""

    def __init__(self, state: "FeatureState") -> None:
        self.state = state
        self.market = list(state.market)

    def day(self, rows: pd.DataFrame) -> tuple[dict[str, FloatArray], NewFeatures]:
        """Count a session in; its ``rows`` are sorted by ticker."""
        state = self.state
        line = np.searchsorted(state.tickers, rows["ticker"].to_numpy(dtype=str))
        series = self._pushed(line, rows, first=np.isnat(state.last[line]))
        date = rows["date"].to_numpy().astype("datetime64[D]")
        state.last[line] = date
        with np.errstate(divide="ignore", invalid="ignore"):
            columns = {n: grid()[:, 0] for n, grid in formulas(series, state.version, state.columns).items()}
            turnover, volatility = series.median_turnover()[:, 0], series.volatility[:, 0]
            liquid = turnover > state.min_turnover
            if state.version == "v2":
                columns |= self._together(columns, liquid, series.now(series.daily_return)[:, 0])
        about = NewFeatures((), state.tickers[line], date, np.empty(0), liquid, volatility, turnover)
        return columns, about

    def _pushed(self, line: Array, rows: pd.DataFrame, first: Array) -> _Newest:
        """Move the tails of the tickers that traded by one, put the new rows in, and carry factors and means on."""
        state = self.state
        values = {c: rows[c].to_numpy(dtype=np.float64, na_value=np.nan) for c in (*QUOTED, *ACTIONS)}
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = factor_steps(values["split_factor"], values["dividend"], state.tail["close"][line, -1], first)
        for name, step in zip(FACTORS, steps, strict=True):
            values[name] = np.where(first, 1.0, state.tail[name][line, -1]) * step
        tail = {}
        for name in (*QUOTED, *FACTORS):
            own = state.tail[name][line]
            own[:, :-1] = own[:, 1:]
            own[:, -1] = values[name]
            state.tail[name][line] = tail[name] = own
        close = values["close"] * values["price_factor"]
        for span, means in state.ema.items():
            means[line] = np.where(first, close, ema_step(means[line], close, span))
        return _Newest(tail, {span: means[line] for span, means in state.ema.items()})

    def _together(self, columns: Grids, liquid: Array, daily_return: FloatArray) -> Grids:
        """Ranks among the session's liquid rows, and the market's features."""
        session = np.zeros(int(liquid.sum()), dtype=np.int32)
        market = MarketReturn(1)
        market.add(session, daily_return[liquid])
        self.market.append(market.mean[0])
        among, together = CrossSection(session), {}
        for name, rank in zip(columns, rank_names(tuple(columns)), strict=True):
            together[rank] = np.full(len(liquid), np.nan)
            together[rank][liquid] = among.rank(columns[name][liquid])
        for name, of in market_features(np.array(self.market[-MARKET_SESSIONS:]), 1).items():
            together[name] = np.full(len(liquid), of[-1])
        return together

    def joined(self, days: list[tuple[Grids, NewFeatures]]) -> NewFeatures:
        """The sessions' features in one."""
        names = tuple(days[0][0]) if days else ()
        parts = ("ticker", "date", "liquid", "volatility", "turnover")
        X = [np.column_stack(list(columns.values())) for columns, _ in days] or [np.empty((0, 0))]
        joined = {part: np.concatenate([getattr(about, part) for _, about in days] or [np.empty(0)]) for part in parts}
        return NewFeatures(names, X=np.concatenate(X), **joined)
