"""CDI and the market over the holding periods of a backtest.

A benchmark is held as the strategies are (:mod:`b3shared.evaluation.backtest`): on every date a
tranche is entered and held for ``horizon`` sessions. So each has one return per date, and
accounting, years and overlaps are the same for all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from b3shared.core.arrays import Array, FloatArray
from b3shared.dataset.market import Daily, Market
from b3shared.dataset.table import Dataset
from b3shared.evaluation.candidates import Entry

NAMED = 5
"""Missing days that a finding names."""
UNIVERSE = "equal-weighted universe"


@dataclass(frozen=True)
class HoldingPeriods:
    """The holding period of every date's tranche.

    Attributes:
        entry: (dates,) datetime64[D], the session at whose close it is bought.
        exit: (dates,) datetime64[D], the session at whose close it is sold; NaT where the data end
            before.
        counted: (dates,) bool: some stock could be entered on the date, and the sale is known.
            Where none could, the strategies hold nothing, and the date is not compared.
        sessions: (sessions,) datetime64[D], all sessions of the data, ascending.
    """

    entry: Array
    exit: Array
    counted: Array
    sessions: Array

    @classmethod
    def from_dataset(
        cls, data: Dataset, dates: Array, tradable: Array, horizon: int, entry: Entry
    ) -> "HoldingPeriods":
        """Find the periods in the sessions of a table.

        Args:
            data: the whole table.
            dates: (dates,) of the backtest, ascending.
            tradable: (dates,) bool, whether any stock could be entered.
            horizon: sessions that a tranche is held.
            entry: "next_close" is one session later than the date.
        """
        numbers, first = np.unique(data.session, return_index=True)
        sessions = data.date[first]
        delay = int(entry == "next_close")

        number = numbers[np.searchsorted(sessions, dates)] + delay
        bought = _at(numbers, sessions, number)
        sold = _at(numbers, sessions, number + horizon)
        return cls(bought, sold, tradable & ~np.isnat(bought) & ~np.isnat(sold), sessions)

    @property
    def first(self) -> np.datetime64:
        """Return the first day that a benchmark must know; NaT without a period."""
        bought = self.entry[self.counted]
        return bought.min() if len(bought) else np.datetime64("NaT", "D")

    @property
    def last(self) -> np.datetime64:
        """Return the session of the last sale; NaT without a period."""
        sold = self.exit[self.counted]
        return sold.max() if len(sold) else np.datetime64("NaT", "D")


@dataclass(frozen=True)
class Benchmark:
    """A benchmark over the holding periods of a backtest.

    Attributes:
        name: as a report shows it.
        source: where its values come from; empty without any.
        returns: (dates,) of each date's period, a fraction; NaN where it is not known, and 0 on
            dates that are not compared.
        known: whether its values reach over all periods; some days inside may be missing.
        findings: sentences on what is not known.
    """

    name: str
    source: str
    returns: FloatArray
    known: bool
    findings: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether the return of every period is known."""
        return self.known and not np.isnan(self.returns).any()


def cdi_benchmark(market: Market, periods: HoldingPeriods) -> Benchmark:
    """Hold the CDI: each period earns the rates from its entry to the day before its exit.

    They are compounded. The rate of a day is earned from its close to that of the next business
    day. So a business day without a session counts too, and the rate of the exit's day does not.
    """
    cdi = market.cdi
    if cdi is None:
        absent = "CDI is not known (no market/cdi.csv): no figure above it"
        return _unknown("CDI", "", periods, absent)

    inner = periods.sessions[periods.sessions < periods.last]
    last = inner[-1] if len(inner) else periods.last
    if (finding := _short(cdi, periods.first, last, "no figure above it")) is not None:
        return _unknown(cdi.name, cdi.source, periods, finding)

    needed = periods.sessions[(periods.sessions >= periods.first) & (periods.sessions <= last)]
    missing = np.setdiff1d(needed, cdi.days)
    growth = np.concatenate([[0.0], np.cumsum(np.log1p(cdi.values))])
    entry = np.searchsorted(cdi.days, periods.entry)
    exit = np.searchsorted(cdi.days, periods.exit)
    returns = np.expm1(growth[exit] - growth[entry])

    lacking = np.searchsorted(missing, periods.exit) > np.searchsorted(missing, periods.entry)
    returns = _compared(np.where(lacking, np.nan, returns), periods)
    return Benchmark(cdi.name, cdi.source, returns, True, _missing(cdi, missing))


