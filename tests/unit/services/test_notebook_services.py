"""The five services one by one, as in a notebook."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_run import SMALL

from b3shared.core.config import BUNDLED_QUOTES
from b3shared.core.errors import (
    ArtifactCorruptError,
    InvalidQuotesError,
    NoQuotesError,
    NothingLiveError,
)
from b3shared.models.base import Model
from b3shared.services import (
    B3DataLoadingService,
    B3ModelEvaluationService,
    B3ModelPreprocessingService,
    B3ModelSavingService,
    B3ModelTrainingService,
)
from b3shared.services.frames import LEVELS, to_dataset, to_frames

FOREST = {name: value for name, value in SMALL.items() if name != "tickers"}
Stage = tuple[pd.DataFrame, pd.DataFrame, "pd.Series[str]"]


@pytest.fixture(scope="module")
def stage(eight: pd.DataFrame) -> Stage:
    return B3ModelPreprocessingService().preprocess_data(eight)


@pytest.fixture(scope="module")
def parts(stage: Stage) -> tuple:
    X, _, y = stage
    return B3ModelTrainingService().split_data(X, y, test_size=0.2, val_size=0.2)


@pytest.fixture(scope="module")
def model(parts: tuple) -> Model:
    X_train, X_val, _, y_train, y_val, _ = parts
    return B3ModelTrainingService().train_model(X_train, y_train, X_val, y_val, **FOREST)


def test_loading_gives_a_frame_with_its_report() -> None:
    frame = B3DataLoadingService(BUNDLED_QUOTES).load_data(tickers=["PETR4", "VALE3"], period="3y")
    assert set(frame["ticker"]) == {"PETR4", "VALE3"}
    assert frame.attrs["report"]["tickers"] == 2


def test_features_and_labels_are_aligned_and_have_the_labels_end_dates(
    stage: Stage, eight: pd.DataFrame
) -> None:
    X, df, y = stage
    assert X.index.equals(y.index)
    assert list(X.index.names) == LEVELS
    assert set(y.unique()) == {"buy", "hold", "sell"}
    assert len(df) == len(X) + 2 * 8  # the newest two sessions have no outcome yet
    assert df["target"].isna().sum() == 2 * 8
    assert (X.index.get_level_values("label_end") > X.index.get_level_values("date")).all()


def test_frames_survive_the_conversion_to_a_table_and_back(stage: Stage) -> None:
    X, df, y = stage
    data = to_dataset(X, y, df)
    again_X, again_df = to_frames(data)
    pd.testing.assert_frame_equal(again_X, X)
    pd.testing.assert_frame_equal(again_df, df[df["target"].notna()], check_like=True)


def test_the_six_parts_are_by_date_and_no_label_reaches_the_next(parts: tuple) -> None:
    X_train, X_val, X_test = parts[:3]
    assert [len(X) for X in parts[:3]] == [len(y) for y in parts[3:]]
    for earlier, later in ((X_train, X_val), (X_val, X_test)):
        assert (
            earlier.index.get_level_values("label_end").max()
            < later.index.get_level_values("date").min()
        )
    dates = [X.index.get_level_values("date").nunique() for X in parts[:3]]
    assert dates[0] / sum(dates) == pytest.approx(0.6, abs=0.02)
    assert dates[2] / sum(dates) == pytest.approx(0.2, abs=0.01)


def test_shuffling_the_rows_changes_no_part(stage: Stage, parts: tuple) -> None:
    X, _, y = stage
    order = np.random.default_rng(1).permutation(len(X))
    shuffled = B3ModelTrainingService().split_data(
        X.iloc[order], y.iloc[order], test_size=0.2, val_size=0.2
    )
    for before, after in zip(parts, shuffled, strict=True):
        assert set(before.index) == set(after.index)


def test_evaluation_prints_the_baselines_beside_the_model(
    model: Model, parts: tuple, stage: Stage, tmp_path: Path
) -> None:
    found = B3ModelEvaluationService().evaluate_model(model, *parts, stage[1], folder=tmp_path)
    assert {
        "majority",
        "persistence",
        "yesterdays_label",
        "reversal",
        "momentum",
        "reference_rule",
        "logistic_regression",
    } <= set(found.metrics["baselines"])

    assert found.metrics["parts"]["test"]["rows"] == len(parts[2])
    assert {"metrics.json", "report.html", "confusion_matrix.png"} <= {
        path.name for path in tmp_path.iterdir()
    }


def test_a_saved_model_answers_as_before_and_a_changed_file_is_refused(
    model: Model, parts: tuple, tmp_path: Path
) -> None:
    service = B3ModelSavingService(tmp_path)
    version = service.save_model(model, parts[2].head(200))
    again = service.load_model(model_version=version)
    data = to_dataset(parts[2])
    rows = np.arange(len(data))
    np.testing.assert_array_equal(
        again.forecast(data, rows).probabilities, model.forecast(data, rows).probabilities
    )

    with pytest.raises(NothingLiveError):
        service.load_model()
    file = tmp_path / "models" / "models" / "rf" / version / "b3_model.joblib"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactCorruptError):
        service.load_model(model_version=version)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda q: q.drop(columns="close"), InvalidQuotesError, "lack close"),
        (lambda q: q.iloc[:0], NoQuotesError, "no rows"),
        (lambda q: q.assign(close="ten"), InvalidQuotesError, "column close"),
        (lambda q: q.assign(date="yesterday"), InvalidQuotesError, "column date"),
        (lambda q: q.assign(volume=0), NoQuotesError, "zero_volume"),
        (lambda q: q.assign(close=np.nan), NoQuotesError, "no_price"),
    ],
)
def test_frames_that_are_not_quotes_are_refused_by_name(
    eight: pd.DataFrame, change, error, message: str
) -> None:
    with pytest.raises(error, match=message):
        B3ModelPreprocessingService().preprocess_data(change(eight))


def test_unsorted_and_duplicated_quotes_give_the_same_features(
    eight: pd.DataFrame, stage: Stage
) -> None:
    mixed = pd.concat([eight, eight.tail(50)]).sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(B3ModelPreprocessingService().preprocess_data(mixed)[0], stage[0])


def test_a_frame_without_the_index_cannot_be_split(stage: Stage) -> None:
    X, _, y = stage
    with pytest.raises(InvalidQuotesError, match="label_end"):
        B3ModelTrainingService().split_data(X.reset_index(drop=True), y)
    with pytest.raises(InvalidQuotesError, match="aligned"):
        B3ModelTrainingService().split_data(X, y.iloc[::-1])
    with pytest.raises(InvalidQuotesError, match="'maybe'"):
        B3ModelTrainingService().split_data(X, y.replace("buy", "maybe"))


def test_text_among_the_features_is_refused(stage: Stage) -> None:
    X, _, y = stage
    with pytest.raises(InvalidQuotesError, match="rsi_14"):
        B3ModelTrainingService().train_model(X.assign(rsi_14="high"), y, **FOREST)
