"""The days for which the dividends of a ticker are known."""

import pandas as pd
import pytest
from announced import announce

from b3shared.quotes.corporate_actions.announcements.table import Announcements
from b3shared.quotes.corporate_actions.coverage import coverage_of
from b3shared.quotes.corporate_actions.papers import Paper, Papers

DAY = pd.Timestamp("2023-01-02")
PAPERS = Papers(
    [Paper(name, None, "PN", DAY, DAY) for name in ("PETR4", "MOTV3")],
    {"PETR4": {"PETR"}, "MOTV3": {"MOTV", "CCRO"}},
    {},
)


def known(**times: tuple[str | None, str | None]) -> list[tuple[str, str, str]]:
    """(ticker, from, until) of companies with these times of history and supplement."""
    found = announce(known=tuple(times))
    cash, supplement = (
        pd.to_datetime(found.companies["issuer"].map({i: t[n] for i, t in times.items()}))
        for n in (0, 1)
    )
    companies = found.companies.assign(cash_fetched=cash, supplement_fetched=supplement)
    table = coverage_of(Announcements(found.rows, companies), PAPERS)
    days = table[["known_from", "known_until"]].astype(str).fillna("NaT")
    return list(zip(table["ticker"], days["known_from"], days["known_until"], strict=True))


@pytest.mark.parametrize(
    ("cash", "supplement", "since", "until"),
    [
        ("2024-01-10 23:30", None, "NaT", "2024-01-10"),
        ("2024-01-10", "2024-01-12", "NaT", "2024-01-12"),
        ("2024-01-12", "2024-01-10", "NaT", "2024-01-12"),
        ("2022-01-10", "2024-01-12", "NaT", "2022-01-10"),
        (None, "2024-01-12", "2023-02-16", "2024-01-12"),
    ],
    ids=["history", "newer supplement", "older supplement", "much newer one", "supplement alone"],
)
def test_history_and_supplement_say_how_far_dividends_are_known(
    cash: str | None, supplement: str | None, since: str, until: str
) -> None:
    assert known(PETR=(cash, supplement)) == [("PETR4", since, until)]


def test_a_company_without_a_usable_answer_is_not_known() -> None:
    assert known(PETR=(None, None)) == []
    assert known() == []


def test_of_two_names_of_a_company_the_newest_answer_counts() -> None:
    times = {"CCRO": ("2025-04-01", None), "MOTV": ("2025-06-01", None)}
    assert known(**times) == [("MOTV3", "NaT", "2025-06-01")]
