"""Backtest: the return of the actions after costs, with overlapping equal-weight portfolios.

It is deliberately simple. On every date t the stocks with the highest scores among the buys are
bought with 1/horizon of the capital and held for ``horizon`` sessions, so that at any time
``horizon`` such tranches are alive. Read the result with these simplifications in mind:

- ``entry="same_close"`` trades at the very close that the features are computed from: optimistic.
  ``entry="next_close"`` makes the same trades one session later, which can be done in practice; the
  difference is the price of that assumption.
- The path inside a tranche is not known here, only its return over the horizon: it is spread
  equally over the horizon. That hides variance (at horizon 2 some 60 % of a session's), so
  volatility and Sharpe ratio are computed on whole tranche returns, which are not smoothed; the
  drawdown is of the smoothed curve and therefore somewhat too small.
- Tranches are rebalanced to their share every session; the drift of weights inside a tranche is
  ignored. Cash earns nothing (in Brazil it earns the CDI rate), and taxes, market impact and
  suspended trading are ignored. :mod:`b3shared.evaluation.relative_return` compares with the CDI.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.core.vocabulary import BUY, SELL
from b3shared.dataset.table import Dataset
from b3shared.evaluation.bootstrap import interval, paired_interval, ratio
from b3shared.evaluation.candidates import ENTRIES, Candidates, Entry, equal_weights, select

SESSIONS_PER_YEAR = 252


@dataclass(frozen=True)
class Costs:
    """Trading costs of one side (a purchase or a sale).

    Attributes:
        fees_bp: exchange fees and brokerage, basis points of the traded value. B3 publishes about 3
            for trading and settlement; 5 leaves room for a broker.
        half_spread_bp: half the bid-ask spread. 10 is for liquid names; the smaller ones of a R$ 2
            million universe cost more.
        borrow_rate: yearly stock-loan rate on what is sold short, a fraction. An assumption: scarce
            names cost far more.
    """

    fees_bp: float = 5.0
    half_spread_bp: float = 10.0
    borrow_rate: float = 0.02

    @property
    def per_side(self) -> float:
        """Fees and half spread together, a fraction of the traded value."""
        return (self.fees_bp + self.half_spread_bp) / 1e4


@dataclass(frozen=True)
class Backtest:
    """The result of one strategy, date by date.

    Attributes:
        dates: (dates,) entry dates.
        gross: (dates,) return of the tranche entered on each date, before costs, a fraction of the
            tranche.
        net: (dates,) the same after costs.
        equity: (dates + horizon,) value of 1 invested at the first close, after costs; one value
            per session.
        gross_growth: end value of 1 invested, before costs.
        invested: share of the dates with a position.
        turnover: traded value per session, purchases and sales, as a share of the capital.
        horizon: sessions that a tranche is held.
    """

    dates: Array
    gross: FloatArray
    net: FloatArray
    equity: FloatArray
    gross_growth: float
    invested: float
    turnover: float
    horizon: int

    def summary(self, counts: FloatArray, benchmark: "Backtest | None" = None) -> dict[str, Any]:
        """Metrics as JSON types; returns are compound and yearly.

        Volatility and Sharpe ratio are computed as the module says. ``net_daily_mean`` has
        block-bootstrap intervals, and so has ``excess_daily_mean``, the paired difference to the
        benchmark; it is None without one.
        """
        years = len(self.dates) / SESSIONS_PER_YEAR
        volatility = self._volatility()
        daily = interval(self._daily(), ratio, counts)
        sharpe = daily.estimate * SESSIONS_PER_YEAR / volatility if volatility > 1e-9 else np.nan
        excess = None
        if benchmark is not None:
            excess = asdict(paired_interval(self._daily(), benchmark._daily(), ratio, counts))

        return {
            "dates": len(self.dates),
            "invested_share": self.invested,
            "gross_annual_return": annual_return(self.gross_growth, years),
            "net_annual_return": self.net_annual_return,
            "annual_volatility": volatility,
            "sharpe": sharpe,
            "max_drawdown": float((self.equity / np.maximum.accumulate(self.equity) - 1).min()),
            "turnover": self.turnover,
            "net_daily_mean": asdict(daily),
            "excess_daily_mean": excess,
        }

    @property
    def net_annual_return(self) -> float:
        """Compound return a year after costs, a fraction."""
        return annual_return(float(self.equity[-1]), len(self.dates) / SESSIONS_PER_YEAR)

    def _volatility(self) -> float:
        """Yearly deviation of tranche returns; 0 under two dates."""
        if len(self.net) < 2:
            return 0.0
        return float(self.net.std(ddof=1) * np.sqrt(SESSIONS_PER_YEAR / self.horizon))

    def _daily(self) -> FloatArray:
        """(dates, 2) ones and the tranche's net return per session, which the bootstrap sums."""
        return np.stack([np.ones(len(self.net)), self.net / self.horizon], axis=1)


def annual_return(growth: float, years: float) -> float:
    """Return the compound return a year of 1 that grew to ``growth``; -1 of nothing left."""
    return growth ** (1 / years) - 1 if growth > 0 else -1.0


