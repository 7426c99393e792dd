"""Answers become rows: nothing is judged, added up or dropped."""

import json
from datetime import date
from typing import Any

import pytest
from exchange_answers import ABEV, cash_row, details, page, stock_row, supplement
from paths import SHARED_DATA

from b3shared.core.errors import InvalidAnnouncementsError
from b3shared.quotes.corporate_actions.announcements.answers import (
    Details,
    companies_of,
    decode,
    details_of,
    rows_of,
)
from b3shared.quotes.corporate_actions.announcements.calls import Call
from b3shared.quotes.corporate_actions.announcements.values import Field

PAYLOADS = SHARED_DATA / "company" / "payloads"


def test_thousands_are_read_as_such() -> None:
    """TIMS3 2025-07-02: 9.900 % and a grouping of 100; read as 9.9 the pair would be 0.1."""
    rows = rows_of(
        Call.SUPPLEMENT,
        "TIMS",
        [
            supplement(
                "TIMS",
                [
                    stock_row("BRTIMSACNOR5", "GRUPAMENTO", "0,01000000000", "02/07/2025"),
                    stock_row("BRTIMSACNOR5", "DESDOBRAMENTO", "9.900,00000000000", "02/07/2025"),
                ],
            )
        ],
    )
    assert [row.factor for row in rows] == [0.01, 9900.0]
    assert rows[0].factor * (1 + rows[1].factor / 100) == pytest.approx(1)  # type: ignore[operator]


def test_unknown_labels_and_other_isins_are_kept() -> None:
    """ITUB4 2021-10-01 is a spin-off that looks like a split; BBAS3's split stands three times."""
    labels = ["CIS RED CAP", "RESG TOTAL RV", "SOMETHING NEW"]
    isins = ["BRITUBACNPR1", "BRITUBACNPR1", "BRITUBA04OR8"]
    listed = [
        stock_row(isin, label, "100,00000000000", "01/10/2021")
        for isin, label in zip(isins, labels, strict=True)
    ]
    rows = rows_of(Call.SUPPLEMENT, "ITUB", [supplement("ITUB", listed)])
    assert [(row.isin, row.label, row.factor) for row in rows] == [
        (isin, label, 100.0) for isin, label in zip(isins, labels, strict=True)
    ]


def test_amounts_of_old_rows_are_per_thousand_shares() -> None:
    old = cash_row("28/12/1995", "0,006", dateApproval=None, quotedPerShares="1000")
    new = cash_row("28/12/2025", "0,006", "ON NM", quotedPerShares=None)
    rows = rows_of(Call.CASH, "BBAS", [page([old, new])])
    assert [row.value for row in rows] == [0.000006, 0.006]
    assert (rows[0].approved, rows[0].share_class) == (None, "PN")
    assert rows[1].share_class == "ON"


@pytest.mark.parametrize("price", ["0", "", None, "n/a"])
def test_the_closing_price_of_an_answer_is_never_used(price: Any) -> None:
    (row,) = rows_of(Call.CASH, "PETR", [page([cash_row("01/06/2026", "1", ClosingPrice=price)])])
    odd = cash_row("01/06/2026", "1", closingPricePriorExDate=price)
    assert rows_of(Call.CASH, "PETR", [page([odd])]) == [row]


def test_a_subscription_has_its_share_and_its_price() -> None:
    right = stock_row("BRMGLUACNOR2", "SUBSCRICAO", "", "31/01/2024")
    right |= {"percentage": "9,57901775290", "priceUnit": "1,95000000000"}
    (row,) = rows_of(Call.SUPPLEMENT, "MGLU", [supplement("MGLU", rights=[right])])
    assert (row.answer, row.factor, row.issue_price) == (
        "supplement_subscription",
        9.5790177529,
        1.95,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [("lastDatePrior", "1/1/2024"), ("factor", ""), ("label", None), ("isinCode", "PETR3")],
)
def test_an_unreadable_field_is_named_with_its_row(name: str, value: Any) -> None:
    good = stock_row("BRPETRACNOR9", "BONIFICACAO", "5", "01/06/2026")
    bad = good | {name: value}
    with pytest.raises(InvalidAnnouncementsError, match=f"stockDividends row 2.{name} must be"):
        rows_of(Call.SUPPLEMENT, "PETR", [supplement("PETR", [good, bad])])


def test_details_name_papers_and_the_three_levels_of_the_sector() -> None:
    sector = "Consumo não Cíclico / Bebidas / Cervejas e Refrigerantes"
    found = details_of("ABEV", [details(ABEV, "BRABEVACNOR1", sector)])
    assert found == Details((("ABEV3", "BRABEVACNOR1"),), *sector.split(" / "))


@pytest.mark.parametrize(
    ("sector", "levels"),
    [(None, (None,) * 3), ("", (None,) * 3), ("Outros", ("Outros", None, None))],
)
def test_a_company_may_lack_levels_of_its_sector(sector: Any, levels: tuple[Any, ...]) -> None:
    found = details_of("ABEV", [details(ABEV, "BRABEVACNOR1", sector)])
    assert (found.sector, found.subsector, found.segment) == levels


def test_details_of_another_company_are_refused() -> None:
    with pytest.raises(InvalidAnnouncementsError, match="issuingCompany must be PETR, got 'ABEV'"):
        details_of("PETR", [details(ABEV, "BRABEVACNOR1")])


def test_an_answer_that_is_text_of_json_is_read() -> None:
    assert decode(json.dumps(json.dumps({"a": 1})).encode(), Field("X", "Y")) == {"a": 1}


needs_payloads = pytest.mark.skipif(
    not PAYLOADS.is_dir(), reason="the exchange's real answers are not on this machine"
)


@needs_payloads
def test_real_answers_are_read_whole() -> None:
    def rows(call: Call, issuer: str, name: str) -> list[Any]:
        return rows_of(call, issuer, [decode((PAYLOADS / name).read_bytes(), Field(issuer, call))])

    cash = rows(Call.CASH, "ABEV", "abev_GetListedCashDividends.json")
    assert len(cash) == 29
    assert (cash[0].value, cash[0].last_cum) == (0.1334, date(2021, 12, 17))

    pairs = rows(Call.CASH, "PETR", "petr_cash_page.json")
    assert pairs[0] == pairs[1]
    assert pairs[3].value == 0.17 / 1000

    mglu = rows(Call.SUPPLEMENT, "MGLU", "mglu_GetListedSupplementCompany.json")
    assert [row.answer for row in mglu] == [
        "supplement_cash",
        "supplement_stock",
        "supplement_stock",
        "supplement_subscription",
    ]
    assert len(rows(Call.SUPPLEMENT, "BBAS", "bbas_supplement.json")) == 3
    assert rows(Call.SUPPLEMENT, "ITUB", "itub_supplement.json")[0].label == "CIS RED CAP"


@needs_payloads
def test_real_lists_and_details_are_read() -> None:
    text = (PAYLOADS / "abev_GetDetailsCompany.json").read_bytes()
    found = details_of("ABEV", [json.loads(text)])
    assert found.papers == (("ABEV3", "BRABEVACNOR1"),)
    assert found.segment == "Cervejas e Refrigerantes"
    (petr,) = companies_of([json.loads((PAYLOADS / "petr_companies.json").read_bytes())])
    assert (petr.issuer, petr.trading_name) == ("PETR", "PETROBRAS")
