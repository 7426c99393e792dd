"""The backtest against hand computations and a plain loop over sessions."""

import numpy as np
import pytest

from b3shared.core.vocabulary import BUY, HOLD, SELL
from b3shared.evaluation import backtest as bt
from b3shared.evaluation.bootstrap import resample_counts
from b3shared.evaluation.candidates import Candidates, next_session_return, select

FREE = bt.Costs(fees_bp=0, half_spread_bp=0, borrow_rate=0)
DAY = np.datetime64("2023-01-02")


def grid(returns):
    """Candidates from a (dates, tickers) table of returns."""
    returns = np.asarray(returns, float)
    n_dates, n_tickers = returns.shape
    return Candidates(
        dates=DAY + np.arange(n_dates),
        day=np.repeat(np.arange(n_dates), n_tickers),
        column=np.tile(np.arange(n_tickers), n_dates),
        returns=returns.ravel(),
        n_tickers=n_tickers,
    )


def test_the_best_fifth_of_the_called_rows_is_selected_with_equal_weights():
    candidates = grid(np.zeros((1, 10)))
    chosen = np.array([True] * 6 + [False] * 4)
    score = np.array([1, 5, 3, 5, 2, 4, 9, 9, 9, 9.0])
    weights = select(candidates, chosen, score, None)

    assert weights.tolist() == [[0, 0.5, 0, 0.5, 0, 0, 0, 0, 0, 0]]
    assert select(candidates, chosen, score, 1)[0].tolist() == [
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ]  # first ticker of a tie
    assert select(candidates, np.zeros(10, bool), score, None).sum() == 0


def test_rows_without_an_entry_or_a_score_are_not_selected():
    candidates = grid([[np.nan, 0.1, 0.1, 0.1, 0.1]])
    score = np.array([9, np.nan, 3, 2, 1.0])
    assert select(candidates, np.ones(5, bool), score, None)[0].tolist() == [0, 0, 1, 0, 0]


def test_horizon_one_without_costs_compounds_the_daily_returns():
    returns = np.array([[0.10], [-0.05], [0.02]])
    course = bt.simulate(grid(returns), np.ones((3, 1)), 1, FREE)
    assert course.equity == pytest.approx([1, 1.1, 1.1 * 0.95, 1.1 * 0.95 * 1.02])
    assert course.gross_growth == pytest.approx(1.1 * 0.95 * 1.02)
    assert course.net == pytest.approx(returns[:, 0])
    assert course.turnover == pytest.approx(2 / 3)  # bought once, sold once


def test_costs_are_paid_on_the_difference_between_tranches():
    costs = bt.Costs(fees_bp=40, half_spread_bp=60, borrow_rate=0)  # 1 % a side
    kept = bt.simulate(grid(np.zeros((3, 2))), np.array([[1.0, 0]] * 3), 1, costs)
    assert kept.net == pytest.approx([-0.01, 0, -0.01])
    switched = bt.simulate(grid(np.zeros((2, 2))), np.array([[1.0, 0], [0, 1.0]]), 1, costs)
    assert switched.net == pytest.approx([-0.01, -0.03])  # buy; sell and buy, and sell at the end
    assert switched.equity == pytest.approx([0.99, 0.99 * 0.98, 0.99 * 0.98 * 0.99])


def test_overlapping_tranches_equal_a_loop_over_sessions():
    rng = np.random.default_rng(0)
    horizon, n_dates, n = 3, 12, 5
    returns, weights = rng.normal(0, 0.03, (n_dates, n)), rng.dirichlet(np.ones(n), n_dates)
    costs = bt.Costs(fees_bp=5, half_spread_bp=10, borrow_rate=0)
    course = bt.simulate(grid(returns), weights, horizon, costs)
    value, equity, nothing = 1.0, [], np.zeros(n)

    for s in range(n_dates + horizon):
        alive = [t for t in range(n_dates) if t < s <= t + horizon]
        earned = sum((weights[t] @ returns[t]) / horizon / horizon for t in alive)
        begins = weights[s] if s < n_dates else nothing
        ends = weights[s - horizon] if s >= horizon else nothing
        value *= 1 + earned - 0.0015 * np.abs(begins - ends).sum() / horizon
        equity.append(value)
    assert course.equity == pytest.approx(equity)


def test_horizon_longer_than_the_part_still_charges_entry_and_exit():
    costs = bt.Costs(fees_bp=100, half_spread_bp=0, borrow_rate=0)
    course = bt.simulate(grid(np.zeros((2, 1))), np.ones((2, 1)), 5, costs)
    assert course.net == pytest.approx([-0.02, -0.02])


