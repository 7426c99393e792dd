"""Traps of announced share events and rights; figures as the exchange published them."""

import pandas as pd
import pytest
from announced import announce, around, listed, on, payment, row_on, told, unite

BBAS = "BRBBASACNOR3"


def test_trap_1_a_split_listed_for_three_isins_is_one_event() -> None:
    rows = [
        listed(isin, "DESDOBRAMENTO", "2024-04-15", factor=100.0, approved="2024-02-02")
        for isin in ("BRBBASA04OR8", "BRBBASA05OR5", BBAS)
    ]
    quotes = around("BBAS3", "2024-04-15", 56.46, 27.91, isin=BBAS, mark="EB")
    found = unite(quotes, announce(*rows))
    (event,) = on(found, "2024-04-16").to_dict("records")
    assert (event["factor"], event["state"], event["source"]) == (2.0, "confirmed", "announced")
    assert event["known"] == pd.Timestamp("2024-02-02")
    assert row_on(quotes, found, "2024-04-16", "BBAS3")["split_factor"] == 2.0
    assert found.findings.empty


def test_trap_1_without_isin_in_the_quotes_the_share_s_own_isin_counts() -> None:
    rows = [
        listed(isin, "DESDOBRAMENTO", "2024-04-15", factor=100.0)
        for isin in ("BRBBASA04OR8", "BRBBASA05OR5", BBAS)
    ]
    quotes = around("BBAS3", "2024-04-15", 56.46, 27.91, stepped=None)
    assert on(unite(quotes, announce(*rows)), "2024-04-16")["factor"].tolist() == [2.0]


@pytest.mark.parametrize(
    ("isin", "ticker", "last", "ex", "legs", "prices", "product"),
    [
        ("BRTIMSACNOR5", "TIMS3", "2025-07-02", "2025-07-03", (0.01, 9900.0), (20.0, 20.576), 1.0),
        ("BRVIVTACNOR0", "VIVT3", "2025-04-14", "2025-04-15", (0.025, 7900.0), (52.0, 25.96), 2.0),
    ],
    ids=["TIMS3", "VIVT3"],
)
def test_trap_2_grouping_and_split_of_one_day_multiply(
    isin: str,
    ticker: str,
    last: str,
    ex: str,
    legs: tuple[float, float],
    prices: tuple[float, float],
    product: float,
) -> None:
    rows = [
        listed(isin, "GRUPAMENTO", last, factor=legs[0]),
        listed(isin, "DESDOBRAMENTO", last, factor=legs[1]),
    ]
    quotes = around(ticker, last, *prices, isin=isin)
    found = unite(quotes, announce(*rows))
    assert on(found, ex)["state"].tolist() == ["confirmed", "confirmed"]
    assert row_on(quotes, found, ex, ticker)["split_factor"] == pytest.approx(product)
    assert found.findings.empty


def test_trap_4_a_spin_off_of_factor_100_is_no_split() -> None:
    isin = "BRITUBACNPR1"
    row = listed(isin, "CIS RED CAP", "2021-10-01", factor=100.0)
    quotes = around("ITUB4", "2021-10-01", 29.67, 24.34, isin=isin, type="PN", mark="EC")
    found = unite(quotes, announce(row))
    (event,) = on(found, "2021-10-04").to_dict("records")
    assert (event["kind"], event["factor"], event["dividend"]) == ("right", 1.0, 0.0)
    assert row_on(quotes, found, "2021-10-04", "ITUB4")["split_factor"] == 1.0
    assert told(found, "right_not_known") == [("ITUB4", "2021-10-04")]


def test_trap_4_an_unknown_label_is_a_finding_and_no_factor() -> None:
    row = listed(BBAS, "CONVERSAO", "2024-04-15", factor=100.0)
    quotes = around("BBAS3", "2024-04-15", 27.9, 27.9, isin=BBAS)
    found = unite(quotes, announce(row))
    assert told(found, "unknown_label") == [("BBAS3", "2024-04-16")]
    assert row_on(quotes, found, "2024-04-16", "BBAS3")["split_factor"] == 1.0


def test_trap_5_a_bonus_that_no_list_has_is_a_finding_and_stays_with_the_detector() -> None:
    quotes = around("ITUB4", "2025-03-17", 33.0, 30.0, isin="BRITUBACNPR1", type="PN", mark="EB")
    found = unite(quotes, announce(known=("ITUB",)))
    assert told(found, "step_without_event") == [("ITUB4", "2025-03-18")]
    (event,) = on(found, "2025-03-18").to_dict("records")
    assert (event["source"], event["state"]) == ("detected", "detected")
    assert event["factor"] == pytest.approx(1.1)


