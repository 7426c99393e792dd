"""Cleaning drops and counts impossible rows, and reports odd rows but keeps them.

No corporate action is lost on the way.
"""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from b3shared.core.clock import today
from b3shared.quotes.loading.cleaning import clean
from b3shared.quotes.schema import QUOTE_TYPES


def quotes(**columns: list[object]) -> pd.DataFrame:
    """Rows of PETR4 from 2023-01-02 on, all prices 10.0, with the given columns put over them."""
    size = max(len(v) for v in columns.values())
    frame = pd.DataFrame({name: [None] * size for name in QUOTE_TYPES})
    frame["ticker"] = "PETR4"
    frame["date"] = pd.date_range("2023-01-02", periods=size, freq="B")
    for column in ("open", "high", "low", "close"):
        frame[column] = 10.0
    frame["volume"] = 1000
    frame["split_factor"], frame["dividend"] = 1.0, 0.0
    for name, values in columns.items():
        frame[name] = values
    return frame.astype({"best_buy": float, "best_sell": float, "date": "datetime64[s]"})


def flat(frame: pd.DataFrame) -> pd.DataFrame:
    """Every price of a day equal to its close."""
    return frame.assign(open=frame["close"], high=frame["close"], low=frame["close"])


def kinds(frame: pd.DataFrame) -> dict[str, tuple[int, str]]:
    return {f.kind: (f.rows, f.action) for f in clean(frame)[1]}


def test_clean_quotes_have_no_finding() -> None:
    frame, findings = clean(quotes(close=[10.0, 10.0, 10.0]))
    assert findings == []
    assert len(frame) == 3


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        ({"ticker": ["PETR4", "PETR4F", "PETRA255"]}, "not_a_cash_equity"),
        ({"close": [10.0, None, 10.0]}, "no_price"),
        ({"close": [10.0, np.inf, 10.0], "high": [10.0, np.inf, 10.0]}, "absurd_price"),
        ({"open": [10.0, -1.0, 10.0]}, "absurd_price"),
        ({"low": [10.0, 10.5, 10.0]}, "close_outside_range"),
        ({"close": [10.0, 10.5, 10.0]}, "close_outside_range"),
        ({"volume": [1000, 0, 1000]}, "zero_volume"),
        ({"date": ["2023-01-02", "2023-01-03", "2099-01-04"]}, "future_date"),
        ({"date": ["2023-01-02", "2023-01-03", None]}, "no_date"),
        ({"ticker": ["PETR4", "PETR4", None]}, "no_ticker"),
        ({"ticker": ["PETR4", "PETR4", " "]}, "no_ticker"),
    ],
)
def test_impossible_rows_are_dropped_and_named(columns: dict[str, list[object]], kind: str) -> None:
    frame = quotes(**columns)
    cleaned, findings = clean(frame)
    finding = next(f for f in findings if f.kind == kind)
    assert finding.action == "dropped"
    assert len(cleaned) == len(frame) - finding.rows
    assert finding.examples[0].startswith(("PETR", "no ticker"))
    assert [f for f in findings if f.action == "dropped"] == [finding]


def test_an_example_names_the_ticker_the_day_and_the_value_or_what_is_missing() -> None:
    frame = quotes(
        ticker=["PETR4", "PETR4F", "PETRA255", None, "PETR4"],
        date=["2023-01-02", "2023-01-03", "2023-01-04", "2023-01-05", None],
        close=[None, 10.0, 10.0, 10.0, 10.0],
    )
    assert {f.kind: f.examples for f in clean(frame)[1]} == {
        "no_date": ("PETR4 no date: close 10.0",),
        "no_ticker": ("no ticker 2023-01-05: close 10.0",),
        "not_a_cash_equity": ("PETR4F 2023-01-03: close 10.0", "PETRA255 2023-01-04: close 10.0"),
        "no_price": ("PETR4 2023-01-02: no close",),
    }


def test_a_session_of_today_at_the_exchange_is_no_future_date() -> None:
    frame = quotes(date=[today(), today() + timedelta(days=1)])
    cleaned, findings = clean(frame)
    told = {f.kind: (f.rows, f.examples) for f in findings}
    rows, examples = told.pop("future_date")
    assert (rows, examples[0][:16]) == (1, f"PETR4 {today() + timedelta(days=1)}")
    if len(cleaned):
        assert cleaned["date"].tolist() == [pd.Timestamp(today())]
        assert told == {}
    else:  # today may be a Sunday
        assert told.keys() == {"closed_day"}


