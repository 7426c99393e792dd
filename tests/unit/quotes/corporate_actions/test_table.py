"""Actions reach the quotes on read; a user's word wins over what was detected, and is checked first."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from b3shared.core.errors import InvalidActionsError
from b3shared.features.adjustment import forward_factors
from b3shared.quotes.corporate_actions.table import (
    ACTION_TYPES,
    MINIMAL_CONFIDENCE,
    apply_overrides,
    no_actions,
    sorted_actions,
    with_actions,
)
from b3shared.quotes.loading.cleaning import clean
from b3shared.quotes.schema import QUOTE_TYPES


def quotes(**columns: list[object]) -> pd.DataFrame:
    """Rows in the schema: ticker and date as given, prices of 10.0, no action of their own."""
    size = len(next(iter(columns.values())))
    frame = pd.DataFrame({name: [None] * size for name in QUOTE_TYPES})
    frame["ticker"], frame["split_factor"], frame["dividend"], frame["volume"] = (
        "PETR4",
        1.0,
        0.0,
        100,
    )
    for column in ("open", "high", "low", "close"):
        frame[column] = 10.0
    for name, values in columns.items():
        frame[name] = values
    frame["date"] = pd.to_datetime(frame["date"]).astype("datetime64[s]")
    return frame


def actions(*rows: dict[str, object]) -> pd.DataFrame:
    """A table of actions: splits by 2 of PETR4 detected with confidence 1, but for what is given."""
    base = {
        "ticker": "PETR4",
        "kind": "split",
        "factor": 2.0,
        "dividend": 0.0,
        "confidence": 1.0,
        "evidence": "{}",
    }
    table = pd.DataFrame(
        [base | {"source": "detected"} | row for row in rows], columns=list(ACTION_TYPES)
    )
    return sorted_actions(table) if rows else no_actions()


DAYS = ["2023-01-02", "2023-01-03", "2023-01-05"]


def splits(frame: pd.DataFrame) -> list[float]:
    return frame["split_factor"].tolist()


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


def test_what_quotes_carry_themselves_stays() -> None:
    frame = quotes(date=DAYS, split_factor=[1.0, 3.0, 1.0], dividend=[0.0, 0.0, 0.4])
    table = actions(
        {"date": DAYS[1]}, {"date": DAYS[2], "factor": 1.0, "dividend": 0.5, "kind": "dividend"}
    )
    out = with_actions(frame, table)
    assert splits(out) == [1.0, 3.0, 1.0]
    assert out["dividend"].tolist() == [0.0, 0.0, 0.4]


def test_two_actions_of_one_row_compound_and_dividends_count_for_the_shares_of_before() -> None:
    # One share pays 0.50 and becomes two; the next day, without a trade, each of the two pays 0.20
    # and becomes three.
    table = actions(
        {"date": DAYS[1], "dividend": 0.5}, {"date": "2023-01-04", "factor": 3.0, "dividend": 0.2}
    )
    out = with_actions(quotes(date=[DAYS[0], DAYS[2]]), table)
    assert splits(out) == [1.0, 6.0]
    assert out["dividend"].tolist() == [0.0, pytest.approx(0.9)]


def test_an_uncertain_detection_is_told_and_not_applied() -> None:
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


def test_twins_of_a_day_carry_its_action_once_however_the_load_decides() -> None:
    frame = quotes(date=[DAYS[0], DAYS[1], DAYS[1]], volume=[100, 0, 100])
    cleaned, _ = clean(with_actions(frame, actions({"date": DAYS[1]})))
    assert splits(cleaned) == [1.0, 2.0]


def test_rows_without_a_date_or_ticker_are_no_obstacle() -> None:
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

    sure, unsure = {"date": DAYS[1]}, {"date": DAYS[1], "confidence": 0.2}
    tripled = "PETR4 2023-01-05: move 2.0"
    assert found(no_actions()) == {"unexplained_jump": ("PETR4 2023-01-03: move -0.5", tripled)}
    assert found(actions(sure)) == {"unexplained_jump": (tripled,)}
    assert found(actions(unsure)) == {
        "unexplained_jump": (tripled,),
        "suspected_action": ("PETR4 2023-01-03: suspected_factor 2.0",),
    }


@given(st.lists(st.sampled_from([0.1, 0.5, 2.0, 3.0]), min_size=1, max_size=6), st.integers(0, 3))
def test_adjusted_prices_of_a_constant_value_are_constant_whatever_days_lack(
    factors: list[float], lacking: int
) -> None:
    days = pd.bdate_range("2023-01-02", periods=len(factors) + 1)
    close = 10.0 / np.cumprod([1.0, *factors])
    kept = [0, *range(1 + min(lacking, len(factors) - 1), len(days))]
    frame = quotes(date=list(days[kept]), close=list(close[kept]))
    table = actions(*({"date": day, "factor": f} for day, f in zip(days[1:], factors, strict=True)))
    out = with_actions(frame, table)
    np.testing.assert_allclose(out["close"] * forward_factors(out)[0], 10.0)


# -- overrides


def given_rows(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame(rows)


def test_a_given_factor_takes_the_place_of_the_detection() -> None:
    detected = actions({"date": DAYS[1], "confidence": 0.1}, {"date": DAYS[2]})
    out = apply_overrides(
        detected, given_rows({"ticker": "petr4", "date": DAYS[1], "split_factor": 3})
    )
    assert out[["date", "factor", "confidence", "source"]].astype(
        {"date": str}
    ).to_numpy().tolist() == [
        [DAYS[1], 3.0, 1.0, "given"],
        [DAYS[2], 2.0, 1.0, "detected"],
    ]


def test_reject_strikes_the_detection_and_leaves_the_ex_mark() -> None:
    detected = actions(
        {"date": DAYS[1]}, {"date": DAYS[1], "kind": "ex_mark", "factor": 1.0}, {"date": DAYS[2]}
    )
    out = apply_overrides(
        detected, given_rows({"ticker": "PETR4", "date": DAYS[1], "reject": True})
    )
    assert out["kind"].tolist() == ["ex_mark", "split"]
    assert splits(with_actions(quotes(date=DAYS), out)) == [1.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"dividend": 0.3}, "dividend"),
        ({"split_factor": 0.1}, "reverse_split"),
        ({"split_factor": 1.1, "dividend": 0.3}, "bonus"),
        ({"split_factor": 1.3}, "bonus"),
        ({"split_factor": 2}, "split"),
    ],
)
def test_given_actions_are_of_the_kind_that_their_numbers_say(
    said: dict[str, object], kind: str
) -> None:
    out = apply_overrides(no_actions(), given_rows({"ticker": "PETR4", "date": DAYS[1]} | said))
    assert out["kind"].tolist() == [kind]
    read = with_actions(quotes(date=DAYS), out).iloc[1]
    assert read["split_factor"] == said.get("split_factor", 1.0)
    assert read["dividend"] == said.get("dividend", 0.0)


def test_overrides_may_come_as_text_with_blanks_as_a_csv_gives_them() -> None:
    table = pd.DataFrame(
        {
            "ticker": ["PETR4", "VALE3"],
            "date": ["2023-01-03", "2023-01-04"],
            "split_factor": ["2", ""],
            "dividend": ["", None],
            "reject": ["", "true"],
        }
    )
    out = apply_overrides(actions({"ticker": "VALE3", "date": "2023-01-04"}), table)
    assert out[["ticker", "factor"]].to_numpy().tolist() == [["PETR4", 2.0]]


BASE = {"ticker": "PETR4", "date": "2023-01-03", "split_factor": 2.0}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [BASE | {"factor": 2}],
            "have factor; the columns are ticker, date, split_factor, dividend, reject",
        ),
        ([{"ticker": "PETR4", "split_factor": 2.0}], "lack date"),
        ([BASE | {"ticker": "PETR4F"}], "ticker = 'PETR4F': a ticker such as PETR4"),
        ([BASE | {"ticker": None}], "ticker = None"),
        ([BASE | {"date": "3/1/2023"}], "date = '3/1/2023': a day as YYYY-MM-DD is needed"),
        (
            [BASE | {"split_factor": 0.0}],
            "split_factor = 0.0: a number from 1e-08 to 1e+08 is allowed",
        ),
        ([BASE | {"split_factor": -2.0}], "split_factor = -2.0"),
        ([BASE | {"split_factor": np.inf}], "split_factor = inf"),
        ([BASE | {"split_factor": "two"}], "split_factor = 'two'"),
        ([BASE | {"dividend": -0.1}], "dividend = -0.1: a number from 0"),
        ([BASE | {"reject": "maybe"}], "reject = 'maybe': true or false"),
        ([BASE | {"reject": True}], "true leaves no room"),
        (
            [{"ticker": "PETR4", "date": "2023-01-03", "reject": False}],
            "give a split_factor, a dividend, or reject",
        ),
        (
            [BASE | {"split_factor": 9e-9}],
            "split_factor = 9e-09: a number from 1e-08 to 1e+08 is allowed",
        ),
        (
            [BASE, {"ticker": "petr4 ", "date": "2023-01-03", "reject": True}],
            "another row says what happened then",
        ),
    ],
)
def test_an_override_that_cannot_be_meant_is_refused_by_row_and_value(
    rows: list[dict[str, object]], words: str
) -> None:
    with pytest.raises(InvalidActionsError) as caught:
        apply_overrides(actions({"date": DAYS[1]}), given_rows(*rows))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "moment",
    [
        "2023-01-03T03:00:00",
        "2023-01-03 00:00:00",
        "2023-01-03T00:00:00Z",
        "2023-01-03T00:00:00-03:00",
        "2023",
        "2023-01",
        "20230103",
        "2023-W01-2",
        "2023-02-30",
        "2023-01-03x",
        "",
        None,
        pd.Timestamp("2023-01-03 03:00"),
        pd.Timestamp("2023-01-03", tz="America/Sao_Paulo"),
    ],
    ids=str,
)
def test_a_date_that_is_no_day_is_refused_by_row_and_value(moment: object) -> None:
    table = given_rows(BASE | {"ticker": "VALE3"}, BASE | {"date": moment})
    with pytest.raises(InvalidActionsError, match="a day as YYYY-MM-DD is needed") as caught:
        apply_overrides(actions({"date": DAYS[1]}), table)
    assert str(caught.value).startswith("overrides row 2 (PETR4 ")
    assert f"date = {table['date'].tolist()[1]!r}" in str(caught.value)
    assert caught.value.details == {"row": 2}


@pytest.mark.parametrize(
    "day",
    [" 2023-01-03 ", date(2023, 1, 3), pd.Timestamp("2023-01-03"), np.datetime64("2023-01-03")],
)
def test_a_day_as_text_or_as_a_date_is_that_day(day: object) -> None:
    table = given_rows(BASE | {"date": day, "split_factor": 8.0})
    assert splits(
        with_actions(quotes(date=DAYS), apply_overrides(actions({"date": DAYS[1]}), table))
    ) == [1.0, 8.0, 1.0]


def test_a_fault_is_named_with_its_row() -> None:
    with pytest.raises(
        InvalidActionsError, match=r"overrides row 2 \(VALE3 2023-01-03\): split_factor = 0.0"
    ):
        apply_overrides(
            no_actions(), given_rows(BASE, BASE | {"ticker": "VALE3", "split_factor": 0.0})
        )


def test_payouts_of_one_day_are_added_and_equal_ones_are_instalments() -> None:
    table = given_rows(
        *[{"ticker": "CMIG4", "date": DAYS[1], "dividend": amount} for amount in (0.30, 0.12, 0.12)]
    )
    out = apply_overrides(no_actions(), table)
    assert out[["kind", "factor"]].to_numpy().tolist() == [["dividend", 1.0]]
    assert out["dividend"].tolist() == pytest.approx([0.54])


def test_grouping_and_split_of_one_day_multiply_beside_a_payout_per_old_share() -> None:
    """VIVT3 2025-04-14: 40 into 1, then 1 into 80; one share of before became two."""
    rows = [{"split_factor": 0.025}, {"split_factor": 80.0}, {"dividend": 0.6}]
    table = given_rows(*[{"ticker": "PETR4", "date": DAYS[1]} | row for row in rows])
    read = with_actions(quotes(date=DAYS), apply_overrides(actions({"date": DAYS[1]}), table)).iloc[
        1
    ]
    assert (read["split_factor"], read["dividend"]) == (pytest.approx(2.0), pytest.approx(0.6))


def test_a_factor_of_millions_to_one_is_taken() -> None:
    out = apply_overrides(
        no_actions(), given_rows({"ticker": "PETR4", "date": DAYS[1], "split_factor": 3e-7})
    )
    assert out[["kind", "factor"]].to_numpy().tolist() == [["reverse_split", 3e-7]]


def test_a_rejection_that_is_said_twice_is_one() -> None:
    row = {"ticker": "PETR4", "date": DAYS[1], "reject": True}
    assert apply_overrides(actions({"date": DAYS[1]}), given_rows(row, row)).empty


def test_no_overrides_change_nothing() -> None:
    table = actions({"date": DAYS[1]})
    pd.testing.assert_frame_equal(
        apply_overrides(table, pd.DataFrame(columns=["ticker", "date", "reject"])), table
    )
