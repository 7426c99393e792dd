"""Quotes get the factors and dividends of a table of corporate actions on read."""

import numpy as np
import pandas as pd
import pytest
from action_tables import DAYS, actions, quotes, splits
from hypothesis import given
from hypothesis import strategies as st

from b3shared.features.adjustment import forward_factors
from b3shared.quotes.corporate_actions.table import (
    MINIMAL_CONFIDENCE,
    no_actions,
    with_actions,
)
from b3shared.quotes.loading.cleaning import clean


def test_an_action_reaches_the_row_of_its_ticker_and_day() -> None:
    frame = quotes(
        ticker=["PETR4", "PETR4", "VALE3"], date=["2023-01-02", "2023-01-03", "2023-01-03"]
    )
    assert splits(with_actions(frame, actions({"date": "2023-01-03"}))) == [1.0, 2.0, 1.0]
    assert splits(frame) == [1.0, 1.0, 1.0]


def test_rows_in_any_order_get_their_own_actions_and_keep_their_order() -> None:
    frame = quotes(
        ticker=["VALE3", "PETR4", "PETR4"], date=["2023-01-02", "2023-01-03", "2023-01-02"]
    )
    table = actions(
        {"date": "2023-01-03"}, {"ticker": "VALE3", "date": "2023-01-02", "factor": 0.1}
    )
    out = with_actions(frame, table)
    assert splits(out) == [0.1, 2.0, 1.0]
    assert out["ticker"].tolist() == ["VALE3", "PETR4", "PETR4"]


def test_an_action_on_a_day_without_a_quote_goes_to_the_next_row() -> None:
    assert splits(with_actions(quotes(date=DAYS), actions({"date": "2023-01-04"}))) == [
        1.0,
        1.0,
        2.0,
    ]


@pytest.mark.parametrize("day", ["2022-12-30", "2023-01-06"])
def test_an_action_before_the_first_row_or_after_the_last_is_left_out(day: str) -> None:
    assert splits(with_actions(quotes(date=DAYS), actions({"date": day}))) == [1.0, 1.0, 1.0]


def test_factors_of_the_quotes_themselves_stay() -> None:
    frame = quotes(date=DAYS, split_factor=[1.0, 3.0, 1.0], dividend=[0.0, 0.0, 0.4])
    table = actions(
        {"date": DAYS[1]}, {"date": DAYS[2], "factor": 1.0, "dividend": 0.5, "kind": "dividend"}
    )
    out = with_actions(frame, table)
    assert splits(out) == [1.0, 3.0, 1.0]
    assert out["dividend"].tolist() == [0.0, 0.0, 0.4]


def test_a_dividend_that_is_not_known_stays_so_but_where_an_action_has_one() -> None:
    unknown = quotes(date=DAYS, dividend=[np.nan, np.nan, 0.0])
    found = with_actions(unknown, actions({"date": DAYS[1], "factor": 1.0, "dividend": 0.5}))
    np.testing.assert_array_equal(found["dividend"], [np.nan, 0.5, 0.0])

    found = with_actions(unknown, actions({"date": DAYS[1]}))
    np.testing.assert_array_equal(found["dividend"], [np.nan, np.nan, 0.0])
    assert splits(found) == [1.0, 2.0, 1.0]


def test_actions_of_one_row_compound_and_dividends_are_per_earlier_share() -> None:
    # One share pays 0.50 and becomes two; the next day, without a trade, each of the two pays 0.20
    # and becomes three.
    table = actions(
        {"date": DAYS[1], "dividend": 0.5}, {"date": "2023-01-04", "factor": 3.0, "dividend": 0.2}
    )
    out = with_actions(quotes(date=[DAYS[0], DAYS[2]]), table)
    assert splits(out) == [1.0, 6.0]
    assert out["dividend"].tolist() == [0.0, pytest.approx(0.9)]