def index_benchmark(index: Daily, periods: HoldingPeriods) -> Benchmark:
    """Hold an index: each period earns the close of its exit over that of its entry."""
    if (finding := _short(index, periods.first, periods.last, "not used")) is not None:
        return _unknown(index.name, index.source, periods, finding)

    entry = _at(index.days, index.values, periods.entry)
    exit = _at(index.days, index.values, periods.exit)
    needed = np.unique(np.stack([periods.entry, periods.exit])[:, periods.counted])
    missing = np.setdiff1d(needed, index.days)
    returns = _compared(exit / entry - 1, periods)
    return Benchmark(index.name, index.source, returns, True, _missing(index, missing))


def market_benchmark(market: Market, periods: HoldingPeriods, universe: FloatArray) -> Benchmark:
    """Choose the market: the first index that reaches over all periods, else the universe.

    Args:
        market: what is known of it.
        periods: of the backtest.
        universe: (dates,) net returns of the equal-weighted universe.
    """
    found = [index_benchmark(index, periods) for index in market.indices]
    for number, benchmark in enumerate(found):
        if benchmark.known:
            return benchmark if number == 0 else _after(found[:number], benchmark)

    finding = (
        "the Ibovespa is not known (no BOVA11 among the quotes, no market/ibovespa.csv): "
        if not found
        else "no closes of the Ibovespa reach over the test part: "
    )
    stand_in = Benchmark(
        UNIVERSE,
        "",
        _compared(universe, periods),
        True,
        (f"{finding}beta and alpha are to the {UNIVERSE}",),
    )
    return _after(found, stand_in)


def _after(passed: Sequence[Benchmark], chosen: Benchmark) -> Benchmark:
    """Return the chosen benchmark with the findings on those before it."""
    told = tuple(finding for benchmark in passed for finding in benchmark.findings)
    return Benchmark(
        chosen.name, chosen.source, chosen.returns, chosen.known, told + chosen.findings
    )


def _at(keys: Array, values: Array, wanted: Array) -> Array:
    """Return the values of keys, which ascend; NaT or NaN for a key that is not there."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    empty = np.datetime64("NaT", "D") if values.dtype.kind == "M" else np.nan
    return np.where(keys[place] == wanted, values[place], empty)


def _compared(returns: FloatArray, periods: HoldingPeriods) -> FloatArray:
    return np.where(periods.counted, returns, 0.0)


def _unknown(name: str, source: str, periods: HoldingPeriods, finding: str) -> Benchmark:
    returns = _compared(np.full(len(periods.entry), np.nan), periods)
    return Benchmark(name, source, returns, False, (finding,))


def _short(daily: Daily, first: np.datetime64, last: np.datetime64, consequence: str) -> str | None:
    """Return a finding if the days of a benchmark do not reach over a period."""
    if np.isnat(first):
        return f"{daily.name} is not compared: no holding period is known"
    if daily.days[0] <= first and daily.days[-1] >= last:
        return None
    return (
        f"{daily.name} ({daily.source}) is known from {daily.days[0]} to {daily.days[-1]}, "
        f"the test part needs {first} to {last}: {consequence}"
    )


def _missing(daily: Daily, days: Array) -> tuple[str, ...]:
    """Return a finding on the days that are missing inside."""
    if not len(days):
        return ()
    more = ", ..." if len(days) > NAMED else ""
    named = ", ".join(str(day) for day in days[:NAMED])
    return (
        f"{daily.name} ({daily.source}) lacks {len(days)} of the test part's days ({named}{more}): "
        "holding periods over them are left out, and its return a year is not known",
    )
