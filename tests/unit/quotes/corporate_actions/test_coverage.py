"""The days for which the dividends of a ticker are known."""

from datetime import date, timedelta
from itertools import pairwise

import pandas as pd
import pytest
from announced import NO_RENAMES, announce
from hypothesis import given
from hypothesis import strategies as st

from b3shared.quotes.corporate_actions.announcements.table import Announcements
from b3shared.quotes.corporate_actions.coverage import Span, coverage_of, united_spans
from b3shared.quotes.corporate_actions.papers import Paper, Papers, read_papers
from b3shared.storage.database import connect

DAY = pd.Timestamp("2023-01-02")
PAPERS = Papers(
    [Paper(name, None, "PN", DAY, DAY) for name in ("PETR4", "MOTV3")],
    {"PETR4": {"PETR"}, "MOTV3": {"MOTV", "CCRO"}},
    {},
)
RENAMED = pd.DataFrame({"old": ["CCRO3"], "new": ["MOTV3"], "date": [pd.Timestamp("2025-05-02")]})

type Times = tuple[str | None, str | None]


def known(
    renames: pd.DataFrame = NO_RENAMES, joined: str | None = None, **times: Times
) -> list[tuple[str, str, str]]:
    """(ticker, from, until) of companies with these times of history and supplement.

    ``joined``: the issuer that the archive joined all of them to.
    """
    companies = announce(known=tuple(times)).companies
    for n, name in enumerate(("cash_fetched", "supplement_fetched")):
        own = companies["root"].map({root: pair[n] for root, pair in times.items()})
        companies[name] = pd.to_datetime(own, format="ISO8601").astype("datetime64[us]")
    if joined:
        companies["issuer"] = joined
    table = coverage_of(Announcements(announce().rows, companies), PAPERS, renames)
    days = table[["known_from", "known_until"]].astype(str).fillna("NaT")
    return list(zip(table["ticker"], days["known_from"], days["known_until"], strict=True))


@pytest.mark.parametrize(
    ("cash", "supplement", "spans"),
    [
        ("2024-01-10", None, [("NaT", "2023-11-11")]),
        ("2024-01-10", "2024-01-12", [("NaT", "2024-01-12")]),
        ("2024-01-12", "2024-01-10", [("NaT", "2024-01-10")]),
        ("2024-01-12", "2023-06-01", [("NaT", "2023-11-13")]),
        (
            "2022-01-10",
            "2024-01-12",
            [("NaT", "2021-11-11"), ("2023-02-16", "2024-01-12")],
        ),
        ("2023-04-17", "2024-01-12", [("NaT", "2024-01-12")]),
        (
            "2023-04-15",
            "2024-01-12",
            [("NaT", "2023-02-14"), ("2023-02-16", "2024-01-12")],
        ),
        (None, "2024-01-12", [("2023-02-16", "2024-01-12")]),
    ],
    ids=[
        "history",
        "newer supplement",
        "older supplement",
        "much older supplement",
        "much newer supplement",
        "supplement that reaches back to the history",
        "supplement that leaves out one day",
        "supplement alone",
    ],
)
def test_a_history_is_known_until_sixty_days_before_its_fetch_and_a_supplement_goes_on(
    cash: str | None, supplement: str | None, spans: list[tuple[str, str]]
) -> None:
    midday = [time and f"{time} 12:00" for time in (cash, supplement)]
    assert known(PETR=(midday[0], midday[1])) == [("PETR4", *span) for span in spans]


@pytest.mark.parametrize(
    ("time", "day"), [("2024-01-12 02:59", "2024-01-11"), ("2024-01-12 03:01", "2024-01-12")]
)
def test_the_day_of_an_answer_is_that_at_the_exchange(time: str, day: str) -> None:
    assert known(PETR=(None, time))[0][2] == day


def test_a_company_without_a_usable_answer_is_not_known() -> None:
    assert known(PETR=(None, None)) == []
    assert known() == []


def test_the_time_under_an_old_name_is_not_known_by_the_history_of_the_new_one() -> None:
    new = {"MOTV": ("2025-09-01 12:00", "2025-09-01 12:00")}
    assert known(RENAMED, **new) == [("MOTV3", "2025-05-02", "2025-09-01")]
    assert known(NO_RENAMES, **new) == [("MOTV3", "NaT", "2025-09-01")]


