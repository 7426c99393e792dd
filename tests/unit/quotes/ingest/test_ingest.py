"""What a file says of its days is what the lake says of them, whatever was there, however often it comes."""

import gzip
import json
import shutil
import threading
from collections.abc import Callable
from datetime import date, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from cotahist_text import Quote, annual, cotahist, daily
from dying_storage import Dying
from hypothesis import given, settings
from hypothesis import strategies as st

from b3shared.core.errors import (
    B3Error,
    DiskFullError,
    IncompleteIngestError,
    InvalidActionsError,
    InvalidCotahistError,
    NoQuotesError,
    SourceUnavailableError,
)
from b3shared.core.serialization import file_sha256
from b3shared.quotes.corporate_actions.overrides import OVERRIDES
from b3shared.quotes.ingest.ingest import RECORDS, Ingest
from b3shared.quotes.lake.lake import LAKE, Lake, write_lake
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.sources import open_source
from b3shared.quotes.sources.lake import LakeSource
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage import FolderStorage, Storage

MONDAY = date(2020, 1, 6)
TUESDAY = MONDAY + timedelta(days=1)


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "store")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "files").mkdir()
    return tmp_path / "files"


def lake_of(storage: Storage) -> pd.DataFrame:
    return LakeSource(f"{storage.url}/{LAKE}").read(QuoteQuery())


def closes(storage: Storage) -> dict[tuple[str, str], float]:
    frame = lake_of(storage)
    return {
        (t, str(d.date())): c
        for t, d, c in zip(frame["ticker"], frame["date"], frame["close"], strict=True)
    }


def content(storage: Storage, prefix: str = "lake/") -> dict[str, str]:
    return {key: storage.sha256(key) for key in storage.list(prefix)}


def record(storage: Storage, sha256: str) -> dict[str, object]:
    return dict(json.loads(storage.read(f"{RECORDS}/{sha256}.json")))


def change(**counts: Any) -> dict[str, Any]:
    """What a record says of a year in which nothing but this happens."""
    return {
        "year": 2020,
        "days": 0,
        "added": 0,
        "changed": 0,
        "removed": 0,
        "confirmed": 0,
        "kept_newer": [],
        **counts,
    }


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
        "a sound file without them says that they are not"
    )


def test_a_bad_row_of_the_users_table_keeps_no_quotes_out(storage: Storage, files: Path) -> None:
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
    assert Ingest(storage).actions(), "they were behind the quotes"
    assert set(closes(storage)) == {("PETR4", "2020-01-06"), ("PETR4", "2020-01-07")}


