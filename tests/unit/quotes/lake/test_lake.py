"""A lake reads like one file with the same rows, and fetches only the years of a query."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from moto import mock_aws

from b3shared.core.config import BUNDLED_QUOTES
from b3shared.core.errors import (
    ArtifactCorruptError,
    ArtifactNotFoundError,
    ConflictError,
    InvalidParameterError,
    InvalidQuotesError,
    NoQuotesError,
)
from b3shared.quotes.lake.lake import ATTEMPTS, Draft, Lake
from b3shared.quotes.lake.manifest import Manifest
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.lake.write import replace_lake, write_lake
from b3shared.quotes.sources import open_source
from b3shared.quotes.sources.lake import LakeSource
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage import S3Storage, Storage, open_storage

TICKERS = ("PETR4", "VALE3")
QUERIES = [
    QuoteQuery(tickers=TICKERS),
    QuoteQuery(date(2021, 11, 3), date(2022, 2, 4), TICKERS),
    QuoteQuery(end=date(2020, 3, 31), tickers=TICKERS),
    QuoteQuery(start=date(2023, 12, 28), tickers=("VALE3",)),
    QuoteQuery(tickers=("XXXX3",)),
]


@pytest.fixture(scope="module")
def bundled_years(tmp_path_factory: pytest.TempPathFactory) -> ParquetSource:
    """The last five years of the bundled quotes."""
    path = tmp_path_factory.mktemp("years") / "bundled.parquet"
    duckdb.execute(
        f"COPY (FROM '{BUNDLED_QUOTES}' WHERE date >= '2019-01-01') TO '{path}' (FORMAT parquet)"
    )
    return ParquetSource(path)


@pytest.fixture(scope="module")
def raw(bundled_years: ParquetSource) -> pd.DataFrame:
    return bundled_years.read(QuoteQuery(tickers=TICKERS))


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if request.param == "folder":
        yield open_storage(tmp_path / "lake")
        return
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        storage = S3Storage("b3-test-bucket", "one")
        storage._client.create_bucket(Bucket="b3-test-bucket")
        yield storage


def lake_of(storage: Storage, prefix: str = "lake/quotes") -> LakeSource:
    return LakeSource(f"{storage.url}/{prefix}")


@pytest.fixture
def lake(storage: Storage, raw: pd.DataFrame) -> LakeSource:
    write_lake(raw, storage)
    return lake_of(storage)


@pytest.mark.parametrize(
    "query", QUERIES, ids=lambda q: f"{q.start} to {q.end}, {','.join(q.tickers)}"
)
def test_a_lake_reads_like_one_file_with_the_same_rows(
    lake: LakeSource, bundled_years: ParquetSource, query: QuoteQuery
) -> None:
    expected = bundled_years.read(query)
    found = lake.read(query)
    pd.testing.assert_frame_equal(found, expected)
    assert found.attrs == expected.attrs
    assert lake.newest() == date(2023, 12, 28)


def test_a_lake_is_one_file_a_year_under_its_prefix(storage: Storage, raw: pd.DataFrame) -> None:
    keys = write_lake(raw, storage)
    assert [key.rpartition("/")[0] for key in keys] == [
        f"lake/quotes/year={year}" for year in range(2019, 2024)
    ]
    assert storage.list() == ["lake/quotes/manifest.json", *keys]
    (key,) = write_lake(raw[raw["date"] >= "2023-01-01"], storage, "elsewhere")
    assert key == f"elsewhere/year=2023/000001-{storage.sha256(key)[:16]}.parquet"
    assert lake_of(storage, "elsewhere").read(QuoteQuery())["date"].min() == pd.Timestamp(
        "2023-01-02"
    )


def test_only_the_years_of_the_query_are_fetched(storage: Storage, lake: LakeSource) -> None:
    for key in storage.list("lake/quotes/year="):  # whoever opens one of these fails
        if any(f"year={year}" in key for year in (2019, 2020, 2022)):
            storage.put(key, b"not Parquet")
    assert lake.newest() == date(2023, 12, 28)
    assert len(lake.read(QuoteQuery(date(2021, 1, 1), date(2021, 12, 31)))) == 2 * 247
    assert len(lake.read(QuoteQuery(start=date(2023, 12, 28)))) == 2
    for query in (
        QuoteQuery(end=date(2021, 12, 31)),
        QuoteQuery(date(2021, 6, 1), date(2022, 1, 1)),
    ):
        with pytest.raises(ArtifactCorruptError, match="SHA-256"):
            lake.read(query)


@pytest.mark.parametrize(
    "query", [QuoteQuery(start=date(2030, 1, 1)), QuoteQuery(end=date(2001, 1, 1))]
)
def test_a_query_outside_the_lake_gives_no_row_but_the_schema(
    lake: LakeSource, query: QuoteQuery
) -> None:
    found = lake.read(query)
    assert found.empty
    assert list(found.columns) == list(lake.read(QUERIES[3]).columns)


def test_an_empty_lake_and_a_missing_bucket_are_different_errors(storage: Storage) -> None:
    lake = lake_of(storage)
    for ask in (lake.newest, lambda: lake.read(QuoteQuery())):
        with pytest.raises(NoQuotesError, match=r"lake/quotes holds no year=YYYY/\*\.parquet"):
            ask()
    storage.put("lake/quotes/year=2023/_SUCCESS", b"")
    storage.put("lake/quotes/year=latest/quotes.parquet", b"whatever")
    storage.put("lake/quotes/2023.parquet", b"whatever")
    with pytest.raises(NoQuotesError):
        lake.newest()
    if isinstance(storage, S3Storage):
        with pytest.raises(InvalidParameterError, match="no bucket 'b3-other-bucket'"):
            LakeSource("s3://b3-other-bucket/lake").newest()


def test_a_newest_year_without_rows_is_an_error_not_a_date(
    storage: Storage, raw: pd.DataFrame, tmp_path: Path
) -> None:
    rowless = tmp_path / "rowless.parquet"
    duckdb.execute(f"COPY (FROM '{BUNDLED_QUOTES}' LIMIT 0) TO '{rowless}' (FORMAT parquet)")
    storage.upload(rowless, "lake/quotes/year=2023/quotes.parquet")
    with pytest.raises(NoQuotesError, match="no rows"):
        lake_of(storage).newest()


def test_a_year_of_the_future_hides_no_session_and_is_read(
    storage: Storage, raw: pd.DataFrame
) -> None:
    typo = raw.head(1).assign(date=pd.Timestamp("2099-01-04").as_unit("s"))
    write_lake(pd.concat([raw, typo]), storage)
    lake = lake_of(storage)
    assert lake.newest() == date(2023, 12, 28)
    assert lake.read(QuoteQuery(start=date(2023, 12, 28)))["date"].dt.year.tolist() == [
        2023,
        2099,
        2023,
    ]
    write_lake(typo, storage, "only")
    with pytest.raises(NoQuotesError, match="only holds no rows dated up to today"):
        lake_of(storage, "only").newest()


def test_an_empty_newest_year_hides_no_session(
    storage: Storage, lake: LakeSource, tmp_path: Path
) -> None:
    rowless = tmp_path / "rowless.parquet"
    duckdb.execute(f"COPY (FROM '{BUNDLED_QUOTES}' LIMIT 0) TO '{rowless}' (FORMAT parquet)")
    storage.upload(rowless, "lake/quotes/year=2024/quotes.parquet")
    assert lake.newest() == date(2023, 12, 28)


def test_rows_without_a_date_are_kept_with_the_newest_year(
    storage: Storage, raw: pd.DataFrame
) -> None:
    undated = raw.head(2).assign(date=pd.NaT).astype({"date": "datetime64[s]"})
    assert len(write_lake(pd.concat([raw, undated]), storage)) == 5
    found = lake_of(storage).read(QuoteQuery(start=date(2023, 1, 1)))
    assert found["date"].isna().sum() == 2
    assert len(found) == (raw["date"].dt.year == 2023).sum() + 2


def test_replacing_leaves_only_the_new_quotes_and_touches_nothing_else(
    storage: Storage, lake: LakeSource, raw: pd.DataFrame, tmp_path: Path
) -> None:
    others = [
        "lake/quotes/README",
        "lake/quotes/year=2019/_SUCCESS",
        "lake/quotes-old/year=2019/quotes.parquet",
    ]
    for key in others:
        storage.put(key, b"of somebody else")
    others_part = "lake/quotes/year=2022/part-1.parquet"
    storage.put(others_part, b"of another writer")
    new = ParquetSource(
        write_parquet(raw[raw["date"].dt.year.isin([2021, 2022])], tmp_path / "new.parquet")
    )
    keys = replace_lake(new.read(QuoteQuery()), storage)
    assert [key.rpartition("/")[0] for key in keys] == [
        f"lake/quotes/year={year}" for year in (2021, 2022)
    ]
    assert Lake(storage).manifest().keys() == {key.removeprefix("lake/quotes/") for key in keys}
    pd.testing.assert_frame_equal(lake.read(QuoteQuery()), new.read(QuoteQuery()))
    replace_lake(raw, storage)  # and now nobody reads what the one before replaced
    named = {
        "manifest.json",
        *Lake(storage).manifest().keys(),
        *Lake(storage).manifest().superseded,
    }
    assert set(storage.list("lake/quotes/")) == {f"lake/quotes/{key}" for key in named} | {
        *others[:2],
        others_part,
    }


def test_text_for_a_date_is_named(storage: Storage, tmp_path: Path) -> None:
    file = tmp_path / "q.parquet"
    duckdb.execute(
        "COPY (SELECT 'PETR4' AS ticker, 'yesterday' AS date, 10.0 AS close) "
        f"TO '{file}' (FORMAT parquet)"
    )
    storage.upload(file, "lake/quotes/year=2023/quotes.parquet")
    for ask in (lake_of(storage).newest, lambda: lake_of(storage).read(QuoteQuery())):
        with pytest.raises(InvalidQuotesError, match="yesterday"):
            ask()


def test_writing_replaces_whole_years_and_keeps_the_others(
    storage: Storage, lake: LakeSource, raw: pd.DataFrame, tmp_path: Path
) -> None:
    part = tmp_path / "part.parquet"
    wege3 = f"FROM '{BUNDLED_QUOTES}' WHERE ticker = 'WEGE3' AND year(date) = 2022"
    duckdb.execute(f"COPY ({wege3}) TO '{part}' (FORMAT parquet)")
    storage.upload(
        part, "lake/quotes/year=2022/part-1.parquet"
    )  # of somebody who does not know of the manifest
    before = {key: storage.sha256(key) for key in storage.list()}
    assert "WEGE3" not in set(lake.read(QuoteQuery(date(2022, 1, 1), date(2022, 12, 31)))["ticker"])
    petr4 = raw[(raw["ticker"] == "PETR4") & (raw["date"].dt.year == 2022)].assign(close=1.0)
    (key,) = write_lake(petr4, storage)
    assert key.startswith("lake/quotes/year=2022/")
    found = lake.read(QuoteQuery())
    in_2022 = found["date"].dt.year == 2022
    pd.testing.assert_frame_equal(
        found[in_2022].reset_index(drop=True), petr4.reset_index(drop=True)
    )
    expected = raw[raw["date"].dt.year != 2022].reset_index(drop=True)
    pd.testing.assert_frame_equal(found[~in_2022].reset_index(drop=True), expected)
    after = {key: storage.sha256(key) for key in storage.list()}
    assert set(after) == {*before, key}, "what a reader may still follow stays"
    assert [key for key in before if before[key] != after[key]] == ["lake/quotes/manifest.json"]


def test_the_same_rows_are_the_same_bytes_and_no_rows_write_nothing(
    storage: Storage, raw: pd.DataFrame
) -> None:
    keys = write_lake(raw, storage)
    before = {key: storage.sha256(key) for key in storage.list()}
    assert write_lake(raw.copy(), storage) == keys
    assert write_lake(raw.head(0), storage) == []
    assert {key: storage.sha256(key) for key in storage.list()} == before


def test_an_s3_address_opens_as_a_lake_and_a_lakes_folder_reads_the_same_as_parquet(
    storage: Storage, lake: LakeSource
) -> None:
    source = open_source(lake.name)
    assert isinstance(source, LakeSource)
    pd.testing.assert_frame_equal(source.read(QUERIES[1]), lake.read(QUERIES[1]))


def test_missing_columns_are_null_and_reported(storage: Storage, raw: pd.DataFrame) -> None:
    write_lake(raw[["ticker", "date", "close"]], storage)
    frame = lake_of(storage).read(QuoteQuery())
    assert {"open", "volume", "dividend"} <= set(frame.attrs["missing"])
    assert frame["volume"].isna().all()
    assert frame["split_factor"].eq(1.0).all()


def appending(lake: Lake, ticker: str) -> Callable[[Manifest, Path], Draft]:
    """Makes a draft of the year 2021 with a row more, its first one under another ticker."""

    def draft(before: Manifest, folder: Path) -> Draft:
        [file] = before.years[2021]
        there = ParquetSource(lake.fetch(file, folder)).read(QuoteQuery())
        more = pd.concat([there, there.head(1).assign(ticker=ticker)])
        return Draft({2021: write_parquet(more, folder / "appended.parquet")})

    return draft


def test_a_writer_overtaken_twice_before_it_fetches_starts_again(
    storage: Storage, raw: pd.DataFrame
) -> None:
    """The files of its manifest are gone then; no change of theirs or its own is lost."""
    of_2021 = raw[raw["date"].dt.year == 2021]
    write_lake(of_2021, storage)
    rival = Lake(storage)
    seen = []

    def draft(before: Manifest, folder: Path) -> Draft:
        seen.append(before.sequence)
        if len(seen) == 1:
            for name in ("RIVA3", "RIVB3"):
                rival.change(appending(rival, name))
        return appending(rival, "MINE3")(before, folder)

    _, after = Lake(storage).change(draft)
    assert (seen, after.sequence) == ([1, 3], 4)
    found = lake_of(storage).read(QuoteQuery())
    assert set(found["ticker"]) == {*TICKERS, "RIVA3", "RIVB3", "MINE3"}
    assert len(found) == len(of_2021) + 3
    kept = after.keys() | set(after.superseded)
    assert set(storage.list("lake/quotes/")) == {
        f"lake/quotes/{key}" for key in {"manifest.json", *kept}
    }


def test_a_writer_that_is_always_overtaken_raises_a_conflict(
    storage: Storage, raw: pd.DataFrame
) -> None:
    of_2021 = raw[raw["date"].dt.year == 2021]
    write_lake(of_2021, storage)
    seen = []

    def draft(before: Manifest, folder: Path) -> Draft:
        seen.append(before.sequence)
        for change in (1, 2):
            write_lake(of_2021.assign(close=float(len(seen) + change / 10)), storage)
        return appending(Lake(storage), "MINE3")(before, folder)

    with pytest.raises(ConflictError, match="others"):
        Lake(storage).change(draft)
    assert seen == [1 + 2 * n for n in range(ATTEMPTS)]


def test_a_missing_file_of_an_unchanged_lake_is_an_error_at_once(
    storage: Storage, raw: pd.DataFrame
) -> None:
    of_2021 = raw[raw["date"].dt.year == 2021]
    [key] = write_lake(of_2021, storage)
    storage.delete(key)
    seen = []

    def draft(before: Manifest, folder: Path) -> Draft:
        seen.append(before.sequence)
        return appending(Lake(storage), "MINE3")(before, folder)

    with pytest.raises(ArtifactNotFoundError, match=key):
        Lake(storage).change(draft)
    assert seen == [1]


@pytest.mark.parametrize("write", [write_lake, replace_lake])
def test_default_values_of_missing_columns_are_not_written(
    storage: Storage,
    raw: pd.DataFrame,
    tmp_path: Path,
    write: Callable[[pd.DataFrame, Storage], list[str]],
) -> None:
    lacking = ["company", "open", "split_factor", "dividend"]
    source = ParquetSource(write_parquet(raw.drop(columns=lacking), tmp_path / "lacking.parquet"))
    given = source.read(QuoteQuery())
    write(given, storage)
    found = lake_of(storage).read(QuoteQuery())
    pd.testing.assert_frame_equal(found, given)
    assert found.attrs["missing"] == given.attrs["missing"]
    assert set(lacking) <= set(found.attrs["missing"])


def test_columns_filled_after_reading_are_written(
    storage: Storage, raw: pd.DataFrame, tmp_path: Path
) -> None:
    given = ParquetSource(
        write_parquet(raw.drop(columns=["dividend", "open"]), tmp_path / "q.parquet")
    ).read(QuoteQuery())
    known = given.assign(dividend=raw["dividend"], open=raw["open"])
    write_lake(known, storage)
    found = lake_of(storage).read(QuoteQuery())
    pd.testing.assert_frame_equal(found, known)
    assert not {"dividend", "open"} & set(found.attrs["missing"])
