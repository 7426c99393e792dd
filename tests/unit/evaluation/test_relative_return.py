"""Returns above CDI, beta and alpha equal those worked by hand and by brute force."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from b3shared.dataset.market import Daily, Market
from b3shared.dataset.table import Dataset
from b3shared.evaluation.backtest import Backtest, Costs, backtests, hold
from b3shared.evaluation.benchmarks import HoldingPeriods, cdi_benchmark, index_benchmark
from b3shared.evaluation.bootstrap import resample_counts
from b3shared.evaluation.candidates import ENTRIES
from b3shared.evaluation.relative_return import Benchmarks

FREE = Costs(fees_bp=0, half_spread_bp=0, borrow_rate=0)
DAYS = np.array(["2023-12-26", "2023-12-27", "2023-12-28", "2023-12-29"], "datetime64[D]")
NO_RESAMPLES = resample_counts(3, 10)


def periods(entry: list[int], exit: list[int]) -> HoldingPeriods:
    """Holding periods between sessions of DAYS."""
    counted = np.ones(len(entry), bool)
    return HoldingPeriods(DAYS[entry], DAYS[exit], counted, DAYS)


def cdi(rates: list[float], days: np.ndarray = DAYS) -> Daily:
    return Daily("CDI", "market/cdi.csv", days, np.array(rates))


def index(closes: list[float], days: np.ndarray = DAYS, name: str = "Ibovespa") -> Daily:
    return Daily(name, "market/ibovespa.csv", days, np.array(closes))


def three_sessions(rates: Daily | None, closes: Daily) -> Benchmarks:
    """One-session periods from each of the first three days."""
    held = periods([0, 1, 2], [1, 2, 3])
    return Benchmarks(
        cdi_benchmark(Market(rates), held),
        index_benchmark(closes, held),
        held.counted,
        DAYS[:3],
        1,
    )


def test_three_sessions_worked_by_hand() -> None:
    benchmarks = three_sessions(
        cdi([0.001, 0.002, 0.003, 0.009]), index([100.0, 101.0, 99.99, 104.9895])
    )
    assert benchmarks.cdi.returns == pytest.approx([0.001, 0.002, 0.003])
    assert benchmarks.market.returns == pytest.approx([0.01, -0.01, 0.05])

    strategy = hold(DAYS[:3], np.array([0.021, -0.018, 0.103]), 1)
    found = benchmarks.relative(strategy, NO_RESAMPLES)

    # above the CDI: 0.020, -0.020, 0.100; the market: 0.009, -0.012, 0.047
    mean = 0.1 / 3
    deviation = np.sqrt(((0.02 - mean) ** 2 + (-0.02 - mean) ** 2 + (0.1 - mean) ** 2) / 2)
    assert found["sharpe_above_cdi"]["estimate"] == pytest.approx(mean / deviation * np.sqrt(252))

    growth = 1.021 * 0.982 * 1.103 / (1.001 * 1.002 * 1.003)
    assert found["above_cdi_annual_return"] == pytest.approx(growth ** (252 / 3) - 1)

    market_mean = 0.044 / 3
    covariance = sum(
        (x - market_mean) * (y - mean)
        for x, y in zip([0.009, -0.012, 0.047], [0.02, -0.02, 0.1], strict=True)
    )
    variance = sum((x - market_mean) ** 2 for x in (0.009, -0.012, 0.047))
    slope = covariance / variance
    assert found["beta"]["estimate"] == pytest.approx(slope)
    assert found["alpha"]["estimate"] == pytest.approx((mean - slope * market_mean) * 252)


def test_the_market_itself_has_beta_1_and_alpha_0() -> None:
    benchmarks = three_sessions(cdi([0.001, 0.002, 0.003, 0.0]), index([100.0, 101.0, 99.0, 104.0]))
    itself = hold(DAYS[:3], benchmarks.market.returns, 1)
    found = benchmarks.relative(itself, NO_RESAMPLES)
    assert found["beta"]["estimate"] == pytest.approx(1)
    assert found["alpha"]["estimate"] == pytest.approx(0, abs=1e-12)


def test_the_cdi_itself_has_nothing_above_cdi() -> None:
    benchmarks = three_sessions(cdi([0.001, 0.002, 0.003, 0.0]), index([100.0, 101.0, 99.0, 104.0]))
    itself = hold(DAYS[:3], benchmarks.cdi.returns, 1)
    found = benchmarks.relative(itself, NO_RESAMPLES)
    assert found["above_cdi_annual_return"] == pytest.approx(0, abs=1e-12)
    assert found["beta"]["estimate"] == pytest.approx(0, abs=1e-12)
    assert found["alpha"]["estimate"] == pytest.approx(0, abs=1e-12)
    assert np.isnan(found["sharpe_above_cdi"]["estimate"])


def test_a_longer_period_earns_the_compounded_rates_of_its_sessions() -> None:
    held = periods([0, 1], [2, 3])
    found = cdi_benchmark(Market(cdi([0.001, 0.002, 0.003, 0.009])), held)
    assert found.returns == pytest.approx([1.001 * 1.002 - 1, 1.002 * 1.003 - 1])


def test_a_business_day_without_a_session_earns_its_rate_too() -> None:
    days = np.array(["2023-11-17", "2023-11-20", "2023-11-21"], "datetime64[D]")
    sessions = days[[0, 2]]
    held = HoldingPeriods(sessions[:1], sessions[1:], np.ones(1, bool), sessions)
    found = cdi_benchmark(Market(cdi([0.001, 0.002, 0.004], days)), held)
    assert found.returns == pytest.approx([1.001 * 1.002 - 1])
    assert found.findings == ()


def test_a_missing_rate_inside_is_a_finding_and_leaves_its_periods_out() -> None:
    rates = cdi([0.001, 0.003, 0.0], DAYS[[0, 2, 3]])
    benchmarks = three_sessions(rates, index([100.0, 101.0, 99.0, 104.0]))
    assert np.isnan(benchmarks.cdi.returns).tolist() == [False, True, False]
    (finding,) = benchmarks.cdi.findings
    assert "lacks 1 of the test part's days (2023-12-27)" in finding

    strategy = hold(DAYS[:3], np.array([0.021, 0.5, 0.103]), 1)
    found = benchmarks.relative(strategy, NO_RESAMPLES)
    assert found["above_cdi_annual_return"] is None
    excess = np.array([0.020, 0.100])
    expected = excess.mean() / excess.std(ddof=1) * np.sqrt(252)
    assert found["sharpe_above_cdi"]["estimate"] == pytest.approx(expected)


def test_a_missing_close_inside_is_a_finding_and_leaves_its_periods_out() -> None:
    found = index_benchmark(
        index([100.0, 99.0, 104.0], DAYS[[0, 2, 3]]), periods([0, 1, 2], [1, 2, 3])
    )
    assert np.isnan(found.returns).tolist() == [True, True, False]
    assert "lacks 1 of the test part's days (2023-12-27)" in found.findings[0]


@pytest.mark.parametrize("inside", [slice(1, None), slice(None, 2)], ids=["late", "early"])
def test_rates_that_do_not_reach_over_the_test_part_are_not_known_and_never_0(
    inside: slice,
) -> None:
    rates = cdi([0.001, 0.002, 0.003, 0.004][inside], DAYS[inside])
    benchmarks = three_sessions(rates, index([100.0, 101.0, 99.0, 104.0]))
    assert not benchmarks.cdi.known
    assert np.isnan(benchmarks.cdi.returns).all()
    assert "the test part needs 2023-12-26 to 2023-12-28" in benchmarks.cdi.findings[0]

    strategy = hold(DAYS[:3], np.array([0.021, 0.5, 0.103]), 1)
    found = benchmarks.relative(strategy, NO_RESAMPLES)
    assert found["above_cdi_annual_return"] is None
    assert all(np.isnan(found[name]["estimate"]) for name in ("sharpe_above_cdi", "beta", "alpha"))


def simulated(data: Dataset, rows: np.ndarray, horizon: int) -> dict[str, Backtest]:
    found = backtests(data, rows, {}, horizon, FREE)["universe"]["long_only"]
    return {entry: found[entry] for entry in ENTRIES}


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("entry", ENTRIES)
def test_periods_on_a_whole_table_equal_a_loop_over_its_sessions(
    make_market: Callable[..., Dataset], horizon: int, entry: str
) -> None:
    data = make_market(n_tickers=6, n_dates=120, horizon=horizon, seed=3)
    rows = np.flatnonzero((data.label >= 0) & (data.date >= data.date[40]))
    sessions = np.unique(data.date)
    rng = np.random.default_rng(1)
    rates = dict(zip(sessions, rng.uniform(0, 0.001, len(sessions)), strict=True))
    closes = dict(zip(sessions, rng.uniform(90, 110, len(sessions)), strict=True))
    market = Market(cdi(list(rates.values()), sessions), (index(list(closes.values()), sessions),))
    universe = simulated(data, rows, horizon)[entry]
    found = Benchmarks.from_market(market, data, rows, universe, entry)

    mine, of_market = [], []
    for number, day in enumerate(np.unique(data.date[rows])):
        at = int(np.searchsorted(sessions, day)) + (entry == "next_close")
        if entry == "next_close" and day == np.unique(data.date[rows])[-1]:
            assert not found.counted[number]  # no stock can be entered after the last date
            assert found.cdi.returns[number] == 0
            continue
        risk_free = np.prod([1 + rates[sessions[at + n]] for n in range(horizon)]) - 1
        index_return = closes[sessions[at + horizon]] / closes[sessions[at]] - 1
        assert found.cdi.returns[number] == pytest.approx(risk_free)
        assert found.market.returns[number] == pytest.approx(index_return)
        mine.append(universe.net[number] - risk_free)
        of_market.append(index_return - risk_free)

    slope, intercept = np.polyfit(of_market, mine, 1)
    counts = resample_counts(len(universe.dates), 10, n_resamples=50)
    relative = found.relative(universe, counts)
    assert relative["beta"]["estimate"] == pytest.approx(slope)
    assert relative["alpha"]["estimate"] == pytest.approx(intercept * 252 / horizon)
    low, high = relative["alpha"]["ci95"]
    assert low < relative["alpha"]["estimate"] < high
    sharpe = np.mean(mine) / np.std(mine, ddof=1) * np.sqrt(252 / horizon)
    assert relative["sharpe_above_cdi"]["estimate"] == pytest.approx(sharpe)


def test_without_an_index_the_universe_is_the_market_and_that_is_said(
    make_market: Callable[..., Dataset],
) -> None:
    data = make_market(n_tickers=6, n_dates=120)
    rows = data.labelled
    sessions = np.unique(data.date)

    universe = simulated(data, rows, 2)["same_close"]
    short = index([100.0, 101.0], sessions[:2], "Ibovespa (BOVA11)")
    for indices, told in (((), "the Ibovespa is not known"), ((short,), "not used")):
        market = Market(cdi([0.0004] * len(sessions), sessions), indices)
        found = Benchmarks.from_market(market, data, rows, universe, "same_close")
        assert found.market.name == "equal-weighted universe"
        assert told in found.findings[0]
        assert "beta and alpha are to the equal-weighted universe" in found.findings[-1]
        relative = found.relative(universe, np.zeros((0, len(universe.dates))))
        assert relative["beta"]["estimate"] == pytest.approx(1)
        assert relative["alpha"]["estimate"] == pytest.approx(0, abs=1e-9)
        assert list(found.curves()) == ["CDI"]


def test_the_first_index_that_reaches_over_the_test_part_is_the_market(
    make_market: Callable[..., Dataset],
) -> None:
    data = make_market(n_tickers=6, n_dates=120)
    sessions = np.unique(data.date)
    universe = simulated(data, data.labelled, 2)["same_close"]
    fund = index([10.0] * 50, sessions[:50], "Ibovespa (BOVA11)")
    closes = index(list(np.linspace(100, 120, len(sessions))), sessions)
    found = Benchmarks.from_market(
        Market(None, (fund, closes)), data, data.labelled, universe, "same_close"
    )
    assert found.market.name == "Ibovespa"
    assert any("Ibovespa (BOVA11)" in finding for finding in found.findings)

    whole = replace(fund, days=sessions, values=np.full(len(sessions), 10.0))
    found = Benchmarks.from_market(
        Market(None, (whole, closes)), data, data.labelled, universe, "same_close"
    )
    assert found.market.name == "Ibovespa (BOVA11)"
