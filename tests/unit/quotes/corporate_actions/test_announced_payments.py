"""Traps of announced payments; figures as the exchange published them."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from announced import announce, around, listed, on, payment, row_on, told, unite
from hypothesis import given
from hypothesis import strategies as st

from b3shared.quotes.corporate_actions.amounts import same_amount, unite_amounts
from b3shared.quotes.corporate_actions.table import with_actions

PETR4 = "BRPETRACNPR6"
JCP = "JRS CAP PROPRIO"


def paid(isin: str, last_cum: str, value: float, label: str = "DIVIDENDO") -> dict[str, object]:
    return listed(isin, label, last_cum, answer="supplement_cash", value=value)


@pytest.mark.parametrize(
    ("ticker", "last", "ex", "value", "times"),
    [
        ("PETR4", "2026-06-01", "2026-06-02", 0.35048636, 2),
        ("WEGE3", "2025-12-19", "2025-12-22", 0.412831673, 3),
        ("CMIG4", "2023-12-21", "2023-12-22", 0.1, 2),
    ],
)
def test_trap_6_equal_rows_are_instalments_and_add_up(
    ticker: str, last: str, ex: str, value: float, times: int
) -> None:
    share_class = "ON" if ticker.endswith("3") else "PN"
    row = payment(ticker[:4], share_class, last, value, JCP)
    quotes = around(ticker, last, 40.0, 39.6, type=share_class)
    found = unite(quotes, announce(*[row] * times))
    (event,) = on(found, ex).to_dict("records")
    assert event["dividend"] == pytest.approx(times * value)
    assert row_on(quotes, found, ex, ticker)["dividend"] == pytest.approx(times * value)


@pytest.mark.parametrize("both", [(2, 2), (2, 1), (1, 2), (0, 2)], ids=str)
def test_trap_10_history_and_supplement_are_united_and_nothing_is_doubled(
    both: tuple[int, int],
) -> None:
    """The history lags the supplement by weeks: what only one has counts too."""
    rows = [payment("PETR", "PN", "2026-06-01", 0.35048636, JCP)] * both[0]
    rows += [paid(PETR4, "2026-06-01", 0.35048636, JCP)] * both[1]
    quotes = around("PETR4", "2026-06-01", 47.34, 46.6, isin=PETR4, type="PN")
    found = unite(quotes, announce(*rows))
    assert on(found, "2026-06-02")["dividend"].tolist() == [pytest.approx(0.70097272)]


def test_trap_10_two_printed_forms_of_one_amount_are_one_payment() -> None:
    rows = [payment("PETR", "PN", "2026-06-01", 0.3505), paid(PETR4, "2026-06-01", 0.35048636)]
    quotes = around("PETR4", "2026-06-01", 47.34, 47.0, isin=PETR4, type="PN")
    found = unite(quotes, announce(*rows))
    assert on(found, "2026-06-02")["dividend"].tolist() == [0.35048636]
    assert same_amount(0.42, 0.4187)
    assert not same_amount(0.1, 0.14)
    assert not same_amount(0.3505, 0.35038636)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.35]), max_size=5), st.data())
def test_united_amounts_are_the_larger_count_of_each(amounts: list[float], data: st.DataObject):
    others = data.draw(st.lists(st.sampled_from([0.1, 0.2, 0.35, 0.5]), max_size=5))
    assert unite_amounts(Counter(amounts), others) == Counter(amounts) | Counter(others)


def test_trap_7_payments_of_another_class_are_not_mixed_in() -> None:
    """PETR3 2019 to 2023 is 30.48 R$, and 61.16 with those of PETR4."""
    rows = [
        payment("PETR", "ON", "2023-08-21", 1.15, JCP),
        payment("PETR", "PN", "2023-08-21", 1.16, JCP),
    ]
    quotes = pd.concat(
        [
            around("PETR3", "2023-08-21", 34.0, 33.0, type="ON"),
            around("PETR4", "2023-08-21", 31.0, 30.0, type="PN"),
        ]
    )
    found = unite(quotes, announce(*rows))

    assert on(found, "2023-08-22", "PETR3")["dividend"].tolist() == [1.15]
    assert on(found, "2023-08-22", "PETR4")["dividend"].tolist() == [1.16]


@pytest.mark.parametrize("isin", [None, "BRKLBNCDAM18"], ids=["by class", "by ISIN"])
def test_trap_15_a_unit_has_its_own_payments(isin: str | None) -> None:
    """KLBN11 is five of KLBN3's; its ISIN is CDAM."""
    share, unit = 0.0473, 0.2365
    rows = [payment("KLBN", "ON", "2023-05-09", share)]
    if isin is None:
        rows.append(payment("KLBN", "UNT", "2023-05-09", unit))
    else:
        rows.append(paid(isin, "2023-05-09", unit))
    quotes = pd.concat(
        [
            around("KLBN3", "2023-05-09", 4.4, 4.36, isin="BRKLBNACNOR0"),
            around("KLBN11", "2023-05-09", 20.0, 19.8, isin="BRKLBNCDAM18", type="UNT"),
        ]
    )
    found = unite(quotes, announce(*rows))

    assert row_on(quotes, found, "2023-05-10", "KLBN11")["dividend"] == unit
    assert row_on(quotes, found, "2023-05-10", "KLBN3")["dividend"] == share


