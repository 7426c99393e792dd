"""A share that goes on under a new code and ISIN: found as a possible rename, linked by the user's table."""

import io
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from cotahist_text import Quote, annual

from b3shared.errors import InvalidActionsError
from b3shared.quotes.calendar import sessions
from b3shared.quotes.ingest import Ingest
from b3shared.quotes.lake import LAKE
from b3shared.quotes.renaming import RENAMES, possible_renames, read_renames, renamed_tickers
from b3shared.quotes.sources import QuoteQuery, open_source
from b3shared.storage import FolderStorage

DAYS = [day.item() for day in sessions(date(2023, 3, 1), date(2023, 3, 14))]
CHANGE = 5
ROW = f"old,new,date\nAAQX3,ZZQX3,{DAYS[CHANGE]}\n".encode()


def quotes(*spans: tuple[str, int, int, float]) -> pd.DataFrame:
    """A row for every session of each (ticker, first, end, close)."""
    rows = [(ticker, pd.Timestamp(DAYS[n]), close, close) for ticker, a, b, close in spans for n in range(a, b)]
    return pd.DataFrame(rows, columns=["ticker", "date", "open", "close"])


def hints(frame: pd.DataFrame) -> list[tuple[str, str]]:
    with duckdb.connect() as connection:
        connection.register("quotes", frame)
        found = possible_renames(connection, "quotes")
    return [(words[0], words[8]) for words in (sentence.split() for sentence in found)]


END = len(DAYS)
OTHERS = ("BBQX3", 0, END, 10.0)


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([("AAQX3", 0, 5, 41.7), ("ZZQX3", 5, END, 41.8)], [("AAQX3", "ZZQX3")]),
        ([("AAQX3", 0, 5, 41.7), ("ZZQX3", 5, END, 20.0)], []),
        ([("AAQX3", 0, 5, 41.7), ("ZZQX4", 5, END, 41.8)], []),
        ([("AAQX3", 0, 5, 41.7), ("ZZQX3", 6, END, 41.8)], []),
        ([("AAQX3", 0, 6, 41.7), ("ZZQX3", 5, END, 41.8)], []),
        ([("AAQX3", 0, END, 41.7), ("ZZQX3", 5, END, 41.8)], []),
        (
            [("AAQX11", 0, 5, 9.0), ("ZZQX11", 5, 8, 9.1), ("YYQX11", 8, END, 9.2)],
            [("AAQX11", "ZZQX11"), ("ZZQX11", "YYQX11")],
        ),
        ([("AAQX1", 0, 5, 9.0), ("ZZQX1", 5, END, 9.0)], []),
    ],
    ids=["rename", "other price", "other class", "a session between", "overlap", "goes on", "twice", "rights"],
)
def test_a_possible_rename_is_one_that_ends_where_another_of_its_class_begins_at_its_price(spans, expected) -> None:
    assert hints(quotes(OTHERS, *spans)) == expected


def test_of_the_official_days_few_pairs_are_hinted_at_and_the_known_one_is(shared_data: Path) -> None:
    with duckdb.connect() as connection:
        relation = f"(FROM '{shared_data}/b3_cotahist_days.parquet' WHERE bdi_code = '02')"
        found = possible_renames(connection, relation)
    assert any(sentence.startswith("TBLE3 ended on 2016-07-20") and "EGIE3 began" in sentence for sentence in found)
    assert len(found) <= 3


# -- the user's table


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("old,new\nA,B\n", "has the columns old, new; old, new, date are needed"),
        ("old,new,date,why\nAAQX3,ZZQX3,2023-03-08,x\n", "has the columns old, new, date, why"),
        ("old,new,date\nAAQX,ZZQX3,2023-03-08\n", "renames row 1: old = 'AAQX': a ticker such as TBLE3"),
        ("old,new,date\nAAQX3,,2023-03-08\n", "renames row 1: new = nan: a ticker such as EGIE3"),
        ("old,new,date\nAAQX3,aaqx3,2023-03-08\n", "another ticker than the old one"),
        ("old,new,date\nAAQX3,ZZQX3,08/03/2023\n", "renames row 1: date = '08/03/2023': a day as YYYY-MM-DD"),
        ("old,new,date\nAAQX3,ZZQX3,2023-03-08\nAAQX3,YYQX3,2023-03-08\n", "renames row 2: old = 'AAQX3'"),
        ("old,new,date\nAAQX3,ZZQX3,2023-03-08\nBBQX3,ZZQX3,2023-03-08\n", "renames row 2: new = 'ZZQX3'"),
    ],
)
def test_a_row_that_cannot_be_meant_is_refused_by_number_and_value(text: str, message: str) -> None:
    with pytest.raises(InvalidActionsError, match=message.replace("(", r"\(")):
        read_renames(text.encode())


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([("AAQX3", 0, 8, 41.7), ("ZZQX3", 5, END, 41.8)], "AAQX3 has quotes until 2023-03-10, and is to end before"),
        ([("AAQX3", 0, 4, 41.7), ("ZZQX3", 4, END, 41.8)], "ZZQX3 has quotes from 2023-03-07 on, and is to begin"),
    ],
    ids=["the old one goes on", "the new one began before"],
)
def test_a_row_that_the_quotes_contradict_is_refused(spans, message: str) -> None:
    with duckdb.connect() as connection:
        connection.register("quotes", quotes(OTHERS, *spans))
        with pytest.raises(InvalidActionsError, match=message):
            renamed_tickers(connection, "quotes", read_renames(ROW))


