"""The evaluation of a model of actions: its metrics, intervals, warnings and files."""

import json
from dataclasses import replace

import numpy as np
import pytest

from b3shared.core.errors import InvalidParameterError, TooLittleHistoryError
from b3shared.core.vocabulary import BUY, CLASSES, HOLD, SELL
from b3shared.evaluation import metrics as m
from b3shared.evaluation.evaluate import evaluate
from b3shared.evaluation.ranking import daily_rank_ic
from b3shared.evaluation.report.page import render_report
from b3shared.evaluation.scorecard import METRICS
from b3shared.models.base import Forecast
from b3shared.params.run import PipelineParams

PARAMS = PipelineParams()
IMPORTANCE = {"f0": 0.7, "f1": 0.1, "f2": 0.1, "f3": 0.1}


def forecasts_of(data, parts, kind="informed", returns=False):
    """Probabilities tilted by the planted feature, by the truth, against it, or by noise."""
    tilt = {
        "informed": data.X[:, 0] * 0.35,
        "oracle": np.sign(1 - data.label) * 2.0,
        "inverted": -np.sign(1 - data.label) * 2.0,
        "noise": np.random.default_rng(1).normal(0, 0.2, len(data)),
    }[kind]
    logits = np.stack([tilt, np.full(len(data), 0.1), -tilt], axis=1)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = 0.01 * tilt

    return {
        name: Forecast(p[rows], expected[rows] if returns else None) for name, rows in parts.items()
    }


def run(data, parts, kind="informed", params=PARAMS, returns=False, context=None):
    base_rates = m.class_shares(data.label[parts["train"]][data.label[parts["train"]] >= 0])
    forecasts = forecasts_of(data, parts, kind, returns)
    return evaluate(data, parts, forecasts, base_rates, params, IMPORTANCE, context=context or {})


def metrics_of(data, parts, **options):
    """Metrics without pictures, which take most of the time."""
    return run(data, parts, **options).metrics


@pytest.fixture(scope="module")
def market(make_market):
    return make_market(n_tickers=20, n_dates=400, signal=0.5)


@pytest.fixture(scope="module")
def parts(market, split):
    return split(market)


@pytest.fixture(scope="module")
def evaluation(market, parts):
    context = {"run_id": "r-1", "source": "<script>alert('x')</script> & Co"}
    return run(market, parts, returns=True, context=context)


def test_metrics_survive_strict_json_unchanged(evaluation):
    assert json.loads(json.dumps(evaluation.metrics, allow_nan=False)) == evaluation.metrics


def test_each_part_is_described_with_rows_and_dates(evaluation, market, parts):
    for name, rows in parts.items():
        found = evaluation.metrics["parts"][name]
        assert found["rows"] == len(rows)
        assert found["dates"] == len(np.unique(market.date[rows]))
        assert (found["first"], found["last"]) == (
            str(market.date[rows].min()),
            str(market.date[rows].max()),
        )
        assert sum(found["class_shares"].values()) == pytest.approx(1)


def test_the_metrics_equal_the_plain_functions(evaluation, market, parts):
    rows = parts["test"]
    found = evaluation.metrics["model"]["test"]
    p = forecasts_of(market, parts)["test"].probabilities
    true, returns = market.label[rows], market.future_return[rows]
    shares = m.class_shares(market.label[parts["train"]])
    actions = np.argmax(p / shares, axis=1)
    confusion = m.confusion_matrix(true, actions)
    prior_loss = m.log_loss(np.tile(shares, (len(rows), 1)), true)
    ic = daily_rank_ic(p[:, 0] - p[:, 2], returns, market.date[rows])
    expected = {
        "accuracy": m.accuracy(confusion),
        "macro_f1": m.macro_f1(confusion),
        "weighted_f1": m.weighted_f1(confusion),
        "balanced_accuracy": m.balanced_accuracy(confusion),
        "mcc": m.mcc(confusion),
        "log_loss": m.log_loss(p, true),
        "prior_log_loss": prior_loss,
        "log_loss_skill": 1 - m.log_loss(p, true) / prior_loss,
        "brier": m.brier(p, true),
        "ece": m.expected_calibration_error(p, true),
        "rank_ic": ic.mean,
        "icir": ic.ratio,
        "directional_accuracy": m.directional_accuracy(actions, returns),
    }

    assert {name: found[name] for name in expected} == pytest.approx(
        {k: float(v) for k, v in expected.items()}
    )
    assert found["confusion_matrix"] == confusion.tolist()
    assert found["per_class"]["hold"]["support"] == int((true == HOLD).sum())


