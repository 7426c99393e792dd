"""The forest finds a planted signal and none in noise, and every parameter has an effect."""

import json

import joblib
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import RandomizedSearchCV
from synthetic import log_loss, planted_dataset, small_params, split_of

from b3shared.core.errors import (
    ArtifactNotFoundError,
    IncompatibleFeaturesError,
    InvalidQuotesError,
    ModelTooLargeError,
    ParityError,
    SingleClassError,
    TooLittleHistoryError,
)
from b3shared.core.vocabulary import BUY, CLASSES, HOLD, SELL, UNLABELLED
from b3shared.dataset.split import purged_folds
from b3shared.models.base import TrainingSession, model_class, without_clock
from b3shared.models.decision import decide
from b3shared.models.random_forest.model import RandomForestModel
from b3shared.params.run import PipelineParams

SEARCHED = {"max_depth": [2, 4], "min_samples_leaf": [20, 60], "n_iter": 3}


def trained(data, params, progress=lambda _: None):
    split = split_of(data, params)
    model = RandomForestModel(params)
    model.fit(data, split.train, split.val, TrainingSession(progress))
    return model, split


@pytest.fixture(scope="module")
def planted():
    data = planted_dataset()
    return data, *trained(data, small_params())


def scores(data, model, rows) -> tuple[float, float]:
    """Log loss of the model and of the class shares it was trained with."""
    labels = data.label[rows]
    prior = np.tile(model.base_rates, (len(rows), 1))
    return log_loss(model.forecast(data, rows).probabilities, labels), log_loss(prior, labels)


def test_a_planted_signal_is_found(planted):
    data, model, split = planted
    loss, prior = scores(data, model, split.test)
    assert loss < prior - 0.1
    importance = model.importance()
    assert max(importance, key=importance.get) == "feature_0"
    assert sum(importance.values()) == pytest.approx(1)
    assert min(importance.values()) >= 0
    actions = decide(model.forecast(data, split.test).probabilities, model.base_rates, "lift")
    assert (actions == data.label[split.test]).mean() > 0.5


def test_no_signal_is_found_in_pure_noise():
    gains = []
    for seed in range(5):
        data = planted_dataset(signal=0.0, seed=seed)
        model, split = trained(data, small_params())
        loss, prior = scores(data, model, split.test)
        gains.append(prior - loss)
        probabilities = model.forecast(data, split.test).probabilities
        assert np.abs(probabilities - model.base_rates).max() < 0.25
    assert np.mean(gains) < 0.003
    assert max(gains) < 0.01


@pytest.mark.parametrize("weights", ["balanced", "balanced_subsample", None])
def test_probabilities_match_the_true_shares_of_unequal_classes(weights):
    shares = (0.08, 0.8, 0.12)
    data = planted_dataset(n_tickers=24, shares=shares)
    model, split = trained(data, small_params(class_weight=weights))
    mean = model.forecast(data, split.test).probabilities.mean(axis=0)
    np.testing.assert_allclose(mean, shares, atol=0.04)
    uncorrected = model.estimator.predict_proba(data.X[split.test]).mean(axis=0)
    assert (abs(uncorrected[HOLD] - shares[HOLD]) > 0.2) == (weights is not None), (
        "the correction has work to do"
    )


def test_the_same_random_state_gives_the_same_forest_with_any_number_of_threads():
    data = planted_dataset()
    one, split = trained(data, small_params(**SEARCHED))
    same, _ = trained(data, small_params(**SEARCHED, n_jobs=2))
    other, _ = trained(data, small_params(**SEARCHED, random_state=7))
    expected = one.forecast(data, split.test).probabilities
    np.testing.assert_array_equal(same.forecast(data, split.test).probabilities, expected)
    assert same.summary["search"] == one.summary["search"]
    assert np.abs(other.forecast(data, split.test).probabilities - expected).max() > 1e-3


def test_the_search_equals_scikit_learns_on_purged_folds_of_the_training_rows():
    data, params = planted_dataset(), small_params(**SEARCHED, class_weight=None)
    model, split = trained(data, params)
    train = split.train
    folds = purged_folds(data.date[train], data.label_end[train], n_splits=3, embargo_days=2)
    plain = RandomizedSearchCV(
        RandomForestClassifier(30, max_samples=0.3, random_state=42),
        {"max_depth": [2, 4], "min_samples_leaf": [20, 60], "max_features": ["sqrt"]},
        n_iter=3,
        cv=folds,
        scoring="neg_log_loss",
        random_state=42,
    ).fit(data.X[train], data.label[train])
    assert model.chosen == plain.best_params_

    found = plain.cv_results_
    by_params = {
        str(p): -score for p, score in zip(found["params"], found["mean_test_score"], strict=True)
    }
    table = model.summary["search"]

    assert {str(row["params"]) for row in table} == set(by_params)
    for row in table:
        assert row["log_loss"] == pytest.approx(by_params[str(row["params"])], abs=1e-5)
    assert table == sorted(table, key=lambda row: row["log_loss"])
    assert table[0]["params"] == model.chosen


