"""A folder of saved answers feeds a machine without internet; a wrong file is named."""

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from exchange_answers import ABEV, at, cash_row, details, page, stock_row, supplement
from paths import SHARED_DATA

from b3shared.core.errors import InvalidAnnouncementsError, SourceUnavailableError
from b3shared.quotes.corporate_actions.announcements.archive import (
    announcements_state,
    read_announcements,
)
from b3shared.quotes.corporate_actions.announcements.saved_answers import import_saved_answers
from b3shared.storage import FolderStorage

PAYLOADS = SHARED_DATA / "company" / "payloads"
SAVED = at("2022-06-06T12:00")


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "saved").mkdir()
    return tmp_path / "saved"


def save(folder: Path, name: str, value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    (folder / name).write_text(text, encoding="utf-8")
    os.utime(folder / name, (SAVED.timestamp(), SAVED.timestamp()))


def test_files_in_any_case_and_of_several_pages_are_taken(
    storage: FolderStorage, folder: Path
) -> None:
    rows = [cash_row(f"0{day}/06/2021", f"0,{day}", "ON") for day in range(1, 4)]
    save(folder, "abev_getlistedcashdividends.json", page(rows[:2], 1, records=3, size=2))
    save(folder, "ABEV_GetListedCashDividends_2.JSON", page(rows[2:], 2, records=3, size=2))
    save(folder, "ABEV_GetDetailsCompany.json", details(ABEV, "BRABEVACNOR1"))
    save(folder, "ABEV_GetListedSupplementCompany.json", supplement("ABEV"))
    (folder / "notes.txt").write_text("not an answer")
    result = import_saved_answers(storage, folder)
    assert (result.files, result.issuers, result.refused, result.changed) == (4, ["ABEV"], {}, True)
    tables = read_announcements(storage)
    assert tables.rows["value"].tolist() == [0.1, 0.2, 0.3]
    (row,) = tables.companies.to_dict("records")
    assert (row["trading_name"], row["code_cvm"], row["ticker"]) == ("AMBEV S/A", "23264", "ABEV3")
    assert row["cash_fetched"] == pd.Timestamp("2022-06-06T12:00")


def test_the_same_folder_twice_changes_nothing(storage: FolderStorage, folder: Path) -> None:
    save(folder, "ABEV_GetListedCashDividends.json", page([cash_row("01/06/2021", "1")]))
    import_saved_answers(storage, folder)
    before = announcements_state(storage)
    assert not import_saved_answers(storage, folder).changed
    assert announcements_state(storage) == before


WRONG = {
    "ABEV_GetListedSupplementCompany.json": ("<html>", "not a web page"),
    "ABEV_GetDetailsCompany.json": ("", "empty body"),
    "PETR_GetListedCashDividends.json": (
        page([cash_row("01/06/2021", "1")], records=2),
        "totalRecords",
    ),
    "VALE_GetListedCashDividends_2.json": (
        page([cash_row("01/06/2021", "1")], 2, records=121),
        "pageNumber must be 1",
    ),
    "WEGE_GetListedSupplementCompany.json": (
        supplement("WEGE", [stock_row("BRWEGEACNOR0", "BONIFICACAO", "9.9", "01/06/2021")]),
        "stockDividends row 1.factor",
    ),
    "WEGE_GetDetailsCompany_2.json": ({}, "name must be such as"),
    "petr_rows.json": ([], "name must be such as"),
    "GetInitialCompanies.json": ([], "page and results"),
}


def test_wrong_files_are_named_and_the_others_are_taken(
    storage: FolderStorage, folder: Path
) -> None:
    save(folder, "ABEV_GetListedCashDividends.json", page([cash_row("01/06/2021", "1")]))
    for name, (value, _) in WRONG.items():
        save(folder, name, value)
    result = import_saved_answers(storage, folder)
    assert result.issuers == ["ABEV"]
    assert result.refused.keys() == WRONG.keys()
    for name, (_, words) in WRONG.items():
        assert words in result.refused[name].message
    assert len(read_announcements(storage).rows) == 1


def test_names_come_from_the_list_where_the_folder_has_it(
    storage: FolderStorage, folder: Path
) -> None:
    listed = {"issuingCompany": "ABEV", "tradingName": "AMBEV S/A", "codeCVM": 23264}
    save(folder, "GetInitialCompanies.json", page([listed]))
    save(folder, "ABEV_GetListedCashDividends.json", page([cash_row("01/06/2021", "1")]))
    import_saved_answers(storage, folder)
    (row,) = read_announcements(storage).companies.to_dict("records")
    assert (row["trading_name"], row["code_cvm"]) == ("AMBEV S/A", "23264")


def test_the_same_answer_in_two_files_is_refused(storage: FolderStorage, folder: Path) -> None:
    save(folder, "ABEV_GetListedCashDividends.json", page([cash_row("01/06/2021", "1")]))
    save(folder, "abev_GetListedCashDividends_1.json", page([cash_row("01/06/2021", "2")]))
    result = import_saved_answers(storage, folder)
    assert len(result.refused) == 1
    assert len(read_announcements(storage).rows) == 1


def test_a_missing_and_an_empty_folder_are_errors(storage: FolderStorage, folder: Path) -> None:
    with pytest.raises(SourceUnavailableError, match="is not a folder"):
        import_saved_answers(storage, folder / "gone")
    with pytest.raises(InvalidAnnouncementsError, match="holds no saved answer"):
        import_saved_answers(storage, folder)


@pytest.mark.skipif(
    not PAYLOADS.is_dir(), reason="the exchange's real answers are not on this machine"
)
def test_the_real_answers_are_taken_as_they_are(storage: FolderStorage) -> None:
    result = import_saved_answers(storage, PAYLOADS)
    assert result.issuers == ["ABEV", "MGLU"]
    tables = read_announcements(storage)
    counts = tables.rows.groupby("answer")["label"].count().to_dict()
    assert counts == {
        "cash": 29,
        "supplement_cash": 3,
        "supplement_stock": 2,
        "supplement_subscription": 2,
    }
    assert "name must be such as" in result.refused["bbas_bbdc_rows.json"].message
