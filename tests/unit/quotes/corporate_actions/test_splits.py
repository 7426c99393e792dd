"""Splits are detected where a source lists none, whenever its quotes are read for use."""

from datetime import date
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from bundled_years import FIVE_YEARS

from b3shared.core.config import BUNDLED_QUOTES
from b3shared.params.run import PipelineParams
from b3shared.pipeline.publish_snapshot import store_snapshot
from b3shared.quotes.corporate_actions.overrides import OVERRIDES
from b3shared.quotes.ingest.import_quotes import fill_lake
from b3shared.quotes.ingest.ingest import Ingest
from b3shared.quotes.lake.lake import LAKE
from b3shared.quotes.lake.write import write_lake
from b3shared.quotes.loading.load import load_quotes, read_quotes
from b3shared.quotes.sources import open_source
from b3shared.quotes.sources.base import QuoteSource
from b3shared.quotes.sources.duckdb import DuckDBSource
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.serving.snapshot import Snapshot
from b3shared.storage import FolderStorage, open_storage


@pytest.fixture(scope="module")
def unlisted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled quotes without their splits; dividends are listed."""
    file = tmp_path_factory.mktemp("unlisted") / "quotes.parquet"
    duckdb.execute(
        f"COPY (SELECT * EXCLUDE (split_factor) FROM {FIVE_YEARS}) TO '{file}' (FORMAT parquet)"
    )
    return file


def splits(source: QuoteSource) -> pd.DataFrame:
    frame = load_quotes(source, PipelineParams()).frame
    return frame.loc[frame["split_factor"] != 1, ["ticker", "date", "split_factor"]].reset_index(
        drop=True
    )


def test_quotes_read_directly_have_the_splits_of_their_lake(unlisted: Path, tmp_path: Path) -> None:
    fill_lake(ParquetSource(unlisted), open_storage(tmp_path))
    direct = splits(ParquetSource(unlisted))
    by_lake = splits(open_source(f"{tmp_path}/lake/quotes"))
    assert len(direct) > 15
    pd.testing.assert_frame_equal(direct, by_lake)
    with duckdb.connect(str(tmp_path / "b3.duckdb")) as connection:
        connection.execute(f"CREATE TABLE b3_hist AS FROM '{unlisted}'")
    pd.testing.assert_frame_equal(splits(DuckDBSource(tmp_path / "b3.duckdb")), direct)


def test_most_splits_that_the_vendor_lists_are_found_and_few_others(unlisted: Path) -> None:
    found, listed = (
        set(splits(ParquetSource(path)).itertuples(index=False))
        for path in (unlisted, BUNDLED_QUOTES)
    )
    days = [
        {(row.ticker, row.date) for row in rows}
        for rows in (found, {r for r in listed if not 0.75 < r[2] < 1.35})
    ]
    assert len(days[0] & days[1]) >= 0.9 * len(days[1])


def test_the_load_reports_detected_splits_and_the_missing_column(unlisted: Path) -> None:
    report = load_quotes(ParquetSource(unlisted), PipelineParams()).report
    assert "split_factor" in report["missing_columns"]
    (found,) = [f for f in report["findings"] if f["kind"] == "detected_split"]
    assert found["rows"] == report["corporate_actions"]["splits"]
    assert "found in the prices, confidence" in found["examples"][0]


def test_a_part_of_the_quotes_has_the_splits_of_the_whole(unlisted: Path) -> None:
    source = ParquetSource(unlisted)
    whole = splits(source)
    params = PipelineParams(tickers=("MGLU3", "WEGE3"))
    part = load_quotes(source, params).frame
    some = part.loc[part["split_factor"] != 1, ["ticker", "date", "split_factor"]].reset_index(
        drop=True
    )
    pd.testing.assert_frame_equal(
        some, whole[whole["ticker"].isin(params.tickers)].reset_index(drop=True)
    )
    assert len(some)


def test_reading_alone_detects_nothing(unlisted: Path) -> None:
    frame = ParquetSource(unlisted).read(QuoteQuery())
    assert (frame["split_factor"] == 1).all()
    assert "split_factor" in frame.attrs["missing"]


def test_served_quotes_have_the_detected_splits(tmp_path: Path) -> None:
    """Served a week after an unlisted split; unadjusted, its jump would be volatility."""
    quotes = f"FROM '{BUNDLED_QUOTES}'"
    ticker, day = duckdb.sql(
        f"SELECT ticker, date {quotes} WHERE split_factor >= 2 ORDER BY date DESC, ticker LIMIT 1"
    ).fetchall()[0]
    where = f"WHERE date <= DATE '{day}' + 7"
    listed = tmp_path / "listed.parquet"
    unlisted = tmp_path / "unlisted.parquet"
    duckdb.execute(f"COPY (SELECT * {quotes} {where}) TO '{listed}' (FORMAT parquet)")
    duckdb.execute(
        f"COPY (SELECT * EXCLUDE (split_factor) {quotes} {where}) TO '{unlisted}' (FORMAT parquet)"
    )

    storage = open_storage(tmp_path)
    params = PipelineParams().model_dump(mode="json")
    volatility = []
    for path in (listed, unlisted):
        about = store_snapshot(
            storage, open_source(path), [{"model_type": "rf", "params": params}], tmp_path
        )
        served = Snapshot.load(storage.download(about["snapshot"], tmp_path / "served.npz"))
        volatility.append(served.volatility[served.ticker.tolist().index(ticker)])
    assert volatility[1] == pytest.approx(volatility[0], rel=0.05)


def test_a_lake_is_read_whose_listed_splits_all_have_a_price_jump(
    tmp_path: Path,
) -> None:
    storage = FolderStorage(tmp_path / "store")
    quotes = ParquetSource(BUNDLED_QUOTES).read(
        QuoteQuery(tickers=("VALE3", "PETR4"), start=date(2023, 1, 2))
    )
    write_lake(quotes, storage)
    storage.put(OVERRIDES, b"ticker,date,dividend\nPETR4,2023-06-01,1.5\n")
    Ingest(storage).actions()
    found, findings = read_quotes(open_source(f"{storage.url}/{LAKE}"), QuoteQuery())
    assert len(found) == len(quotes)
    assert {f.kind: f.rows for f in findings}["split_without_trace"] == 0