def test_a_row_with_several_faults_is_counted_once() -> None:
    frame = quotes(
        ticker=[None, "PETR4F", "PETR4"],
        date=[None, "2099-01-01", "2023-01-04"],
        volume=[0, 0, 1000],
    )
    assert kinds(frame) == {"no_date": (1, "dropped"), "future_date": (1, "dropped")}


def test_missing_values_that_features_need_are_kept_and_counted_by_column() -> None:
    frame = quotes(open=[10.0, None, 10.0], volume=[1000, None, None], low=[None] * 3)
    frame = frame.astype({"low": float, "volume": float})
    frame.attrs["missing"] = ["low"]
    cleaned, findings = clean(frame)

    assert len(cleaned) == 3
    assert [(f.kind, f.rows, f.action, f.examples) for f in findings] == [
        ("missing_value", 1, "kept", ("PETR4 2023-01-03: no open",)),
        (
            "missing_value",
            2,
            "kept",
            ("PETR4 2023-01-03: no volume", "PETR4 2023-01-04: no volume"),
        ),
    ]


def test_of_two_rows_for_one_day_the_last_stays() -> None:
    cleaned, findings = clean(
        quotes(
            date=["2023-01-02", "2023-01-03", "2023-01-03"], close=[10.0, 9.9, 10.0], low=[9.0] * 3
        )
    )
    assert cleaned["close"].tolist() == [10.0, 10.0]
    assert {f.kind: f.rows for f in findings}["duplicate"] == 1


@pytest.mark.parametrize("bad", [{"volume": 0}, {"close": np.nan}, {"high": 9.0}])
@pytest.mark.parametrize("position", [1, 2])
def test_a_bad_duplicate_does_not_remove_the_good_row(bad: dict[str, float], position: int) -> None:
    frame = quotes(date=["2023-01-02", "2023-01-03", "2023-01-03", "2023-01-04"]).astype(
        {"volume": float}
    )
    for column, value in bad.items():
        frame.loc[position, column] = value
    cleaned, findings = clean(frame)
    assert cleaned["date"].dt.day.tolist() == [2, 3, 4]
    assert cleaned["volume"].tolist() == [1000] * 3
    assert [f.rows for f in findings] == [1]
    assert "duplicate" not in {f.kind for f in findings}


@pytest.mark.parametrize(
    "volume", [[1000, 0, 1000, 1000], [1000, 1000, 0, 1000], [1000, 0, 0, 1000]]
)
def test_the_actions_of_a_day_count_once_however_many_duplicates_are_dropped(
    volume: list[int],
) -> None:
    days = ["2023-01-02", "2023-01-03", "2023-01-03", "2023-01-04"]
    frame = quotes(
        date=days, volume=volume, split_factor=[1.0, 2.0, 2.0, 1.0], dividend=[0.0, 0.5, 0.5, 0.0]
    )
    cleaned, _ = clean(frame)
    assert cleaned["split_factor"].prod() == 2.0
    assert cleaned["dividend"].sum() == 0.5


def test_actions_of_a_dropped_row_pass_to_the_next_row_of_the_ticker() -> None:
    # One share pays 0.50, becomes two on the dropped day; each of the two pays 0.20 the day after.
    frame = quotes(volume=[1000, 0, 1000], split_factor=[1.0, 2.0, 1.0], dividend=[0.0, 0.5, 0.2])
    cleaned, _ = clean(frame)
    assert cleaned["split_factor"].tolist() == [1.0, 2.0]
    assert cleaned["dividend"].tolist() == pytest.approx([0.0, 0.5 + 2.0 * 0.2])


def test_a_dropped_row_whose_dividend_is_not_known_leaves_the_next_one_not_known() -> None:
    frame = quotes(dividend=[0.0, np.nan, 0.0, 0.0], volume=[1000, 0, 1000, 1000])
    cleaned, _ = clean(frame)
    np.testing.assert_array_equal(cleaned["dividend"], [0.0, np.nan, 0.0])

    paid, _ = clean(frame.assign(dividend=[0.0, np.nan, 0.3, 0.0]))
    assert paid["dividend"].tolist() == [0.0, 0.3, 0.0]
    last, _ = clean(frame.assign(ticker=["PETR4", "PETR4", "VALE3", "VALE3"]))
    assert last["dividend"].tolist() == [0.0, 0.0, 0.0]