def test_a_row_without_quotes_is_named_and_does_nothing() -> None:
    with duckdb.connect() as connection:
        connection.register("quotes", quotes(OTHERS, ("AAQX3", 0, 5, 41.7)))
        found = renamed_tickers(connection, "quotes", read_renames(ROW))
    assert found.table.empty
    assert found.without_effect == ["rename of AAQX3 to ZZQX3: the lake has no quote of ZZQX3"]


def test_a_chain_of_the_users_and_of_isins_leads_to_the_newest_name() -> None:
    frame = quotes(OTHERS, ("AAQX3", 0, 5, 41.7), ("ZZQX3", 5, 7, 41.8), ("YYQX3", 7, END, 41.9))
    frame["isin"] = frame["ticker"].map({"AAQX3": "BR1", "ZZQX3": "BR2", "YYQX3": "BR2", "BBQX3": "BR3"})
    with duckdb.connect() as connection:
        connection.register("quotes", frame)
        found = renamed_tickers(connection, "quotes", read_renames(ROW)).table
    assert found[["old", "new"]].to_numpy().tolist() == [["AAQX3", "YYQX3"], ["ZZQX3", "YYQX3"]]


# -- from the exchange's file to a lake that is read


@pytest.fixture
def filled(tmp_path: Path) -> tuple[Ingest, FolderStorage, Path]:
    """A lake in which a share goes on under a new code and ISIN."""
    rows = [
        Quote(day, "AAQX3" if n < CHANGE else "ZZQX3", 41.7 + n / 10, isin=f"BRAAQXACNOR{n // CHANGE}")
        for n, day in enumerate(DAYS)
    ]
    rows += [Quote(day, "BBQX3", 10.0, isin="BRBBQXACNOR2") for day in DAYS]
    storage = FolderStorage(tmp_path / "store")
    ingest = Ingest(storage)
    ingest.file(annual(tmp_path, 2023, rows), partial=True)
    return ingest, storage, tmp_path


def tickers(storage: FolderStorage) -> dict[str, int]:
    frame = open_source(f"{storage.url}/{LAKE}").read(QuoteQuery())
    return frame.groupby("ticker").size().to_dict()


def test_after_the_users_row_the_new_code_has_the_history_of_the_old_one(filled) -> None:
    ingest, storage, _ = filled
    assert tickers(storage) == {"AAQX3": CHANGE, "BBQX3": END, "ZZQX3": END - CHANGE}
    (hint,) = ingest.possible_renames
    row = hint.split("add the row ")[1].split(" to ")[0]
    storage.put(RENAMES, f"old,new,date\n{row}\n".encode())
    assert ingest.actions()
    assert tickers(storage) == {"BBQX3": END, "ZZQX3": END}
    assert ingest.possible_renames == []

    assert not ingest.actions()  # made from the same already
    storage.delete(RENAMES)
    assert ingest.actions()
    assert tickers(storage)["AAQX3"] == CHANGE


def test_a_bad_table_keeps_no_quotes_out(filled) -> None:
    ingest, storage, folder = filled
    storage.put(RENAMES, b"old,new,date\nAAQX3,ZZQX3,soon\n")
    more = annual(folder, 2022, [Quote(date(2022, 3, 1), "BBQX3", 9.0)])
    with pytest.raises(InvalidActionsError, match=r"'soon'.*the quotes of COTAHIST_A2022.TXT are in the lake"):
        ingest.file(more, partial=True)
    assert tickers(storage)["BBQX3"] == END + 1


def test_text_that_is_no_table_is_refused() -> None:
    with pytest.raises(InvalidActionsError, match="is not a CSV file"):
        read_renames(io.BytesIO(b"\xff\xfe\x00").getvalue())