def test_trap_15_a_unit_isin_of_another_form_is_found_by_the_quotes() -> None:
    row = paid("BRBPACUNT006", "2023-08-10", 0.285, JCP)
    for isin in (None, "BRBPACUNT006"):
        quotes = around("BPAC11", "2023-08-10", 32.0, 31.7, isin=isin, type="UNT")
        found = unite(quotes, announce(row))
        assert row_on(quotes, found, "2023-08-11", "BPAC11")["dividend"] == 0.285


def test_trap_13_capital_returned_and_a_grouping_of_one_day_come_out_right() -> None:
    """BRPR3 2023-08-30: 63.05 on a close of 76.44, and 25 into 1."""
    isin = "BRBRPRACNOR9"
    rows = [
        payment("BRPR", "ON", "2023-08-30", 63.05, "REST CAP DIN"),
        listed(isin, "GRUPAMENTO", "2023-08-30", factor=0.04),
    ]
    quotes = around("BRPR3", "2023-08-30", 76.44, 334.75, isin=isin)
    found = unite(quotes, announce(*rows))

    assert on(found, "2023-08-31")["state"].tolist() == ["confirmed", "confirmed"]
    row = row_on(quotes, found, "2023-08-31", "BRPR3")
    assert (row["dividend"], row["split_factor"]) == (63.05, 0.04)
    assert (row["open"] * 0.04 + 63.05) / 76.44 == pytest.approx(1.0)
    assert found.findings.empty


def test_trap_11_the_close_of_the_quotes_judges_a_payment() -> None:
    """A value per 1,000 shares that was not divided is more than the price, and is refused."""
    row = payment("BBDC", "PN", "2023-12-28", 60.0)
    quotes = around("BBDC4", "2023-12-28", 17.0, 16.9, type="PN")
    found = unite(quotes, announce(row))
    assert told(found, "event_contradicted") == [("BBDC4", "2023-12-29")]
    assert np.isnan(row_on(quotes, found, "2023-12-29", "BBDC4")["dividend"])


def test_a_payment_is_per_share_before_the_split_of_its_day() -> None:
    """CSAN3 2021-05-05: 1.0306 per share before the split of 4."""
    rows = [
        payment("CSAN", "ON", "2021-05-05", 1.0306),
        listed("BRCSANACNOR6", "DESDOBRAMENTO", "2021-05-05", factor=300.0),
    ]
    quotes = around("CSAN3", "2021-05-05", 92.0, 22.7424, isin="BRCSANACNOR6")
    found = unite(quotes, announce(*rows))
    row = row_on(quotes, found, "2021-05-06", "CSAN3")
    value = row["open"] * row["split_factor"] + row["dividend"]
    assert value / 92.0 == pytest.approx(1.0, rel=1e-5)
    assert set(on(found, "2021-05-06")["source"]) == {"announced"}