def test_payments_of_one_ex_date_add_up_and_are_not_multiplied_by_its_factors() -> None:
    day = {"date": DAYS[1]}
    table = actions(
        day | {"factor": 0.01, "event": "grouping"},
        day | {"factor": 100.0, "event": "split"},
        day | {"factor": 1.0, "dividend": 0.5, "event": "cash 1"},
        day | {"factor": 1.0, "dividend": 0.25, "event": "cash 2"},
        {"date": "2023-01-04", "factor": 2.0, "dividend": 0.25, "event": "next day"},
    )
    out = with_actions(quotes(date=[DAYS[0], DAYS[2]]), table)
    assert splits(out) == [1.0, pytest.approx(2.0)]
    assert out["dividend"].tolist() == [0.0, pytest.approx(1.0)]


@pytest.mark.parametrize("state", ["overridden", "withdrawn"])
def test_events_that_do_not_stand_change_nothing(state: str) -> None:
    table = actions({"date": DAYS[1], "state": state, "dividend": 0.5})
    out = with_actions(quotes(date=DAYS), table)
    assert splits(out) == [1.0, 1.0, 1.0]
    assert out["dividend"].tolist() == [0.0, 0.0, 0.0]


def test_an_event_without_an_ex_date_changes_nothing() -> None:
    assert splits(with_actions(quotes(date=DAYS), actions({"date": None}))) == [1.0, 1.0, 1.0]


def coverage(**columns: object) -> pd.DataFrame:
    row = {"ticker": "PETR4", "known_from": None, "known_until": "2023-01-03"} | columns
    frame = pd.DataFrame([row])
    for name in ("known_from", "known_until"):
        frame[name] = pd.to_datetime(frame[name])
    return frame


@pytest.mark.parametrize(
    ("known", "dividends"),
    [
        (coverage(), [0.0, 0.5, np.nan]),
        (coverage(known_from="2023-01-03"), [np.nan, 0.5, np.nan]),
        (coverage(known_until="2023-01-05"), [0.0, 0.5, 0.0]),
        (coverage(known_until="2023-01-02"), [0.0, 0.5, np.nan]),
        (coverage(ticker="VALE3"), [np.nan, 0.5, np.nan]),
        (None, [np.nan, 0.5, np.nan]),
        (
            pd.concat([coverage(known_until=DAYS[0]), coverage(known_from=DAYS[2])]).assign(
                known_until=pd.to_datetime([DAYS[0], DAYS[2]])
            ),
            [0.0, 0.5, 0.0],
        ),
    ],
    ids=[
        "until a day",
        "from a day",
        "to the end",
        "until the day before",
        "another ticker",
        "nothing",
        "two spans",
    ],
)
def test_a_payment_counts_from_its_ex_date_on_and_none_is_known_where_the_coverage_reaches(
    known: pd.DataFrame | None, dividends: list[float]
) -> None:
    paid = actions({"date": DAYS[1], "factor": 1.0, "dividend": 0.5, "source": "announced"})
    out = with_actions(quotes(date=DAYS, dividend=[np.nan] * 3), paid, known)
    np.testing.assert_array_equal(out["dividend"], dividends)


def test_a_day_outside_all_spans_of_a_ticker_is_not_known() -> None:
    spans = pd.concat([coverage(known_until=DAYS[0]), coverage(known_from=DAYS[2])])
    spans["known_until"] = pd.to_datetime([DAYS[0], DAYS[2]])
    out = with_actions(quotes(date=DAYS, dividend=[np.nan] * 3), no_actions(), spans)
    np.testing.assert_array_equal(out["dividend"], [0.0, np.nan, 0.0])


UNKNOWN_WORTH = {
    "a right": {"kind": "right", "factor": 1.0, "state": "announced"},
    "a confirmed right": {"kind": "right", "factor": 1.0, "state": "confirmed"},
    "unclear shares": {"state": "unclear", "confidence": 0.0},
    "a refused payment": {
        "kind": "dividend",
        "factor": 1.0,
        "dividend": 0.5,
        "state": "contradicted",
        "confidence": 0.0,
    },
}