def test_rows_of_one_isin_and_label_whose_composition_is_not_established_are_not_applied() -> None:
    """BBAS3 1996-06-17: bonuses of 20, 30 and 50; their sum or their product."""
    rows = [listed(BBAS, "BONIFICACAO", "1996-06-17", factor=f) for f in (20.0, 30.0, 50.0)]
    quotes = around("BBAS3", "1996-06-17", 10.0, 5.0, isin=BBAS, stepped=None)
    found = unite(quotes, announce(*rows))
    announced = on(found, "1996-06-18").query("source == 'announced'")
    assert announced["state"].tolist() == ["unclear"] * 3
    assert told(found, "event_unclear") == [("BBAS3", "1996-06-18")] * 3
    later = around("BBAS3", "2024-04-15", 27.9, 27.9, isin=BBAS)
    assert told(unite(later, announce(*rows)), "event_unclear") == []  # before the first quote


def test_trap_12_a_mark_that_fades_is_no_event_and_an_update_carries_none() -> None:
    """BBAS3 2024-06-12/13/14: DISMES 323, 323, 324."""
    row = payment("BBAS", "ON", "2024-06-13", 0.25, "JRS CAP PROPRIO")
    quotes = around("BBAS3", "2024-06-13", 27.0, 26.8, isin=BBAS, mark="EDJ")
    quotes["dismes"] += 223
    late = quotes["date"] >= "2024-06-20"
    quotes.loc[late, "type"] = "ON  EJ  NM"
    quotes.loc[quotes["date"] == "2024-06-28", "type"] = "ON  ATZ NM"
    quotes.loc[quotes["date"] >= "2024-06-28", "dismes"] = 325
    found = unite(quotes, announce(row))

    assert on(found, "2024-06-14")["state"].tolist() == ["confirmed"]
    assert found.findings.empty
    late_step = quotes.assign(type="ON      NM")
    assert told(unite(late_step, announce(row)), "step_without_event") == [("BBAS3", "2024-06-28")]


def test_an_event_on_a_day_without_a_step_of_dismes_is_a_finding() -> None:
    row = payment("BBAS", "ON", "2024-06-13", 0.25)
    quotes = around("BBAS3", "2024-06-13", 27.0, 26.8, isin=BBAS, stepped=False)
    found = unite(quotes, announce(row))
    assert told(found, "event_without_step") == [("BBAS3", "2024-06-14")]
    assert row_on(quotes, found, "2024-06-14", "BBAS3")["dividend"] == 0.25


def test_a_split_that_no_price_shows_is_contradicted_and_not_applied() -> None:
    row = listed(BBAS, "DESDOBRAMENTO", "2024-04-15", factor=300.0)
    quotes = around("BBAS3", "2024-04-15", 27.9, 28.1, isin=BBAS, stepped=False)
    found = unite(quotes, announce(row))
    assert on(found, "2024-04-16")["state"].tolist() == ["contradicted"]
    assert told(found, "event_contradicted") == [("BBAS3", "2024-04-16")]
    assert row_on(quotes, found, "2024-04-16", "BBAS3")["split_factor"] == 1.0


def test_an_announced_factor_of_another_size_is_contradicted_and_the_price_s_own_is_found() -> None:
    row = listed(BBAS, "DESDOBRAMENTO", "2024-04-15", factor=300.0)
    quotes = around("BBAS3", "2024-04-15", 56.0, 28.0, isin=BBAS, mark="EB")
    found = unite(quotes, announce(row))
    assert sorted(on(found, "2024-04-16")["state"]) == ["contradicted", "detected"]
    assert row_on(quotes, found, "2024-04-16", "BBAS3")["split_factor"] == 2.0


def test_trap_14_a_split_at_a_change_of_the_quotation_factor_is_counted_once() -> None:
    """BEES3 2012: 99,900 % when prices of 1,000 shares ended; the lake's are per share already."""
    isin = "BRBEESACNOR3"
    row = listed(isin, "DESDOBRAMENTO", "2012-04-27", factor=99900.0)
    quotes = around("BEES3", "2012-04-27", 1.52, 1.53, isin=isin)
    found = unite(quotes, announce(row))
    assert on(found, "2012-04-30")["state"].tolist() == ["contradicted"]
    assert row_on(quotes, found, "2012-04-30", "BEES3")["split_factor"] == 1.0


@pytest.mark.parametrize("pause", [60, 400])
@pytest.mark.parametrize(("factor", "state"), [(99900.0, "contradicted"), (100.0, "announced")])
def test_trap_14_after_a_pause_a_large_factor_is_judged_and_a_small_one_is_not(
    pause: int, factor: float, state: str
) -> None:
    isin = "BRMERCACNOR3"
    row = listed(isin, "DESDOBRAMENTO", "2022-04-27", factor=factor)
    quotes = around("MERC3", "2022-04-27", 11.2, 11.0, isin=isin, stepped=None)
    later = quotes["date"] > "2022-04-27"
    quotes["date"] = quotes["date"].where(~later, quotes["date"] + pd.Timedelta(days=pause))
    found = unite(quotes, announce(row))
    assert on(found, "2022-04-28")["state"].tolist() == [state]


