"""After an ingest the lake has the quotes of the file, whatever it had before."""

from pathlib import Path

import duckdb
import pandas as pd
import pytest
from cotahist_text import Quote, annual, daily
from ingested import MONDAY, TUESDAY, change, closes, content, lake_of, record

from b3shared.core.errors import (
    InvalidActionsError,
    InvalidCotahistError,
)
from b3shared.core.serialization import file_sha256
from b3shared.quotes.corporate_actions.overrides import OVERRIDES
from b3shared.quotes.ingest.ingest import Ingest
from b3shared.quotes.lake.lake import LAKE, Lake
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.lake.write import write_lake
from b3shared.quotes.sources import open_source
from b3shared.quotes.sources.lake import LakeSource
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage import Storage


def test_a_damaged_file_removes_nothing_and_names_its_bad_lines(
    storage: Storage, files: Path
) -> None:
    quotes = [
        Quote(MONDAY, ticker, 10.0 + n) for n, ticker in enumerate(("ABEV3", "PETR4", "VALE3"))
    ]
    Ingest(storage).file(daily(files, MONDAY, quotes))
    path = daily(files, MONDAY, [Quote(MONDAY, "ABEV3", 10.5), *quotes[1:]], created="20200108")
    lines = path.read_bytes().split(b"\r\n")
    path.write_bytes(b"\r\n".join([*lines[:2], lines[2][:200], *lines[3:]]))
    done = Ingest(storage).file(path)

    assert (done.rejected, done.rejected_lines, done.years[0].removed) == (1, (3,), 0)
    assert closes(storage) == {
        ("ABEV3", "2020-01-06"): 10.5,
        ("PETR4", "2020-01-06"): 11.0,
        ("VALE3", "2020-01-06"): 12.0,
    }

    Ingest(storage).file(daily(files, MONDAY, quotes[:1], created="20200109"))
    assert set(closes(storage)) == {("ABEV3", "2020-01-06")}, (
        "a sound file without them removes them"
    )


def test_quotes_are_stored_despite_a_bad_row_of_the_users_table(
    storage: Storage, files: Path
) -> None:
    Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY)]))
    actions = Lake(storage).manifest().actions
    storage.put(OVERRIDES, b"ticker,date,split_factor\nPETR4,2020-01-06,-1\n")
    path = daily(files, TUESDAY, [Quote(TUESDAY, close=10.5)])

    with pytest.raises(
        InvalidActionsError, match=r"-1.*the quotes of COTAHIST_D07012020\.TXT are in the lake"
    ):
        Ingest(storage).file(path)
    assert Lake(storage).manifest().actions == actions
    assert record(storage, file_sha256(path))["status"] == "done"
    storage.put(OVERRIDES, b"ticker,date,split_factor\nPETR4,2020-01-07,2\n")
    assert Ingest(storage).actions(), "they were older than the quotes"
    assert set(closes(storage)) == {("PETR4", "2020-01-06"), ("PETR4", "2020-01-07")}


def test_the_lake_has_the_prices_of_an_official_file_to_the_cent(
    storage: Storage, shared_data: Path
) -> None:
    done = Ingest(storage).file(shared_data / "cotahist" / "COTAHIST_D25062021.TXT.gz")
    found = lake_of(storage)
    official = duckdb.execute(
        f"SELECT * FROM '{shared_data}/b3_cotahist_days.parquet' "
        "WHERE date = '2021-06-25' ORDER BY ticker"
    ).df()
    assert (done.rows, done.first_session, done.rejected) == (len(official), "2021-06-25", 0)
    assert found["ticker"].tolist() == official["ticker"].tolist()

    for column in (
        "open",
        "high",
        "low",
        "avg",
        "close",
        "best_buy",
        "best_sell",
        "volume",
        "trades",
    ):
        pd.testing.assert_series_equal(found[column], official[column], check_dtype=False)
    pd.testing.assert_series_equal(
        found["turnover"].round(2), official["turnover"].round(2), check_dtype=False
    )


def test_the_same_file_again_writes_nothing(storage: Storage, files: Path) -> None:
    path = daily(files, MONDAY, [Quote(MONDAY), Quote(MONDAY, "VALE3", 50.0)])
    first = Ingest(storage).file(path)
    before = content(storage)
    second = Ingest(storage).file(path)
    assert (first.changed, second.changed) == (True, False)
    assert content(storage) == before


