"""The evaluation of a model that also forecasts returns and intervals, trained in epochs."""

import json
from dataclasses import replace

import numpy as np
import pytest

from b3shared.core.errors import InvalidParameterError, TooLittleHistoryError
from b3shared.core.vocabulary import BUY, HOLD, SELL
from b3shared.evaluation.evaluate import evaluate
from b3shared.evaluation.metrics import class_shares
from b3shared.evaluation.parts import score_parts
from b3shared.models.base import Forecast
from b3shared.models.conformal import ReturnScale, unit_of
from b3shared.params.run import PipelineParams

PARAMS = PipelineParams()
HISTORY = [
    {"epoch": 1, "train_loss": 1.1, "val_loss": 1.09, "learning_rate": 1e-3, "seconds": 2.0},
    {"epoch": 2, "train_loss": 1.0, "val_loss": 1.07, "learning_rate": 1e-3, "seconds": 2.1},
    {"epoch": 3, "train_loss": 0.9, "val_loss": 1.08, "learning_rate": 5e-4, "seconds": 2.0},
]
PICTURES = {"training_curves", "return_calibration", "coverage_by_month"}


@pytest.fixture(scope="module")
def market(make_market):
    return make_market(n_tickers=20, n_dates=400, signal=0.5)


@pytest.fixture(scope="module")
def parts(market, split):
    return split(market)


def forecasts_of(market, parts, *, strength=0.007, width=1.6449):
    """Returns of the planted feature, with an interval of ``width`` units."""
    logits = np.stack(
        [market.X[:, 0] * 0.35, np.full(len(market), 0.1), -market.X[:, 0] * 0.35], axis=1
    )
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = strength * market.X[:, 0].astype(float)
    intervals = ReturnScale(PARAMS.horizon, 0.9, width).intervals(expected, market.volatility)
    return {
        name: Forecast(p[rows], expected[rows], intervals[rows]) for name, rows in parts.items()
    }


def run(market, parts, forecasts, **options):
    """The metrics: without pictures, which take most of the time."""
    return evaluated(market, parts, forecasts, **options).metrics


def evaluated(market, parts, forecasts, **options):
    rates = class_shares(market.label[parts["train"]])
    return evaluate(
        market, parts, forecasts, rates, options.pop("params", PARAMS), {"f0": 1.0}, **options
    )


@pytest.fixture(scope="module")
def evaluation(market, parts):
    training = {"history": HISTORY, "rows": {"calibrate": len(later_half(market, parts["val"]))}}
    return evaluated(market, parts, forecasts_of(market, parts), training=training)


def test_no_side_is_called_against_the_expected_return(market, parts):
    rates = class_shares(market.label[parts["train"]])
    agreeing, contrary = (
        score_parts(market, parts, forecasts_of(market, parts, strength=strength), rates, PARAMS)[
            "test"
        ]
        for strength in (0.007, -0.007)
    )
    assert {BUY, SELL} < set(agreeing.actions)
    for side, sign in ((BUY, 1), (SELL, -1)):
        assert (np.sign(agreeing.forecast.returns[agreeing.actions == side]) == sign).all()
    assert (contrary.actions == HOLD).all(), "its returns contradict every one of its probabilities"