def test_trap_18_without_announcements_dividends_are_not_known() -> None:
    quotes = pd.concat([around("PETR4", "2023-08-21", 31.0, 30.0, type="PN")])
    found = unite(quotes, announce(payment("VALE", "ON", "2023-08-11", 1.9)))
    assert with_actions(quotes, found.events, found.coverage)["dividend"].isna().all()
    known = unite(quotes, announce(known=("PETR",)))
    assert (with_actions(quotes, known.events, known.coverage)["dividend"] == 0).all()


def test_dividends_are_known_up_to_the_newest_answer_and_given_ones_apply_anyhow() -> None:
    announcements = announce(payment("PETR", "PN", "2023-08-21", 1.15))
    day = pd.Timestamp("2023-08-24 23:30")
    companies = announcements.companies.assign(cash_fetched=day, supplement_fetched=day)
    announcements = type(announcements)(announcements.rows, companies)
    quotes = around("PETR4", "2023-08-21", 31.0, 30.0, type="PN")
    table = pd.DataFrame({"ticker": ["PETR4"], "date": ["2023-08-30"], "dividend": [0.5]})
    found = unite(quotes, announcements, overrides=table)
    read = with_actions(quotes, found.events, found.coverage).set_index("date")["dividend"]

    assert read["2023-08-22"] == 1.15
    assert read["2023-08-24"] == 0.0
    assert np.isnan(read["2023-08-25"])
    assert read["2023-08-30"] == 0.5


def test_a_payment_that_was_approved_after_its_ex_date_is_applied_and_named() -> None:
    quotes = around("PETR4", "2023-08-21", 31.0, 30.0, type="PN")
    known = payment("PETR", "PN", "2023-08-21", 0.4, approved="2023-08-03")
    late = payment("PETR", "PN", "2023-08-21", 0.75, approved="2023-09-01")
    found = unite(quotes, announce(known, late, payment("PETR", "PN", "2023-08-21", 0.1)))

    assert told(found, "known_after_ex_date") == [("PETR4", "2023-08-22")]
    assert "0.75 is applied" in found.findings["text"].iloc[0]
    assert "approved only on 2023-09-01" in found.findings["text"].iloc[0]
    assert row_on(quotes, found, "2023-08-22", "PETR4")["dividend"] == pytest.approx(1.25)


def test_a_renamed_share_keeps_its_payments_under_its_newest_name() -> None:
    rows = [payment("CCRO", "ON", "2023-04-28", 0.11), payment("CCRO", "ON", "2023-04-28", 0.11)]
    new = [payment("MOTV", "ON", "2023-04-28", 0.11), payment("MOTV", "ON", "2023-04-28", 0.11)]
    day = pd.Timestamp("2025-04-01")
    renames = pd.DataFrame({"old": ["CCRO3"], "new": ["MOTV3"], "date": [day]})
    quotes = around(
        "MOTV3", "2023-04-28", 13.0, 12.8, isin="BRCCROACNOR2", holidays=("2023-05-01",)
    )
    for listing in (rows, new, rows + new):
        found = unite(quotes, announce(*listing), renames)
        assert on(found, "2023-05-02")["dividend"].tolist() == [pytest.approx(0.22)]


def test_the_ex_date_is_the_next_session_of_the_exchange_whatever_the_ticker_trades() -> None:
    quotes = around("PETR4", "2023-08-21", 31.0, 30.0, type="PN")
    others = around("VALE3", "2023-08-21", 61.0, 61.0, stepped=False)
    some = quotes[~quotes["date"].isin(pd.to_datetime(["2023-08-22", "2023-08-23"]))]
    found = unite(pd.concat([some, others]), announce(payment("PETR", "PN", "2023-08-21", 1.15)))
    assert on(found, "2023-08-22", "PETR4")["state"].tolist() == ["confirmed"]
    assert row_on(some, found, "2023-08-24", "PETR4")["dividend"] == 1.15
