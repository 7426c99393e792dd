"""The user's table of corporate actions is checked, and wins over what was detected."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from action_tables import DAYS, actions, quotes, splits

from b3shared.core.errors import InvalidActionsError
from b3shared.quotes.corporate_actions.overrides import apply_overrides
from b3shared.quotes.corporate_actions.table import no_actions, with_actions


def given_rows(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame(rows)


def standing(table: pd.DataFrame) -> pd.DataFrame:
    """The actions that no row of the user stands for."""
    return table[table["state"] != "overridden"].reset_index(drop=True)


def test_a_given_factor_replaces_the_detection() -> None:
    detected = actions({"date": DAYS[1], "confidence": 0.1}, {"date": DAYS[2]})
    out = apply_overrides(
        detected, given_rows({"ticker": "petr4", "date": DAYS[1], "split_factor": 3})
    )

    assert standing(out)[["date", "factor", "confidence", "source"]].astype(
        {"date": str}
    ).to_numpy().tolist() == [
        [DAYS[1], 3.0, 1.0, "given"],
        [DAYS[2], 2.0, 1.0, "detected"],
    ]
    replaced = out[out["state"] == "overridden"]
    assert replaced[["factor", "confidence", "source"]].to_numpy().tolist() == [
        [2.0, 0.1, "detected"]
    ]


def test_reject_removes_the_detection_and_keeps_the_ex_mark() -> None:
    detected = actions(
        {"date": DAYS[1]}, {"date": DAYS[1], "kind": "ex_mark", "factor": 1.0}, {"date": DAYS[2]}
    )
    out = apply_overrides(
        detected, given_rows({"ticker": "PETR4", "date": DAYS[1], "reject": True})
    )
    assert standing(out)["kind"].tolist() == ["ex_mark", "split"]
    assert splits(with_actions(quotes(date=DAYS), out)) == [1.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"dividend": 0.3}, "dividend"),
        ({"split_factor": 0.1}, "reverse_split"),
        ({"split_factor": 1.1, "dividend": 0.3}, "bonus"),
        ({"split_factor": 1.3}, "bonus"),
        ({"split_factor": 2}, "split"),
    ],
)
def test_the_kind_of_a_given_action_follows_from_its_numbers(
    given: dict[str, object], kind: str
) -> None:
    out = apply_overrides(no_actions(), given_rows({"ticker": "PETR4", "date": DAYS[1]} | given))
    assert out["kind"].tolist() == [kind]
    read = with_actions(quotes(date=DAYS), out).iloc[1]
    assert read["split_factor"] == given.get("split_factor", 1.0)
    assert read["dividend"] == given.get("dividend", 0.0)


def test_overrides_may_be_text_with_blanks_as_in_a_csv_file() -> None:
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
    assert standing(out)[["ticker", "factor"]].to_numpy().tolist() == [["PETR4", 2.0]]


BASE = {"ticker": "PETR4", "date": "2023-01-03", "split_factor": 2.0}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [BASE | {"factor": 2}],
            "have factor; the columns are ticker, date, split_factor, dividend, reject",
        ),
        ([{"ticker": "PETR4", "split_factor": 2.0}], "lack date"),
        ([BASE | {"ticker": "PETR4F"}], "ticker must be a ticker such as PETR4, got 'PETR4F'"),
        ([BASE | {"ticker": None}], "such as PETR4, got None"),
        ([BASE | {"date": "3/1/2023"}], "such as 2023-12-28, got '3/1/2023'"),
        (
            [BASE | {"split_factor": 0.0}],
            "split_factor must be a number from 1e-08 to 1e+08, got 0.0",
        ),
        ([BASE | {"split_factor": -2.0}], "to 1e+08, got -2.0"),
        ([BASE | {"split_factor": np.inf}], "to 1e+08, got inf"),
        ([BASE | {"split_factor": "two"}], "to 1e+08, got 'two'"),
        ([BASE | {"dividend": -0.1}], "dividend must be a number from 0 to 1e+06, got -0.1"),
        ([BASE | {"reject": "maybe"}], "reject must be true or false, got 'maybe'"),
        (
            [BASE | {"reject": True}],
            "reject must not be true beside split_factor or dividend, got True",
        ),
        (
            [{"ticker": "PETR4", "date": "2023-01-03", "reject": False}],
            "reject must be true in a row without split_factor and dividend",
        ),
        (
            [BASE | {"split_factor": 9e-9}],
            "split_factor must be a number from 1e-08 to 1e+08, got 9e-09",
        ),
        (
            [BASE, {"ticker": "petr4 ", "date": "2023-01-03", "reject": True}],
            "reject must not be true where another row gives that day an action",
        ),
    ],
)
def test_a_faulty_override_is_refused_with_its_value(
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
def test_a_date_that_is_no_day_is_refused_with_its_row_and_value(moment: object) -> None:
    table = given_rows(BASE | {"ticker": "VALE3"}, BASE | {"date": moment})
    with pytest.raises(InvalidActionsError, match="date must be a day as YYYY-MM-DD") as caught:
        apply_overrides(actions({"date": DAYS[1]}), table)
    assert str(caught.value).startswith("overrides row 2 (PETR4 ")
    assert str(caught.value).endswith(f"got {table['date'].tolist()[1]!r}")
    assert caught.value.details == {"row": 2}


@pytest.mark.parametrize(
    "day",
    [" 2023-01-03 ", date(2023, 1, 3), pd.Timestamp("2023-01-03"), np.datetime64("2023-01-03")],
)
def test_a_day_may_be_text_or_a_date(day: object) -> None:
    table = given_rows(BASE | {"date": day, "split_factor": 8.0})
    assert splits(
        with_actions(quotes(date=DAYS), apply_overrides(actions({"date": DAYS[1]}), table))
    ) == [1.0, 8.0, 1.0]


def test_a_fault_is_named_with_its_row() -> None:
    with pytest.raises(
        InvalidActionsError, match=r"overrides row 2 \(VALE3 2023-01-03\): split_factor must be"
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


def test_a_factor_of_millions_to_one_is_accepted() -> None:
    out = apply_overrides(
        no_actions(), given_rows({"ticker": "PETR4", "date": DAYS[1], "split_factor": 3e-7})
    )
    assert out[["kind", "factor"]].to_numpy().tolist() == [["reverse_split", 3e-7]]


def test_a_repeated_rejection_counts_once() -> None:
    row = {"ticker": "PETR4", "date": DAYS[1], "reject": True}
    assert standing(apply_overrides(actions({"date": DAYS[1]}), given_rows(row, row))).empty


def test_no_overrides_change_nothing() -> None:
    table = actions({"date": DAYS[1]})
    pd.testing.assert_frame_equal(
        apply_overrides(table, pd.DataFrame(columns=["ticker", "date", "reject"])), table
    )
