"""Parquet and DuckDB sources give one schema, and refuse what is not quotes by name."""

from datetime import date, timedelta
from itertools import permutations
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from b3shared.clock import today
from b3shared.config import BUNDLED_QUOTES
from b3shared.errors import InvalidQuotesError, NoQuotesError, SourceUnavailableError
from b3shared.quotes.schema import QUOTE_TYPES
from b3shared.quotes.sources import PRECOMPUTED, DuckDBSource, ParquetSource, QuoteQuery, open_source

WEEK = QuoteQuery(date(2023, 12, 20), date(2023, 12, 28), ("PETR4", "VALE3"))


def duckdb_file(path: Path, table: str, sql: str) -> Path:
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE {table} AS {sql}")
    return path


def test_every_source_has_the_same_columns_in_the_same_order(tmp_path: Path) -> None:
    file = duckdb_file(tmp_path / "b3.duckdb", "b3_hist", f"FROM '{BUNDLED_QUOTES}'")
    from_parquet, from_duckdb = ParquetSource(BUNDLED_QUOTES).read(WEEK), DuckDBSource(file).read(WEEK)
    assert list(from_parquet.columns) == list(QUOTE_TYPES)
    pd.testing.assert_frame_equal(from_parquet, from_duckdb)


def test_a_folder_of_files_reads_as_the_one_file(tmp_path: Path) -> None:
    duckdb.execute(
        f"COPY (SELECT *, year(date) AS year FROM '{BUNDLED_QUOTES}') TO '{tmp_path}' (FORMAT parquet, PARTITION_BY year)"
    )
    assert len(list(tmp_path.glob("year=*"))) == 5
    everything = QuoteQuery()
    pd.testing.assert_frame_equal(ParquetSource(tmp_path).read(everything), ParquetSource(BUNDLED_QUOTES).read(everything))


def test_the_query_limits_period_and_tickers_and_rows_come_sorted() -> None:
    frame = ParquetSource(BUNDLED_QUOTES).read(WEEK)
    assert set(frame["ticker"]) == {"PETR4", "VALE3"}
    assert frame["date"].min() == pd.Timestamp("2023-12-20")
    assert frame["date"].max() == pd.Timestamp("2023-12-28")
    assert frame[["ticker", "date"]].equals(frame[["ticker", "date"]].sort_values(["ticker", "date"]))


def test_what_a_source_lacks_is_null_and_reported() -> None:
    frame = ParquetSource(BUNDLED_QUOTES).read(WEEK)
    assert frame.attrs["missing"] == ["avg", "best_buy", "best_sell", "trades", "turnover"]
    assert frame[frame.attrs["missing"]].isna().all(axis=None)


def test_newest_is_the_last_session() -> None:
    assert ParquetSource(BUNDLED_QUOTES).newest() == date(2023, 12, 28)


def quote_rows(path: Path, *rows: tuple[object, ...]) -> ParquetSource:
    """A file of rows (ticker, date, close, volume)."""
    values = ", ".join("(" + ", ".join("NULL" if v is None else repr(v) for v in row) + ")" for row in rows)
    columns = "ticker::VARCHAR AS ticker, date::DATE AS date, close::DOUBLE AS close, volume::BIGINT AS volume"
    duckdb.execute(f"COPY (SELECT {columns} FROM (VALUES {values}) t(ticker, date, close, volume)) TO '{path}'")
    return ParquetSource(path)


def test_newest_ignores_rows_of_the_future_but_not_of_today(tmp_path: Path) -> None:
    typo, day = ("PETR4", "2099-01-04", 10.0, 1), str(today())
    old = ("PETR4", "2023-01-04", 10.0, 1)
    tomorrow = ("PETR4", str(today() + timedelta(days=1)), 10.0, 1)
    assert quote_rows(tmp_path / "a.parquet", old, typo, tomorrow).newest() == date(2023, 1, 4)
    assert quote_rows(tmp_path / "b.parquet", old, typo, ("PETR4", day, 10.0, 1)).newest() == today()
    with pytest.raises(NoQuotesError, match=rf"c\.parquet holds no rows dated up to today \({day}\)"):
        quote_rows(tmp_path / "c.parquet", typo, ("PETR4", None, 10.0, 1)).newest()


def test_rows_without_a_date_or_a_ticker_come_along_to_be_counted(tmp_path: Path) -> None:
    undated, nameless = ("PETR4", None, 1.0, 1), (None, "2023-01-04", 2.0, 1)
    others = [("VALE3", None, 3.0, 1), (None, "2022-01-04", 4.0, 1), ("VALE3", "2023-01-04", 5.0, 1)]
    source = quote_rows(tmp_path / "q.parquet", undated, nameless, *others, ("PETR4", "2023-01-04", 6.0, 1))
    found = source.read(QuoteQuery(date(2023, 1, 1), date(2023, 12, 31), ("PETR4",)))
    assert sorted(found["close"]) == [1.0, 2.0, 6.0]


def test_of_rows_for_one_day_the_one_with_most_volume_is_last_whatever_their_order(tmp_path: Path) -> None:
    twins = [
        ("PETR4", "2023-01-04", close, volume) for close, volume in ((3.0, None), (2.0, 0), (1.0, 7), (0.5, 7), (9.0, 5))
    ]
    for n, rows in enumerate(permutations(twins)):
        if n % 10 == 0:
            found = quote_rows(tmp_path / "q.parquet", *rows).read(QuoteQuery())
            assert found["close"].tolist() == [3.0, 2.0, 9.0, 0.5, 1.0]


