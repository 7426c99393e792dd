"""Questions: base64 of a JSON object, pages of at most 120, names without a slash."""

import base64
import json

import pytest
from exchange_answers import ABEV, PETR

from b3shared.core.errors import InvalidParameterError
from b3shared.quotes.corporate_actions.announcements.calls import (
    Call,
    Company,
    question,
    sent_name,
    url_of,
)


def test_a_url_ends_with_the_call_and_the_question_in_base64() -> None:
    url = url_of("https://x/CompanyCall/{call}/{query}", Call.CASH, question(Call.CASH, ABEV, 2))
    head, query = url.rsplit("/", 1)
    assert head == "https://x/CompanyCall/GetListedCashDividends"
    assert json.loads(base64.b64decode(query)) == {
        "tradingName": "AMBEV SA",
        "language": "pt-br",
        "pageNumber": 2,
        "pageSize": 120,
    }


def test_a_name_of_any_letters_makes_a_plain_url() -> None:
    name = Company("AAAA", "AÇÚCAR & ÁLCOOL ÿ", "1")
    query = url_of("{call}/{query}", Call.CASH, question(Call.CASH, name)).partition("/")[2]
    assert query.isascii()
    assert not set(query) & set("/+?#")
    assert json.loads(base64.b64decode(query))["tradingName"] == name.trading_name


@pytest.mark.parametrize("page", [1, 200])
@pytest.mark.parametrize("call", [Call.CASH, Call.LIST])
def test_no_page_is_larger_than_the_exchange_answers(call: Call, page: int) -> None:
    assert question(call, PETR, page)["pageSize"] <= 120


def test_a_slash_and_spaces_are_left_out_and_nothing_else() -> None:
    names = ["AMBEV S/A   ", "KLABIN S/A", "KLABIN S.A.", "PETROBRAS"]
    assert [sent_name(name) for name in names] == [
        "AMBEV SA",
        "KLABIN SA",
        "KLABIN S.A.",
        "PETROBRAS",
    ]


def test_a_company_without_a_registrants_number_has_no_details() -> None:
    with pytest.raises(InvalidParameterError, match="AAAA must have a codeCVM"):
        question(Call.DETAILS, Company("AAAA", "A"))


@pytest.mark.parametrize("issuer", ["", "ABEV3", "abev", "AB/V", "../x"])
def test_a_root_is_four_capital_letters_or_digits(issuer: str) -> None:
    with pytest.raises(InvalidParameterError, match="issuer must be"):
        Company(issuer, "X")
