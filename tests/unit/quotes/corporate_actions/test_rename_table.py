"""The user's table links a share to its new code and ISIN; the ingest applies it."""

import shutil
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from cotahist_text import Quote, annual
from renamed_quotes import DAYS, END, quotes_of

from b3shared.core.config import Settings
from b3shared.core.errors import InvalidActionsError
from b3shared.quotes.corporate_actions.overrides import OVERRIDES
from b3shared.quotes.corporate_actions.rename_table import RENAMES, read_renames
from b3shared.quotes.corporate_actions.renames import Renamed, renamed_tickers
from b3shared.quotes.ingest.import_quotes import fill_lake
from b3shared.quotes.ingest.ingest import Ingest
from b3shared.quotes.ingest.job import ingest_quotes
from b3shared.quotes.ingest.request import IngestRequest
from b3shared.quotes.lake.lake import LAKE
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.sources.lake import LakeSource
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage import FolderStorage, Storage

CHANGE = 5
ROW = f"old,new,date\nAAQX3,ZZQX3,{DAYS[CHANGE]}\n".encode()
PAIR = (
    f"AAQX3 ended on {DAYS[CHANGE - 1]} at 41.70, ZZQX3 began on {DAYS[CHANGE]} at 41.80: "
    f"if they are one share, add AAQX3,ZZQX3,{DAYS[CHANGE]}"
)


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "store")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A share that is renamed as TBLE3 was, DISMES beginning again at 100, and one that goes on."""
    quotes = [
        Quote(day, "BBQX3", 20.0 + n / 10, type="ON", isin="BRBBQXACNOR1")
        for n, day in enumerate(DAYS)
    ]
    for n, day in enumerate(DAYS):
        name, dismes = ("AAQX3", 143) if n < CHANGE else ("ZZQX3", 100)
        quotes.append(
            Quote(day, name, 41.3 + n / 10, type="ON", isin=f"BR{name[:4]}ACNOR1", dismes=dismes)
        )
    return annual(tmp_path, 2023, quotes)


def sessions_of(storage: Storage) -> dict[str, int]:
    frame = LakeSource(f"{storage.url}/{LAKE}").read(QuoteQuery())
    assert (frame["split_factor"] == 1).all()  # a new numbering of rights is no action
    return {str(ticker): int(n) for ticker, n in frame.groupby("ticker").size().items()}


def test_an_ingest_names_the_pair_and_the_users_row_joins_its_history(
    storage: Storage, file: Path
) -> None:
    ingest = Ingest(storage)
    ingest.file(file)
    assert sessions_of(storage) == {
        "AAQX3": CHANGE,
        "BBQX3": len(DAYS),
        "ZZQX3": len(DAYS) - CHANGE,
    }
    assert ingest.possible_renames == [PAIR]

    storage.put(RENAMES, ROW)
    assert ingest.actions()
    assert sessions_of(storage) == {"BBQX3": len(DAYS), "ZZQX3": len(DAYS)}
    assert (ingest.possible_renames, ingest.without_effect) == ([], [])
    assert not ingest.actions()  # made from the same
    storage.delete(RENAMES)
    assert ingest.actions()
    assert "AAQX3" in sessions_of(storage)


def test_an_event_of_the_bucket_applies_the_table(
    storage: Storage, file: Path, tmp_path: Path
) -> None:
    Ingest(storage).file(file)
    storage.put(RENAMES, ROW)
    answer = ingest_quotes(IngestRequest(key=RENAMES), Settings(storage=storage.url))
    assert (answer["status"], answer["changed"], answer["possible_renames"]) == ("done", True, [])
    assert sessions_of(storage)["ZZQX3"] == len(DAYS)


def test_quotes_of_another_source_are_joined_on_import(
    storage: Storage, file: Path, tmp_path: Path
) -> None:
    Ingest(FolderStorage(tmp_path / "first")).file(file)
    quotes = LakeSource(f"{tmp_path}/first/{LAKE}").read(QuoteQuery())
    source = ParquetSource(
        write_parquet(quotes.drop(columns=["split_factor"]), tmp_path / "quotes.parquet")
    )
    assert f"possible rename: {PAIR} to {RENAMES}" in fill_lake(source, storage).notes()
    storage.put(RENAMES, ROW)
    assert fill_lake(source, storage).possible_renames == []
    assert sessions_of(storage)["ZZQX3"] == len(DAYS)


def test_an_override_under_the_old_name_applies_to_the_new_one(
    storage: Storage, file: Path
) -> None:
    storage.put(RENAMES, ROW)
    storage.put(OVERRIDES, f"ticker,date,dividend\nAAQX3,{DAYS[2]},1.5\n".encode())
    ingest = Ingest(storage)
    ingest.file(file)
    frame = LakeSource(f"{storage.url}/{LAKE}").read(QuoteQuery(tickers=("ZZQX3",)))
    assert frame.loc[frame["dividend"] > 0, "date"].dt.date.tolist() == [DAYS[2]]
    assert ingest.without_effect == []


def test_quotes_are_stored_despite_a_bad_row_and_old_renames_stay(
    storage: Storage, file: Path
) -> None:
    storage.put(RENAMES, b"old,new,date\nAAQX3,ZZQX3,8/3/2023\n")
    with pytest.raises(
        InvalidActionsError,
        match=r"renames.csv row 1: date must be .*got '8/3/2023'.*quotes of .* are in the lake",
    ):
        Ingest(storage).file(file)
    assert sessions_of(storage)["AAQX3"] == CHANGE


def test_tble3_is_linked_to_egie3(storage: Storage, shared_data: Path, tmp_path: Path) -> None:
    days = [f"{day:02d}072016" for day in (12, 13, 14, 15, 18, 19, 20, 21, 22, 25, 26)]
    (tmp_path / "files").mkdir()
    for day in days:
        shutil.copy(shared_data / "cotahist" / f"COTAHIST_D{day}.TXT.gz", tmp_path / "files")
    ingest = Ingest(storage)
    for path in sorted((tmp_path / "files").iterdir()):
        ingest.file(path, partial=True, more=True)
    storage.put(RENAMES, b"old,new,date\n")
    ingest.actions()
    (pair,) = ingest.possible_renames

    assert pair == (
        "TBLE3 ended on 2016-07-20 at 41.39, EGIE3 began on 2016-07-21 at 41.39: "
        "if they are one share, add TBLE3,EGIE3,2016-07-21"
    )

    storage.put(RENAMES, b"old,new,date\nTBLE3,EGIE3,2016-07-21\n")
    ingest.actions()
    frame = LakeSource(f"{storage.url}/{LAKE}").read(QuoteQuery(tickers=("EGIE3",)))
    assert (len(frame), str(frame["date"].min().date())) == (len(days), "2016-07-12")
    assert (frame["split_factor"] == 1).all()
    assert ingest.possible_renames == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"\xff\xfe", "is not a CSV file"),
        (b"old,new\nAAQX3,ZZQX3\n", "has old, new; the columns must be old, new, date"),
        (b"old,new,date,why\nAAQX3,ZZQX3,2023-03-08,x\n", "the columns must be old, new, date"),
        (
            b"old,new,date\nAAQX,ZZQX3,2023-03-08\n",
            "row 1: old must be a ticker such as TBLE3, got 'AAQX'",
        ),
        (
            b"old,new,date\nAAQX3,,2023-03-08\n",
            "row 1: new must be a ticker such as EGIE3, got nan",
        ),
        (
            b"old,new,date\nAAQX3,aaqx3,2023-03-08\n",
            "row 1: new must be another ticker than the old one, got 'aaqx3'",
        ),
        (
            b"old,new,date\nAAQX3,ZZQX3,2023-02-30\n",
            "such as 2016-07-21, got '2023-02-30'",
        ),
        (
            b"old,new,date\nAAQX3,ZZQX3,2023-03-08\nAAQX3,YYQX3,2023-03-08\n",
            "row 2: old must be in one row only",
        ),
        (
            b"old,new,date\nAAQX3,ZZQX3,2023-03-08\nABQX3,ZZQX3,2023-03-08\n",
            "row 2: new must be in one row only",
        ),
        (
            b"old,new,date\nAAQX3,ZZQX3,2023-03-08\nZZQX3,AAQX3,2023-03-01\n",
            "row 2: date must be after the day",
        ),
        (
            b"old,new,date\nAAQX3,ZZQX3,2023-03-01\nZZQX3,AAQX3,2023-03-08\n",
            "row 1: date must be after the day",
        ),
    ],
    ids=range(11),
)
def test_a_faulty_row_is_refused_with_its_number_and_value(text: bytes, words: str) -> None:
    with pytest.raises(InvalidActionsError) as refused:
        read_renames(text)
    assert words in refused.value.message


def linked(quotes: pd.DataFrame, table: bytes) -> Renamed:
    with duckdb.connect() as connection:
        connection.register("quotes", quotes)
        return renamed_tickers(connection, "quotes", read_renames(table))


@pytest.mark.parametrize(
    ("spans", "why"),
    [
        ([("AAQX3", 0, 5, 9.0)], "the lake has no quote of ZZQX3"),
        (
            [("AAQX3", 0, 8, 9.0), ("ZZQX3", 5, END, 9.0)],
            "AAQX3 has quotes until 2023-03-10, not only before 2023-03-08",
        ),
        (
            [("AAQX3", 0, 4, 9.0), ("ZZQX3", 4, END, 9.0)],
            "ZZQX3 has quotes from 2023-03-07 on, not only from 2023-03-08",
        ),
    ],
    ids=["no quote", "the old one goes on", "the new one was there"],
)
def test_a_row_that_the_quotes_contradict_is_named_and_has_no_effect(
    spans: list[tuple[str, int, int, float]], why: str
) -> None:
    found = linked(quotes_of(*spans), ROW)
    assert found.table.empty
    assert found.without_effect == [f"AAQX3 -> ZZQX3: {why}"]


def test_rows_and_isins_form_a_chain_and_the_users_row_wins() -> None:
    quotes = quotes_of(("AAQX3", 0, 5, 9.0), ("ZZQX3", 5, 7, 9.0), ("YYQX3", 7, END, 9.0))
    quotes["isin"] = quotes["ticker"].map(
        {"AAQX3": "BR1", "ZZQX3": "BR2", "YYQX3": "BR2", "BBQX3": "BR3"}
    )
    found = linked(quotes, ROW).table
    assert found[["old", "new"]].to_numpy().tolist() == [["AAQX3", "YYQX3"], ["ZZQX3", "YYQX3"]]
    assert found["date"].dt.date.tolist() == [DAYS[CHANGE], DAYS[7]]
    other = linked(
        quotes, f"old,new,date\nAAQX3,YYQX3,{DAYS[7]}\n".encode()
    ).table  # YYQX3 comes from one alone
    assert other[["old", "new"]].to_numpy().tolist() == [["AAQX3", "YYQX3"]]


def test_the_days_of_these_tests_are_sessions_of_the_exchange() -> None:
    assert DAYS[CHANGE] == date(2023, 3, 8)