def test_a_file_of_the_exchange_is_in_the_lake_to_the_cent(
    storage: Storage, shared_data: Path
) -> None:
    done = Ingest(storage).file(shared_data / "cotahist" / "COTAHIST_D25062021.TXT.gz")
    found = lake_of(storage)
    official = duckdb.execute(
        f"SELECT * FROM '{shared_data}/b3_cotahist_days.parquet' WHERE date = '2021-06-25' ORDER BY ticker"
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


def test_the_order_of_files_leaves_no_trace_in_the_bytes(tmp_path: Path, files: Path) -> None:
    part = daily(files, MONDAY, [Quote(MONDAY, "PETR4", 10.7)], created="20200108").rename(
        files / "part.TXT"
    )
    whole = daily(files, MONDAY, [Quote(MONDAY, "PETR4"), Quote(MONDAY, "VALE3")])
    year = annual(
        files, 2020, [Quote(MONDAY, "VALE3", 50.0), Quote(TUESDAY, "ABEV3")], created="20200107"
    )
    hashes = set()
    for order in permutations((part, whole, year)):
        storage = FolderStorage(tmp_path / "-".join(path.name for path in order))
        for path in order:
            Ingest(storage).file(path, partial=path == part)
        assert closes(storage) == {
            ("PETR4", "2020-01-06"): 10.7,
            ("VALE3", "2020-01-06"): 50.0,
            ("ABEV3", "2020-01-07"): 10.0,
        }
        hashes.add(Lake(storage).manifest().years[2020][0].sha256)
    assert len(hashes) == 1


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


CORRECTED = {"PETR4": 10.5, "VALE3": 50.0}
"""What the exchange said on 2020-01-10 of the Monday."""


@pytest.fixture
def older_file(storage: Storage, files: Path) -> Path:
    """A file that was made on its day, where the lake has the correction of four days later."""
    quotes = [Quote(MONDAY, ticker, close) for ticker, close in CORRECTED.items()]
    Ingest(storage).file(daily(files, MONDAY, quotes, created="20200110"))
    return daily(
        files,
        MONDAY,
        [Quote(MONDAY, "PETR4", 10.0), Quote(MONDAY, "OIBR3", 1.0)],
        created="20200106",
    )


@pytest.mark.parametrize("partial", [False, True])
def test_a_file_that_was_made_before_the_one_that_the_lake_has_undoes_nothing_and_says_so(
    storage: Storage, older_file: Path, partial: bool
) -> None:
    before = content(storage, f"{LAKE}/")
    for _ in range(2):
        done = Ingest(storage).file(older_file, partial=partial)
        assert done.changed is False
        assert done.to_json()["years"] == [change(days=1, kept_newer=["2020-01-06"])]
        assert record(storage, done.sha256)["years"] == [change(days=1, kept_newer=["2020-01-06"])]
    assert content(storage, f"{LAKE}/") == before


def test_of_a_file_that_is_older_for_one_session_the_others_are_taken(
    storage: Storage, files: Path, older_file: Path
) -> None:
    year = [Quote(MONDAY, "PETR4", 9.0), Quote(TUESDAY, "PETR4", 11.0)]
    done = Ingest(storage).file(annual(files, 2020, year, created="20200107"))
    expected = {(ticker, "2020-01-06"): close for ticker, close in CORRECTED.items()}
    assert closes(storage) == expected | {("PETR4", "2020-01-07"): 11.0}
    assert [year.to_json() for year in done.years] == [
        change(days=2, added=1, kept_newer=["2020-01-06"])
    ]


def test_a_file_that_was_taken_in_before_its_correction_says_so_when_it_comes_again(
    storage: Storage, files: Path
) -> None:
    path = daily(files, MONDAY, [Quote(MONDAY)])
    sha256 = Ingest(storage).file(path).sha256
    first = record(storage, sha256)
    correction = daily(files, MONDAY, [Quote(MONDAY, close=10.5)], created="20200110").rename(
        files / "correction.TXT"
    )
    Ingest(storage).file(correction)
    again = Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY)]))
    assert (again.sha256, again.changed, closes(storage)) == (
        sha256,
        False,
        {("PETR4", "2020-01-06"): 10.5},
    )
    found = record(storage, sha256)
    assert found["years"] == [change(days=1, added=1, kept_newer=["2020-01-06"])], (
        "what it did once is not forgotten"
    )
    assert found | {"years": None, "at": None} == first | {"years": None, "at": None}


@pytest.mark.parametrize("partial", [False, True])
def test_an_older_file_can_be_forced_and_any_newer_one_wins_again(
    storage: Storage, older_file: Path, partial: bool
) -> None:
    done = Ingest(storage).file(older_file, partial=partial, force=True)
    older = {("PETR4", "2020-01-06"): 10.0, ("OIBR3", "2020-01-06"): 1.0}
    assert closes(storage) == older | ({("VALE3", "2020-01-06"): 50.0} if partial else {})
    assert (done.years[0].kept_newer, record(storage, done.sha256)["force"]) == ((), True)
    newer = [Quote(MONDAY, ticker, close) for ticker, close in CORRECTED.items()]
    Ingest(storage).file(daily(older_file.parent, MONDAY, newer, created="20200110"))
    assert closes(storage) == {(ticker, "2020-01-06"): close for ticker, close in CORRECTED.items()}


def test_a_newer_file_with_the_same_quotes_is_remembered(storage: Storage, files: Path) -> None:
    """Else a file from between the two would replace what the newest one says."""
    Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY)], created="20200106"))
    done = Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY)], created="20200110"))
    assert [year.to_json() for year in done.years] == [change(days=1, confirmed=1)]
    Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY, close=9.0)], created="20200108"))
    assert closes(storage) == {("PETR4", "2020-01-06"): 10.0}


def test_of_files_of_one_date_the_last_wins(storage: Storage, files: Path) -> None:
    for close in (10.0, 10.5, 10.0):
        Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY, close=close)]))
        assert closes(storage) == {("PETR4", "2020-01-06"): close}


@pytest.mark.parametrize("manifest", [False, True], ids=["a folder", "another source's"])
@pytest.mark.parametrize("partial", [False, True])
def test_quotes_that_no_file_is_known_of_give_way_to_any_file(
    storage: Storage, files: Path, manifest: bool, partial: bool
) -> None:
    own = pd.DataFrame(
        {"ticker": ["PETR4", "OIBR3"], "date": pd.to_datetime([MONDAY] * 2), "close": [9.0, 1.0]}
    )
    if manifest:
        write_lake(own.assign(volume=5), storage)
    else:
        storage.upload(write_parquet(own, files / "own.parquet"), f"{LAKE}/year=2020/own.parquet")
    done = Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY)]), partial=partial)
    assert closes(storage) == {("PETR4", "2020-01-06"): 10.0} | (
        {("OIBR3", "2020-01-06"): 1.0} if partial else {}
    )
    assert done.years[0].kept_newer == ()