def test_actions_do_not_pass_to_another_ticker_nor_twice_from_a_duplicate() -> None:
    frame = quotes(
        ticker=["PETR3", "PETR3", "PETR4"], volume=[1000, 0, 1000], split_factor=[1.0, 2.0, 1.0]
    )
    assert clean(frame)[0]["split_factor"].tolist() == [1.0, 1.0]
    twice = quotes(
        date=["2023-01-02", "2023-01-03", "2023-01-03"],
        split_factor=[1.0, 2.0, 2.0],
        close=[10.0, 5.0, 5.0],
    )
    twice = flat(twice)
    assert clean(twice)[0]["split_factor"].tolist() == [1.0, 2.0]


def test_impossible_actions_are_cleared_but_the_row_stays() -> None:
    frame = quotes(split_factor=[1.0, 0.0, 1.0, 1.0], dividend=[0.0, 0.0, -1.0, 10.0])
    cleaned, _ = clean(frame)
    assert cleaned["split_factor"].tolist() == [1.0] * 4
    np.testing.assert_array_equal(cleaned["dividend"], [0.0, 0.0, np.nan, np.nan])
    assert kinds(frame) == {
        "impossible_split": (1, "cleared"),
        "impossible_dividend": (2, "cleared"),
        "dividends_unknown": (2, "kept"),
    }


def test_an_empty_side_of_the_book_is_no_price() -> None:
    cleaned, _ = clean(quotes(best_buy=[9.9, 0.0], best_sell=[10.1, 0.0]))
    assert cleaned["best_buy"].isna().tolist() == [False, True]
    assert cleaned["best_sell"].isna().tolist() == [False, True]


def test_a_crossed_book_is_kept_and_reported() -> None:
    frame = quotes(best_buy=[10.2, 9.9], best_sell=[10.1, 10.1])
    assert kinds(frame) == {"crossed_book": (1, "kept")}


def test_a_split_explains_a_jump_and_a_crash_is_only_reported() -> None:
    crash = flat(quotes(close=[12.0, 2.72]))
    assert kinds(crash) == {"unexplained_jump": (1, "kept")}
    split = crash.assign(split_factor=[1.0, 4.0])
    assert kinds(split) == {}


def test_gaps_are_counted_in_sessions_of_the_market() -> None:
    frame = quotes(
        ticker=["ITUB4"] * 3 + ["PETR4"] * 2,
        date=["2023-01-02", "2023-01-03", "2023-01-04", "2023-01-02", "2023-01-04"],
    )
    _, findings = clean(frame)
    assert [(f.kind, f.rows, f.examples) for f in findings] == [
        ("gap", 1, ("PETR4 2023-01-04: missing_sessions 1",))
    ]


def test_a_dividend_that_is_not_known_is_counted_and_is_no_fault() -> None:
    frame = quotes(close=[10.0] * 5, dividend=[0.0, 0.5, np.nan, np.nan, np.nan])
    cleaned, findings = clean(frame)
    assert cleaned["dividend"].isna().tolist() == [False, False, True, True, True]
    (found,) = findings
    assert (found.kind, found.rows, found.action) == ("dividends_unknown", 3, "kept")
    assert found.examples == ("PETR4 in 3 rows, known until 2023-01-03",)

    never = clean(quotes(close=[10.0] * 2, dividend=[np.nan] * 2))[1]
    assert never[0].examples == ("PETR4 in 2 rows, known on no day",)


@pytest.mark.parametrize(
    ("dropped", "following", "expected"),
    [
        (0.5, 0.25, 0.5 + 2 * 0.25),
        (0.5, np.nan, 0.5),
        (np.nan, 0.25, 2 * 0.25),
        (np.nan, np.nan, np.nan),
    ],
)
def test_actions_of_a_dropped_row_pass_on_and_what_is_not_known_stays_so(
    dropped: float, following: float, expected: float
) -> None:
    frame = quotes(
        close=[10.0, 5.0, 5.0],
        volume=[1000, 0, 1000],
        split_factor=[1.0, 2.0, 1.0],
        dividend=[0.0, dropped, following],
    )
    cleaned, _ = clean(flat(frame))
    assert cleaned["split_factor"].tolist() == [1.0, 2.0]
    np.testing.assert_array_equal(cleaned["dividend"], [0.0, expected])


def test_a_jump_without_a_known_dividend_is_reported() -> None:
    frame = flat(quotes(close=[10.0, 5.0], dividend=[0.0, np.nan]))
    assert kinds(frame) == {"dividends_unknown": (1, "kept"), "unexplained_jump": (1, "kept")}
