"""A folder is ingested oldest first, and its faulty files are named."""

import gzip
from pathlib import Path

import pytest
from cotahist_text import Quote, cotahist, daily
from ingested import MONDAY, TUESDAY, closes

from b3shared.core.errors import (
    DiskFullError,
    IncompleteIngestError,
    NoQuotesError,
    SourceUnavailableError,
)
from b3shared.quotes.ingest.ingest import Ingest
from b3shared.quotes.lake.lake import Lake
from b3shared.storage import Storage


def test_a_folder_is_ingested_oldest_first_so_that_a_correction_wins(
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


def test_good_files_of_a_folder_are_ingested_and_the_others_are_named(
    storage: Storage, files: Path
) -> None:
    """A note comes first, a subset between, and the last file is refused; actions are detected."""
    daily(files, MONDAY, [Quote(MONDAY)]).rename(files / "cotahist_d06012020.txt")
    (files / "COTAHIST_D08012020.TXT").write_bytes(
        cotahist([Quote(TUESDAY)], 2020, "20200107", records=9)
    )
    daily(files, TUESDAY, [Quote(TUESDAY, close=11.0)], created="20200108")
    (files / "COTAHIST_D09012020.TXT").write_bytes(cotahist([Quote(MONDAY)], 2020, "20200109"))
    (files / "leia-me.txt").write_text("baixado da bolsa em março", encoding="utf-8")
    ingest = Ingest(storage)
    taken: list[str] = []

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


def test_a_missing_folder_file_or_address_is_named(storage: Storage, files: Path) -> None:
    with pytest.raises(NoQuotesError, match="holds no COTAHIST file"):
        list(Ingest(storage).folder(files))
    with pytest.raises(SourceUnavailableError, match="is not a folder"):
        list(Ingest(storage).folder(files / "none"))
    with pytest.raises(SourceUnavailableError, match="is not a file"):
        Ingest(storage).file(files / "none.TXT")
    with pytest.raises(SourceUnavailableError, match="no address"):
        Ingest(storage).period(None)  # type: ignore[arg-type]
    assert storage.list() == []