def test_what_replaces_a_year_from_another_source_takes_the_memory_of_its_files_with_it(
    storage: Storage, older_file: Path
) -> None:
    write_lake(lake_of(storage), storage)
    assert Ingest(storage).file(older_file).years[0].kept_newer == ()
    assert closes(storage) == {("PETR4", "2020-01-06"): 10.0, ("OIBR3", "2020-01-06"): 1.0}


@pytest.mark.parametrize("partial", [False, True])
def test_corporate_actions_of_the_lakes_own_quotes_outlive_a_file_of_their_day(
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
    found = lake_of(storage)[["ticker", "close", "split_factor", "dividend"]].to_numpy().tolist()
    assert found == [
        ["ABEV3", 9.0, 1.0, 0.0],
        ["PETR4", 20.0, 1.0, 0.0],
        ["PETR4", 10.5, 2.0, 0.3],
        ["VALE3", 51.0, 1.0, 0.7],
    ]


def test_a_row_that_the_lake_has_twice_is_one_after_a_file_of_its_day(
    storage: Storage, files: Path
) -> None:
    twice = pd.DataFrame(
        {"ticker": ["PETR4"] * 2, "date": pd.to_datetime([MONDAY] * 2), "close": [10.0, 11.0]}
    )
    write_lake(twice.assign(volume=[5, 9], split_factor=[3.0, 2.0]), storage)
    Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY, "PETR4", 10.5)]))
    assert lake_of(storage)[["close", "split_factor"]].to_numpy().tolist() == [[10.5, 2.0]]


def test_a_subset_replaces_single_rows_and_must_be_called_one(
    storage: Storage, files: Path
) -> None:
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


def test_a_folder_is_taken_oldest_first_so_that_a_correction_wins(
    storage: Storage, files: Path
) -> None:
    late = daily(files, MONDAY, [Quote(MONDAY, close=10.5)], created="20200301")
    late.rename(files / "COTAHIST_A_correction.TXT")  # by its name it would come first
    packed = files / "COTAHIST_D06012020.txt.GZ"
    packed.write_bytes(gzip.compress(daily(files, MONDAY, [Quote(MONDAY)]).read_bytes()))
    (files / "COTAHIST_D06012020.TXT").unlink()
    (files / "notes.md").write_text("of somebody else")
    assert [done.name for done in Ingest(storage).folder(files)] == [
        packed.name,
        "COTAHIST_A_correction.TXT",
    ]
    assert closes(storage) == {("PETR4", "2020-01-06"): 10.5}


def test_a_folder_s_good_files_are_taken_and_the_others_are_named(
    storage: Storage, files: Path
) -> None:
    """A note sorts first, a subset lies between, and the last of all is refused: actions are looked for all the same."""
    daily(files, MONDAY, [Quote(MONDAY)]).rename(files / "cotahist_d06012020.txt")
    (files / "COTAHIST_D08012020.TXT").write_bytes(
        cotahist([Quote(TUESDAY)], 2020, "20200107", records=9)
    )
    daily(files, TUESDAY, [Quote(TUESDAY, close=11.0)], created="20200108")
    (files / "COTAHIST_D09012020.TXT").write_bytes(cotahist([Quote(MONDAY)], 2020, "20200109"))
    (files / "leia-me.txt").write_text("baixado da bolsa em março", encoding="utf-8")
    ingest, taken = Ingest(storage), list[str]()
    with pytest.raises(IncompleteIngestError) as refused:
        taken.extend(done.name for done in ingest.folder(files))
    assert closes(storage) == {("PETR4", "2020-01-06"): 10.0, ("PETR4", "2020-01-07"): 11.0}
    assert (
        "3 of 5 files not taken in, the others were: leia-me.txt: INVALID_COTAHIST: "
        in refused.value.message
    )
    assert "--partial" in refused.value.message
    assert [file["file"] for file in refused.value.details["failed"]] == [
        "leia-me.txt",
        "COTAHIST_D08012020.TXT",
        "COTAHIST_D09012020.TXT",
    ]
    assert not ingest.actions()  # the lake's own are those of its quotes