def test_the_split_column_of_other_tables_is_understood(tmp_path: Path) -> None:
    file = tmp_path / "q.parquet"
    duckdb.execute(
        "COPY (SELECT 'PETR4' AS ticker, DATE '2023-01-02' AS date, 10.0 AS close, 2.0 AS split_coef) "
        f"TO '{file}' (FORMAT parquet)"
    )
    frame = ParquetSource(file).read(QuoteQuery())
    assert frame["split_factor"].tolist() == [2.0]
    assert frame["dividend"].tolist() == [0.0]


def test_duckdb_prefers_the_history_table_and_takes_a_named_one(tmp_path: Path) -> None:
    quote = "SELECT 'PETR4' AS ticker, DATE '2023-01-02' AS date, {close} AS close"
    file = duckdb_file(tmp_path / "b3.duckdb", "b3_featured", quote.format(close=1.0))
    assert DuckDBSource(file).read(QuoteQuery())["close"].tolist() == [1.0]
    duckdb_file(file, "b3_hist", quote.format(close=2.0))
    duckdb_file(file, "mine", quote.format(close=3.0))
    assert DuckDBSource(file).read(QuoteQuery())["close"].tolist() == [2.0]
    assert open_source(f"{file}#mine").read(QuoteQuery())["close"].tolist() == [3.0]


def test_a_table_of_features_passes_them_through(tmp_path: Path) -> None:
    features = ", ".join(f"{n}.5 AS {name}" for n, name in enumerate(PRECOMPUTED))
    file = duckdb_file(
        tmp_path / "b3.duckdb",
        "b3_featured",
        f"SELECT 'PETR4' AS ticker, DATE '2023-01-02' AS date, 10.0 AS close, {features}",
    )
    frame = DuckDBSource(file).read(QuoteQuery())
    assert frame[list(PRECOMPUTED)].iloc[0].tolist() == [n + 0.5 for n in range(len(PRECOMPUTED))]


def test_the_references_own_feature_sample_is_refused_for_its_missing_close(tmp_path: Path, shared_data: Path) -> None:
    sample = shared_data / "manoelsilva" / "b3_featured.csv"
    file = duckdb_file(tmp_path / "b3.duckdb", "b3_featured", f"FROM '{sample}'")
    with pytest.raises(InvalidQuotesError, match="lacks close"):
        DuckDBSource(file).read(QuoteQuery())


def test_the_references_raw_sample_is_read(tmp_path: Path, shared_data: Path) -> None:
    sample = shared_data / "manoelsilva" / "B3_RAW.csv"
    file = duckdb_file(tmp_path / "b3.duckdb", "b3_hist", f"FROM '{sample}'")
    frame = DuckDBSource(file).read(QuoteQuery())
    assert len(frame) == 10
    assert frame.loc[frame["ticker"] == "CMIN3F", "best_sell"].tolist() == [4.78]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("DATE '2023-01-02' AS date, 10.0 AS close", "lacks ticker"),
        ("'PETR4' AS ticker, 10.0 AS close", "lacks date"),
        ("'PETR4' AS ticker, DATE '2023-01-02' AS date", "lacks close"),
        ("'PETR4' AS ticker, DATE '2023-01-02' AS date, 'ten' AS close", "'ten'"),
        ("'PETR4' AS ticker, 'yesterday' AS date, 10.0 AS close", "yesterday"),
        ("'PETR4' AS ticker, DATE '2023-01-02' AS date, 1.0 AS close, 'many' AS volume", "'many'"),
    ],
)
def test_wrong_columns_and_text_for_numbers_are_named(tmp_path: Path, columns: str, message: str) -> None:
    file = tmp_path / "q.parquet"
    duckdb.execute(f"COPY (SELECT {columns}) TO '{file}' (FORMAT parquet)")
    with pytest.raises(InvalidQuotesError, match=message):
        ParquetSource(file).read(QuoteQuery())


def test_missing_empty_and_foreign_files_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailableError, match="does not exist"):
        open_source(tmp_path / "none.parquet").newest()
    with pytest.raises(SourceUnavailableError, match="does not exist"):
        open_source(tmp_path / "none.duckdb").newest()
    with pytest.raises(NoQuotesError, match=r"no \*\.parquet"):
        open_source(tmp_path).newest()
    empty = tmp_path / "empty.parquet"
    empty.touch()
    with pytest.raises(NoQuotesError, match="0 bytes"):
        open_source(empty).newest()
    page = tmp_path / "page.parquet"
    page.write_text("<html>not found</html>")
    with pytest.raises(InvalidQuotesError, match="cannot be read as quotes"):
        open_source(page).newest()
    page.rename(tmp_path / "page.duckdb")
    with pytest.raises(SourceUnavailableError, match="cannot be opened"):
        open_source(tmp_path / "page.duckdb").newest()
    rowless = tmp_path / "rowless.parquet"
    duckdb.execute(f"COPY (FROM '{BUNDLED_QUOTES}' LIMIT 0) TO '{rowless}' (FORMAT parquet)")
    with pytest.raises(NoQuotesError, match="no rows"):
        open_source(rowless).newest()


def test_a_table_name_cannot_carry_sql() -> None:
    with pytest.raises(InvalidQuotesError, match="letters, digits"):
        DuckDBSource("b3.duckdb", 'x"; DROP TABLE b3_hist; --')