def test_every_metric_has_an_interval_around_its_estimate(evaluation):
    assert set(evaluation.metrics["intervals"]) == {
        name for name in METRICS if not name.startswith("interval_")
    }
    for name, found in evaluation.metrics["intervals"].items():
        assert found["estimate"] == pytest.approx(evaluation.metrics["model"]["test"][name])
        assert found["ci99"][0] <= found["ci95"][0] < found["ci95"][1] <= found["ci99"][1]
        if name != "ece":  # noise always adds to it
            assert found["ci95"][0] <= found["estimate"] <= found["ci95"][1], name


def test_gaps_are_train_minus_validation(evaluation):
    model = evaluation.metrics["model"]
    for name, gap in evaluation.metrics["gaps"].items():
        assert gap == pytest.approx(model["train"][name] - model["val"][name])


def test_differences_are_in_the_models_favour_when_positive(evaluation):
    metrics = evaluation.metrics

    for other, name in (("majority", "prior"), ("logistic_regression", "logistic_regression")):
        gain = (
            metrics["baselines"][other]["figures"]["log_loss"]
            - metrics["model"]["test"]["log_loss"]
        )
        assert metrics["differences"][f"log_loss_gain_over_{name}"]["estimate"] == pytest.approx(
            gain
        )
    gain = (
        metrics["model"]["test"]["rank_ic"] - metrics["baselines"]["reversal"]["figures"]["rank_ic"]
    )
    assert metrics["differences"]["rank_ic_gain_over_reversal"]["estimate"] == pytest.approx(gain)


def test_months_add_up_to_the_test_part(evaluation):
    metrics, test = evaluation.metrics, evaluation.metrics["model"]["test"]
    months = metrics["months"]
    assert sum(month["rows"] for month in months) == test["rows"]
    assert sum(month["dates"] for month in months) == test["dates"]
    assert sum(month["rows"] * month["log_loss"] for month in months) / test[
        "rows"
    ] == pytest.approx(test["log_loss"])
    assert sum(month["dates"] * month["rank_ic"] for month in months) / test[
        "dates"
    ] == pytest.approx(test["rank_ic"])
    assert months[0]["month"] == metrics["parts"]["test"]["first"][:7]


def test_a_planted_signal_is_found_and_noise_is_not(make_market, split):
    planted = make_market(n_tickers=20, n_dates=400, seed=3, signal=0.25)
    found = metrics_of(planted, split(planted))
    assert found["model"]["test"]["directional_accuracy"] < 0.6
    assert found["skill"] in ("weak", "proven")
    assert found["intervals"]["rank_ic"]["ci99"][0] > 0
    walk = make_market(n_tickers=20, n_dates=400, seed=3)
    found = metrics_of(walk, split(walk), kind="noise")
    assert found["skill"] == "none"
    assert "shows no skill" in found["headline"]
    assert found["warnings"] == []


def test_an_oracle_is_suspected_of_a_leak_and_an_inverted_one_has_no_skill(market, parts):
    oracle = run(market, parts, kind="oracle")
    assert oracle.metrics["model"]["test"]["accuracy"] == 1
    assert oracle.skill == "none"  # too good to be believed
    assert any(
        "above 60 %: treat as a leak until proven otherwise" in text
        for text in oracle.metrics["warnings"]
    )
    assert "Suspect a leak" in render_report(oracle.metrics, {})

    inverted = metrics_of(market, parts, kind="inverted")
    assert inverted["skill"] == "none"
    assert inverted["model"]["test"]["directional_accuracy"] < 0.4