def test_a_full_disk_stops_a_folder(
    storage: Storage, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise DiskFullError("no space")

    for day in (MONDAY, TUESDAY):
        daily(files, day, [Quote(day)])
    monkeypatch.setattr(Lake, "change", full)
    with pytest.raises(DiskFullError):
        list(Ingest(storage).folder(files))


def test_what_is_no_folder_and_no_file_is_named(storage: Storage, files: Path) -> None:
    with pytest.raises(NoQuotesError, match="holds no COTAHIST file"):
        list(Ingest(storage).folder(files))
    with pytest.raises(SourceUnavailableError, match="is not a folder"):
        list(Ingest(storage).folder(files / "none"))
    with pytest.raises(SourceUnavailableError, match="is not a file"):
        Ingest(storage).file(files / "none.TXT")
    with pytest.raises(SourceUnavailableError, match="no address"):
        Ingest(storage).period(None)  # type: ignore[arg-type]
    assert storage.list() == []


def test_every_file_has_a_record_of_what_it_did(storage: Storage, files: Path) -> None:
    path = daily(
        files, MONDAY, [Quote(MONDAY), Quote(MONDAY), Quote(MONDAY, "PETRT9", market="070")]
    )
    done = Ingest(storage).file(path)
    found = record(storage, done.sha256)
    assert (found["status"], found["name"], found["source"]) == ("done", path.name, str(path))
    assert (found["changed"], found["sequence"], found["partial"]) == (True, 1, False)
    assert found["years"] == [change(days=1, added=1)]
    report = found["report"]
    assert isinstance(report, dict)
    assert (report["cash_records"], report["duplicates"], report["other_markets"]) == (
        1,
        1,
        {"070": 1},
    )


def test_a_refused_file_has_a_record_of_why(storage: Storage, files: Path) -> None:
    path = daily(files, MONDAY, [Quote(MONDAY, close=1.0), Quote(MONDAY, close=2.0)])
    with pytest.raises(B3Error) as refused:
        Ingest(storage).file(path)
    (key,) = storage.list()
    found = json.loads(storage.read(key))
    assert (found["status"], found["error"]["code"]) == ("failed", refused.value.code)
    assert "PETR4" in found["error"]["message"]


def test_quotes_that_a_user_put_there_stay_where_the_file_says_nothing(
    storage: Storage, files: Path
) -> None:
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


def test_actions_are_detected_with_the_quotes_and_the_users_word_wins(
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


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after it"])
def test_a_crash_at_any_write_leaves_the_lake_before_or_after_and_a_second_attempt_ends_it(
    tmp_path: Path, files: Path, after: bool
) -> None:
    base = [
        annual(files, 2019, [Quote(date(2019, 1, 2))]),
        annual(files, 2020, [Quote(MONDAY, close=9.0)]),
    ]
    new = annual(
        files, 2020, [Quote(MONDAY, close=9.5), Quote(TUESDAY)], name="COTAHIST_A2020_2.TXT"
    )
    for path in base:
        Ingest(FolderStorage(tmp_path / "base")).file(path)
    states = []
    for at in range(1, 100):
        storage = FolderStorage(shutil.copytree(tmp_path / "base", tmp_path / f"{at}"))
        before = closes(storage)
        try:
            Ingest(Dying(tmp_path / f"{at}", at, after)).file(new)
            states.append("all")
        except KeyboardInterrupt:
            found = closes(storage)
            expected = before | {("PETR4", "2020-01-06"): 9.5, ("PETR4", "2020-01-07"): 10.0}
            assert found in (before, expected)
            states.append("old" if found == before else "new")
        again = Ingest(storage).file(new)
        assert closes(storage) == expected
        found_record = record(storage, again.sha256)
        assert found_record["status"] == "done"
        assert found_record["years"] == [change(days=2, added=1, changed=1)]
        Ingest(storage).file(
            daily(files, date(2020, 1, 8), [Quote(date(2020, 1, 8))])
        )  # and the next tidies up
        manifest = Lake(storage).manifest()
        kept = {*manifest.keys(), *manifest.superseded, "manifest.json"}
        assert {key.removeprefix(f"{LAKE}/") for key in storage.list(f"{LAKE}/")} == kept
        if states[-1] == "all":
            break
    assert states.count("old") >= 2
    assert states.count("new") >= 1
    assert states[-1] == "all"


def test_files_that_are_taken_in_at_once_are_all_there(storage: Storage, files: Path) -> None:
    days = [MONDAY + timedelta(days=n) for n in range(5)]
    paths = [daily(files, day, [Quote(day, close=1.0 + n)]) for n, day in enumerate(days)]
    paths.append(annual(files, 2019, [Quote(date(2019, 1, 2))]))
    failures: list[BaseException] = []

    def work(path: Path) -> None:
        try:
            Ingest(FolderStorage(storage.url)).file(path)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    expected = {("PETR4", str(day)): 1.0 + n for n, day in enumerate(days)}
    assert closes(storage) == expected | {("PETR4", "2019-01-02"): 10.0}
    assert Lake(storage).manifest().sequence == len(paths)


class Overtaken(FolderStorage):
    """Somebody else changes the lake twice between a reader's look at the manifest and its first download."""

    overtake: Callable[[], None] | None = None

    def _receive(self, key: str, path: Path) -> None:
        if self.overtake is not None:
            overtake, self.overtake = self.overtake, None
            overtake()
        super()._receive(key, path)


def test_a_reader_who_is_overtaken_twice_follows(storage: Storage, files: Path) -> None:
    Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY)]))
    source = LakeSource(f"{storage.url}/{LAKE}")
    slow = Overtaken(f"{storage.url}/{LAKE}")
    source._lake = Lake(slow, "")

    def overtake() -> None:
        for number in (1, 2):
            Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY, close=10.0 + number)]))

    slow.overtake = overtake
    assert source.read(QuoteQuery())["close"].tolist() == [12.0]


