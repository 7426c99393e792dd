"""A renamed ticker is linked to its successor by the ISIN where nothing else is possible."""

from pathlib import Path

import duckdb
import pandas as pd
import pytest

from b3shared.quotes.corporate_actions.renames import rename_candidates, renames


@pytest.fixture(scope="module")
def official(shared_data: Path) -> pd.DataFrame:
    return duckdb.sql(f"FROM '{shared_data}/b3_cotahist_days.parquet'").df()


def test_real_tickers_that_went_on_under_another_are_linked(official: pd.DataFrame) -> None:
    found = renames(official).set_index("old")
    assert len(found) == 25
    assert found.loc["GPIV11", "new"] == "GPIV33"
    assert found.loc["WSON11", "new"] == "WSON33"
    assert found.loc["BCFF11B"].tolist() == [
        "BCFF11",
        "BRBCFFCTF000",
        pd.Timestamp("2016-07-26"),
        pd.Timestamp("2020-01-02"),
    ]
    assert not rename_candidates(official)["reason"].any()


def quotes(*spans: tuple[str, str, int, int]) -> pd.DataFrame:
    """Quotes of (ticker, isin, first session, last session), and PETR4 in all 40 sessions."""
    days = pd.date_range("2023-01-02", periods=40, freq="B")
    parts = [("PETR4", "BRPETRACNPR6", 0, 39), *spans]
    frames = [
        pd.DataFrame({"ticker": t, "isin": i, "date": days[a : b + 1]}) for t, i, a, b in parts
    ]
    return pd.concat(frames, ignore_index=True).sample(frac=1, random_state=0)


def test_a_ticker_that_ends_as_another_of_its_isin_begins_is_linked() -> None:
    frame = quotes(("OLDA3", "BRA", 0, 9), ("NEWA3", "BRA", 10, 39), ("GONE3", "BRG", 0, 20))
    found = renames(frame)
    assert found[["old", "new", "isin"]].to_numpy().tolist() == [["OLDA3", "NEWA3", "BRA"]]
    days = pd.Series(sorted(frame["date"].unique()))
    assert found["last_session_of_old"].tolist() == [days[9]]
    assert found["first_session_of_new"].tolist() == [days[10]]


def test_a_chain_of_names_is_linked_name_by_name() -> None:
    frame = quotes(("AAAA3", "BRA", 0, 9), ("BBBB3", "BRA", 12, 19), ("CCCC3", "BRA", 20, 39))
    assert renames(frame)[["old", "new"]].to_numpy().tolist() == [
        ["AAAA3", "BBBB3"],
        ["BBBB3", "CCCC3"],
    ]
    assert rename_candidates(frame)["gap"].tolist() == [2, 0]


@pytest.mark.parametrize(
    ("spans", "reasons"),
    [
        (
            [("OLDA3", "BRA", 0, 9), ("NEWA3", "BRA", 21, 39)],
            ["more than 10 sessions lie between them"],
        ),
        (
            [("OLDA3", "BRA", 0, 9), ("NEWA3", "BRA", 9, 39)],
            ["tickers of this ISIN overlap in time"],
        ),
        (
            [("OLDA3", "BRA", 0, 39), ("NEWA3", "BRA", 5, 9), ("LAST3", "BRA", 11, 20)],
            ["tickers of this ISIN overlap in time"] * 2,
        ),
        (
            [("OLDA3", "BRA", 0, 9), ("NEWA3", "BRA", 10, 39), ("OLDA3", "BRX", 20, 39)],
            ["the old ticker goes on under another ISIN"],
        ),
        (
            [("OLDA3", "BRA", 0, 19), ("NEWA3", "BRA", 20, 39), ("NEWA3", "BRX", 3, 9)],
            ["the new ticker existed before under another ISIN"],
        ),
        (
            [
                ("OLDA3", "BRA", 0, 9),
                ("NEWA3", "BRA", 10, 15),
                ("OLDA3", "BRB", 0, 9),
                ("NEWB3", "BRB", 10, 39),
            ],
            ["the old ticker has several successors"] * 2,
        ),
        (
            [
                ("OLDA3", "BRA", 0, 9),
                ("NEWA3", "BRA", 10, 39),
                ("OLDB3", "BRB", 0, 9),
                ("NEWA3", "BRB", 10, 39),
            ],
            ["the new ticker has several predecessors"] * 2,
        ),
    ],
)
def test_ambiguous_renames_are_not_linked_and_say_why(
    spans: list[tuple[str, str, int, int]], reasons: list[str]
) -> None:
    frame = quotes(*spans)
    assert rename_candidates(frame)["reason"].tolist() == reasons
    assert renames(frame).empty


def test_quotes_without_isin_have_no_renames() -> None:
    frame = quotes(("OLDA3", "BRA", 0, 9), ("NEWA3", "BRA", 10, 39)).assign(isin=None)
    assert list(renames(frame).columns) == [
        "old",
        "new",
        "isin",
        "last_session_of_old",
        "first_session_of_new",
    ]
    assert renames(frame).empty
    assert renames(frame.iloc[:0]).empty
