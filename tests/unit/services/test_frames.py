"""Frames that were cut or shuffled become the same table; wrong ones are refused."""

import numpy as np
import pandas as pd
import pytest

from b3shared.core.errors import B3Error, InvalidParameterError, InvalidQuotesError
from b3shared.core.vocabulary import UNLABELLED
from b3shared.dataset.table import Dataset
from b3shared.features.training_table import preprocess
from b3shared.params.run import PipelineParams
from b3shared.services import B3ModelPreprocessingService, B3ModelTrainingService
from b3shared.services.frames import to_table
from b3shared.services.preprocessing import params_with

Stage = tuple[pd.DataFrame, pd.DataFrame, "pd.Series[str]"]


@pytest.fixture(scope="module")
def stage(eight: pd.DataFrame) -> Stage:
    return B3ModelPreprocessingService().preprocess_data(eight, horizon=5)


@pytest.fixture(scope="module")
def parts(stage: Stage) -> dict[str, tuple[pd.DataFrame, pd.Series]]:
    X_train, X_val, _, y_train, y_val, _ = B3ModelTrainingService().split_data(
        stage[0], stage[2], horizon=5
    )
    return {"train": (X_train, y_train), "val": (X_val, y_val)}


@pytest.fixture(scope="module")
def whole(eight: pd.DataFrame) -> Dataset:
    """The table of the pipeline."""
    return preprocess(eight, PipelineParams(horizon=5)).data


def test_parts_with_their_history_become_the_table_of_the_pipeline(
    stage: Stage, parts: dict, whole: Dataset
) -> None:
    data, rows = to_table(parts, "lstm", stage[1], stage[0])
    labelled = whole.take(whole.labelled)
    for name in (
        "X",
        "ticker",
        "date",
        "session",
        "close",
        "volatility",
        "future_return",
        "label_end",
    ):
        np.testing.assert_array_equal(getattr(data, name), getattr(labelled, name))

    for name, (X, y) in parts.items():
        np.testing.assert_array_equal(data.X[rows[name]], X.to_numpy())
        np.testing.assert_array_equal(
            data.label[rows[name]], y.map({"buy": 0, "hold": 1, "sell": 2})
        )
    others = np.setdiff1d(np.arange(len(data)), np.concatenate(list(rows.values())))

    assert set(data.label[others]) == {
        UNLABELLED
    }  # nothing of the test part's outcome is handed on


def test_without_history_only_the_rows_of_the_parts_are_there(stage: Stage, parts: dict) -> None:
    data, _ = to_table(parts, "lstm", stage[1])
    assert len(data) == sum(len(X) for X, _ in parts.values())
    petr4 = data.session[data.ticker == "PETR4"]
    assert (np.diff(petr4) > 5).sum() == 1  # where the split purged and left sessions free


def test_rows_may_come_in_any_order(stage: Stage, parts: dict) -> None:
    X, y = parts["train"]
    order = np.random.default_rng(5).permutation(len(X))
    data, rows = to_table(
        {"train": (X.iloc[order], y.iloc[order])}, "lstm", stage[1].sample(frac=1, random_state=1)
    )
    same, _ = to_table({"train": (X, y)}, "lstm", stage[1])
    np.testing.assert_array_equal(data.X, same.X)
    np.testing.assert_array_equal(data.session, same.session)
    np.testing.assert_array_equal(data.X[rows["train"]], X.iloc[order].to_numpy())


def test_changed_features_of_the_parts_win_over_those_of_the_history(
    stage: Stage, parts: dict
) -> None:
    X, y = parts["train"]
    data, rows = to_table({"train": (X * 2, y)}, "lstm", stage[1], stage[0])
    np.testing.assert_array_equal(data.X[rows["train"]], 2 * X.to_numpy())
    assert len(data) == len(stage[0])
    few, _ = to_table({"train": (X[["return_1", "rsi_14"]], y)}, "lstm", stage[1], stage[0])
    assert few.feature_names == ("return_1", "rsi_14")
    assert len(few) == len(stage[0])


def test_an_incomplete_row_of_the_history_is_no_row_of_a_window(stage: Stage, parts: dict) -> None:
    holes = stage[0].copy()
    holes.iloc[-100:, 3] = np.nan
    data, _ = to_table(parts, "lstm", stage[1], holes)
    assert len(data) == len(stage[0]) - 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda df: None,
            "a model of type lstm needs session, close, volatility, future_return .*give "
            "df_processed",
        ),
        (
            lambda df: df.drop(columns=["volatility", "session"]),
            "df_processed lacks session, volatility",
        ),
        (
            lambda df: df.iloc[5:],
            r"df_processed has no session of 5 of the \d+ rows, such as ABEV3 of 20",
        ),
        (
            lambda df: df.assign(volatility=df["volatility"].where(df["volatility"] > 0.01)),
            "has no volatility of .* rows",
        ),
        (lambda df: pd.concat([df, df.tail(3)]), "3 rows twice"),
        (lambda df: df.reset_index(), "the index has levels"),
    ],
)
def test_a_frame_that_lacks_what_the_lstm_needs_is_refused_by_name(
    stage: Stage, parts: dict, change, message: str
) -> None:
    with pytest.raises(InvalidQuotesError, match=message):
        to_table(parts, "lstm", change(stage[1]), stage[0])


def test_the_forest_needs_no_history_beside_the_parts(parts: dict) -> None:
    data, rows = to_table(parts, "rf")
    assert np.isnan(data.volatility).all()
    assert [len(found) for found in rows.values()] == [len(X) for X, _ in parts.values()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda X, y: ({"a": (X, y), "b": (X.tail(2), y.tail(2))}, None),
            "2 rows occur twice among the parts, such as WEGE3",
        ),
        (lambda X, y: ({"a": (X, y.iloc[::-1])}, None), "aligned"),
        (lambda X, y: ({"a": (X.reset_index(drop=True), y)}, None), "label_end"),
        (lambda X, y: ({"a": (X, y)}, X.drop(columns="rsi_14")), "history lacks features rsi_14"),
        (lambda X, y: ({"a": (X, y)}, X.droplevel("label_end")), "the index has levels"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(
    stage: Stage, parts: dict, change, message: str
) -> None:
    given, history = change(*parts["train"])
    with pytest.raises(InvalidQuotesError, match=message):
        to_table(given, "lstm", stage[1], history)


def test_parameters_of_the_data_are_inherited_and_others_refused(
    stage: Stage,
) -> None:
    _, df, _ = stage
    assert df.attrs["params"]["horizon"] == 5
    assert params_with(df, {"units": 8}).horizon == 5
    assert params_with(df.iloc[100:], {"horizon": 5}).horizon == 5
    assert params_with(None, {}).horizon == PipelineParams().horizon
    with pytest.raises(
        InvalidParameterError, match=r"horizon = 2: the data were made with 5; leave it out"
    ) as caught:
        params_with(df, {"horizon": 2})
    assert caught.value.details == {"parameters": ["horizon"]}


def test_a_training_of_the_lstm_without_returns_is_refused_before_it_begins(parts: dict) -> None:
    X, y = parts["train"]
    with pytest.raises(B3Error, match="needs session, close, volatility, future_return"):
        B3ModelTrainingService().train_model(X, y, model_type="lstm")
