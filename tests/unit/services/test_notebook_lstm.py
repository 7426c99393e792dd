"""The LSTM works through the single services and through the two calls of the product."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_run import SMALL

from b3shared.core.errors import InvalidQuotesError, TooLittleHistoryError
from b3shared.core.vocabulary import CLASSES
from b3shared.dataset.table import Dataset
from b3shared.models.base import Model
from b3shared.models.lstm.windows import complete
from b3shared.params.run import PipelineParams
from b3shared.params.steps import Step
from b3shared.pipeline.artifacts import PREDICTIONS, load_predictions
from b3shared.pipeline.serving_snapshot import build_snapshot
from b3shared.registry.compatibility import Universe
from b3shared.registry.promotion import promote
from b3shared.registry.release import Release
from b3shared.registry.versions import Registry
from b3shared.runs.run import Run
from b3shared.services import (
    B3Model,
    B3ModelEvaluationService,
    B3ModelPreprocessingService,
    B3ModelSavingService,
    B3ModelTrainingService,
)
from b3shared.services.b3_model import RunResult
from b3shared.services.frames import to_table
from b3shared.serving.live import Live
from b3shared.serving.predictor import Predictor

TINY = {"model_type": "lstm", "units": 8, "epochs": 2, "batch_size": 512, "lookback": 8}
RUN = TINY | {"tickers": SMALL["tickers"], "refit": False}
RETURNS = ["predicted_return", "return_low", "return_high"]
PRICES = ["predicted_price", "price_low", "price_high"]
Stage = tuple[pd.DataFrame, pd.DataFrame, "pd.Series[str]"]


@pytest.fixture(scope="module")
def stage(eight: pd.DataFrame) -> Stage:
    return B3ModelPreprocessingService().preprocess_data(eight)


@pytest.fixture(scope="module")
def parts(stage: Stage) -> tuple:
    return B3ModelTrainingService().split_data(stage[0], stage[2])


@pytest.fixture(scope="module")
def model(stage: Stage, parts: tuple) -> Model:
    X_train, X_val, _, y_train, y_val, _ = parts
    X, df, _ = stage
    return B3ModelTrainingService().train_model(
        X_train, y_train, X_val, y_val, df, history=X, **TINY
    )


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> tuple[B3Model, RunResult]:
    """A whole run of the pipeline."""
    made = B3Model(storage=tmp_path_factory.mktemp("store"))
    return made, made.run(run_id="first", **RUN)


def test_the_services_train_the_model_of_the_pipeline(
    model: Model, product: tuple[B3Model, RunResult], stage: Stage, parts: tuple
) -> None:
    made, _ = product
    run, folder = Run.open(made.storage, "first"), Path(made.settings.storage)
    table = Dataset.load(run.fetch(Step.PREPROCESS_DATA, folder / "fetched"))
    rows, forecasts = load_predictions(
        run.fetch(Step.TRAIN_MODEL, folder / "trained") / PREDICTIONS
    )
    data, own = to_table({"test": (parts[2], parts[5])}, "lstm", stage[1], stage[0])

    covered = own["test"][model.covers(data, own["test"])]
    np.testing.assert_array_equal(data.date[covered], table.date[rows["test"]])
    np.testing.assert_array_equal(data.ticker[covered], table.ticker[rows["test"]])
    forecast = model.forecast(data, covered)
    np.testing.assert_allclose(forecast.probabilities, forecasts["test"].probabilities, atol=1e-6)
    np.testing.assert_allclose(forecast.returns, forecasts["test"].returns, atol=1e-7)
    np.testing.assert_allclose(forecast.intervals, forecasts["test"].intervals, atol=1e-7)


def test_the_evaluation_has_both_tasks_on_the_rows_that_have_a_window(
    model: Model, stage: Stage, parts: tuple
) -> None:
    metrics = B3ModelEvaluationService().evaluate_model(model, *parts, stage[1]).metrics
    # the split left rows out before the test part, so the first seven of each of eight tickers end
    # no whole window
    assert metrics["parts"]["test"]["rows"] == len(parts[2]) - 7 * 8
    assert metrics["model"]["test"]["return_mae"] > 0
    data, rows = to_table({"test": (parts[2], parts[5])}, "lstm", stage[1], stage[0])
    assert model.covers(data, rows["test"]).all()  # with the history there is one for each


def test_a_saved_model_answers_as_before_and_can_go_live(
    model: Model, stage: Stage, parts: tuple, eight: pd.DataFrame, tmp_path: Path
) -> None:
    service = B3ModelSavingService(tmp_path / "store")
    version = service.save_model(model, parts[2], stage[1])
    data, rows = to_table({"test": (parts[2], parts[5])}, "lstm", stage[1])
    covered = rows["test"][complete(data, rows["test"], 8, 5)]
    again = service.load_model(model_type="lstm_mtl", model_version=version)
    before, after = model.forecast(data, covered), again.forecast(data, covered)
    for name in ("probabilities", "returns", "intervals"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))

    key = build_snapshot(eight, 8, {Universe(PipelineParams().min_turnover)}).save(
        service.storage, tmp_path
    )
    Release(service.storage).set_snapshot(key, "2023-12-28", who="test")
    promote(service.storage, "models", "lstm", version, who="test", why="test")
    served = Predictor(Live(service.storage), lambda: date(2023, 12, 29)).predict("PETR4", "lstm")
    by_hand = B3Model(storage=tmp_path / "store").predict(eight, model_type="lstm").loc["PETR4"]

    assert served["predicted_price"] == pytest.approx(by_hand["predicted_price"], abs=1e-6)
    assert served["target"] == "direction, horizon 2, width 0.5"


def test_a_part_without_the_columns_it_needs_is_refused_at_every_stage(
    model: Model, stage: Stage, parts: tuple, tmp_path: Path
) -> None:
    X_train, X_val, X_test, y_train, y_val, _ = parts
    with pytest.raises(InvalidQuotesError, match="give df_processed"):
        B3ModelTrainingService().train_model(X_train, y_train, X_val, y_val, **TINY)
    with pytest.raises(InvalidQuotesError, match="df_processed lacks future_return"):
        B3ModelEvaluationService().evaluate_model(
            model, *parts, stage[1].drop(columns="future_return")
        )
    with pytest.raises(InvalidQuotesError, match="give df_processed"):
        B3ModelSavingService(tmp_path).save_model(model, X_test)


# -- the product in two calls


def test_a_run_makes_the_lstm_live_and_predict_returns_price_and_interval(
    product: tuple[B3Model, RunResult], eight: pd.DataFrame
) -> None:
    made, result = product
    assert result.live
    assert {"b3_lstm_mtl.pt", "model.onnx", "model.json"} <= set(
        Registry(made.storage, "models").manifest("lstm", result.model_version)["files"]
    )
    answer = made.predict(eight, model_type="lstm")
    assert sorted(answer.index) == sorted(SMALL["tickers"])
    np.testing.assert_allclose(answer[list(CLASSES)].sum(axis=1), 1.0)
    for of_return, of_price in zip(RETURNS, PRICES, strict=True):
        np.testing.assert_allclose(answer[of_price], answer["last_price"] * (1 + answer[of_return]))

    assert (answer["return_low"] < answer["predicted_return"]).all()
    assert (answer["predicted_return"] < answer["return_high"]).all()
    pd.testing.assert_frame_equal(made.predict(eight, model_type="lstm_mtl"), answer)


def test_served_answers_equal_those_of_predict(
    product: tuple[B3Model, RunResult], bundled: pd.DataFrame
) -> None:
    """Served windows use three years of quotes and this call five, so the last digits differ."""
    made, result = product
    live = Live(made.storage)
    predictor = Predictor(live, lambda: date(2023, 12, 29))
    by_hand = made.predict(bundled, model_type="lstm")

    for ticker, row in by_hand.iterrows():
        answer = predictor.predict(ticker, "lstm")
        assert answer["model_version"] == result.model_version
        np.testing.assert_allclose(
            answer["prediction_probabilities"][0], row[list(CLASSES)].astype(float), atol=1e-4
        )
        assert answer["predicted_return"] == pytest.approx(row["predicted_return"], abs=1e-5)
        assert answer["interval"]["price_low"] == pytest.approx(row["price_low"], abs=1e-3)
        assert set(answer["feature_importance"]) == set(answer["features_used"])
        assert answer["interval"]["level"] == PipelineParams().interval_level
        assert (answer["sequence_length"], answer["features_count"]) == (8, 39)


def test_a_ticker_with_a_gap_in_its_window_has_no_forecast(
    product: tuple[B3Model, RunResult], eight: pd.DataFrame
) -> None:
    made, _ = product
    days = np.unique(eight["date"])
    absent = (
        (eight["ticker"] == "MGLU3") & (eight["date"] >= days[-12]) & (eight["date"] < days[-3])
    )
    unusable = eight.assign(open=eight["open"].mask(absent))

    for quotes, reason in (
        (unusable, "MGLU3 trades too seldom: two of its newest 8 usable sessions lie 10 sessions"),
        (
            eight[~absent],
            "MGLU3 has 3 sessions of history without a long hole; 262 are needed",
        ),
    ):
        answer = made.predict(quotes, model_type="lstm")
        assert sorted(answer.index) == sorted(set(SMALL["tickers"]) - {"MGLU3"})
        with pytest.raises(TooLittleHistoryError, match=reason):
            made.predict(quotes, model_type="lstm", tickers=["MGLU3"])
    with pytest.raises(
        TooLittleHistoryError,
        match=r"no ticker of the quotes has a forecast: .* 125 sessions .*; 262 are needed",
    ):
        made.predict(eight.groupby("ticker").tail(125), model_type="lstm")