def test_long_short_is_neutral_pays_for_borrowed_stock_and_needs_both_sides():
    returns = np.array([[0.10, 0, 0, 0, -0.10], [0.10, 0, 0, 0, -0.10]])
    actions = np.array([BUY, HOLD, HOLD, HOLD, SELL, BUY, HOLD, HOLD, HOLD, HOLD])
    score = np.tile([2, 1, 0, -1, -2.0], 2)
    costs = bt.Costs(fees_bp=0, half_spread_bp=0, borrow_rate=0.252)
    course = bt.long_short(grid(returns), actions, score, 1, costs, None)
    assert course.gross == pytest.approx([0.10, 0])
    assert course.net == pytest.approx([0.10 - 0.5 * 0.001, 0])
    assert course.invested == 0.5


def test_a_perfect_forecaster_earns_and_an_inverted_one_loses_what_it_earned(make_market):
    data = make_market(seed=4)
    rows = data.labelled
    actions, score = data.label[rows], data.future_return[rows]
    candidates = Candidates.from_dataset(data, rows, "same_close")
    right = bt.long_short(candidates, actions, score, 2, FREE, None)
    wrong = bt.long_short(candidates, 2 - actions, -score, 2, FREE, None)
    assert right.gross.mean() > 0.02
    assert wrong.gross == pytest.approx(-right.gross)


def test_the_universe_holds_every_stock_equally():
    returns = np.array([[0.1, 0.2, np.nan], [0.0, 0.3, 0.3]])
    assert bt.universe(grid(returns), 1, FREE).gross == pytest.approx([0.15, 0.2])


def test_entry_one_session_later_takes_the_next_row_of_the_same_ticker_only(make_market):
    data = make_market(n_tickers=3, n_dates=60)
    rows = data.labelled
    found = next_session_return(data, rows)

    for row, value in zip(rows, found, strict=True):
        after = np.flatnonzero(
            (data.ticker == data.ticker[row]) & (data.session == data.session[row] + 1)
        )
        expected = data.future_return[after[0]] if len(after) else np.nan
        assert value == pytest.approx(expected, nan_ok=True)
    assert np.isnan(found).any()
    first, second = np.unique(data.ticker)[:2]
    relay = data.take(
        ((data.ticker == first) & (data.session <= 30))
        | ((data.ticker == second) & (data.session > 30))
    )
    handover = np.flatnonzero(relay.session == 30)
    assert relay.ticker[handover + 1] == second
    assert np.isnan(next_session_return(relay, handover)).all()
    gap = data.take(np.delete(np.arange(len(data)), 5))
    assert np.isnan(next_session_return(gap, np.array([4]))).all()


def test_the_summary_equals_one_computed_by_hand():
    gross = np.array([[0.01], [-0.02]] * 63)
    course = bt.simulate(grid(gross), np.ones((126, 1)), 1, FREE)
    counts = resample_counts(126, 10, 200)
    found = course.summary(counts, course)
    growth = (1.01 * 0.98) ** 63

    assert (
        found["net_annual_return"] == found["gross_annual_return"] == pytest.approx(growth**2 - 1)
    )
    deviation = gross.std(ddof=1)
    assert found["annual_volatility"] == pytest.approx(deviation * np.sqrt(252))
    assert found["sharpe"] == pytest.approx(-0.005 / deviation * np.sqrt(252))
    assert found["max_drawdown"] == pytest.approx(growth / 1.01 - 1)
    assert found["net_daily_mean"]["estimate"] == pytest.approx(-0.005)
    assert found["excess_daily_mean"]["ci95"] == (0, 0)
    assert course.summary(counts)["excess_daily_mean"] is None


def test_volatility_is_not_smoothed_by_overlapping_tranches():
    rng = np.random.default_rng(3)
    daily = rng.normal(0, 0.01, 5001)
    two_days = (1 + daily[:-1]) * (1 + daily[1:]) - 1
    course = bt.simulate(grid(two_days[:, None]), np.ones((5000, 1)), 2, FREE)
    found = course.summary(resample_counts(5000, 10, 10))
    assert found["annual_volatility"] == pytest.approx(0.01 * np.sqrt(252), rel=0.05)
    smoothed = np.diff(np.log(course.equity)).std() * np.sqrt(252)
    assert smoothed < 0.7 * found["annual_volatility"]


def test_without_any_call_a_strategy_is_in_cash_and_has_no_sharpe_ratio():
    course = bt.long_only(
        grid(np.full((60, 5), 0.01)), np.full(300, HOLD), np.zeros(300), 2, bt.Costs(), None
    )
    found = course.summary(resample_counts(60, 10, 50))
    assert found["net_annual_return"] == found["turnover"] == found["invested_share"] == 0
    assert np.isnan(found["sharpe"])


def test_every_strategy_has_both_variants_and_both_entries(make_market):
    data = make_market(n_tickers=6, n_dates=80)
    rows = data.labelled
    found = bt.backtests(
        data, rows, {"model": (data.label[rows], data.future_return[rows])}, 2, bt.Costs()
    )

    assert {
        (n, v, e)
        for n, variants in found.items()
        for v, entries in variants.items()
        for e in entries
    } == {
        (name, variant, entry)
        for name, variant in (
            ("universe", "long_only"),
            ("model", "long_only"),
            ("model", "long_short"),
        )
        for entry in ("same_close", "next_close")
    }