def test_the_history_of_an_old_name_is_known_though_the_new_one_has_only_a_supplement() -> None:
    times = {"CCRO": ("2025-04-30 12:00", None), "MOTV": (None, "2025-09-01 12:00")}
    assert known(RENAMED, **times) == [
        ("MOTV3", "NaT", "2025-03-01"),
        ("MOTV3", "2025-05-02", "2025-09-01"),
    ]


def test_an_old_name_s_answers_say_nothing_of_the_time_under_the_new_one() -> None:
    assert known(RENAMED, CCRO=("2025-09-01 12:00", "2025-09-01 12:00")) == [
        ("MOTV3", "NaT", "2025-05-01")
    ]


def test_answers_about_both_names_are_one_span_where_they_meet() -> None:
    times = {"CCRO": ("2025-05-01 12:00",) * 2, "MOTV": ("2025-09-01 12:00",) * 2}
    assert known(RENAMED, **times) == [("MOTV3", "NaT", "2025-09-01")]


def test_a_joined_successor_s_supplement_reaches_back_over_the_rename() -> None:
    times = {"CCRO": ("2025-03-01 12:00",) * 2, "MOTV": ("2025-09-01 12:00",) * 2}
    assert known(RENAMED, **times) == [
        ("MOTV3", "NaT", "2025-03-01"),
        ("MOTV3", "2025-05-02", "2025-09-01"),
    ]
    assert known(RENAMED, joined="MOTV", **times) == [("MOTV3", "NaT", "2025-09-01")]


def test_a_chain_of_names_is_known_name_by_name() -> None:
    chain = pd.DataFrame(
        {
            "old": ["CCRO3", "XXXX3"],
            "new": ["MOTV3", "MOTV3"],
            "date": pd.to_datetime(["2020-01-02", "2025-05-02"]),
        }
    )
    times = {"CCRO": ("2019-12-31 12:00",) * 2, "MOTV": ("2025-09-01 12:00",) * 2}

    assert known(chain, **times) == [
        ("MOTV3", "NaT", "2019-12-31"),
        ("MOTV3", "2025-05-02", "2025-09-01"),
    ]


DAYS = st.integers(0, 60).map(lambda n: date(2023, 1, 1) + timedelta(days=n))


@given(st.lists(st.tuples(DAYS, DAYS), max_size=6))
def test_united_spans_have_the_same_days_and_do_not_touch(spans: list[Span]) -> None:
    def days(of: list[Span]) -> list[date]:
        return [a + timedelta(days=n) for a, b in of for n in range((b - a).days + 1)]

    united = united_spans(spans)
    assert days(united) == sorted(set(days(spans)))
    assert all(b[0] - a[1] > timedelta(days=1) for a, b in pairwise(united))


def test_an_old_ticker_keeps_its_payments_when_its_company_has_a_new_root() -> None:
    """The archive lists both roots' announcements under the new one; no rename links the two."""
    quotes = pd.DataFrame(
        {
            "ticker": ["TBLE3", "TBLE3", "EGIE3", "EGIE3"],
            "isin": ["BRTBLEACNOR2", "BRTBLEACNOR2", "BREGIEACNOR9", "BREGIEACNOR9"],
            "type": "ON      NM",
            "date": pd.to_datetime(["2014-01-02", "2016-07-20", "2016-07-21", "2018-01-02"]),
            "close": 30.0,
        }
    )
    companies = announce(known=("TBLE", "EGIE")).companies.assign(issuer="EGIE")
    with connect() as connection:
        connection.register("quotes", quotes)
        papers = read_papers(connection, "quotes", NO_RENAMES, companies)

    found = [papers.of_class("EGIE", "ON", pd.Timestamp(year, 6, 2)) for year in (2014, 2017)]
    assert found == ["TBLE3", "EGIE3"]
    table = coverage_of(Announcements(announce().rows, companies), papers, NO_RENAMES)
    assert table["ticker"].tolist() == ["EGIE3", "TBLE3"]