def test_a_large_grouping_that_the_price_shows_after_a_pause_is_confirmed() -> None:
    isin = "BRMERCACNOR3"
    row = listed(isin, "GRUPAMENTO", "2022-04-27", factor=0.04)
    quotes = around("MERC3", "2022-04-27", 1.2, 24.0, isin=isin, stepped=None)
    later = quotes["date"] > "2022-04-27"
    quotes["date"] = quotes["date"].where(~later, quotes["date"] + pd.Timedelta(days=90))
    found = unite(quotes, announce(row))
    assert on(found, "2022-04-28")["state"].tolist() == ["confirmed"]


@pytest.mark.parametrize("days", [3, 40])
def test_a_split_from_before_the_first_quote_does_not_hide_one_that_follows(days: int) -> None:
    quotes = around("BBAS3", "2024-04-15", 56.46, 27.91, isin=BBAS, stepped=None)
    quotes = quotes[quotes["date"] >= "2024-04-09"]
    early = str((quotes["date"].iloc[0] - pd.Timedelta(days=days)).date())
    found = unite(quotes, announce(listed(BBAS, "DESDOBRAMENTO", early, factor=100.0)))

    (event,) = on(found, "2024-04-16").to_dict("records")
    assert (event["factor"], event["state"]) == (2.0, "detected")
    assert row_on(quotes, found, "2024-04-16", "BBAS3")["split_factor"] == 2.0


def test_an_event_that_was_approved_after_its_ex_date_is_applied_and_named() -> None:
    """Of the days up to the last session with the right nothing is said."""
    quotes = around("BBAS3", "2024-04-15", 56.46, 27.91, isin=BBAS)
    for approved, named in (("2024-04-15", []), ("2024-04-16", [("BBAS3", "2024-04-16")])):
        row = listed(BBAS, "DESDOBRAMENTO", "2024-04-15", factor=100.0, approved=approved)
        found = unite(quotes, announce(row))
        assert told(found, "known_after_ex_date") == named
        assert row_on(quotes, found, "2024-04-16", "BBAS3")["split_factor"] == 2.0


def test_trap_16_a_subscription_right_is_named_with_its_formula_until_it_is_overridden() -> None:
    """MGLU3 2024-01-31: 9.579 % at 1.95."""
    isin = "BRMGLUACNOR2"
    right = {"answer": "supplement_subscription", "factor": 9.5790177529, "issue_price": 1.95}
    row = listed(isin, "SUBSCRICAO", "2024-01-31", **right)
    quotes = around("MGLU3", "2024-01-31", 2.13, 2.11, isin=isin, mark="ES")
    found = unite(quotes, announce(row))

    assert told(found, "right_not_known") == [("MGLU3", "2024-02-01")]
    worth = (2.13 - 1.95) * 0.095790177529 / 1.095790177529
    assert f"is {worth:.4f}" in found.findings["text"].iloc[0]
    given = pd.DataFrame({"ticker": ["MGLU3"], "date": ["2024-02-01"], "dividend": [worth]})
    settled = unite(quotes, announce(row), overrides=given)
    assert settled.findings.empty
    assert row_on(quotes, settled, "2024-02-01", "MGLU3")["dividend"] == pytest.approx(worth)


@pytest.mark.parametrize(("ticker", "days"), [("CSAN3", ("05", "06")), ("EQTL3", ("04", "05"))])
def test_trap_17_the_same_factor_on_neighbouring_days_is_one_event(
    ticker: str, days: tuple[str, str]
) -> None:
    isin = f"BR{ticker[:4]}ACNOR8"
    rows = [listed(isin, "DESDOBRAMENTO", f"2021-05-{d}", factor=300.0) for d in days]
    quotes = around(ticker, "2021-05-05", 92.0, 23.0, isin=isin)
    found = unite(quotes, announce(*rows))
    announced = found.events.query("source == 'announced'")
    assert announced["factor"].tolist() == [4.0]
    assert row_on(quotes, found, "2021-05-06", ticker)["split_factor"] == 4.0
    assert found.findings.empty


def test_an_event_of_days_to_come_is_announced_and_changes_nothing_yet() -> None:
    isin = "BRMGLUACNOR2"
    row = listed(isin, "GRUPAMENTO", "2024-05-24", factor=0.1, approved="2024-04-24")
    quotes = around("MGLU3", "2024-04-30", 1.32, 1.32, isin=isin, stepped=False)
    found = unite(quotes, announce(row))
    (event,) = on(found, "2024-05-27").to_dict("records")  # a Monday

    assert (event["state"], event["known"]) == ("announced", pd.Timestamp("2024-04-24"))
    assert found.findings.empty
    holiday = unite(quotes, announce(listed(isin, "GRUPAMENTO", "2024-05-29", factor=0.1)))
    assert holiday.events["date"].max() == pd.Timestamp("2024-05-31")  # Corpus Christi between
    for last in (None, "1994-03-25", "2060-01-02"):
        none = unite(quotes, announce(listed(isin, "GRUPAMENTO", last, factor=0.1)))
        assert none.events.query("source == 'announced'")["date"].isna().all()
