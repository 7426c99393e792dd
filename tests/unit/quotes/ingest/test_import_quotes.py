"""Quotes of another source become a lake with detected splits; a lake is no such source."""

import shutil
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from cotahist_text import Quote, annual, daily

from b3shared.core.config import BUNDLED_QUOTES
from b3shared.core.errors import InvalidActionsError, InvalidParameterError, NoQuotesError
from b3shared.params.run import PipelineParams
from b3shared.quotes.corporate_actions.detection import detect_in
from b3shared.quotes.corporate_actions.overrides import OVERRIDES
from b3shared.quotes.corporate_actions.table import with_actions
from b3shared.quotes.ingest.import_quotes import fill_lake
from b3shared.quotes.ingest.ingest import Ingest
from b3shared.quotes.lake.lake import LAKE, Lake
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.loading.load import load_quotes
from b3shared.quotes.sources import open_source
from b3shared.quotes.sources.lake import LakeSource
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage import FolderStorage, Storage

TICKERS = ("MGLU3", "PETR4", "VALE3")
MGLU3_SPLIT = ["MGLU3", "2020-10-14", 4.0]


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "store")


@pytest.fixture(scope="module")
def listed() -> pd.DataFrame:
    """Real quotes with the vendor's splits and dividends."""
    return ParquetSource(BUNDLED_QUOTES).read(QuoteQuery(tickers=TICKERS))


