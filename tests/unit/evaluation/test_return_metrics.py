"""Metrics of returns and intervals against scikit-learn, SciPy and a plain loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from sklearn import metrics as sk

from b3shared.evaluation import bootstrap
from b3shared.evaluation.return_metrics import METRICS, return_bins
from b3shared.evaluation.scorecard import Outcome, Scorecard

LEVEL = 0.9
SHARED = ("return_mae", "return_mse", "return_rmse", "price_mae", "price_rmse", "price_mape")


def outcome_of(actual, close=None, dates=None):
    rows = len(actual)
    dates = np.datetime64("2023-01-02") + np.arange(rows) // 10 if dates is None else dates
    close = np.full(rows, 10.0) if close is None else close
    return Outcome(
        dates, np.zeros(rows, np.int8), np.asarray(actual, float), close, np.full(3, 1 / 3), LEVEL
    )


def card_of(outcome, predicted, intervals=None):
    return Scorecard.from_forecast(
        outcome, np.ones(len(outcome), np.int8), returns=predicted, intervals=intervals
    )


def metrics_of(actual, predicted, close=None, intervals=None):
    predicted = None if predicted is None else np.asarray(predicted, float)
    return card_of(outcome_of(actual, close), predicted, intervals).metrics()


def random_returns(seed=0, rows=400):
    rng = np.random.default_rng(seed)
    actual = rng.normal(0, 0.03, rows)
    predicted = 0.2 * actual + rng.normal(0, 0.01, rows)
    actual[rng.random(rows) < 0.05] = 0.0
    predicted[rng.random(rows) < 0.05] = 0.0
    return actual, predicted, rng.uniform(2, 80, rows)


def test_every_figure_equals_a_plain_loop():
    actual, predicted, close = random_returns()
    actual[3] = -1.0  # a price that came to nothing: no relative error
    found = metrics_of(actual, predicted, close)
    mae = mse = zero = spread = price = price_square = price_zero = mape = mape_zero = 0.0
    priced = signed = right = 0

    for r, p, c in zip(actual, predicted, close, strict=True):
        mae, mse = mae + abs(p - r), mse + (p - r) ** 2
        zero, spread = zero + r**2, spread + (r - actual.mean()) ** 2
        price, price_square = (
            price + abs(c * (1 + p) - c * (1 + r)),
            price_square + (c * (1 + p) - c * (1 + r)) ** 2,
        )
        price_zero += abs(c - c * (1 + r))
        if r > -1:
            priced += 1
            mape += abs(c * (1 + p) - c * (1 + r)) / (c * (1 + r))
            mape_zero += abs(c - c * (1 + r)) / (c * (1 + r))
        if r != 0 and p != 0:
            signed += 1
            right += (r > 0) == (p > 0)
    n = len(actual)
    expected = {
        "return_mae": mae / n,
        "return_mse": mse / n,
        "return_rmse": np.sqrt(mse / n),
        "return_r2": 1 - mse / spread,
        "return_r2_over_zero": 1 - mse / zero,
        "return_sign_accuracy": right / signed,
        "price_mae": price / n,
        "price_rmse": np.sqrt(price_square / n),
        "price_mae_excess": price / price_zero - 1,
        "price_mape": mape / priced,
        "price_mape_excess": mape / mape_zero - 1,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9)


def test_errors_equal_those_of_scikit_learn():
    actual, predicted, close = random_returns(3)
    found, prices = (
        metrics_of(actual, predicted, close),
        (close * (1 + actual), close * (1 + predicted)),
    )
    assert found["return_r2"] == pytest.approx(sk.r2_score(actual, predicted))
    assert found["return_mse"] == pytest.approx(sk.mean_squared_error(actual, predicted))
    assert found["price_mape"] == pytest.approx(sk.mean_absolute_percentage_error(*prices))
    assert found["price_rmse"] == pytest.approx(sk.root_mean_squared_error(*prices))


def test_the_rank_ic_of_returns_is_that_of_scipy_date_by_date():
    actual, predicted, _ = random_returns(4)
    days = [slice(k, k + 10) for k in range(0, 400, 10)]
    ics = np.array([spearmanr(predicted[day], actual[day]).statistic for day in days])
    found = metrics_of(actual, predicted)
    assert found["return_rank_ic"] == pytest.approx(ics.mean())
    assert found["return_icir"] == pytest.approx(ics.mean() / ics.std(ddof=1))


def test_intervals_equal_a_plain_loop():
    actual, predicted, _ = random_returns(5)
    half = np.random.default_rng(5).uniform(0.005, 0.06, len(actual))
    intervals = np.stack([predicted - half, predicted + half], axis=1)
    found, covered, width, score = metrics_of(actual, predicted, intervals=intervals), 0, 0.0, 0.0

    for r, (low, high) in zip(actual, intervals, strict=True):
        covered, width, score = covered + (low <= r <= high), width + high - low, score + high - low
        score += 2 / (1 - LEVEL) * (low - r) if r < low else 0
        score += 2 / (1 - LEVEL) * (r - high) if r > high else 0
    n = len(actual)
    assert found["interval_coverage"] == covered / n
    assert 0 < covered < n
    assert found["interval_width"] == pytest.approx(width / n)
    assert found["interval_score"] == pytest.approx(score / n)


def test_the_interval_score_is_least_at_the_true_quantiles():
    actual = np.random.default_rng(0).normal(0, 0.02, 20_000)
    scores = {}
    for wide in (0.5, 0.8, 1.0, 1.2, 2.0):
        half = np.full(len(actual), wide * 1.6449 * 0.02)
        scores[wide] = metrics_of(actual, None, intervals=np.stack([-half, half], axis=1))[
            "interval_score"
        ]
    assert min(scores, key=scores.get) == 1.0


def test_a_perfect_oracle_covers_everything_without_error():
    actual, _, close = random_returns(6)
    found = metrics_of(actual, actual, close, np.stack([actual, actual], axis=1))

    assert found["interval_coverage"] == found["return_r2"] == found["return_r2_over_zero"] == 1
    assert found["return_sign_accuracy"] == found["return_rank_ic"] == 1
    assert (
        found["interval_score"]
        == found["interval_width"]
        == found["price_mape"]
        == found["return_mae"]
        == 0
    )
    assert found["price_mape_excess"] == found["price_mae_excess"] == -1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(-0.9, 3), st.floats(0.01, 1e4)), min_size=1, max_size=40))
def test_a_forecast_of_zero_is_persistence_itself(rows):
    actual, close = np.array(rows).T.round(5)  # no price moves by less
    found = metrics_of(actual, np.zeros(len(actual)), close)
    for name in ("price_mape_excess", "price_mae_excess", "return_r2_over_zero"):
        assert found[name] == 0 or (np.isnan(found[name]) and (close * np.abs(actual) == 0).all())
    assert np.isnan(found["return_sign_accuracy"])
    assert not found["return_r2"] > 1e-9


def test_undefined_metrics_are_nan():
    still = metrics_of(np.zeros(20), np.zeros(20))
    undefined = {
        name for name, value in still.items() if isinstance(value, float) and np.isnan(value)
    }

    assert undefined >= {
        "return_r2", "return_r2_over_zero", "return_sign_accuracy", "return_rank_ic", "return_icir",
        "price_mape_excess", "price_mae_excess",
    }  # fmt: skip
    assert np.isnan(
        metrics_of(np.full(20, 0.1), np.full(20, 0.2))["return_r2"]
    )  # constant, but not zero
    assert np.isnan(metrics_of(np.full(20, -1.0), np.zeros(20))["price_mape"])
    assert np.isfinite(metrics_of(np.r_[-1.0, 0.1], np.zeros(2))["price_mape"])


def test_r2_against_the_mean_of_the_outcomes_is_the_stricter_of_the_two():
    for seed in range(20):
        actual, predicted, _ = random_returns(seed, rows=30)
        found = metrics_of(actual, predicted)
        assert found["return_r2"] <= found["return_r2_over_zero"] + 1e-12


def test_the_difference_to_persistence_is_resampled_paired():
    actual, predicted, close = random_returns(8, rows=2000)
    card = card_of(outcome_of(actual, close), predicted)
    length, dates = 10, len(card.dates)
    found = card.intervals(bootstrap.resample_counts(dates, length, 300, seed=3))[
        "price_mape_excess"
    ]
    day, outcome = np.arange(2000) // 10, close * (1 + actual)
    ratios = []

    for draw in bootstrap.draw_dates(dates, length, 300, seed=3):
        rows = np.concatenate([np.flatnonzero(day == date) for date in draw])
        ours = np.mean(np.abs(close[rows] * (1 + predicted[rows]) - outcome[rows]) / outcome[rows])
        ratios.append(ours / np.mean(np.abs(close[rows] - outcome[rows]) / outcome[rows]) - 1)
    assert found.ci95 == pytest.approx(tuple(np.quantile(ratios, [0.025, 0.975])))
    assert found.ci95[0] < found.estimate < found.ci95[1]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_order_of_the_rows_changes_nothing(seed):
    actual, predicted, close = random_returns(9, rows=100)
    dates = np.datetime64("2023-01-02") + np.arange(100) // 10
    order = np.random.default_rng(seed).permutation(100)
    a = card_of(outcome_of(actual, close, dates), predicted).metrics()
    b = card_of(outcome_of(actual[order], close[order], dates[order]), predicted[order]).metrics()
    assert {name: a[name] for name in SHARED} == pytest.approx({name: b[name] for name in SHARED})
    assert a["return_rank_ic"] == pytest.approx(b["return_rank_ic"])


def test_metrics_that_need_returns_or_intervals_are_absent_without_them():
    outcome = outcome_of(np.full(20, 0.1))
    assert not set(METRICS) & set(card_of(outcome, None).metrics())
    only_returns = set(METRICS) & set(card_of(outcome, np.zeros(20)).metrics())
    assert only_returns == {name for name in METRICS if not name.startswith("interval_")}


def test_return_bins_equal_a_loop_and_lie_on_the_diagonal_for_an_honest_forecast():
    rng = np.random.default_rng(2)
    predicted = rng.normal(0, 0.01, 5000)
    actual, day = predicted + rng.normal(0, 0.02, 5000), np.arange(5000) // 20
    counts = bootstrap.resample_counts(250, 10, 500)
    bins = return_bins(predicted, actual, day, counts)
    edges = np.quantile(predicted, np.arange(1, 10) / 10)
    number = np.array([sum(value >= edge for edge in edges) for value in predicted])

    for b, found in enumerate(bins):
        inside = number == b
        assert found["rows"] == inside.sum()
        assert found["forecast"] == pytest.approx(predicted[inside].mean())
        assert found["observed"] == pytest.approx(actual[inside].mean())
        assert found["ci95"][0] < found["observed"] < found["ci95"][1]
        assert abs(found["forecast"] - found["observed"]) < 0.004
    assert len(bins) == 10


def test_a_constant_forecast_has_one_bin():
    (only,) = return_bins(np.full(30, 0.01), np.arange(30) / 100, np.arange(30), np.zeros((0, 30)))
    assert only["rows"] == 30
    assert only["observed"] == pytest.approx(0.145)
    assert np.isnan(only["ci95"]).all()