def test_a_corrected_file_replaces_exactly_its_days(storage: Storage, files: Path) -> None:
    year = [
        Quote(MONDAY, "PETR4", 10.0),
        Quote(MONDAY, "OIBR3", 1.0),
        Quote(TUESDAY, "PETR4", 11.0),
    ]
    Ingest(storage).file(annual(files, 2020, year))
    corrected = [Quote(MONDAY, "PETR4", 10.5), Quote(MONDAY, "VALE3", 50.0)]
    done = Ingest(storage).file(daily(files, MONDAY, corrected, created="20210104"))

    assert closes(storage) == {
        ("PETR4", "2020-01-06"): 10.5,
        ("VALE3", "2020-01-06"): 50.0,
        ("PETR4", "2020-01-07"): 11.0,
    }
    assert [year.to_json() for year in done.years] == [
        change(days=1, added=1, changed=1, removed=1)
    ]


@pytest.mark.parametrize("partial", [False, True])
def test_a_vendors_corporate_actions_stay_after_a_file_of_their_day(
    storage: Storage, files: Path, partial: bool
) -> None:
    own = pd.DataFrame(
        {"ticker": ["PETR4", "PETR4", "VALE3"], "date": pd.to_datetime([MONDAY, TUESDAY, TUESDAY])}
    )
    write_lake(
        own.assign(
            close=[20.0, 10.0, 50.0],
            volume=9,
            split_factor=[1.0, 2.0, 1.0],
            dividend=[0.0, 0.3, 0.7],
        ),
        storage,
    )
    quotes = [
        Quote(TUESDAY, "PETR4", 10.5),
        Quote(TUESDAY, "VALE3", 51.0),
        Quote(TUESDAY, "ABEV3", 9.0),
    ]
    Ingest(storage).file(daily(files, TUESDAY, quotes), partial=partial)
    found = lake_of(storage)[["ticker", "close", "split_factor", "dividend"]]

    assert found.fillna({"dividend": "not known"}).to_numpy().tolist() == [
        ["ABEV3", 9.0, 1.0, "not known"],
        ["PETR4", 20.0, 1.0, 0.0],
        ["PETR4", 10.5, 2.0, 0.3],
        ["VALE3", 51.0, 1.0, 0.7],
    ]


def test_a_file_of_the_day_removes_duplicate_rows(storage: Storage, files: Path) -> None:
    twice = pd.DataFrame(
        {"ticker": ["PETR4"] * 2, "date": pd.to_datetime([MONDAY] * 2), "close": [10.0, 11.0]}
    )
    write_lake(twice.assign(volume=[5, 9], split_factor=[3.0, 2.0]), storage)
    Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY, "PETR4", 10.5)]))
    assert lake_of(storage)[["close", "split_factor"]].to_numpy().tolist() == [[10.5, 2.0]]


def test_a_subset_replaces_single_rows_and_needs_partial(storage: Storage, files: Path) -> None:
    Ingest(storage).file(
        daily(files, MONDAY, [Quote(MONDAY, "PETR4", 10.0), Quote(MONDAY, "OIBR3", 1.0)])
    )
    part = files / "COTAHIST_A2020.TXT"
    whole = annual(
        files, 2020, [Quote(MONDAY, "PETR4", 10.5), Quote(TUESDAY, "PETR4", 11.0)]
    ).read_bytes()
    part.write_bytes(b"\r\n".join(whole.split(b"\r\n")[:3]) + b"\r\n")
    before = closes(storage)

    with pytest.raises(InvalidCotahistError, match="trailer"):
        Ingest(storage).file(part)
    assert closes(storage) == before

    Ingest(storage).file(part, partial=True)
    expected = {
        ("PETR4", "2020-01-06"): 10.5,
        ("OIBR3", "2020-01-06"): 1.0,
        ("PETR4", "2020-01-07"): 11.0,
    }
    assert closes(storage) == expected