def test_progress_is_reported_for_every_forest_and_the_summary_is_json():
    told = []
    data = planted_dataset()
    model, split = trained(data, small_params(**SEARCHED), told.append)
    assert [p["done"] for p in told if p["phase"] == "search"] == list(range(1, 10))
    assert {p["total"] for p in told if p["phase"] == "search"} == {9}
    assert told[-1]["phase"] == "train"
    summary = json.loads(json.dumps([told, model.summary], allow_nan=False))[1]
    assert summary["rows"] == {"train": len(split.train), "val": len(split.val)}
    assert sum(summary["class_counts"].values()) == len(split.train)
    assert summary["nodes"] == sum(tree.tree_.node_count for tree in model.estimator.estimators_)
    assert summary["temperature"] == model.calibration.temperature


@pytest.mark.parametrize(
    "change",
    [
        {"n_estimators": 31},
        {"max_depth": 3},
        {"min_samples_leaf": 40},
        {"max_features": 1.0},
        {"max_samples": 0.6},
        {"class_weight": None},
        {"class_weight": "balanced"},
        {"n_iter": 2},
        {"cv_folds": 4},
        {"embargo_days": 15},
        {"random_state": 1},
    ],
    ids=str,
)
def test_every_parameter_changes_the_training(change):
    data = planted_dataset(n_dates=150)
    split = split_of(
        data, small_params()
    )  # the same rows for both: embargo_days must count inside the search too
    outcome = []
    for values in (SEARCHED, SEARCHED | change):
        model = RandomForestModel(small_params(**values))
        model.fit(data, split.train, split.val, TrainingSession())
        table = [(str(row["params"]), row["log_loss"]) for row in model.summary["search"]]
        outcome.append((table, model.forecast(data, split.test).probabilities.tolist()))
    assert outcome[0] != outcome[1]


def test_the_remaining_parameters_are_honoured_or_refuse(planted, tmp_path):
    data, model, split = planted
    assert model.estimator.n_jobs == 1
    with pytest.raises(
        ModelTooLargeError, match=r"nodes, max_total_nodes allows 100: lower n_estimators \(30\)"
    ):
        trained(data, small_params(max_total_nodes=100))
    named, _ = trained(data, small_params(model_name="mine.joblib", decision="argmax"))
    paths = named.save(tmp_path, data, split.test)
    assert [path.name for path in paths] == ["mine.joblib", "model.onnx", "model.json"]
    assert json.loads(paths[2].read_text())["decision"] == "argmax"


def test_one_candidate_needs_no_search():
    told = []
    model, _ = trained(planted_dataset(), small_params(n_iter=50), told.append)
    assert [p["phase"] for p in told] == ["train"]
    assert model.summary["search"] == []
    assert model.chosen == {"max_depth": 4, "min_samples_leaf": 20, "max_features": "sqrt"}


def test_more_tries_than_candidates_try_each_once():
    model, _ = trained(planted_dataset(n_dates=150), small_params(max_depth=[2, 3, 3], n_iter=50))
    assert sorted(row["params"]["max_depth"] for row in model.summary["search"]) == [2, 3]


def test_a_refit_keeps_configuration_and_temperature_and_takes_the_new_shares(planted):
    data, model, split = planted
    tilted = planted_dataset(shares=(0.1, 0.6, 0.3))
    rows = tilted.labelled
    again = model.refit(tilted, rows, TrainingSession())
    assert again is not model
    assert again.chosen == model.chosen
    assert again.calibration.temperature == model.calibration.temperature != 1.0

    np.testing.assert_allclose(again.base_rates, np.bincount(tilted.label[rows]) / len(rows))
    assert again.summary["rows"] == {"train": len(rows)}
    assert again.estimator is not model.estimator
    mean = again.forecast(tilted, rows).probabilities.mean(axis=0)
    np.testing.assert_allclose(mean, again.base_rates, atol=0.04)
    assert scores(data, model, split.test)[0] < scores(data, model, split.test)[1], (
        "the first one is as it was"
    )


@pytest.mark.parametrize("weights", ["balanced_subsample", None])
def test_a_class_absent_from_training_has_a_column_near_zero(weights, tmp_path):
    data = planted_dataset()
    data.label[data.label == SELL] = HOLD
    model, split = trained(data, small_params(class_weight=weights))
    probabilities = model.forecast(data, split.test).probabilities
    assert probabilities.shape == (len(split.test), 3)
    assert (probabilities[:, SELL] < 1e-5).all()
    assert (decide(probabilities, model.base_rates, "lift") != SELL).all()
    model.save(tmp_path, data, split.test)
    again = RandomForestModel.load(tmp_path, model.params)
    np.testing.assert_array_equal(again.forecast(data, split.test).probabilities, probabilities)


