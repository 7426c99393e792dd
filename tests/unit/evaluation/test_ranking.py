"""Rank IC and quintile spread against SciPy and a plain loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from b3shared.evaluation.ranking import buy_minus_sell, daily_rank_ic, quintile_spread

DAY = np.datetime64("2023-01-02")


def random_days(seed=0, n_dates=15, decimals=1):
    """Days of 1 to 29 rows with many ties, rows shuffled."""
    rng = np.random.default_rng(seed)
    dates = np.repeat(DAY + np.arange(n_dates), rng.integers(1, 30, n_dates))
    score, returns = rng.normal(size=(2, len(dates))).round(decimals)
    order = rng.permutation(len(dates))
    return score[order], returns[order], dates[order]


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_rank_ic_equals_scipy_date_by_date_with_ties(decimals):
    score, returns, dates = random_days(decimals=decimals)
    found = daily_rank_ic(score, returns, dates)
    for date, ic in zip(found.dates, found.values, strict=True):
        today = dates == date
        if today.sum() < 5 or np.ptp(score[today]) == 0 or np.ptp(returns[today]) == 0:
            assert np.isnan(ic)
        else:
            assert ic == pytest.approx(spearmanr(score[today], returns[today]).statistic)


def test_short_and_constant_days_are_skipped_and_counted():
    dates = np.repeat(DAY + np.arange(4), [4, 5, 5, 5])
    score = np.r_[1:5, [7] * 5, 1:6, 5:0:-1].astype(float)
    returns = np.r_[1:5, 1:6, 1:6, 1:6] / 100
    found = daily_rank_ic(score, returns, dates)
    assert np.isnan(found.values[:2]).all()
    assert found.values[2:] == pytest.approx([1, -1])
    assert (found.skipped, found.mean) == (2, 0)
    assert found.ratio == pytest.approx(0)


def test_mean_and_ratio_are_those_of_the_dates_that_count():
    score, returns, dates = random_days(3)
    found = daily_rank_ic(score, returns, dates)
    known = found.values[~np.isnan(found.values)]
    assert found.mean == pytest.approx(known.mean())
    assert found.ratio == pytest.approx(known.mean() / known.std(ddof=1))


def test_rank_ic_is_one_for_a_perfect_or_monotone_score_and_minus_one_for_an_inverted_one():
    _, returns, dates = random_days(1, decimals=8)
    perfect = daily_rank_ic(returns, returns, dates)
    assert perfect.used == pytest.approx(np.ones(len(perfect.used)))
    assert daily_rank_ic(-returns, returns, dates).mean == pytest.approx(-1)
    assert daily_rank_ic(np.exp(5 * returns), returns, dates).mean == pytest.approx(1)


def test_the_rank_ic_of_a_random_score_is_near_zero():
    rng = np.random.default_rng(5)
    dates = np.repeat(DAY + np.arange(500), 40)
    found = daily_rank_ic(rng.normal(size=20_000), rng.normal(size=20_000), dates)
    assert abs(found.mean) < 4 / np.sqrt(500 * 39)


def test_rows_without_a_number_are_left_out_not_ranked():
    dates = np.repeat(DAY, 7)
    score = np.array([1, 2, np.nan, 3, 4, 5, 6.0])
    returns = np.array([1, 2, 9, 3, 4, 5, np.nan]) / 10
    assert daily_rank_ic(score, returns, dates).mean == pytest.approx(1)
    assert daily_rank_ic(np.full(7, np.nan), returns, dates).skipped == 1


def test_quintile_spread_equals_a_hand_computation():
    dates = np.repeat(DAY, 10)
    score = np.arange(10.0)
    returns = np.array([-0.05, -0.03, 0, 0, 0, 0, 0, 0, 0.01, 0.03])
    assert quintile_spread(score, returns, dates).mean == pytest.approx(0.02 - -0.04)


def test_quintile_spread_equals_a_loop_and_changes_sign_with_the_score():
    score, returns, dates = random_days(7)
    found = quintile_spread(score, returns, dates)

    for date, spread in zip(found.dates, found.values, strict=True):
        today, n = dates == date, int((dates == date).sum())
        rank = np.array(
            [(score[today] < s).sum() + ((score[today] == s).sum() + 1) / 2 for s in score[today]]
        )
        top, bottom = (
            returns[today][5 * (rank - 0.5) >= 4 * n],
            returns[today][5 * (rank - 0.5) <= n],
        )
        if n < 5 or not len(top) or not len(bottom):
            assert np.isnan(spread)
        else:
            assert spread == pytest.approx(top.mean() - bottom.mean())
    assert quintile_spread(-score, returns, dates).used == pytest.approx(-found.used)


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_the_order_of_rows_changes_nothing(seed):
    score, returns, dates = random_days(2)
    order = np.random.default_rng(seed).permutation(len(score))
    for figure in (daily_rank_ic, quintile_spread):
        a, b = figure(score, returns, dates), figure(score[order], returns[order], dates[order])
        np.testing.assert_allclose(a.values, b.values)
        assert (a.dates == b.dates).all()


def test_the_score_is_buy_minus_sell():
    assert buy_minus_sell(np.array([[0.5, 0.3, 0.2], [0.1, 0.3, 0.6]])) == pytest.approx(
        [0.3, -0.5]
    )
