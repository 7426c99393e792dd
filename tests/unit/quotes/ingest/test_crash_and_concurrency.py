"""A crash or another writer leaves a whole lake, and readers see a whole one."""

import shutil
import threading
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from cotahist_text import Quote, annual, daily
from dying_storage import Dying
from ingested import MONDAY, TUESDAY, change, closes, lake_of, record

from b3shared.core.errors import (
    B3Error,
)
from b3shared.quotes.ingest.ingest import Ingest
from b3shared.quotes.lake.lake import LAKE, Lake
from b3shared.quotes.sources.lake import LakeSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage import FolderStorage, Storage


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after it"])
def test_a_crash_at_any_write_leaves_a_whole_lake_and_a_retry_completes_it(
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


def test_files_ingested_at_once_are_all_in_the_lake(storage: Storage, files: Path) -> None:
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
    """Another writer changes the lake twice between a reader's manifest and its first download."""

    overtake: Callable[[], None] | None = None

    def _receive(self, key: str, path: Path) -> None:
        if self.overtake is not None:
            overtake, self.overtake = self.overtake, None
            overtake()
        super()._receive(key, path)


def test_a_reader_overtaken_twice_reads_the_newest_lake(storage: Storage, files: Path) -> None:
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