def test_a_changed_file_of_the_lake_is_noticed(storage: Storage, files: Path) -> None:
    Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY)]))
    (file,) = Lake(storage).manifest().years[2020]
    storage.put(f"{LAKE}/{file.key}", b"something else")
    with pytest.raises(B3Error, match="SHA-256"):
        lake_of(storage)


def test_a_folder_with_a_manifest_is_read_as_a_lake_and_write_lake_joins_in(
    storage: Storage, files: Path
) -> None:
    Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY)]))
    Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY, close=12.0)]))
    source = open_source(f"{storage.url}/{LAKE}")
    assert isinstance(source, LakeSource)
    assert source.read(QuoteQuery())["close"].tolist() == [12.0]
    write_lake(ParquetSource("data/quotes.parquet").read(QuoteQuery(tickers=("VALE3",))), storage)
    assert set(source.read(QuoteQuery())["ticker"]) == {"VALE3"}


DAYS = [MONDAY + timedelta(days=n) for n in range(3)] + [date(2021, 1, 4)]
ROWS = st.dictionaries(
    st.tuples(st.sampled_from(["PETR4", "VALE3", "ABEV3"]), st.sampled_from(DAYS)),
    st.integers(1, 9),
    min_size=1,
    max_size=6,
)


FILE = st.tuples(ROWS, st.booleans(), st.integers(1, 3))


@settings(max_examples=10, deadline=None)
@given(st.lists(FILE, min_size=1, max_size=5))
def test_any_sequence_of_files_equals_a_dictionary_of_them_in_the_order_in_which_they_were_made(
    tmp_path_factory: pytest.TempPathFactory,
    given_files: list[tuple[dict[tuple[str, date], int], bool, int]],
) -> None:
    folder = tmp_path_factory.mktemp("sequence")
    storage, oracle, whole = (
        FolderStorage(folder / "store"),
        dict[tuple[str, str], float](),
        set[date](),
    )
    for rows, partial, created in given_files:
        for year in sorted({day.year for _, day in rows}):
            quotes = [
                Quote(day, ticker, close)
                for (ticker, day), close in rows.items()
                if day.year == year
            ]
            Ingest(storage).file(
                annual(folder, year, quotes, created=f"2022010{created}"),
                partial=partial,
                more=True,
            )
    for rows, partial, _ in sorted(given_files, key=lambda file: file[2]):
        days = {day for _, day in rows}
        if not partial:
            oracle = {
                key: close for key, close in oracle.items() if key[1] not in set(map(str, days))
            }
            whole |= days
        oracle |= {(ticker, str(day)): float(close) for (ticker, day), close in rows.items()}
    assert closes(storage) == oracle
    assert set(LakeSource(f"{storage.url}/{LAKE}").complete_days(DAYS[0], DAYS[-1])) == whole
    for files_ in Lake(storage).manifest().years.values():
        stored = duckdb.execute(
            f"SELECT ticker, date FROM '{storage.url}/{LAKE}/{files_[0].key}'"
        ).fetchall()
        assert stored == sorted(stored)
    assert len(lake_of(storage)) == len(oracle)


def test_a_renamed_ticker_goes_on_under_its_newest_name(storage: Storage, files: Path) -> None:
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
