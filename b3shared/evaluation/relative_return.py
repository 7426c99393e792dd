"""Returns above the CDI and against the market: excess return, Sharpe ratio, beta, alpha.

Returns are those of whole tranches, as the volatility of :mod:`b3shared.evaluation.backtest`: at
horizon 1 they are daily. A year has 252 sessions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from b3shared.core.arrays import Array, FloatArray
from b3shared.dataset.market import Market
from b3shared.dataset.table import Dataset
from b3shared.evaluation.backtest import (
    SESSIONS_PER_YEAR,
    Backtest,
    hold,
)
from b3shared.evaluation.benchmarks import (
    Benchmark,
    HoldingPeriods,
    cdi_benchmark,
    market_benchmark,
)
from b3shared.evaluation.bootstrap import interval, mean_over_deviation, moments
from b3shared.evaluation.candidates import ENTRIES, Candidates, Entry
from b3shared.evaluation.metrics import divide

SMALLEST_VARIANCE = 1e-18
"""Of the market's excess returns: with less there is no beta."""


@dataclass(frozen=True)
class Benchmarks:
    """CDI and market beside the strategies of one entry.

    Attributes:
        cdi: the risk-free rate.
        market: what beta and alpha are to.
        counted: (dates,) bool, dates that are compared.
        dates: (dates,) of the backtest.
        horizon: sessions that a tranche is held.
    """

    cdi: Benchmark
    market: Benchmark
    counted: Array
    dates: Array
    horizon: int

    @classmethod
    def from_market(
        cls, market: Market, data: Dataset, rows: Array, universe: Backtest, entry: Entry
    ) -> "Benchmarks":
        """Hold the benchmarks on the dates of a backtest.

        Args:
            market: what is known of it.
            data: the whole table.
            rows: indices of the rows of the backtest.
            universe: its backtest of all stocks equally, with this entry.
            entry: when a tranche is bought.
        """
        candidates = Candidates.from_dataset(data, rows, entry)
        tradable = np.bincount(
            candidates.day[np.isfinite(candidates.returns)], minlength=len(candidates.dates)
        )
        periods = HoldingPeriods.from_dataset(
            data, candidates.dates, tradable > 0, universe.horizon, entry
        )

        return cls(
            cdi=cdi_benchmark(market, periods),
            market=market_benchmark(market, periods, universe.net),
            counted=periods.counted,
            dates=candidates.dates,
            horizon=universe.horizon,
        )

    @property
    def findings(self) -> Sequence[str]:
        """Return sentences on what is not known."""
        return [*self.cdi.findings, *self.market.findings]

    def curves(self) -> dict[str, Backtest]:
        """Return the benchmarks that are known without a hole, by name, as backtests."""
        return {
            benchmark.name: hold(self.dates, benchmark.returns, self.horizon)
            for benchmark in (self.market, self.cdi)
            if benchmark.complete and benchmark.source
        }

    def relative(self, backtest: Backtest, counts: FloatArray) -> dict[str, Any]:
        """Compare a backtest with the benchmarks, as JSON types; None where it is not known.

        - ``above_cdi_annual_return``: (1 + net annual return) / (1 + that of the CDI) - 1.
        - ``sharpe_above_cdi``: mean of the net returns above the CDI over their deviation, a year
          (Sharpe 1994).
        - ``beta``, ``alpha``: slope and intercept, the latter a year, of the ordinary least squares
          of the net returns above the CDI on the market's (Sharpe 1964; Jensen 1968).

        All but the first have block-bootstrap intervals.

        Args:
            backtest: of a strategy.
            counts: what :func:`b3shared.evaluation.bootstrap.resample_counts` returned.
        """
        per_year = SESSIONS_PER_YEAR / self.horizon
        mine = self._above_cdi(backtest.net)
        market = self._above_cdi(self.market.returns)
        sums = regression_sums(market, mine)

        sharpe = interval(
            moments(mine), lambda s: mean_over_deviation(s) * np.sqrt(per_year), counts
        )
        return {
            "above_cdi_annual_return": self._above_cdi_annual(backtest),
            "sharpe_above_cdi": asdict(sharpe),
            "beta": asdict(interval(sums, beta, counts)),
            "alpha": asdict(interval(sums, lambda s: alpha(s) * per_year, counts)),
        }

    def describe(self, counts: FloatArray) -> dict[str, Any]:
        """Return the benchmarks' own figures, as JSON types; None where they are not known."""
        market: dict[str, Any] = {"annual_return": None, "annual_volatility": None}
        market |= {"max_drawdown": None, "above_cdi_annual_return": None, "sharpe_above_cdi": None}
        if self.market.complete:
            held = hold(self.dates, self.market.returns, self.horizon)
            own = held.summary(counts) | self.relative(held, counts)
            market |= {"annual_return": own["net_annual_return"]}
            market |= {name: own[name] for name in market if name in own}

        cdi = {"annual_return": self._annual(self.cdi) if self.cdi.complete else None}
        return {
            "cdi": self._named(self.cdi) | cdi,
            "market": self._named(self.market) | market,
        }

    def _named(self, benchmark: Benchmark) -> dict[str, Any]:
        unknown = int(np.isnan(benchmark.returns).sum())
        return {"name": benchmark.name, "source": benchmark.source, "unknown_dates": unknown}

    def _above_cdi(self, returns: FloatArray) -> FloatArray:
        """Return each date's return above the CDI; NaN where either is not known."""
        return np.where(self.counted, returns - self.cdi.returns, np.nan)

    def _above_cdi_annual(self, backtest: Backtest) -> float | None:
        if not self.cdi.complete:
            return None
        return (1 + backtest.net_annual_return) / (1 + self._annual(self.cdi)) - 1

    def _annual(self, benchmark: Benchmark) -> float:
        return hold(self.dates, benchmark.returns, self.horizon).net_annual_return


def hold_benchmarks(
    market: Market,
    data: Dataset,
    rows: Array,
    simulated: Mapping[str, Mapping[str, Mapping[Entry, Backtest]]],
) -> dict[Entry, Benchmarks]:
    """Hold the benchmarks on the dates of simulated strategies, for each entry.

    Args:
        market: what is known of it.
        data: the whole table.
        rows: indices of the rows of the backtests.
        simulated: strategy -> variant -> entry -> backtest, with the universe.
    """
    universe = simulated["universe"]["long_only"]
    return {
        entry: Benchmarks.from_market(market, data, rows, universe[entry], entry)
        for entry in ENTRIES
    }


def regression_sums(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the columns count, x, y, xy, xx (dates, 5) of pairs; zeros where one is NaN."""
    known = ~(np.isnan(x) | np.isnan(y))
    x = np.where(known, x, 0.0)
    y = np.where(known, y, 0.0)
    return np.stack([known.astype(np.float64), x, y, x * y, x * x], axis=1)


def beta(sums: FloatArray) -> FloatArray:
    """Slope of y on x from sums of :func:`regression_sums`; NaN where x does not vary."""
    n, x, y, xy, xx = (sums[..., column] for column in range(5))
    variance = xx * n - x * x
    varies = variance > SMALLEST_VARIANCE * n * n
    return divide(xy * n - x * y, np.where(varies, variance, 0.0), empty=np.nan)


def alpha(sums: FloatArray) -> FloatArray:
    """Intercept of y on x from sums of :func:`regression_sums`; NaN where x does not vary."""
    n, x, y = (sums[..., column] for column in range(3))
    return divide(y - beta(sums) * x, n, empty=np.nan)
