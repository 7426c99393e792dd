"""The training table has complete rows only, and every other row is counted by reason."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from b3shared.core.errors import InvalidQuotesError, SingleClassError, TooLittleHistoryError
from b3shared.core.vocabulary import UNLABELLED
from b3shared.dataset.table import Dataset
from b3shared.features.training_table import preprocess
from b3shared.params.run import PipelineParams


def test_every_row_of_the_quotes_is_in_the_table_or_counted(eight: pd.DataFrame) -> None:
    made = preprocess(eight, PipelineParams())
    left_out = made.report["left_out"]
    before = ("median_turnover_not_known", "illiquid", "incomplete_features")
    assert len(made.data) + sum(left_out[name] for name in before) == len(eight)
    assert made.report["labelled_rows"] + left_out["outcome_not_known_yet"] == len(made.data)
    assert sum(made.report["target_distribution"].values()) == made.report["labelled_rows"]


@pytest.mark.parametrize("min_turnover", [2e6, 5e8])
def test_rows_whose_median_turnover_is_not_known_yet_are_not_called_illiquid(
    eight: pd.DataFrame, min_turnover: float
) -> None:
    left_out = preprocess(eight, PipelineParams.from_values(min_turnover=min_turnover)).report[
        "left_out"
    ]
    median = (eight["close"] * eight["volume"]).groupby(eight["ticker"]).rolling(60).median()
    assert left_out["median_turnover_not_known"] == median.isna().sum() == 8 * 59
    assert left_out["illiquid"] == (median <= min_turnover).sum()


def test_the_newest_rows_are_there_without_a_label(eight: pd.DataFrame) -> None:
    data = preprocess(eight, PipelineParams.from_values(horizon=3)).data
    newest = np.sort(np.unique(eight["date"].to_numpy().astype("datetime64[D]")))[-3:]
    unlabelled = data.label == UNLABELLED
    np.testing.assert_array_equal(np.unique(data.date[unlabelled]), newest)
    assert unlabelled.sum() == 3 * 8
    assert np.isnat(data.label_end[unlabelled]).all()
    assert np.isnan(data.future_return[unlabelled]).all()


def test_rows_are_sorted_and_complete_and_name_their_row_of_the_quotes(eight: pd.DataFrame) -> None:
    made = preprocess(eight, PipelineParams())
    data = made.data
    assert np.isfinite(data.X).all()
    order = np.lexsort((data.date, data.ticker))
    np.testing.assert_array_equal(order, np.arange(len(data)))
    np.testing.assert_array_equal(eight["ticker"].to_numpy(dtype=str)[made.rows], data.ticker)
    np.testing.assert_array_equal(eight["close"].to_numpy()[made.rows], data.close)
    calendar = np.unique(eight["date"].to_numpy().astype("datetime64[D]"))
    np.testing.assert_array_equal(calendar[data.session], data.date)


@pytest.mark.parametrize("label", ["direction", "triple_barrier", "signal"])
@pytest.mark.parametrize("features", ["v1", "v2"])
def test_truncated_history_gives_the_same_earlier_rows(
    eight: pd.DataFrame, label: str, features: str
) -> None:
    params = PipelineParams.from_values(label=label, features=features, horizon=4)
    whole, day = preprocess(eight, params).data, np.datetime64("2021-03-31")
    part = preprocess(eight[eight["date"] <= str(day)].reset_index(drop=True), params).data
    earlier = whole.take(whole.date <= day)
    for name in (
        "X",
        "ticker",
        "date",
        "session",
        "close",
        "volatility",
        "return_5",
        "return_20",
        "known_label",
        "rule",
    ):
        np.testing.assert_array_equal(getattr(part, name), getattr(earlier, name), err_msg=name)
    known = part.label != UNLABELLED

    for name in ("label", "label_end", "future_return"):
        np.testing.assert_array_equal(
            getattr(part, name)[known], getattr(earlier, name)[known], err_msg=name
        )


def test_a_saved_table_loads_equal(tmp_path: Path, eight: pd.DataFrame) -> None:
    data = preprocess(eight, PipelineParams()).data
    assert [path.name for path in data.save(tmp_path)] == ["matrix.npy", "columns.npz"]
    again = Dataset.load(tmp_path)
    assert again.feature_names == data.feature_names
    assert isinstance(again.X, np.memmap)
    for name in ("X", "ticker", "date", "label", "label_end", "future_return"):
        np.testing.assert_array_equal(getattr(again, name), getattr(data, name))


@pytest.mark.parametrize("features", ["v1", "v2"])
def test_dividends_that_are_not_known_count_as_none(features: str, eight: pd.DataFrame) -> None:
    params = PipelineParams.from_values(features=features)
    unpaid, unknown = (
        preprocess(eight.assign(dividend=value), params).data for value in (0.0, np.nan)
    )
    assert len(unpaid)
    for name in ("X", "date", "label", "future_return", "volatility"):
        np.testing.assert_array_equal(getattr(unknown, name), getattr(unpaid, name))


def test_a_missing_book_is_a_warning_with_v1(eight: pd.DataFrame) -> None:
    report = preprocess(eight, PipelineParams.from_values(features="v1")).report
    assert "best_buy_sell_spread" in report["warnings"][0]
    assert report["features"] == 11


def test_one_ticker_is_enough_for_v1_and_refused_for_v2(eight: pd.DataFrame) -> None:
    alone = eight[eight["ticker"] == "PETR4"].reset_index(drop=True)
    assert len(preprocess(alone, PipelineParams.from_values(features="v1")).data) > 1000
    with pytest.raises(InvalidQuotesError, match="at least 5"):
        preprocess(alone, PipelineParams())


def test_labels_of_one_class_are_refused_by_name(eight: pd.DataFrame) -> None:
    still = eight.assign(open=10.0, high=10.0, low=10.0, close=10.0, split_factor=1.0, dividend=0.0)
    still["close"] += np.tile([0.0, 0.001], len(still))[
        : len(still)
    ]  # a price that trembles and goes nowhere
    with pytest.raises(SingleClassError, match="'hold': "):
        preprocess(still, PipelineParams.from_values(features="v1", label="signal", horizon=1))


def test_a_block_of_nan_removes_only_the_rows_that_need_it(eight: pd.DataFrame) -> None:
    holed = eight.copy()
    block = (holed["ticker"] == "PETR4") & holed["date"].between("2022-01-01", "2022-03-31")
    holed.loc[block, "high"] = np.nan
    before, after = (
        preprocess(eight, PipelineParams()).data,
        preprocess(holed, PipelineParams()).data,
    )
    lost = len(before) - len(after)
    assert block.sum() <= lost <= block.sum() + 20
    assert (after.ticker != "PETR4").sum() == (before.ticker != "PETR4").sum()


def test_an_empty_table_is_refused_with_the_reason(eight: pd.DataFrame) -> None:
    with pytest.raises(TooLittleHistoryError, match="min_turnover"):
        preprocess(eight, PipelineParams.from_values(min_turnover=1e15))
    with pytest.raises(TooLittleHistoryError, match="60 sessions whose median turnover"):
        preprocess(eight.groupby("ticker").head(59).reset_index(drop=True), PipelineParams())
    with pytest.raises(TooLittleHistoryError, match="return_120"):
        preprocess(eight.groupby("ticker").head(100).reset_index(drop=True), PipelineParams())