def test_a_fold_without_a_class_is_scored():
    data = planted_dataset()
    early = data.session < 100
    data.label[early & (data.label == BUY)] = HOLD
    model, split = trained(data, small_params(**SEARCHED))
    assert (np.bincount(data.label[split.train], minlength=3) > 0).all()
    assert all(np.isfinite(row["log_loss"]) for row in model.summary["search"])


def test_the_saved_model_is_the_trained_one(planted, tmp_path):
    data, model, split = planted
    model.save(tmp_path / "deep" / "folder", data, split.test)
    again = model_class("rf").load(tmp_path / "deep" / "folder", small_params(n_jobs=2))
    np.testing.assert_array_equal(
        again.forecast(data, split.test).probabilities,
        model.forecast(data, split.test).probabilities,
    )

    assert again.importance() == model.importance()
    assert (again.chosen, again.summary, again.feature_names) == (
        model.chosen,
        without_clock(model.summary),
        model.feature_names,
    )
    assert again.estimator.n_jobs == 2

    refitted = again.refit(data, data.labelled, TrainingSession())
    assert refitted.calibration.temperature == model.calibration.temperature
    assert (
        type(joblib.load(tmp_path / "deep" / "folder" / "b3_model.joblib"))
        is RandomForestClassifier
    )


def test_model_json_holds_what_serving_and_auditing_need(planted, tmp_path):
    data, model, split = planted
    described = json.loads(model.save(tmp_path, data, split.test)[2].read_text())
    assert described["model_type"] == "rf"
    assert tuple(described["classes"]) == CLASSES

    np.testing.assert_allclose(
        described["base_rates"], np.bincount(data.label[split.train]) / len(split.train)
    )
    np.testing.assert_allclose(described["medians"], np.median(data.X[split.train], axis=0))
    assert described["importance"] == model.importance()
    assert described["parity"]["max_difference"] <= 1e-5
    assert described["parity"]["rows"] > len(split.test), "rows on the thresholds are checked too"
    assert PipelineParams.from_values(described["params"]) == model.params


def test_a_save_without_rows_to_check_writes_nothing(planted, tmp_path):
    data, model, _ = planted
    with pytest.raises(ParityError, match="at least one row"):
        model.save(tmp_path / "model", data, np.array([], dtype=int))
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("missing", ["b3_model.joblib", "model.json"])
def test_loading_from_a_folder_without_a_file_names_it(planted, tmp_path, missing):
    data, model, split = planted
    model.save(tmp_path, data, split.test)
    (tmp_path / missing).unlink()
    with pytest.raises(ArtifactNotFoundError, match=f"has no {missing}"):
        RandomForestModel.load(tmp_path, model.params)


def _one_class(data):
    data.label[data.label != UNLABELLED] = BUY


def _no_value(data):
    data.X[10, 3] = np.nan


def _endless(data):
    data.X[20, 1] = -np.inf


@pytest.mark.parametrize(
    ("spoil", "params", "error", "says"),
    [
        (_one_class, {}, SingleClassError, "needs two classes at least, got .* labels 'buy'"),
        (_no_value, {}, InvalidQuotesError, "features feature_3 hold NaN"),
        (_endless, {}, InvalidQuotesError, "features feature_1 hold NaN or infinity"),
        (
            lambda _: None,
            {"min_samples_leaf": 400},
            TooLittleHistoryError,
            "at least 2667 training rows",
        ),
    ],
)
def test_rows_that_cannot_be_trained_on_are_refused_by_name(spoil, params, error, says):
    data = planted_dataset(n_dates=150)
    spoil(data)
    with pytest.raises(error, match=says):
        trained(data, small_params(**params))


def test_rows_without_a_label_are_refused():
    data, params = planted_dataset(n_dates=150), small_params()
    split, rows = split_of(data, params), np.arange(len(data))
    with pytest.raises(InvalidQuotesError, match="16 of the 1200 rows have no label yet"):
        RandomForestModel(params).fit(data, rows, split.val, TrainingSession())
    with pytest.raises(InvalidQuotesError, match="no label yet"):
        RandomForestModel(params).fit(data, split.train, rows, TrainingSession())


def test_other_features_than_those_of_the_training_are_refused(planted):
    _, model, split = planted
    with pytest.raises(
        IncompatibleFeaturesError, match="those of the training, feature_0, feature_1"
    ):
        model.forecast(planted_dataset(n_features=4), split.test)


def test_the_model_trains_from_a_memory_map(planted, tmp_path):
    data, model, split = planted
    data.save(tmp_path)
    mapped, _ = trained(type(data).load(tmp_path), model.params)
    np.testing.assert_array_equal(
        mapped.forecast(data, split.test).probabilities,
        model.forecast(data, split.test).probabilities,
    )
