"""Real splits are detected and real crashes are not, in quotes of a vendor and the exchange."""

import json
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from b3shared.quotes.corporate_actions.detection import detect_actions, detect_in
from b3shared.quotes.corporate_actions.table import MINIMAL_CONFIDENCE


def applied(actions: pd.DataFrame) -> list[tuple[str, str, float]]:
    """(ticker, date, factor) of the detections that a read would apply."""
    sure = actions[(actions["confidence"] >= MINIMAL_CONFIDENCE) & (actions["factor"] != 1)]
    return [
        (t, str(d.date()), f)
        for t, d, f in zip(sure["ticker"], sure["date"], sure["factor"], strict=True)
    ]


def excerpt(folder: Path, file: str, ticker: str, first: str, last: str) -> pd.DataFrame:
    with duckdb.connect() as connection:
        sql = (
            f"SELECT * FROM '{folder / file}' "
            "WHERE ticker = ? AND date BETWEEN ? AND ? ORDER BY date"
        )
        frame = connection.execute(sql, [ticker, first, last]).df()
    return frame.drop(columns=["type", "isin"]) if file == "b3_daily.parquet" else frame


@pytest.mark.parametrize(
    ("ticker", "ex_date", "factor"),
    [
        ("MGLU3", "2020-10-14", 4.0),
        ("RADL3", "2020-09-21", 5.0),
        ("WEGE3", "2021-04-28", 2.0),
        ("CPLE6", "2021-03-12", 10.0),
        ("ENEV3", "2016-05-12", 0.01),
        ("CASH3", "2023-06-01", 0.1),
        ("IRBR3", "2023-01-25", 1 / 30),
        (
            "PRIO3",
            "2014-08-11",
            0.1,
        ),  # the vendor's list lacks these two; its adjusted prices have them
        ("COGN3", "2014-09-15", 4.0),
    ],
)
def test_real_splits_are_found_from_prices_and_volumes(
    shared_data: Path, ticker: str, ex_date: str, factor: float
) -> None:
    first = pd.Timestamp(ex_date) - pd.Timedelta(days=200)
    last = pd.Timestamp(ex_date) + pd.Timedelta(days=40)
    frame = excerpt(shared_data, "b3_daily.parquet", ticker, str(first.date()), str(last.date()))
    assert applied(detect_in(frame)) == [(ticker, ex_date, pytest.approx(factor))]


@pytest.mark.parametrize("listed", ["2021-05-05", "2021-05-06"])
def test_csan3_s_payout_and_split_of_one_day_are_told_apart(shared_data: Path, listed: str) -> None:
    """R$ 1.0306 per old share and four for one, ex 2021-05-06; some lists are early."""
    frame = excerpt(shared_data, "b3_daily.parquet", "CSAN3", "2020-10-01", "2021-06-10")
    frame = frame.assign(dividend=np.where(frame["date"] == listed, 1.0306, 0.0))
    assert applied(detect_in(frame)) == [("CSAN3", "2021-05-06", 4.0)]
    assert (
        applied(detect_in(frame.assign(split_factor=np.where(frame["date"] == listed, 4.0, 1.0))))
        == []
    )


def test_syne3_s_great_payout_that_is_listed_on_the_session_before_is_no_split(
    shared_data: Path,
) -> None:
    frame = excerpt(shared_data, "b3_daily.parquet", "SYNE3", "2021-06-01", "2022-02-10")
    day = "2021-12-20"
    told = {
        listed: detect_in(frame if listed else frame.drop(columns=["dividend"]))
        for listed in (True, False)
    }
    assert day in set(told[False]["date"].astype(str))
    assert day not in set(told[True]["date"].astype(str))


@pytest.mark.parametrize(
    ("ticker", "first", "last"),
    [
        ("ODPV3", "2020-06-01", "2020-12-30"),  # 12.54, 87.46, 12.93: a bad tick
        ("BPAN4", "2011-10-01", "2012-04-30"),  # 6.92, 11.76, 6.90
        ("ELET3", "2017-03-01", "2017-10-31"),  # +49 % when its privatisation was announced
        ("IRBR3", "2020-01-01", "2020-07-31"),  # -32 % and more in days
        ("PETR4", "2019-10-01", "2020-06-30"),  # -30 % with the whole market
        ("MRFG3", "2021-06-01", "2022-02-28"),  # a payment that the price does not show
        (
            "BRAP4",
            "2021-10-15",
            "2022-02-28",
        ),  # shares of another company were distributed: no split factor fits
        ("QUAL3", "2019-03-01", "2019-10-31"),  # +37 % in a day
    ],
)
def test_real_crashes_surges_and_bad_ticks_are_no_splits(
    shared_data: Path, ticker: str, first: str, last: str
) -> None:
    assert applied(detect_in(excerpt(shared_data, "b3_daily.parquet", ticker, first, last))) == []


@pytest.mark.parametrize(
    ("ticker", "ex_date", "first", "factor"),
    [("ATOM3", "2016-07-26", "2016-07-01", 1 / 3), ("GSHP3", "2020-01-13", "2020-01-02", 1 / 30)],
)
def test_a_reverse_split_of_the_official_days_is_found_by_dismes_and_mark(
    shared_data: Path, ticker: str, ex_date: str, first: str, factor: float
) -> None:
    found = detect_in(excerpt(shared_data, "b3_cotahist_days.parquet", ticker, first, "2020-01-31"))
    own = found[found["date"] == ex_date]
    assert own["kind"].tolist() == ["ex_mark", "reverse_split"]
    assert own["factor"].tolist() == [1.0, pytest.approx(factor)]
    evidence = json.loads(own["evidence"].iloc[1])
    assert evidence["dismes"][0] < evidence["dismes"][1]
    assert evidence["mark"] == "EG"


def test_every_ex_mark_of_official_days_lies_where_dismes_changed_and_no_split_elsewhere(
    shared_data: Path,
) -> None:
    file = shared_data / "b3_cotahist_days.parquet"
    with duckdb.connect() as connection:
        january = f"(SELECT * FROM '{file}' WHERE date BETWEEN '2020-01-02' AND '2020-01-30')"
        found = detect_actions(connection, january)
        changed = connection.execute(
            f"""SELECT ticker, date FROM (
                SELECT *, lag(dismes) OVER (PARTITION BY ticker ORDER BY date) AS before
                FROM {january}
            ) WHERE dismes <> before ORDER BY ALL"""
        ).df()
    marks = found[found["kind"] == "ex_mark"][["ticker", "date"]]

    assert len(marks) > 100
    assert set(marks.itertuples(index=False, name=None)) == set(
        changed.itertuples(index=False, name=None)
    )
    assert applied(found) == [("GSHP3", "2020-01-13", pytest.approx(1 / 30))]