@pytest.mark.parametrize("name", UNKNOWN_WORTH)
@pytest.mark.parametrize("own", [0.0, np.nan])
def test_a_dividend_is_not_known_on_the_day_of_an_event_of_unknown_worth(
    name: str, own: float
) -> None:
    event = {"date": DAYS[1]} | UNKNOWN_WORTH[name]
    frame = quotes(date=DAYS, dividend=[own] * 3)
    known = coverage(known_until=DAYS[2])

    out = with_actions(frame, actions(event), known)
    np.testing.assert_array_equal(out["dividend"], [0.0, np.nan, 0.0])
    assert splits(out) == [1.0, 1.0, 1.0]
    factor = {"date": DAYS[1], "state": "announced"}
    assert splits(with_actions(frame, actions(event, factor), known)) == [1.0, 2.0, 1.0]


@pytest.mark.parametrize(("worth", "dividend"), [(0.3, 0.3), (0.0, 0.0)])
@pytest.mark.parametrize("name", UNKNOWN_WORTH)
def test_a_row_of_the_user_makes_the_day_of_an_event_of_unknown_worth_known(
    name: str, worth: float, dividend: float
) -> None:
    event = {"date": DAYS[1]} | UNKNOWN_WORTH[name] | {"state": "overridden"}
    own = {"date": DAYS[1], "factor": 1.0, "source": "given", "state": "given"}
    table = actions(event, own | {"dividend": worth})
    frame = quotes(date=DAYS, dividend=[np.nan] * 3)

    out = with_actions(frame, table, coverage(known_until=DAYS[2]))
    assert out["dividend"].tolist() == [0.0, dividend, 0.0]
    beyond = with_actions(frame, table, coverage(known_until=DAYS[0]))["dividend"]
    np.testing.assert_array_equal(beyond, [0.0, worth or np.nan, np.nan])


def test_shares_that_the_price_contradicts_leave_the_dividend_known() -> None:
    table = actions({"date": DAYS[1], "state": "contradicted", "confidence": 0.0})
    out = with_actions(quotes(date=DAYS), table)
    assert out["dividend"].tolist() == [0.0, 0.0, 0.0]
    assert splits(out) == [1.0, 1.0, 1.0]


def test_a_payment_that_the_quotes_list_stays_on_the_day_of_a_right() -> None:
    table = actions({"date": DAYS[1]} | UNKNOWN_WORTH["a right"])
    out = with_actions(quotes(date=DAYS, dividend=[0.0, 0.4, 0.0]), table)
    assert out["dividend"].tolist() == [0.0, 0.4, 0.0]


def test_dividends_of_the_quotes_and_of_the_user_apply_where_nothing_is_known() -> None:
    table = actions({"date": DAYS[2], "factor": 1.0, "dividend": 0.3, "source": "given"})
    out = with_actions(quotes(date=DAYS, dividend=[np.nan, 0.2, np.nan]), table)
    np.testing.assert_array_equal(out["dividend"], [np.nan, 0.2, 0.3])


@pytest.mark.parametrize("beside", [0, 2])
def test_a_payment_that_the_quotes_list_on_the_row_beside_counts_once(beside: int) -> None:
    own = [0.0, 0.0, 0.0]
    own[beside] = 0.5
    paid = {"date": DAYS[1], "factor": 1.0, "source": "announced"}
    known = coverage(known_until=DAYS[2])
    frame = quotes(date=DAYS, dividend=own)

    assert with_actions(frame, actions(paid | {"dividend": 0.5004}), known)["dividend"].sum() == 0.5
    other = with_actions(frame, actions(paid | {"dividend": 0.6}), known)["dividend"]
    assert other.sum() == pytest.approx(1.1)
    factors = [1.0, 1.0, 1.0]
    factors[beside] = 2.0
    assert (
        splits(
            with_actions(quotes(date=DAYS, split_factor=factors), actions(paid | {"factor": 2.0}))
        )
        == factors
    )


