"""The block bootstrap against explicit resampling, and the coverage of its intervals."""

import numpy as np
import pytest

from b3shared.evaluation import bootstrap as b
from b3shared.evaluation import metrics as m


def test_blocks_are_consecutive_dates_that_wrap_round_the_end():
    draws = b.draw_dates(53, 10, n_resamples=200, seed=4)
    assert draws.shape == (200, 53)
    blocks = draws[:, :50].reshape(200, 5, 10)
    assert ((np.diff(blocks, axis=2) % 53) == 1).all()
    assert (np.diff(draws[:, 50:], axis=1) % 53 == 1).all()
    assert (blocks[:, :, 0] > 43).any(), "no block wrapped"


def test_every_date_is_drawn_equally_often_in_the_long_run():
    counts = b.resample_counts(60, 10, n_resamples=4000, seed=1)
    assert (counts.sum(axis=1) == 60).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(60), abs=0.12)


def test_statistics_of_resamples_equal_an_explicit_resampling_of_rows():
    rng = np.random.default_rng(0)
    n_dates, length, resamples, seed = 50, 10, 25, 9
    day = np.sort(rng.integers(0, n_dates, 600))
    day[:n_dates] = np.arange(n_dates)  # no date without rows
    true, predicted, loss = (
        rng.integers(0, 3, 600),
        rng.integers(0, 3, 600),
        rng.exponential(size=600),
    )
    confusion = np.array(
        [m.confusion_matrix(true[day == d], predicted[day == d]).ravel() for d in range(n_dates)]
    )
    losses = np.array([[np.sum(day == d), loss[day == d].sum()] for d in range(n_dates)])
    counts = b.resample_counts(n_dates, length, resamples, seed)

    for draw, weights in zip(b.draw_dates(n_dates, length, resamples, seed), counts, strict=True):
        rows = np.concatenate([np.flatnonzero(day == d) for d in draw])
        assert b.ratio(weights @ losses) == pytest.approx(loss[rows].mean())
        oracle = m.mcc(m.confusion_matrix(true[rows], predicted[rows]))
        assert m.mcc((weights @ confusion).reshape(3, 3)) == pytest.approx(float(oracle))


def test_intervals_are_the_percentiles_of_the_replicates():
    per_date = b.moments(np.random.default_rng(2).normal(size=80))
    counts = b.resample_counts(80, 10, seed=3)
    replicates = np.array([per_date[draw, 1].mean() for draw in b.draw_dates(80, 10, seed=3)])
    found = b.interval(per_date, b.ratio, counts)
    assert found.estimate == pytest.approx(per_date[:, 1].mean())
    assert found.ci95 == pytest.approx(tuple(np.quantile(replicates, [0.025, 0.975])))
    assert found.ci99 == pytest.approx(tuple(np.quantile(replicates, [0.005, 0.995])))


def test_icir_from_sums_equals_icir_of_the_drawn_dates():
    ic = np.random.default_rng(6).normal(0.03, 0.1, 70)
    ic[[3, 40]] = np.nan
    counts = b.resample_counts(70, 10, 20, seed=5)
    for draw, weights in zip(b.draw_dates(70, 10, 20, seed=5), counts, strict=True):
        known = ic[draw][~np.isnan(ic[draw])]
        assert b.mean_over_deviation(weights @ b.moments(ic)) == pytest.approx(
            known.mean() / known.std(ddof=1)
        )


def test_a_paired_difference_is_certain_where_unpaired_intervals_overlap():
    rng = np.random.default_rng(8)
    common = rng.normal(1.0, 0.3, 200)
    a, c = b.moments(common + 0.01), b.moments(common + rng.normal(0, 0.01, 200))
    counts = b.resample_counts(200, 10, seed=1)
    paired = b.paired_interval(a, c, b.ratio, counts)
    assert paired.ci99[0] > 0
    assert b.interval(a, b.ratio, counts).ci95[0] < b.interval(c, b.ratio, counts).ci95[1]
    turned = b.paired_interval(c, a, b.ratio, counts)
    assert turned.estimate == pytest.approx(-paired.estimate)
    assert turned.ci95 == pytest.approx((-paired.ci95[1], -paired.ci95[0]))


def test_intervals_cover_the_truth_about_as_often_as_their_level():
    rng = np.random.default_rng(11)
    covered = {"ci95": 0, "ci99": 0}
    for repeat in range(300):
        per_date = b.moments(rng.normal(0.1, 1, 250))
        found = b.interval(per_date, b.ratio, b.resample_counts(250, 10, 500, seed=repeat))
        for level in covered:
            low, high = getattr(found, level)
            covered[level] += low <= 0.1 <= high
    assert 0.88 <= covered["ci95"] / 300 <= 0.985
    assert 0.95 <= covered["ci99"] / 300 <= 1.0


def test_blocks_widen_the_interval_of_a_dependent_series():
    noise = np.random.default_rng(12).normal(size=400)
    series = np.convolve(noise, np.ones(8) / 8, mode="same")
    width = {}
    for length in (1, 20):
        low, high = b.interval(
            b.moments(series), b.ratio, b.resample_counts(400, length, seed=1)
        ).ci95
        width[length] = high - low
    assert width[20] > 1.7 * width[1]


def test_too_few_dates_give_no_interval_rather_than_a_narrow_one():
    counts = b.resample_counts(49, 10)
    found = b.interval(b.moments(np.ones(49)), b.ratio, counts)
    assert counts.shape == (0, 49)
    assert found.estimate == 1
    assert np.isnan([*found.ci95, *found.ci99]).all()
    assert len(b.resample_counts(50, 10)) == b.N_RESAMPLES


def test_the_same_seed_draws_the_same_dates():
    assert (b.draw_dates(40, 10, 5, seed=1) == b.draw_dates(40, 10, 5, seed=1)).all()
    assert (b.draw_dates(40, 10, 5, seed=1) != b.draw_dates(40, 10, 5, seed=2)).any()


@pytest.mark.parametrize(("horizon", "length"), [(1, 10), (2, 10), (5, 10), (6, 12), (60, 120)])
def test_a_block_is_two_horizons_and_at_least_ten_dates(horizon, length):
    assert b.block_length(horizon) == length