def test_a_users_own_quotes_stay_where_no_file_covers_them(storage: Storage, files: Path) -> None:
    """Parquet of one's own, without a manifest, with fewer columns and dates as time stamps."""
    own = pd.DataFrame(
        {
            "ticker": ["PETR4", "ABEV3"],
            "date": pd.to_datetime(["2020-01-06", "2020-01-03"]),
            "close": 9.0,
        }
    )
    other = own.assign(date=own["date"] - pd.DateOffset(years=1))
    for number, mine in enumerate((own, other)):
        storage.upload(
            write_parquet(mine, files / f"{number}.parquet"),
            f"{LAKE}/year={2020 - number}/mine.parquet",
        )
    Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY)]))

    assert closes(storage) == {
        ("PETR4", "2019-01-06"): 9.0,
        ("ABEV3", "2019-01-03"): 9.0,
        ("ABEV3", "2020-01-03"): 9.0,
        ("PETR4", "2020-01-06"): 10.0,
    }
    assert Lake(storage).manifest().years[2019][0].key == "year=2019/mine.parquet"


def test_actions_are_detected_with_the_quotes_and_overrides_win(
    storage: Storage, files: Path
) -> None:
    days = pd.bdate_range("2020-01-02", periods=40)
    split = [
        Quote(
            d.date(),
            "PETR4",
            (40 + i % 3) / (1 if i < 30 else 4),
            1000 * (1 if i < 30 else 4),
            dismes=100 + (i >= 30),
        )
        for i, d in enumerate(days)
    ]
    others = [
        Quote(d.date(), f"AB{n:02}3", 20 + (i * 7 + n) % 3 / 10)
        for i, d in enumerate(days)
        for n in range(8)
    ]
    Ingest(storage).file(annual(files, 2020, split + others))
    found = lake_of(storage)
    acted = found[found["split_factor"] != 1]

    assert acted[["ticker", "split_factor"]].to_numpy().tolist() == [["PETR4", 4.0]]
    assert acted["date"].iloc[0] == days[30]
    assert "split_factor" not in found.attrs["missing"]

    storage.put(OVERRIDES, f"ticker,date,reject\nPETR4,{days[30].date()},true\n".encode())
    assert Ingest(storage).actions() is True
    assert (lake_of(storage)["split_factor"] == 1).all()

    before = content(storage)
    assert Ingest(storage).actions() is False
    storage.put(OVERRIDES, b"ticker,date,split_factor\nPETR4,2020-01-02,-1\n")
    with pytest.raises(InvalidActionsError, match="split_factor"):
        Ingest(storage).actions()
    assert content(storage, f"{LAKE}/") == {
        k: v for k, v in before.items() if k.startswith(f"{LAKE}/")
    }


def test_a_folder_with_a_manifest_is_a_lake_that_write_lake_extends(
    storage: Storage, files: Path
) -> None:
    Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY)]))
    Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY, close=12.0)]))
    source = open_source(f"{storage.url}/{LAKE}")
    assert isinstance(source, LakeSource)
    assert source.read(QuoteQuery())["close"].tolist() == [12.0]
    write_lake(ParquetSource("data/quotes.parquet").read(QuoteQuery(tickers=("VALE3",))), storage)
    assert set(source.read(QuoteQuery())["ticker"]) == {"VALE3"}


def test_a_renamed_ticker_is_read_under_its_newest_name(storage: Storage, files: Path) -> None:
    days = [d.date() for d in pd.bdate_range("2020-01-02", periods=30)]
    names = ["OLDA3"] * 10 + ["MIDL3"] * 10 + ["NEWA3"] * 10
    quotes = [Quote(day, name, isin="BRXXXXACNOR1") for day, name in zip(days, names, strict=True)]
    others = [Quote(day, "VALE3", isin="BRVALEACNOR0") for day in days]
    Ingest(storage).file(annual(files, 2020, quotes + others))
    found = lake_of(storage)
    assert found.groupby("ticker").size().to_dict() == {"NEWA3": 30, "VALE3": 30}
    source = LakeSource(f"{storage.url}/{LAKE}")
    assert len(source.read(QuoteQuery(tickers=("NEWA3",), end=days[4]))) == 5

    raw = Lake(storage).manifest().years[2020][0].key
    stored = duckdb.execute(
        f"SELECT DISTINCT ticker FROM '{storage.url}/{LAKE}/{raw}' ORDER BY 1"
    ).fetchall()
    assert [ticker for (ticker,) in stored] == ["MIDL3", "NEWA3", "OLDA3", "VALE3"], (
        "the lake keeps what was quoted"
    )