def simulate(candidates: Candidates, weights: FloatArray, horizon: int, costs: Costs) -> Backtest:
    """Simulate a strategy: each date's tranche of ``weights`` is held for ``horizon`` sessions.

    Weights are (dates, tickers); negative is short. Costs are paid on the difference between the
    tranche that ends and the one that begins: a name in both is not traded. They are charged to the
    tranche that begins; the last tranches also pay for their own end.
    """
    n_dates = len(weights)
    grid = np.zeros_like(weights)
    known = np.isfinite(candidates.returns)
    grid[candidates.day[known], candidates.column[known]] = candidates.returns[known]
    gross = (weights * grid).sum(axis=1)

    loan = np.maximum(-weights, 0).sum(axis=1) * costs.borrow_rate * horizon / SESSIONS_PER_YEAR
    nothing = np.zeros((horizon, weights.shape[1]))
    traded = np.abs(np.vstack([weights, nothing]) - np.vstack([nothing, weights])).sum(axis=1)
    fees = costs.per_side * traded
    last = min(horizon, n_dates)
    net = gross - loan - fees[:n_dates]
    net[-last:] -= fees[-last:]

    return Backtest(
        dates=candidates.dates,
        gross=gross,
        net=net,
        equity=np.cumprod(1 + _session_returns(gross - loan, horizon) - fees / horizon),
        gross_growth=float(np.prod(1 + _session_returns(gross, horizon))),
        invested=float((weights != 0).any(axis=1).mean()),
        turnover=float(traded.sum() / horizon / n_dates),
        horizon=horizon,
    )


def hold(dates: Array, returns: FloatArray, horizon: int) -> Backtest:
    """Account for a benchmark as for a strategy without costs: a tranche of it on every date.

    Args:
        dates: (dates,) entry dates.
        returns: (dates,) return of each date's tranche.
        horizon: sessions that a tranche is held.
    """
    equity = np.cumprod(1 + _session_returns(returns, horizon))
    return Backtest(
        dates=dates,
        gross=returns,
        net=returns,
        equity=equity,
        gross_growth=float(equity[-1]),
        invested=1.0,
        turnover=0.0,
        horizon=horizon,
    )


def _session_returns(tranche: FloatArray, horizon: int) -> FloatArray:
    """(dates + horizon,) return per session: 1/horizon of that of every tranche alive."""
    return np.concatenate([[0.0], np.convolve(tranche, np.ones(horizon))]) / horizon**2


def long_only(
    candidates: Candidates,
    actions: IntArray,
    score: FloatArray,
    horizon: int,
    costs: Costs,
    max_positions: int | None,
) -> Backtest:
    """Buy the buys with the highest scores; dates without one stay in cash."""
    weights = select(candidates, actions == BUY, score, max_positions)
    return simulate(candidates, weights, horizon, costs)


def long_short(
    candidates: Candidates,
    actions: IntArray,
    score: FloatArray,
    horizon: int,
    costs: Costs,
    max_positions: int | None,
) -> Backtest:
    """Buy the best buys with half the capital, short the worst sells; cash if a side is empty."""
    long = select(candidates, actions == BUY, score, max_positions)
    short = select(candidates, actions == SELL, -score, max_positions)
    both = long.any(axis=1, keepdims=True) & short.any(axis=1, keepdims=True)
    return simulate(candidates, np.where(both, 0.5 * (long - short), 0.0), horizon, costs)


def universe(candidates: Candidates, horizon: int, costs: Costs) -> Backtest:
    """Simulate the benchmark: every tradable row of each date, equally weighted."""
    weights = equal_weights(candidates, np.flatnonzero(np.isfinite(candidates.returns)))
    return simulate(candidates, weights, horizon, costs)


def backtests(
    data: Dataset,
    rows: IntArray,
    strategies: Mapping[str, tuple[IntArray, FloatArray]],
    horizon: int,
    costs: Costs,
    max_positions: int | None = None,
) -> dict[str, dict[str, dict[Entry, Backtest]]]:
    """Simulate strategies and the universe: strategy -> variant -> entry -> backtest.

    Args:
        data: the whole table.
        rows: indices of the rows that have actions.
        strategies: name -> (actions, score), aligned with ``rows``.
        horizon: sessions that a position is held, that of ``future_return``.
        costs: trading costs.
        max_positions: at most so many names a side and date, beside the fifth.
    """
    found: dict[str, dict[str, dict[Entry, Backtest]]] = {"universe": {"long_only": {}}}
    found |= {name: {"long_only": {}, "long_short": {}} for name in strategies}

    for entry in ENTRIES:
        candidates = Candidates.from_dataset(data, rows, entry)
        found["universe"]["long_only"][entry] = universe(candidates, horizon, costs)
        for name, (actions, score) in strategies.items():
            for variant in (long_only, long_short):
                backtest = variant(candidates, actions, score, horizon, costs, max_positions)
                found[name][variant.__name__][entry] = backtest

    return found
