"""Files in any order give the lake of the order in which the exchange made them."""

from datetime import date, timedelta
from itertools import permutations
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from cotahist_text import Quote, annual, daily
from hypothesis import given, settings
from hypothesis import strategies as st
from ingested import MONDAY, TUESDAY, change, closes, content, lake_of, record

from b3shared.quotes.ingest.ingest import Ingest
from b3shared.quotes.lake.lake import LAKE, Lake
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.lake.write import write_lake
from b3shared.quotes.sources.lake import LakeSource
from b3shared.storage import FolderStorage, Storage


def test_the_order_of_files_does_not_change_the_bytes(tmp_path: Path, files: Path) -> None:
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


CORRECTED = {"PETR4": 10.5, "VALE3": 50.0}
"""Closes of the Monday, as corrected on 2020-01-10."""


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
def test_an_older_file_replaces_nothing_and_reports_the_sessions_kept(
    storage: Storage, older_file: Path, partial: bool
) -> None:
    before = content(storage, f"{LAKE}/")
    for _ in range(2):
        done = Ingest(storage).file(older_file, partial=partial)
        assert done.changed is False
        assert done.to_json()["years"] == [change(days=1, kept_newer=["2020-01-06"])]
        assert record(storage, done.sha256)["years"] == [change(days=1, kept_newer=["2020-01-06"])]
    assert content(storage, f"{LAKE}/") == before


def test_the_other_sessions_of_a_partly_older_file_are_stored(
    storage: Storage, files: Path, older_file: Path
) -> None:
    year = [Quote(MONDAY, "PETR4", 9.0), Quote(TUESDAY, "PETR4", 11.0)]
    done = Ingest(storage).file(annual(files, 2020, year, created="20200107"))
    expected = {(ticker, "2020-01-06"): close for ticker, close in CORRECTED.items()}
    assert closes(storage) == expected | {("PETR4", "2020-01-07"): 11.0}
    assert [year.to_json() for year in done.years] == [
        change(days=2, added=1, kept_newer=["2020-01-06"])
    ]


def test_a_corrected_file_ingested_again_reports_the_sessions_kept(
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
def test_force_stores_an_older_file_and_a_newer_one_replaces_it(
    storage: Storage, older_file: Path, partial: bool
) -> None:
    done = Ingest(storage).file(older_file, partial=partial, force=True)
    older = {("PETR4", "2020-01-06"): 10.0, ("OIBR3", "2020-01-06"): 1.0}
    assert closes(storage) == older | ({("VALE3", "2020-01-06"): 50.0} if partial else {})
    assert (done.years[0].kept_newer, record(storage, done.sha256)["force"]) == ((), True)
    newer = [Quote(MONDAY, ticker, close) for ticker, close in CORRECTED.items()]
    Ingest(storage).file(daily(older_file.parent, MONDAY, newer, created="20200110"))
    assert closes(storage) == {(ticker, "2020-01-06"): close for ticker, close in CORRECTED.items()}


def test_a_newer_file_with_the_same_quotes_updates_the_known_date(
    storage: Storage, files: Path
) -> None:
    """Else a file from between the two would replace what the newest one says."""
    Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY)], created="20200106"))
    done = Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY)], created="20200110"))
    assert [year.to_json() for year in done.years] == [change(days=1, confirmed=1)]
    Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY, close=9.0)], created="20200108"))
    assert closes(storage) == {("PETR4", "2020-01-06"): 10.0}


def test_the_last_file_of_one_date_wins(storage: Storage, files: Path) -> None:
    for close in (10.0, 10.5, 10.0):
        Ingest(storage).file(daily(files, MONDAY, [Quote(MONDAY, close=close)]))
        assert closes(storage) == {("PETR4", "2020-01-06"): close}


@pytest.mark.parametrize("manifest", [False, True], ids=["a folder", "another source's"])
@pytest.mark.parametrize("partial", [False, True])
def test_any_file_replaces_quotes_of_unknown_origin(
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


def test_replacing_a_year_forgets_the_dates_of_its_files(
    storage: Storage, older_file: Path
) -> None:
    write_lake(lake_of(storage), storage)
    assert Ingest(storage).file(older_file).years[0].kept_newer == ()
    assert closes(storage) == {("PETR4", "2020-01-06"): 10.0, ("OIBR3", "2020-01-06"): 1.0}


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
def test_any_sequence_of_files_equals_a_dictionary_updated_in_order_of_creation(
    tmp_path_factory: pytest.TempPathFactory,
    given_files: list[tuple[dict[tuple[str, date], int], bool, int]],
) -> None:
    folder = tmp_path_factory.mktemp("sequence")
    storage = FolderStorage(folder / "store")
    oracle: dict[tuple[str, str], float] = {}
    whole: set[date] = set()

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
