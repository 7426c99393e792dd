"""A lake unites announcements with its quotes, keeps every state of an event, and reads them."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from announced import around
from exchange_answers import PETR, at, cash_answer, cash_row, stock_row, supplement_answer
from ingested import lake_of

from b3shared.core.config import Settings
from b3shared.core.serialization import from_json, to_json
from b3shared.quotes.corporate_actions.announcements.archive import keep_answers
from b3shared.quotes.corporate_actions.history import current_events
from b3shared.quotes.corporate_actions.overrides import OVERRIDES
from b3shared.quotes.ingest.import_quotes import fill_lake
from b3shared.quotes.ingest.ingest import Ingest
from b3shared.quotes.ingest.job import ingest_quotes
from b3shared.quotes.ingest.request import IngestRequest
from b3shared.quotes.lake.lake import LAKE, Lake
from b3shared.quotes.lake.parquet import read_parquet, write_parquet
from b3shared.quotes.lake.write import write_lake
from b3shared.quotes.loading.load import read_quotes
from b3shared.quotes.sources import open_source
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage import FolderStorage

PETR4 = "BRPETRACNPR6"
LAST = "2023-08-21"


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    """A lake of PETR4 around 2023-08-21, a rise of DISMES on the next day."""
    storage = FolderStorage(tmp_path / "store")
    frame = around("PETR4", LAST, 31.0, 29.9, isin=PETR4, type="PN", mark="EJ")
    write_lake(frame.drop(columns=["split_factor", "dividend"]), storage)
    Ingest(storage).actions()
    return storage


def table(storage: FolderStorage) -> pd.DataFrame:
    file = Lake(storage).manifest().actions
    assert file is not None
    return read_parquet(Path(storage.url, LAKE, file.key))


def texts(rows: pd.DataFrame) -> set[tuple[str, ...]]:
    return set(rows.astype(str).itertuples(index=False, name=None))


def announce(
    storage: FolderStorage, day: str, *rows: dict, stock: list[dict] | None = None
) -> bool:
    answers = [cash_answer(PETR, f"{day}T23:30", *rows)]
    answers.append(supplement_answer(PETR, f"{day}T23:30", stock=stock or []))
    return keep_answers(storage, PETR, answers)


JCP = cash_row("21/08/2023", "0,575", label="JRS CAP PROPRIO", dateApproval="03/08/2023")


def test_new_announcements_make_the_events_anew_and_only_then(storage: FolderStorage) -> None:
    ingest = Ingest(storage)
    assert lake_of(storage)["dividend"].isna().all()
    assert not ingest.actions()
    announce(storage, "2023-09-12", JCP, JCP)
    assert ingest.actions()
    assert not ingest.actions()
    dividends = lake_of(storage).set_index("date")["dividend"]
    assert dividends["2023-08-22"] == pytest.approx(1.15)
    assert dividends.sum() == pytest.approx(1.15)
    assert dividends.notna().all()


def test_rows_of_the_table_before_are_all_in_the_table_after(storage: FolderStorage) -> None:
    tables = [table(storage)]
    rows = [JCP], [JCP, JCP], [cash_row("21/08/2023", "0,60", label="JRS CAP PROPRIO")]
    for number, own in enumerate(rows):
        announce(storage, f"2023-09-1{number}", *own)
        assert Ingest(storage).actions()
        tables.append(table(storage))
    storage.put(OVERRIDES, b"ticker,date,dividend\nPETR4,2023-08-22,1.0\n")
    assert Ingest(storage).actions()
    tables.append(table(storage))

    for before, after in pairwise(tables):
        assert texts(before) < texts(after)
        assert after["revision"].max() == before["revision"].max() + 1
    events = current_events(tables[-1])
    assert sorted(zip(events["kind"], events["state"], strict=True)) == [
        ("dividend", "given"),
        ("dividend", "overridden"),
        ("ex_mark", "detected"),
    ]
    assert (table(storage)["state"] == "withdrawn").any()
    assert lake_of(storage)["dividend"].sum() == 1.0


def test_replacing_a_year_withdraws_its_detections_and_keeps_the_rows(
    storage: FolderStorage,
) -> None:
    announce(storage, "2023-09-12", JCP)
    Ingest(storage).actions()
    before = table(storage)
    frame = around("PETR4", LAST, 31.0, 30.5, isin=PETR4, type="PN", stepped=False)
    write_lake(frame.drop(columns=["split_factor", "dividend"]), storage)
    after = table(storage)
    assert texts(before) < texts(after)
    gone = after[after["state"] == "withdrawn"]
    assert gone["kind"].tolist() == ["ex_mark"]


def test_dividends_of_days_after_the_newest_answer_are_not_known(storage: FolderStorage) -> None:
    announce(storage, "2023-08-24", JCP)
    Ingest(storage).actions()
    dividends = lake_of(storage).set_index("date")["dividend"]
    assert dividends[:"2023-08-24"].notna().all()
    assert dividends["2023-08-25":].isna().all()


def test_findings_are_in_the_answer_and_in_the_report_of_a_load(storage: FolderStorage) -> None:
    odd = stock_row(PETR4, "CONVERSAO", "100,00000000000", "16/08/2023")
    announce(storage, "2023-09-12", stock=[odd])
    settings = Settings(storage=storage.url)
    answer = ingest_quotes(IngestRequest(key=OVERRIDES), settings)
    found = answer["event_findings"]
    assert found["count"] == len(found["newest"])
    assert any("PETR4 2023-08-22: mark EJ and DISMES 100 to 101" in t for t in found["newest"])
    assert any("PETR4 2023-08-17: CONVERSAO of 100 is not applied" in t for t in found["newest"])

    source = open_source(f"{storage.url}/{LAKE}")
    quotes, findings = read_quotes(source, QuoteQuery())
    rows = {finding.kind: finding.rows for finding in findings}
    assert rows["step_without_event"] == 1
    assert rows["unknown_label"] == 1
    assert (quotes["split_factor"] == 1).all()
    _, later = read_quotes(source, QuoteQuery(start=pd.Timestamp("2023-08-30").date()))
    assert all(f.rows == 0 for f in later if f.kind in ("step_without_event", "unknown_label"))


def test_imported_quotes_keep_their_own_dividends_beside_announced_ones(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "store")
    frame = around("PETR4", LAST, 31.0, 29.9, isin=PETR4, type="PN").drop(columns="dismes")
    own = np.where(frame["date"] == "2023-08-15", 0.2, 0.0)
    path = write_parquet(frame.assign(dividend=own), tmp_path / "quotes.parquet")
    announce(storage, "2023-09-12", JCP)
    filled = fill_lake(open_source(path), storage)
    assert filled.detected
    dividends = lake_of(storage).set_index("date")["dividend"]
    assert dividends["2023-08-15"] == 0.2
    assert dividends["2023-08-22"] == 0.575
    assert dividends.sum() == pytest.approx(0.775)


def test_what_was_known_of_an_event_is_its_approval(storage: FolderStorage) -> None:
    announce(storage, "2023-09-12", JCP)
    Ingest(storage).actions()
    events = current_events(table(storage))
    (paid,) = events[events["source"] == "announced"].to_dict("records")
    assert paid["known"] == pd.Timestamp("2023-08-03")
    assert paid["last_cum"] == pd.Timestamp(LAST)
    assert paid["state"] == "confirmed"
    assert at("2023-09-12T23:30").date().isoformat() not in paid["evidence"]


def test_a_lake_with_actions_of_an_earlier_form_is_read_and_made_anew(
    storage: FolderStorage,
) -> None:
    key = f"{LAKE}/manifest.json"
    manifest = from_json(storage.read(key), key)
    storage.put(key, to_json(manifest | {"coverage": None, "findings": None}))
    source = open_source(f"{storage.url}/{LAKE}")
    quotes, _ = read_quotes(source, QuoteQuery())
    assert quotes["dividend"].isna().all()
    announce(storage, "2023-09-12", JCP)
    assert Ingest(storage).actions()
    assert table(storage)["revision"].max() == 1
    assert lake_of(storage)["dividend"].sum() == 0.575
