"""BDI code and ESPECI tell what a paper is; the ISIN tells under which ticker it went on."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from b3shared.quotes.corporate_actions.isin_renames import rename_candidates, renames
from b3shared.quotes.instruments import instrument_of


def kind(bdi_code: str | None, especi: str | None, ticker: str | None = None) -> str | None:
    tickers = pd.Series([ticker]) if ticker else None
    found = instrument_of(pd.Series([bdi_code]), pd.Series([especi]), tickers).iloc[0]
    return None if pd.isna(found) else found


@pytest.fixture(scope="module")
def official(shared_data: Path) -> pd.DataFrame:
    frame = duckdb.sql(f"FROM '{shared_data}/b3_cotahist_days.parquet'").df()
    return frame.assign(kind=instrument_of(frame["bdi_code"], frame["type"], frame["ticker"]))


@pytest.mark.parametrize(
    ("bdi_code", "especi", "expected"),
    [
        ("02", "ON      NM", "ordinary"),
        ("02", "ON *", "ordinary"),
        ("08", "ON  EJ  N1", "ordinary"),
        ("58", "ON", "ordinary"),
        ("02", "PN  EDJ N2", "preferred"),
        ("02", "PNB*", "preferred"),
        ("07", "PNA", "preferred"),
        ("02", "UNT     N2", "unit"),
        ("08", "UNT", "unit"),
        ("02", "DRN ED", "bdr"),  # until 2022
        ("02", "DR3", "bdr"),
        ("34", "DRN", "bdr"),
        ("35", "DR2", "bdr"),
        ("36", "DRE", "bdr"),
        ("14", "CI", "etf"),
        ("02", "CI", "etf"),
        ("12", "CI  ER  MB", "fii"),
        ("12", "CIA ER", "fii"),
        ("05", "CI", "fii"),
        ("13", "CI", "other"),
        ("10", "DIR ORD NM", "other"),
        ("10", "ON  REC N1", "other"),
        ("10", "PN  REC", "other"),
        ("02", "ON  REC N1", "other"),
        ("12", "DIR", "other"),
        ("12", "REC", "other"),
        ("22", "BNS ORD MA", "other"),
        ("14", "TPR", "other"),
        ("14", "FIDCER", "other"),
        ("02", "IBO", "other"),
        ("22", "ON", "other"),
        (None, "ON", None),
        ("02", None, None),
        ("", "ON", None),
        ("02", " ", None),
    ],
)
def test_bdi_code_and_especi_together_tell_the_kind(
    bdi_code: str | None, especi: str | None, expected: str | None
) -> None:
    assert kind(bdi_code, especi) == expected


@pytest.mark.parametrize("ticker", ["PETR4F", "PETRA30", "PETR4T", "PETR"])
def test_what_is_no_cash_equitys_ticker_is_other(ticker: str) -> None:
    assert kind("02", "PN      N2", ticker) == "other"
    assert kind(None, "PN      N2", ticker) is None


@pytest.mark.parametrize("ticker", ["PETR4", "B3SA3", "5GTK11", "AFOF11B"])
def test_cash_equitys_tickers_are_known(ticker: str) -> None:
    assert kind("02", "ON", ticker) == "ordinary"


def test_a_source_without_either_column_has_unknown_kinds() -> None:
    nothing = pd.Series([None, None], dtype="str", index=[7, 9])
    found = instrument_of(
        nothing, pd.Series([np.nan, np.nan], index=[7, 9]), pd.Series(["PETR4", None], index=[7, 9])
    )
    assert found.isna().all()
    assert found.index.tolist() == [7, 9]
    assert len(instrument_of(nothing[:0], nothing[:0])) == 0


def test_kinds_of_the_official_days_are_these(official: pd.DataFrame) -> None:
    assert official["kind"].value_counts().to_dict() == {
        "ordinary": 8756,
        "fii": 5436,
        "preferred": 3919,
        "bdr": 3364,
        "etf": 1005,
        "unit": 467,
        "other": 387,
    }


@pytest.mark.parametrize(
    ("ticker", "expected"),
    [
        ("PETR3", "ordinary"),
        ("OIBR4", "preferred"),
        ("BRGE11", "preferred"),
        ("BRGE12", "preferred"),
        ("SANB11", "unit"),
        ("RNEW11", "unit"),
        ("BOVA11", "etf"),
        ("5GTK11", "etf"),
        ("AQLL11", "fii"),
        ("MXRF11", "fii"),
        ("AAPL34", "bdr"),
        ("GPIV11", "bdr"),
        ("WSON33", "bdr"),
        ("GOLL11", "other"),
        ("GOAU11", "other"),
        ("MMXM11", "other"),
        ("ALUP13", "other"),
        ("USIM9", "other"),
        ("KNCA11", "other"),
    ],
)
def test_tickers_that_look_alike_are_told_apart(
    official: pd.DataFrame, ticker: str, expected: str
) -> None:
    assert set(official.loc[official["ticker"] == ticker, "kind"]) == {expected}


def test_a_ticker_is_of_one_kind_whatever_its_bdi_code_was(official: pd.DataFrame) -> None:
    several = official.groupby("ticker")["kind"].nunique()
    assert several[several > 1].index.tolist() == [
        "BDIF11",
        "CPTI11",
    ]  # ESPECI itself changes between CI and FIDC


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
    """Quotes of (ticker, isin, first session, last session); PETR4 is there in all of 40 sessions."""
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
def test_what_is_ambiguous_is_not_linked_and_says_why(
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