def test_an_uncertain_detection_is_reported_and_not_applied() -> None:
    doubtful = actions({"date": DAYS[1], "confidence": MINIMAL_CONFIDENCE - 0.01})
    out = with_actions(quotes(date=DAYS), doubtful)
    assert splits(out) == [1.0, 1.0, 1.0]
    assert out.attrs["suspected_actions"] == {("PETR4", np.datetime64(DAYS[1])): 2.0}
    assert splits(with_actions(quotes(date=DAYS), doubtful, minimal_confidence=0.1)) == [
        1.0,
        2.0,
        1.0,
    ]


def test_other_facts_about_the_quotes_are_kept_and_ex_marks_change_no_number() -> None:
    frame = quotes(date=DAYS)
    frame.attrs["missing"] = ["avg"]
    out = with_actions(frame, actions({"date": DAYS[1], "kind": "ex_mark", "factor": 1.0}))
    assert out.attrs == {"missing": ["avg"], "suspected_actions": {}}
    pd.testing.assert_frame_equal(out, frame)


def test_no_actions_change_nothing_even_of_no_quotes() -> None:
    pd.testing.assert_frame_equal(with_actions(quotes(date=DAYS), no_actions()), quotes(date=DAYS))
    empty = quotes(date=DAYS).iloc[:0]
    assert with_actions(empty, actions({"date": DAYS[0]})).empty


def test_duplicate_rows_of_a_day_have_the_same_action() -> None:
    frame = quotes(date=[DAYS[0], DAYS[1], DAYS[1]], volume=[100, 0, 100])
    cleaned, _ = clean(with_actions(frame, actions({"date": DAYS[1]})))
    assert splits(cleaned) == [1.0, 2.0]


def test_rows_without_a_date_or_ticker_get_no_action() -> None:
    frame = quotes(date=[None, DAYS[0], DAYS[1]], ticker=["PETR4", None, "PETR4"])
    assert splits(with_actions(frame, actions({"date": DAYS[1]}))) == [1.0, 1.0, 2.0]


def test_a_detected_split_explains_its_jump_and_a_suspected_one_is_named_as_such() -> None:
    price = [20.0, 10.0, 30.0]
    frame = quotes(date=DAYS, close=price, open=price, high=price, low=price)
    frame.attrs["missing"] = []

    def found(table: pd.DataFrame) -> dict[str, tuple[str, ...]]:
        kept = {f.kind: f.examples for f in clean(with_actions(frame, table))[1]}
        return {
            kind: kept[kind] for kind in ("unexplained_jump", "suspected_action") if kind in kept
        }

    sure = {"date": DAYS[1]}
    unsure = sure | {"confidence": 0.2}
    tripled = "PETR4 2023-01-05: move 2.0"
    assert found(no_actions()) == {"unexplained_jump": ("PETR4 2023-01-03: move -0.5", tripled)}
    assert found(actions(sure)) == {"unexplained_jump": (tripled,)}
    assert found(actions(unsure)) == {
        "unexplained_jump": (tripled,),
        "suspected_action": ("PETR4 2023-01-03: suspected_factor 2.0",),
    }


@given(st.lists(st.sampled_from([0.1, 0.5, 2.0, 3.0]), min_size=1, max_size=6), st.integers(0, 3))
def test_adjusted_prices_of_a_constant_value_are_constant_whichever_days_are_missing(
    factors: list[float], lacking: int
) -> None:
    days = pd.bdate_range("2023-01-02", periods=len(factors) + 1)
    close = 10.0 / np.cumprod([1.0, *factors])
    kept = [0, *range(1 + min(lacking, len(factors) - 1), len(days))]
    frame = quotes(date=list(days[kept]), close=list(close[kept]))
    table = actions(*({"date": day, "factor": f} for day, f in zip(days[1:], factors, strict=True)))
    out = with_actions(frame, table)
    np.testing.assert_allclose(out["close"] * forward_factors(out)[0], 10.0)
