"""Quotes given as DataFrames are taken or refused with a reason, and losses are reported."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from b3shared import B3Model
from b3shared.core.errors import InvalidParameterError, InvalidQuotesError, NoQuotesError
from b3shared.services import B3ModelPreprocessingService, B3ModelTrainingService
from b3shared.services.given_quotes import named_tickers, tidy

Shape = Callable[[pd.DataFrame], object]


@pytest.fixture(scope="module")
def quotes(eight: pd.DataFrame) -> pd.DataFrame:
    """The quotes of eight tickers as a caller has them: no report of a load."""
    out = eight[eight["date"] >= "2022-01-01"].reset_index(drop=True)
    out.attrs = {}
    return out


TAKEN: dict[str, Shape] = {
    "as they are": lambda q: q,
    "shuffled": lambda q: q.sample(frac=1, random_state=1),
    "date in the index": lambda q: q.set_index("date"),
    "date in the index and a column": lambda q: q.set_index("date", drop=False),
    "dates in an index without a name": lambda q: q.set_index("date").rename_axis(None),
    "ticker and date in the index": lambda q: q.set_index(["ticker", "date"]),
    "both in the index and columns": lambda q: q.set_index(["ticker", "date"], drop=False),
    "capitalised": lambda q: q.rename(columns=str.title),
    "capitals in the index too": lambda q: q.rename(columns=str.upper).set_index(
        ["TICKER", "DATE"]
    ),
    "another name of split_factor": lambda q: q.rename(columns={"split_factor": "split_coef"}),
    "further columns": lambda q: q.assign(sector="x", **{"3": 1}),
    "ticker as category": lambda q: q.astype({"ticker": "category"}),
    "dates as text": lambda q: q.assign(date=q["date"].dt.strftime("%Y-%m-%d")),
    "dates as objects": lambda q: q.assign(date=q["date"].dt.date),
    "dates in UTC": lambda q: q.assign(date=q["date"].dt.tz_localize("UTC")),
    "dates in Sao Paulo": lambda q: q.assign(date=q["date"].dt.tz_localize("America/Sao_Paulo")),
    "dates in Tokyo": lambda q: q.assign(date=q["date"].dt.tz_localize("Asia/Tokyo")),
    "text with offsets": lambda q: q.assign(
        date=q["date"].dt.strftime("%Y-%m-%dT00:00:00")
        + np.where(q["date"].dt.month < 3, "-02:00", "-03:00")
    ),
    "with a time of day": lambda q: q.assign(date=q["date"] + pd.Timedelta("17:55:00")),
    "nullable numbers": lambda q: q.convert_dtypes(),
    "numbers as text": lambda q: q.assign(close=q["close"].astype(str)),
}


@pytest.mark.parametrize("name", list(TAKEN))
def test_usual_shapes_of_a_frame_are_the_same_quotes(quotes: pd.DataFrame, name: str) -> None:
    with warnings.catch_warnings(action="error"):
        found = tidy(TAKEN[name](quotes.copy()))
    pd.testing.assert_frame_equal(found.quotes, tidy(quotes).quotes)
    assert not [f for f in found.findings if f.action == "dropped"]


REFUSED: dict[str, tuple[Shape, str]] = {
    "None": (lambda q: None, "must be a pandas DataFrame .*got None"),
    "a path": (
        lambda q: "quotes.csv",
        r"got the path 'quotes\.csv'; B3DataLoadingService\('quotes\.csv'\)",
    ),
    "a dictionary": (lambda q: q.to_dict("list"), r"got dict; pandas\.DataFrame"),
    "a list": (lambda q: q.to_dict("records"), r"got list; pandas\.DataFrame"),
    "a series": (lambda q: q["close"], r"got pandas\.Series|must be a pandas DataFrame"),
    "columns of two levels": (
        lambda q: q.pivot_table(index="date", columns="ticker", values=["open", "close"]),
        r"columns of 2 levels.*stack",
    ),
    "a column twice": (lambda q: q.assign(Close=q["close"]), "one column close, got two"),
    "dates as numbers": (
        lambda q: q.assign(date=20231228),
        "column date: .*20231228.* is a number; dates YYYY-MM-DD",
    ),
    "dates the Brazilian way": (
        lambda q: q.assign(date=q["date"].dt.strftime("%d/%m/%Y")),
        "column date: .*03/01/2022.*YYYY-MM-DD",
    ),
    "no close": (
        lambda q: q.drop(columns="close"),
        "lack close; needed are ticker, date, close, got ",
    ),
    "no columns": (lambda q: pd.DataFrame(), "lack ticker, date, close"),
    "close as words": (lambda q: q.assign(close="ten"), "column close: .*numbers are allowed"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_other_shapes_are_refused_with_what_is_needed(
    quotes: pd.DataFrame, name: str, tmp_path: Path
) -> None:
    shape, message = REFUSED[name]
    with pytest.raises(InvalidQuotesError, match=message):
        B3ModelPreprocessingService().preprocess_data(shape(quotes.copy()))


def test_rows_that_are_no_quotes_are_reported_and_warned_of(quotes: pd.DataFrame) -> None:
    vendor = quotes["ticker"].replace({"PETR4": "PETR4.SA", "VALE3": "VALE3.SA"})
    rows = int(quotes["ticker"].isin(["PETR4", "VALE3"]).sum())
    told = (
        rf"{rows} rows of the quotes were dropped: {rows} not_a_cash_equity "
        r"\(such as PETR4\.SA .*such as PETR4, got"
    )
    with pytest.warns(UserWarning, match=told):
        _, df, _ = B3ModelPreprocessingService().preprocess_data(
            quotes.assign(ticker=vendor), features="v1"
        )

    assert df.attrs["report"]["dropped"] == {"not_a_cash_equity": rows}
    (found,) = [f for f in df.attrs["report"]["findings"] if f["kind"] == "not_a_cash_equity"]
    assert found["examples"][0].startswith("PETR4.SA 2022-01-03")
    with pytest.raises(NoQuotesError, match=r"not_a_cash_equity \(such as .*\.SA"):
        tidy(quotes.assign(ticker=quotes["ticker"] + ".SA"))


def test_quotes_without_fault_are_taken_without_a_warning(quotes: pd.DataFrame) -> None:
    with warnings.catch_warnings(action="error"):
        B3ModelPreprocessingService().preprocess_data(quotes, features="v1")


def test_of_two_bars_of_one_day_the_one_with_more_volume_stays(quotes: pd.DataFrame) -> None:
    day = quotes["date"] == quotes["date"].max()
    during = quotes[day].assign(
        date=quotes["date"].max() + pd.Timedelta("15:30:00"), close=1e-2, low=1e-2
    )

    for volume in (1, quotes.loc[day, "volume"] - 1):
        for both in (
            [quotes, during.assign(volume=volume)],
            [during.assign(volume=volume), quotes],
        ):
            found = tidy(pd.concat(both))
            pd.testing.assert_frame_equal(found.quotes, tidy(quotes).quotes)
            (twins,) = [f for f in found.findings if f.kind == "duplicate"]
            assert (twins.rows, twins.action) == (day.sum(), "dropped")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_missing_and_reported(
    quotes: pd.DataFrame, value: float
) -> None:
    hole = quotes["volume"].astype(float)
    hole.iloc[100] = value
    found = tidy(quotes.assign(volume=hole))
    assert [f.rows for f in found.findings if f.kind == "missing_value"] == [1]
    assert len(found.quotes) == len(quotes)


def test_dividends_of_a_frame_without_them_are_not_known_and_a_hole_is_none(
    quotes: pd.DataFrame,
) -> None:
    without = tidy(quotes.drop(columns="dividend"))
    assert without.quotes["dividend"].isna().all()
    (found,) = [f for f in without.findings if f.kind == "dividends_unknown"]
    assert found.rows == len(without.quotes)

    paid = quotes["dividend"] > 0
    holes = tidy(quotes.assign(dividend=quotes["dividend"].where(paid)))
    pd.testing.assert_frame_equal(holes.quotes, tidy(quotes).quotes)

    loaded = quotes.assign(dividend=quotes["dividend"].where(paid))
    loaded.attrs["report"] = {}
    assert (tidy(loaded).quotes["dividend"].notna() == paid).all()


def test_dividends_of_a_load_stay_not_known_when_pandas_drops_its_attributes(
    quotes: pd.DataFrame,
) -> None:
    loaded = quotes.assign(dividend=quotes["dividend"].mask(quotes["date"] > "2023-10-31"))
    loaded.attrs["report"] = {}
    newest = loaded["date"].max()
    today = loaded[loaded["date"] == newest].drop(columns="dividend")
    today.attrs = {}
    both = pd.concat([loaded[loaded["date"] < newest], today], ignore_index=True)
    assert not both.attrs

    found = tidy(both).quotes["dividend"]
    assert (found.isna() == (tidy(both).quotes["date"] > "2023-10-31")).all()
    nothing = tidy(both.assign(dividend=np.nan)).quotes["dividend"]
    assert nothing.isna().all()


def split(quotes: pd.DataFrame, factor: float = 10.0) -> pd.DataFrame:
    """WEGE3 splits in the middle: prices as traded fall, and volumes grow."""
    out = quotes.astype({"volume": float})
    after = (out["ticker"] == "WEGE3") & (out["date"] >= "2023-03-15")
    out.loc[after, ["open", "high", "low", "close"]] /= factor
    out.loc[after, "volume"] *= factor
    return out


def test_splits_are_looked_for_in_a_frame_that_lists_none(quotes: pd.DataFrame) -> None:
    with pytest.warns(UserWarning, match=r"1 detected_split: WEGE3 2023-03-15: split_factor 10"):
        _, df, _ = B3ModelPreprocessingService().preprocess_data(
            split(quotes).drop(columns="split_factor"), features="v1"
        )
    own = df.loc["WEGE3", "future_return"].dropna()
    assert own.abs().max() < 0.5


def test_a_listed_split_of_adjusted_prices_is_not_applied(quotes: pd.DataFrame) -> None:
    day = (quotes["ticker"] == "WEGE3") & (quotes["date"] == "2023-03-15")
    listed = quotes.assign(split_factor=quotes["split_factor"].mask(day, 4.0))
    with pytest.warns(UserWarning, match=r"1 split_without_trace: WEGE3 2023-03-15"):
        _, df, _ = B3ModelPreprocessingService().preprocess_data(listed, features="v1")
    assert df.loc["WEGE3", "future_return"].dropna().abs().max() < 0.5


def test_splits_that_a_load_has_judged_are_not_judged_again(quotes: pd.DataFrame) -> None:
    """The user's own table of actions was applied when the quotes were loaded."""
    day = (quotes["ticker"] == "WEGE3") & (quotes["date"] == "2023-03-15")
    loaded = quotes.assign(split_factor=quotes["split_factor"].mask(day, 4.0))
    loaded.attrs = {"report": {}}
    assert (tidy(loaded).quotes["split_factor"] == 4.0).sum() == 1


