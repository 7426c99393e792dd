"""Pairs of tickers that may be one share are found by their sessions, class, price and trade."""

from pathlib import Path

import duckdb
import pandas as pd
import pytest
from renamed_quotes import END, quotes_of

from b3shared.quotes.corporate_actions.possible_renames import possible_renames


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("b3_cotahist_days.parquet", ["TBLE3"]),
        ("b3_daily.parquet", []),
        ("b3_daily_adjusted.parquet", []),
    ],
)
def test_findings_on_the_larger_real_data_are_few(
    shared_data: Path, file: str, found: list[str]
) -> None:
    with duckdb.connect() as connection:
        pairs = possible_renames(connection, f"'{shared_data / file}'")
    assert [pair.split()[0] for pair in pairs] == found


def pairs(quotes: pd.DataFrame) -> list[str]:
    with duckdb.connect() as connection:
        connection.register("quotes", quotes)
        return [
            "".join(pair.rpartition(" ")[2].split(",")[:2])
            for pair in possible_renames(connection, "quotes")
        ]


@pytest.mark.parametrize(
    ("spans", "found"),
    [
        ([("AAQX3", 0, 5, 9.0), ("ZZQX3", 5, END, 9.1)], ["AAQX3ZZQX3"]),
        ([("AAQX3", 0, END - 1, 9.0), ("ZZQX3", END - 1, END, 9.1)], ["AAQX3ZZQX3"]),
        ([("AAQX3", 0, 5, 9.0), ("ABQX3", 0, 5, 9.3), ("ZZQX3", 5, END, 9.1)], ["AAQX3ZZQX3"]),
        ([("AAQX3", 0, 5, 9.0), ("ZZQX3", 5, END, 4.5)], []),
        ([("AAQX3", 0, 5, 9.0), ("ZZQX4", 5, END, 9.0)], []),
        ([("AAQX3", 0, 5, 9.0), ("ZZQX3", 6, END, 9.0)], []),
        ([("AAQX3", 0, 6, 9.0), ("ZZQX3", 5, END, 9.0)], []),
        ([("AAQX1", 0, 5, 9.0), ("ZZQX1", 5, END, 9.0)], []),
        ([("AAQX3", 4, 5, 9.0), ("ZZQX3", 5, END, 9.0)], []),
        ([("AAQX3", 0, 1, 9.0), ("AAQX3", 4, 5, 9.0), ("ZZQX3", 5, END, 9.0)], []),
    ],
    ids=[
        "a rename",
        "on the newest day",
        "the nearer of two",
        "another price",
        "another class",
        "a session between",
        "an overlap",
        "rights",
        "a day's share",
        "seldom traded",
    ],
)
def test_a_pair_ends_and_begins_in_the_same_class_at_the_same_price(
    spans: list[tuple[str, int, int, float]], found: list[str]
) -> None:
    assert pairs(quotes_of(*spans)) == found


def test_dismes_class_and_volume_of_a_pair_must_agree() -> None:
    quotes = quotes_of(("AAQX3", 0, 5, 9.0), ("ZZQX3", 5, END, 9.0))
    new = quotes["ticker"] == "ZZQX3"
    assert pairs(quotes.assign(type="ON      NM", dismes=new.map({True: 100, False: 143}))) == [
        "AAQX3ZZQX3"
    ]
    assert (
        pairs(quotes.assign(dismes=new.map({True: 144, False: 143}))) == []
    )  # a numbering that has long begun
    assert pairs(quotes.assign(type=new.map({True: "ON  REC", False: "PNA"}))) == []
    assert pairs(quotes.assign(volume=new.map({True: 10.0, False: 1000.0}))) == []