@pytest.fixture(scope="module")
def bare(listed: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> ParquetSource:
    """The same quotes, of somebody who has neither."""
    path = tmp_path_factory.mktemp("bare") / "nosplit.parquet"
    return ParquetSource(write_parquet(listed.drop(columns=["split_factor", "dividend"]), path))


def lake_of(storage: Storage) -> LakeSource:
    return LakeSource(f"{storage.url}/{LAKE}")


def splits(frame: pd.DataFrame) -> list[list[object]]:
    acted = frame[frame["split_factor"] != 1]
    return acted[["ticker", "date", "split_factor"]].astype({"date": str}).to_numpy().tolist()


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("replace", [False, True])
def test_splits_are_detected_where_the_source_lists_none(
    storage: Storage, bare: ParquetSource, listed: pd.DataFrame, replace: bool
) -> None:
    filled = fill_lake(bare, storage, replace=replace)
    assert filled.keys == storage.list(f"{LAKE}/year=")
    assert filled.notes() == [
        f"the source has no {', '.join(bare.read(QuoteQuery()).attrs['missing'])}",
        "splits and bonuses were looked for in the prices",
    ]
    assert MGLU3_SPLIT in splits(listed), "the vendor lists it"
    assert MGLU3_SPLIT in splits(lake_of(storage).read(QuoteQuery()))

    report = load_quotes(lake_of(storage), PipelineParams(tickers=TICKERS, end="2023-12-28")).report
    assert "dividend" in report["missing_columns"]
    assert report["corporate_actions"]["dividends"] == 0
    assert report["corporate_actions"]["splits"] > 0


def test_missing_columns_stay_reported_after_later_files(
    storage: Storage, bare: ParquetSource, tmp_path: Path
) -> None:
    fill_lake(bare, storage)
    day = date(2023, 12, 28)
    Ingest(storage).file(daily(tmp_path, day, [Quote(day, ticker, 10.0) for ticker in TICKERS]))
    Ingest(storage).file(annual(tmp_path, 2024, [Quote(date(2024, 1, 2), "PETR4", 10.0)]))
    frame = lake_of(storage).read(QuoteQuery())
    assert frame.attrs["missing"] == ["dividend"]
    assert MGLU3_SPLIT in splits(frame)


def test_listed_splits_of_a_source_are_kept(
    storage: Storage, listed: pd.DataFrame, tmp_path: Path
) -> None:
    source = ParquetSource(write_parquet(listed, tmp_path / "listed.parquet"))
    filled = fill_lake(source, storage)
    assert filled.detected is False
    assert Lake(storage).manifest().actions is None
    pd.testing.assert_frame_equal(lake_of(storage).read(QuoteQuery()), source.read(QuoteQuery()))


def test_actions_are_detected_anew_in_imported_quotes(
    storage: Storage, bare: ParquetSource, listed: pd.DataFrame, tmp_path: Path
) -> None:
    fill_lake(bare, storage)
    listing = ParquetSource(write_parquet(listed, tmp_path / "listed.parquet"))
    assert fill_lake(listing, storage).detected is True
    quotes = listing.read(QuoteQuery())
    pd.testing.assert_frame_equal(
        lake_of(storage).read(QuoteQuery()), with_actions(quotes, detect_in(quotes))
    )
    assert Ingest(storage).actions() is False, "nothing is behind"


def test_a_source_without_quotes_is_refused_and_the_lake_stays(
    storage: Storage, bare: ParquetSource, tmp_path: Path
) -> None:
    fill_lake(bare, storage)
    before = {key: storage.sha256(key) for key in storage.list()}
    rowless = tmp_path / "rowless.parquet"
    duckdb.execute(f"COPY (FROM '{BUNDLED_QUOTES}' LIMIT 0) TO '{rowless}' (FORMAT parquet)")
    for replace in (False, True):
        with pytest.raises(NoQuotesError, match=r"rowless\.parquet holds no rows"):
            fill_lake(ParquetSource(rowless), storage, replace=replace)
    assert {key: storage.sha256(key) for key in storage.list()} == before


# -- a lake is no source


@pytest.fixture
def ingested(storage: FolderStorage, tmp_path: Path) -> Path:
    """A storage whose lake has DISMES, a split and an override, which an import would lose."""
    days = [day.date() for day in pd.bdate_range("2020-01-02", periods=30)]
    quotes = [
        Quote(d, f"AB{n:02}3", 20 + (i * 7 + n) % 3 / 10)
        for i, d in enumerate(days)
        for n in range(8)
    ]
    quotes += [
        Quote(d, "PETR4", (40 + i % 3) / (1 + (i >= 20)), dismes=100 + (i >= 20))
        for i, d in enumerate(days)
    ]
    storage.put(OVERRIDES, f"ticker,date,dividend\nAB003,{days[5]},0.5\n".encode())
    Ingest(storage).file(annual(tmp_path, 2020, quotes))

    assert len(splits(lake_of(storage).read(QuoteQuery()))) == 1
    return tmp_path / "store"


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize(
    "place",
    ["lake/quotes", "lake/quotes/year=2020", "lake", ".", "file", "elsewhere/../lake/quotes/"],
)
def test_the_lake_itself_is_refused_as_its_own_source(
    ingested: Path, place: str, replace: bool
) -> None:
    (ingested / "elsewhere").mkdir()
    source = (
        next((ingested / LAKE).glob("year=2020/*")) if place == "file" else f"{ingested}/{place}"
    )
    before = content(ingested)
    with pytest.raises(
        InvalidParameterError, match=f"^quotes must be other than the lake .*got '{source}'"
    ):
        fill_lake(open_source(source), FolderStorage(ingested), replace=replace)
    assert content(ingested) == before


def test_files_inside_the_lake_are_refused_as_its_source(
    storage: FolderStorage, bare: ParquetSource
) -> None:
    storage.upload(bare.path, f"{LAKE}/year=2020/mine.parquet")
    with pytest.raises(InvalidParameterError, match="must be other than the lake that"):
        fill_lake(open_source(f"{storage.url}/{LAKE}"), storage)
    assert storage.list() == [f"{LAKE}/year=2020/mine.parquet"]


@pytest.mark.parametrize("place", ["lake/quotes", "lake/quotes/year=2020", ""])
def test_another_lake_is_refused_with_the_way_to_copy_it(
    ingested: Path, tmp_path: Path, place: str
) -> None:
    target = FolderStorage(tmp_path / "target")
    with pytest.raises(InvalidParameterError, match=r"must not be a lake.*copy the folder lake/"):
        fill_lake(open_source(ingested / place), target)
    assert target.list() == []


def test_a_lake_on_s3_is_refused_before_it_is_read(storage: Storage) -> None:
    with pytest.raises(
        InvalidParameterError, match=r"^quotes must not be a lake.*got 's3://b3-bucket/lake/quotes'"
    ):
        fill_lake(open_source("s3://b3-bucket/lake/quotes"), storage)


def test_a_copied_lake_reads_as_the_original(ingested: Path, tmp_path: Path) -> None:
    target = FolderStorage(tmp_path / "target")
    shutil.copytree(ingested / "lake", tmp_path / "target" / "lake")
    source = lake_of(FolderStorage(ingested))
    pd.testing.assert_frame_equal(lake_of(target).read(QuoteQuery()), source.read(QuoteQuery()))
    assert Ingest(target).actions() is False, "nothing is behind"


# -- the user's word on it


@pytest.mark.parametrize(
    "moment", ["2020-10-14T03:00:00", "2020-10-14T00:00:00Z", "2020-10-14T00:00:00-03:00", "2020"]
)
def test_an_override_with_a_time_is_refused_and_the_lake_stays(
    storage: Storage, bare: ParquetSource, moment: str
) -> None:
    fill_lake(bare, storage)
    before = Lake(storage).manifest()
    storage.put(
        OVERRIDES, f"ticker,date,split_factor,dividend,reject\nMGLU3,{moment},4,,\n".encode()
    )
    with pytest.raises(
        InvalidActionsError,
        match=f"overrides row 1 .*date must be a day as YYYY-MM-DD.*got '{moment}'",
    ):
        Ingest(storage).actions()
    assert Lake(storage).manifest() == before


def test_an_override_replaces_the_detection_of_its_day(
    storage: Storage, bare: ParquetSource
) -> None:
    storage.put(OVERRIDES, b"ticker,date,split_factor\nMGLU3, 2020-10-14 ,5\n")
    fill_lake(bare, storage)
    assert [
        row[2] for row in splits(lake_of(storage).read(QuoteQuery())) if row[:2] == MGLU3_SPLIT[:2]
    ] == [5.0]