def test_a_rule_label_is_never_called_a_forecast(market, parts):
    found = metrics_of(market, parts, params=PipelineParams(label="signal"))
    assert (
        "label 'signal' is a rule of the inputs: a high score here is not a forecast"
        in found["warnings"]
    )
    assert found["skill"] != "proven"


@pytest.mark.parametrize("classes", [(HOLD,), (BUY, SELL), (HOLD, SELL)])
def test_labels_of_one_or_two_classes_are_evaluated(market, parts, classes):
    drawn = np.take(classes, market.label % len(classes))
    label = np.where(market.label < 0, -1, drawn).astype(np.int8)
    found = run(replace(market, label=label), parts)
    assert json.dumps(found.metrics, allow_nan=False)
    assert found.report_html
    supports = {
        name: values["support"] > 0
        for name, values in found.metrics["model"]["test"]["per_class"].items()
    }
    assert supports == {name: code in classes for code, name in enumerate(CLASSES)}
    assert any("the train part has no" in warning for warning in found.metrics["warnings"])


def test_a_short_test_part_gives_metrics_without_intervals(market, parts):
    dates = np.unique(market.date[parts["test"]])[:20]
    short = parts | {"test": parts["test"][np.isin(market.date[parts["test"]], dates)]}
    found = metrics_of(market, short)
    assert found["intervals"]["rank_ic"]["ci95"] == [None, None]
    assert found["skill"] == "none"
    assert any("fewer than five blocks" in warning for warning in found["warnings"])


def test_rows_without_a_known_outcome_are_left_out(market, parts):
    newest = np.flatnonzero(market.label < 0)
    wider = parts | {"test": np.sort(np.r_[parts["test"], newest])}
    assert metrics_of(market, wider) == metrics_of(market, parts)


def test_the_same_input_gives_the_same_output(market, parts, evaluation):
    again = run(market, parts, returns=True, context=evaluation.metrics["context"])
    assert (again.metrics, again.pictures) == (evaluation.metrics, evaluation.pictures)
    assert again.report_html == evaluation.report_html


def test_bad_forecasts_are_refused_by_name(market, parts):
    good = forecasts_of(market, parts)
    rates = np.full(3, 1 / 3)
    p = good["test"].probabilities
    bad = {
        "probabilities must have shape": Forecast(p[:-1]),
        "sum to 1": Forecast(p * 2),
        "must be finite": Forecast(np.where(p > 2, p, np.nan)),
        "returns must be": Forecast(p, np.zeros(3)),
    }

    for words, forecast in bad.items():
        with pytest.raises(InvalidParameterError, match=f"test.*{words}"):
            evaluate(market, parts, good | {"test": forecast}, rates, PARAMS, IMPORTANCE)
    with pytest.raises(InvalidParameterError, match="that of part val is missing"):
        evaluate(
            market, parts, {k: v for k, v in good.items() if k != "val"}, rates, PARAMS, IMPORTANCE
        )
    with pytest.raises(
        InvalidParameterError, match="parts must be train, val, test; test is missing"
    ):
        evaluate(
            market, {k: v for k, v in parts.items() if k != "test"}, good, rates, PARAMS, IMPORTANCE
        )
    empty = parts | {"test": np.flatnonzero(market.label < 0)}
    with pytest.raises(TooLittleHistoryError, match="part test"):
        evaluate(market, empty, forecasts_of(market, empty), rates, PARAMS, IMPORTANCE)


def test_save_writes_every_file_and_returns_its_path(evaluation, tmp_path):
    paths = evaluation.save(tmp_path / "new")
    assert sorted(paths) == sorted((tmp_path / "new").iterdir())
    assert {path.name for path in paths} >= {
        "metrics.json",
        "report.html",
        "confusion_matrix.png",
        "equity.png",
    }
    assert json.loads((tmp_path / "new" / "metrics.json").read_text()) == evaluation.metrics
    assert all(p.read_bytes().startswith(b"\x89PNG\r\n\x1a\n") for p in paths if p.suffix == ".png")


def test_the_public_names_resolve():
    import b3shared.evaluation as package

    assert all(callable(getattr(package, name)) for name in package.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = package.nonsense
