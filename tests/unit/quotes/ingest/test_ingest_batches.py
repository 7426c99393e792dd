"""Corporate actions are detected once a batch, and not at all where nothing changed."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cotahist_text import Quote, annual, daily
from dying_storage import Dying

from b3shared.core.errors import B3Error
from b3shared.quotes.corporate_actions.overrides import OVERRIDES
from b3shared.quotes.ingest.ingest import Ingest
from b3shared.quotes.lake.lake import LAKE, Lake
from b3shared.quotes.lake.manifest import KEY
from b3shared.quotes.lake.write import write_lake
from b3shared.quotes.sources.lake import LakeSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage import FolderStorage, Storage

YEARS = (2018, 2019, 2020)
DETECTING = {"step": "corporate actions", "phase": "detecting"}


class Counting(FolderStorage):
    """Counts the downloads, by the first part of the key within the lake."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.downloads: Counter[str] = Counter()

    def _receive(self, key: str, path: Path) -> None:
        self.downloads[key.removeprefix(f"{LAKE}/").partition("/")[0]] += 1
        super()._receive(key, path)


class Told:
    """An ingest's progress: how often it looked for corporate actions."""

    def __init__(self) -> None:
        self.detections = 0

    def __call__(self, words: dict[str, Any]) -> None:
        self.detections += words == DETECTING


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Annual files: a share that splits 1:2 every year, one renamed in 2020, and others."""
    folder = tmp_path / "files"
    folder.mkdir()

    for number, year in enumerate(YEARS):
        days = [
            day.date()
            for day in pd.bdate_range(
                f"{year}-01-02" if year == 2020 else f"{year}-12-02", periods=15
            )
        ]
        quotes = []
        for n, day in enumerate(days):
            splits = number + (n >= 8)
            quotes.append(
                Quote(day, "PETR4", (80 + n % 3) / 2**splits, 1000 * 2**splits, dismes=100 + splits)
            )
            quotes.append(
                Quote(day, "NEWA3" if year == 2020 else "OLDA3", 9.0, isin="BRXXXXACNOR1")
            )
            quotes += [Quote(day, f"AB{k:02}3", 20 + (n * 7 + k) % 3 / 10) for k in range(8)]
        annual(folder, year, quotes)
    return folder


def test_detected_actions_are_removed_with_the_quotes_they_were_detected_in(
    files: Path, tmp_path: Path
) -> None:
    """Only of the years that are written anew; actions of other years and overrides stay."""
    storage = FolderStorage(tmp_path / "store")
    storage.put(OVERRIDES, b"ticker,date,dividend\nAB003,2019-12-03,0.5\n")
    list(Ingest(storage).folder(files))
    source = LakeSource(f"{storage.url}/{LAKE}")
    before = source.read(QuoteQuery())
    assert sorted(before[before["split_factor"] != 1]["date"].dt.year) == [2018, 2019, 2020]
    of_2019 = before[before["date"].dt.year == 2019].assign(split_factor=1.0, dividend=0.0)
    adjusted = of_2019.assign(close=of_2019["close"].mask(of_2019["ticker"] == "PETR4", 20.0))
    for column in ("open", "high", "low", "avg"):
        adjusted[column] = adjusted["close"]
    write_lake(adjusted, storage)
    after = source.read(QuoteQuery())

    assert sorted(after[after["split_factor"] != 1]["date"].dt.year) == [2018, 2020]
    assert after["dividend"].sum() == 0.5
    assert set(after["ticker"]) == set(before["ticker"]), "renamed tickers stay so"

    manifest = Lake(storage).manifest()
    assert manifest.detected_from is None, "so that the next ingest looks again"
    write_lake(adjusted, storage)
    assert Lake(storage).manifest() == manifest
    assert Ingest(storage).actions() is True
    again = source.read(QuoteQuery())
    assert {2018, 2020} <= set(again[again["split_factor"] != 1]["date"].dt.year)


@pytest.fixture
def storage(tmp_path: Path) -> Counting:
    return Counting(tmp_path / "store")


def told_of(storage: Storage) -> tuple[list[list[object]], set[str]]:
    """The splits and the renames that a reader of the lake gets."""
    frame = LakeSource(f"{storage.url}/{LAKE}").read(QuoteQuery())
    if "split_factor" in frame.attrs["missing"]:
        return [], set(frame["ticker"])
    acted = frame[frame["split_factor"] != 1]
    return acted[["ticker", "date", "split_factor"]].astype(str).to_numpy().tolist(), set(
        frame["ticker"]
    )


def expected(years: Iterable[int]) -> tuple[list[list[object]], set[str]]:
    """The splits and renames of a lake made of these annual files at once."""
    days = {2018: "2018-12-13", 2019: "2019-12-12", 2020: "2020-01-14"}
    names = {"PETR4", "NEWA3" if 2020 in years else "OLDA3", *(f"AB{k:02}3" for k in range(8))}
    return [["PETR4", days[year], "2.0"] for year in years], names


def annual_of(files: Path, year: int) -> Path:
    return files / f"COTAHIST_A{year}.TXT"


def test_actions_of_a_folder_are_detected_once(storage: Counting, files: Path) -> None:
    told = Told()
    done = list(Ingest(storage, progress=told).folder(files))
    assert [file.changed for file in done] == [True] * 3
    assert told.detections == 1
    assert storage.downloads == {"year=2018": 1, "year=2019": 1}, "the newest year is at hand"
    assert Lake(storage).manifest().sequence == 3, "the actions come with the last file"
    assert told_of(storage) == expected(YEARS)


def test_a_file_without_changes_detects_nothing_and_fetches_no_other_year(
    storage: Counting, files: Path
) -> None:
    list(Ingest(storage).folder(files))
    before = {key: storage.sha256(key) for key in storage.list()}
    storage.downloads.clear()
    told = Told()
    ingest = Ingest(storage, progress=told)

    assert ingest.file(annual_of(files, 2019)).changed is False
    assert storage.downloads == {"year=2019": 1}, "to compare with"
    assert ingest.actions() is False
    assert [file.changed for file in ingest.folder(files)] == [False] * 3
    assert storage.downloads == {"year=2018": 1, "year=2019": 2, "year=2020": 1}
    assert told.detections == 0
    assert {key: storage.sha256(key) for key in storage.list()} == before


def test_a_single_file_and_its_actions_are_one_change(storage: Counting, files: Path) -> None:
    for number, year in enumerate(YEARS, 1):
        done = Ingest(storage).file(annual_of(files, year))
        assert (done.changed, Lake(storage).manifest().sequence) == (True, number)
    assert told_of(storage) == expected(YEARS)


def test_readers_within_a_batch_see_the_earlier_actions(storage: Counting, files: Path) -> None:
    list(Ingest(storage).folder(files))
    former = Lake(storage).manifest()
    last = date(2020, 1, 22)
    split = [
        Quote(last, "AB003", 2.0, 10_000, dismes=101),
        *(Quote(last, f"AB{k:02}3", 20.0) for k in range(1, 8)),
    ]
    Ingest(storage).file(daily(files, last, split, created="20210104"), more=True)
    now = Lake(storage).manifest()

    assert (now.actions, now.renames, now.detected_from) == (
        former.actions,
        former.renames,
        former.detected_from,
    )
    assert told_of(storage) == expected(YEARS)
    assert Ingest(storage).file(annual_of(files, 2018)).changed is True, (
        "it changes nothing, but makes up for the other"
    )

    splits, names = expected(YEARS)
    assert told_of(storage) == ([["AB003", str(last), "10.0"], *splits], names)


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after it"])
def test_any_later_ingest_completes_a_crashed_batch(
    tmp_path: Path, files: Path, after: bool
) -> None:
    Ingest(FolderStorage(tmp_path / "base")).file(annual_of(files, 2018))
    states = []

    for at in count(1):
        storage = FolderStorage(shutil.copytree(tmp_path / "base", tmp_path / f"{at}"))
        died = False
        try:
            list(Ingest(Dying(Path(storage.url), at, after)).folder(files))
        except KeyboardInterrupt:
            died = True
        there = list(Lake(storage).manifest().years)
        splits, _ = told_of(storage)
        assert splits == expected(there if not died or 2020 in there else [2018])[0], (
            "the former, or all"
        )
        states.append((len(there), len(splits)))
        calls: list[Callable[[], object]] = [
            lambda storage=storage: list(Ingest(storage).folder(files)),
            lambda storage=storage: Ingest(storage).file(annual_of(files, 2018)),
            lambda storage=storage: Ingest(storage).actions(),
        ]
        calls[at % 3]()
        now = list(Lake(storage).manifest().years)
        assert now == (list(YEARS) if at % 3 == 0 else there)
        assert told_of(storage) == expected(now)
        if not died:
            break
    assert {(1, 1), (2, 1), (3, 3)} == set(states)
    assert states.count((2, 1)) >= 3, "each of the calls found actions behind the quotes"


def test_actions_are_detected_for_the_files_before_a_refused_one(
    storage: Counting, files: Path
) -> None:
    list(Ingest(storage).folder(files))
    fresh = FolderStorage(Path(storage.url).parent / "fresh")
    told = Told()
    annual(files, 2021, [Quote(date(2021, 1, 4), close=1.0), Quote(date(2021, 1, 4), close=2.0)])
    with pytest.raises(B3Error, match="PETR4"):
        list(Ingest(fresh, progress=told).folder(files))
    assert told.detections == 1
    assert told_of(fresh) == expected(YEARS)
    assert Lake(fresh).manifest().detected_from == Lake(storage).manifest().detected_from


def test_a_new_detector_or_changed_overrides_trigger_a_detection(
    storage: Counting, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(Ingest(storage).folder(files))
    told = Told()

    def looks() -> bool:
        before = told.detections
        Ingest(storage, progress=told).file(annual_of(files, 2019))
        again = told.detections
        Ingest(storage, progress=told).file(annual_of(files, 2019))
        assert told.detections == again, "once is enough"
        return again > before

    assert not looks()
    storage.put(OVERRIDES, b"ticker,date,reject\nPETR4,2020-01-14,true\n")
    assert looks()
    assert told_of(storage)[0] == expected(YEARS)[0][:2]
    storage.delete(OVERRIDES)
    assert looks()
    assert told_of(storage) == expected(YEARS)
    monkeypatch.setattr("b3shared.quotes.ingest.lake_actions.DETECTION_VERSION", 0)
    assert looks()
    document = json.loads(storage.read(f"{LAKE}/{KEY}"))
    del document["detected_from"]  # a manifest of before it was kept
    storage.put(f"{LAKE}/{KEY}", json.dumps(document).encode())
    assert looks()


def test_overrides_apply_under_an_old_ticker_and_ones_without_effect_are_named(
    files: Path, storage: Storage
) -> None:
    rows = {
        "olda3,2018-12-04,2,,": None,
        "AB003,2019-12-03,,0.5,": None,
        "AB003,2019-12-07,,0.5,": None,  # a Saturday: from the next session
        "PETR4,2019-12-12,,,true": None,  # the split that is detected
        "AB013,2019-12-03,,,true": (
            "AB013 2019-12-03: nothing was announced or detected that could be rejected"
        ),
        "ZZZZ3,2019-12-03,2,,": "ZZZZ3 2019-12-03: the lake has no quote of it",
        "AB023,2030-01-02,2,,": "AB023 2030-01-02: its quotes are of 2018-12-03 to 2020-01-22",
    }
    storage.put(
        OVERRIDES, "\n".join(["ticker,date,split_factor,dividend,reject", *rows, ""]).encode()
    )
    ingest = Ingest(storage)
    list(ingest.folder(files))
    assert ingest.without_effect == [told for told in rows.values() if told]

    found = LakeSource(f"{storage.url}/{LAKE}").read(QuoteQuery(tickers=("NEWA3",)))
    assert found.loc[found["split_factor"] != 1, "date"].astype(str).tolist() == ["2018-12-04"]
    assert ingest.actions() is False
