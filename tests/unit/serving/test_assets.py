"""The search finds tickers by ticker and company, whatever the case and accents, in pages."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from served_store import tiny_snapshot

from b3shared.api.schemas import AssetsAnswer
from b3shared.core.errors import InvalidParameterError
from b3shared.serving.assets import MAX_PAGE_SIZE, list_assets

COMPANIES = {
    "BBAS3": "BRASIL",
    "BRAP4": "BRADESPAR",
    "EQTL3": "EQUATORIAL",
    "PETR3": "PETROBRAS",
    "PETR4": "PETROBRAS",
    "SANB4": "SANTANDER  BR",
    "SAPR4": "SANEPAR",
    "SUZB3": "São Paulo Ações",
    "XPTO3": "",
}
UNCLASSIFIED = {"sector": None, "subsector": None, "segment": None}
SNAPSHOT = replace(
    tiny_snapshot(tickers=tuple(COMPANIES)), company=np.array(list(COMPANIES.values()))
)


def tickers(search: str = "", **more: int) -> list[str]:
    return [asset["ticker"] for asset in list_assets(SNAPSHOT, search, **more)["assets"]]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("PETR", ["PETR3", "PETR4"]),
        ("petr4", ["PETR4"]),
        ("  petrobras ", ["PETR3", "PETR4"]),
        ("bra", ["BBAS3", "BRAP4", "PETR3", "PETR4"]),  # BRASIL, BRAP4, twice PETROBRAS
        ("san", ["SANB4", "SAPR4"]),
        ("sao paulo", ["SUZB3"]),
        ("SÃO", ["SUZB3"]),
        ("são", ["SUZB3"]),  # the accent as a character of its own
        ("açoes", ["SUZB3"]),
        ("santander br", ["SANB4"]),  # COTAHIST pads names with spaces
        ("xyz", []),
        ("%%%", []),
        ("...", []),
    ],
)
def test_the_search_finds_text_in_ticker_or_company(search: str, found: list[str]) -> None:
    assert tickers(search) == found


@pytest.mark.parametrize("search", ["", "   "])
def test_without_a_search_all_are_listed_by_ticker(search: str) -> None:
    answer = list_assets(SNAPSHOT, search)
    assert answer["assets"][0] == {"ticker": "BBAS3", "company": "BRASIL"} | UNCLASSIFIED
    assert tickers(search) == sorted(COMPANIES)


@pytest.mark.parametrize("search", ["p", "PE", " PE ", "é", "\u0303\u0303\u0303", "ã\u0303\u0303"])
def test_fewer_than_three_letters_are_refused(search: str) -> None:
    with pytest.raises(InvalidParameterError, match="at least 3 characters are needed, or none"):
        list_assets(SNAPSHOT, search)


def test_the_fields_of_a_page_are_those_of_the_reference_and_the_sector() -> None:
    page = list_assets(SNAPSHOT, "PETR", page=1, page_size=10)

    assert page.keys() == {"assets", "pagination"}
    assert page["assets"] == [
        {"ticker": "PETR3", "company": "PETROBRAS"} | UNCLASSIFIED,
        {"ticker": "PETR4", "company": "PETROBRAS"} | UNCLASSIFIED,
    ]
    assert page["pagination"] == {
        "page": 1,
        "page_size": 10,
        "total_count": 2,
        "total_pages": 1,
        "has_next": False,
        "has_prev": False,
    }


@pytest.mark.parametrize(
    ("search", "page", "page_size", "shown", "pages", "has_next", "has_prev"),
    [
        ("", 1, 4, 4, 3, True, False),
        ("", 2, 4, 4, 3, True, True),
        ("", 3, 4, 1, 3, False, True),
        ("", 4, 4, 0, 3, False, True),  # beyond the end: empty, and there is a page before
        ("", 1_000_000, 4, 0, 3, False, True),
        ("", 1, 9, 9, 1, False, False),
        ("", 3, 3, 3, 3, False, True),
        ("xyz", 1, 4, 0, 0, False, False),
        ("xyz", 2, 4, 0, 0, False, False),  # there is no page at all
    ],
)
def test_every_page_says_how_many_there_are_and_whether_others_follow(
    search: str, page: int, page_size: int, shown: int, pages: int, has_next: bool, has_prev: bool
) -> None:
    answer = list_assets(SNAPSHOT, search, page, page_size)
    assert len(answer["assets"]) == shown
    assert answer["pagination"] == {
        "page": page,
        "page_size": page_size,
        "total_count": 0 if search else len(COMPANIES),
        "total_pages": pages,
        "has_next": has_next,
        "has_prev": has_prev,
    }


@pytest.mark.parametrize(
    ("page", "page_size"), [(0, 10), (-1, 10), (1, 0), (1, -5), (1, MAX_PAGE_SIZE + 1)]
)
def test_pages_out_of_bounds_are_refused(page: int, page_size: int) -> None:
    with pytest.raises(InvalidParameterError, match="allowed"):
        list_assets(SNAPSHOT, "", page, page_size)


@given(search=st.sampled_from(["", "bra", "san", "petr", "xyz"]), page_size=st.integers(1, 12))
def test_the_pages_together_are_the_whole_list_once(search: str, page_size: int) -> None:
    whole, got, page, more = tickers(search, page_size=MAX_PAGE_SIZE), [], 1, True
    while more:
        answer = AssetsAnswer.model_validate(
            list_assets(SNAPSHOT, search, page, page_size), strict=True
        )
        got += [asset.ticker for asset in answer.assets]
        page, more = page + 1, answer.pagination.has_next
    assert got == whole
    assert page - 1 == max(1, answer.pagination.total_pages)