def later_half(market, rows):
    dates = np.unique(market.date[rows])
    return rows[market.date[rows] >= dates[len(dates) // 2]]


def test_metrics_survive_strict_json_unchanged(evaluation):
    assert json.loads(json.dumps(evaluation.metrics, allow_nan=False)) == evaluation.metrics


def test_every_part_has_the_metrics_of_returns_prices_and_intervals(evaluation, market, parts):
    for name, rows in parts.items():
        found, actual = evaluation.metrics["model"][name], market.future_return[rows]
        error = 0.007 * market.X[rows, 0] - actual
        assert found["return_mae"] == pytest.approx(np.abs(error).mean())
        assert found["price_mape"] == pytest.approx(np.abs(error / (1 + actual)).mean())
        unit = unit_of(market.volatility[rows], PARAMS.horizon)
        assert found["interval_coverage"] == pytest.approx(
            (np.abs(error) <= 1.6449 * unit).mean(), abs=1e-3
        )
    gap = evaluation.metrics["gaps"]["return_mae"]
    model = evaluation.metrics["model"]

    assert gap == pytest.approx(model["train"]["return_mae"] - model["val"]["return_mae"])


def test_persistence_has_an_interval_set_on_the_same_later_rows(evaluation, market, parts):
    metrics, rows = evaluation.metrics, parts["test"]
    later = later_half(market, parts["val"])
    scores = np.sort(
        np.abs(market.future_return[later]) / unit_of(market.volatility[later], PARAMS.horizon)
    )
    quantile = scores[int(np.ceil((len(later) + 1) * 0.9)) - 1]
    fit = metrics["return_interval"]["persistence"]

    assert fit["rows"] == len(later) < len(parts["val"])
    assert fit["quantile"] == pytest.approx(quantile)
    assert (fit["first"], fit["last"]) == (
        str(market.date[later].min()),
        str(market.date[later].max()),
    )
    half = quantile * unit_of(market.volatility[rows], PARAMS.horizon)
    persistence = metrics["baselines"]["persistence"]["figures"]
    assert persistence["interval_coverage"] == pytest.approx(
        (np.abs(market.future_return[rows]) <= half).mean()
    )
    assert persistence["interval_width"] == pytest.approx(2 * half.mean())
    assert persistence["price_mape_excess"] == persistence["return_r2_over_zero"] == 0
    assert persistence["return_rank_ic"] is None
    assert persistence["return_mae"] == pytest.approx(np.abs(market.future_return[rows]).mean())


def test_the_interval_of_persistence_sees_no_outcome_of_the_test_part(evaluation, market, parts):
    future = market.future_return.copy()
    future[parts["test"]] *= 9
    again = run(
        replace(market, future_return=future),
        parts,
        forecasts_of(market, parts),
        training={"rows": {"calibrate": len(later_half(market, parts["val"]))}},
    )
    assert again["return_interval"] == evaluation.metrics["return_interval"]


def test_without_rows_from_the_trainer_the_whole_validation_part_sets_the_interval(market, parts):
    found = run(market, parts, forecasts_of(market, parts))
    assert found["return_interval"]["persistence"]["rows"] == len(parts["val"])
    assert found["training"] is None


def test_too_few_rows_for_the_level_are_refused(market, parts):
    with pytest.raises(TooLittleHistoryError, match=r"needs at least .* rows, got 5"):
        run(
            market,
            parts | {"val": parts["val"][:5]},
            forecasts_of(market, parts | {"val": parts["val"][:5]}),
        )


def test_paired_gains_over_persistence_are_differences_of_the_metrics(evaluation):
    metrics = evaluation.metrics
    ours, theirs = metrics["model"]["test"], metrics["baselines"]["persistence"]["figures"]
    for name in ("price_mape", "return_mae", "interval_score"):
        found = metrics["differences"][f"{name}_gain_over_persistence"]
        assert found["estimate"] == pytest.approx(theirs[name] - ours[name])
        assert 0 < found["ci95"][0] < found["estimate"] < found["ci95"][1]
    assert metrics["intervals"]["price_mape_excess"]["estimate"] == pytest.approx(
        ours["price_mape"] / theirs["price_mape"] - 1
    )
    assert metrics["intervals"]["price_mape_excess"]["ci95"][1] < 0


def test_a_forecast_of_zero_is_persistence_in_every_figure(market, parts):
    calibrated = run(market, parts, forecasts_of(market, parts, strength=0.0))
    quantile = calibrated["return_interval"]["persistence"]["quantile"]
    found = run(market, parts, forecasts_of(market, parts, strength=0.0, width=quantile))
    persistence = found["baselines"]["persistence"]["figures"]
    for name in persistence.keys() & found["model"]["test"].keys():
        if name.startswith(("return_", "price_", "interval_")):
            assert found["model"]["test"][name] == persistence[name], name
    for name in ("price_mape", "return_mae", "interval_score"):
        assert found["differences"][f"{name}_gain_over_persistence"]["ci99"] == [0, 0]
    assert not any("persistence" in warning for warning in found["warnings"])


def test_months_add_up_to_the_coverage_of_the_test_part(evaluation):
    test, months = evaluation.metrics["model"]["test"], evaluation.metrics["months"]
    for name in ("interval_coverage", "interval_width"):
        assert sum(m["rows"] * m[name] for m in months) / test["rows"] == pytest.approx(test[name])


def test_narrow_intervals_and_bad_prices_are_warned_of(market, parts):
    found = run(market, parts, forecasts_of(market, parts, strength=-0.02, width=0.5))
    text = " ".join(found["warnings"])
    assert "'the price stays' is the better price forecast" in text
    assert "of the outcomes, not the 90.0% asked for" in text
    assert found["intervals"]["price_mape_excess"]["estimate"] > 0


def test_an_oracle_of_returns_is_suspected_of_a_leak(market, parts):
    forecasts = forecasts_of(market, parts)
    oracle = {
        name: replace(forecasts[name], returns=market.future_return[rows])
        for name, rows in parts.items()
    }
    found = run(market, parts, oracle)
    assert found["model"]["test"]["return_sign_accuracy"] == 1
    assert found["skill"] == "none"


def test_a_model_without_returns_has_the_same_metrics_except_those_of_returns(
    evaluation, market, parts
):
    classes = {
        name: Forecast(forecast.probabilities)
        for name, forecast in forecasts_of(market, parts).items()
    }
    found = evaluated(market, parts, classes)
    full = evaluation.metrics
    assert not PICTURES & set(found.pictures)
    for name in ("return_bins", "return_interval", "training"):
        assert found.metrics[name] is None

    test = found.metrics["model"]["test"]
    assert not [name for name in test if name.startswith(("return_", "price_", "interval_"))]
    assert test == {name: full["model"]["test"][name] for name in test}
    assert not [name for name in found.metrics["differences"] if name.endswith("persistence")]
    assert "interval_coverage" not in found.metrics["baselines"]["persistence"]["figures"]
    assert found.metrics["baselines"]["persistence"]["figures"]["price_mape"] > 0


def test_rows_without_a_known_outcome_are_left_out_with_their_forecasts(market, parts):
    wider = parts | {"test": np.sort(np.r_[parts["test"], np.flatnonzero(market.label < 0)])}
    assert run(market, wider, forecasts_of(market, wider)) == run(
        market, parts, forecasts_of(market, parts)
    )


def test_a_training_by_epochs_has_learning_curves(evaluation):
    assert evaluation.metrics["training"] == {
        "epochs": [1, 2, 3],
        "train_loss": [1.1, 1.0, 0.9],
        "val_loss": [1.09, 1.07, 1.08],
        "learning_rate": [1e-3, 1e-3, 5e-4],
        "seconds": [2.0, 2.1, 2.0],
        "best_epoch": 2,
    }


def test_a_model_with_returns_intervals_and_epochs_has_pictures_of_them(evaluation):
    assert set(evaluation.pictures) >= PICTURES


def test_bad_intervals_are_refused_by_name(market, parts):
    good = forecasts_of(market, parts)
    p, r, bounds = (
        getattr(good["test"], name) for name in ("probabilities", "returns", "intervals")
    )
    words = r"test: intervals must be \d+ finite pairs, lower end first"
    for bad in (bounds[:-1], bounds[:, ::-1], np.where(bounds > 0, np.nan, bounds), bounds[:, :1]):
        with pytest.raises(InvalidParameterError, match=words):
            run(market, parts, good | {"test": Forecast(p, r, bad)})


def test_a_rule_label_is_compared_with_the_rule_of_the_same_day(market, parts):
    params = PipelineParams(label="signal", signal_lag=1)
    found = run(market, parts, forecasts_of(market, parts), params=params)
    gain = found["differences"]["macro_f1_gain_over_reference_rule"]
    rule = found["baselines"]["reference_rule"]["figures"]["macro_f1"]
    assert gain["estimate"] == pytest.approx(found["model"]["test"]["macro_f1"] - rule)
    assert gain["ci95"][0] < gain["estimate"] < gain["ci95"][1]
    assert (
        "macro_f1_gain_over_reference_rule"
        not in run(market, parts, forecasts_of(market, parts))["differences"]
    )
