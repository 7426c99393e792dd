"""The BDI code and ESPECI give the kind of a paper."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

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
def test_tickers_that_are_no_cash_equities_are_of_kind_other(ticker: str) -> None:
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


def test_the_official_days_have_the_known_count_of_each_kind(official: pd.DataFrame) -> None:
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