def test_a_single_ticker_may_be_given_as_a_string() -> None:
    assert named_tickers("petr4") == ["PETR4"]
    assert named_tickers("PETR4, VALE3") == ["PETR4", "VALE3"]
    assert named_tickers(("PETR4", "PETR4")) == ["PETR4"]
    for wrong in (5, [5], [None]):
        with pytest.raises(InvalidParameterError, match="tickers must be a list"):
            named_tickers(wrong)  # type: ignore[arg-type]


def test_features_and_labels_that_are_no_frames_are_refused_by_name(quotes: pd.DataFrame) -> None:
    X, _, y = B3ModelPreprocessingService().preprocess_data(quotes, features="v1")
    for wrong in ((None, y), (X, None), (X.to_numpy(), y), (X, y.tolist())):
        with pytest.raises(InvalidQuotesError, match="as preprocess_data returns them, got"):
            B3ModelTrainingService().split_data(*wrong)


def test_predict_says_which_rows_it_drops_and_takes_one_ticker(
    tmp_path: Path, quotes: pd.DataFrame
) -> None:
    model = B3Model(storage=tmp_path)
    tickers = sorted(set(quotes["ticker"]))
    model.run(
        tickers=tickers, features="v1", n_iter=1, n_estimators=10, period="2y", min_samples_leaf=50
    )
    named = quotes["ticker"].replace({"VALE3": "VALE3.SA"})
    with pytest.warns(UserWarning, match=r"rows of the quotes were dropped: .*VALE3\.SA"):
        answer = model.predict(quotes.assign(ticker=named), tickers="petr4")
    assert answer.index.tolist() == ["PETR4"]
    with pytest.raises(InvalidQuotesError, match="must be a pandas DataFrame"):
        model.predict(None)  # type: ignore[arg-type]
