"""Parquet and DuckDB sources give one schema, and refuse what is not quotes by name."""

import json
import os
import subprocess
import sys
from datetime import date, timedelta
from itertools import permutations
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from b3shared.core.clock import today
from b3shared.core.config import BUNDLED_QUOTES
from b3shared.core.errors import InvalidQuotesError, NoQuotesError, SourceUnavailableError
from b3shared.params.run import PipelineParams
from b3shared.quotes.lake.write import write_lake
from b3shared.quotes.loading.load import load_quotes
from b3shared.quotes.schema import DEFAULTS, PRECOMPUTED, QUOTE_TYPES
from b3shared.quotes.sources import open_source
from b3shared.quotes.sources.duckdb import DuckDBSource
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage import open_storage

WEEK = QuoteQuery(date(2023, 12, 20), date(2023, 12, 28), ("PETR4", "VALE3"))


def duckdb_file(path: Path, table: str, sql: str) -> Path:
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"CREATE TABLE {table} AS {sql}")
    return path


def test_every_source_has_the_same_columns_in_the_same_order(tmp_path: Path) -> None:
    file = duckdb_file(tmp_path / "b3.duckdb", "b3_hist", f"FROM '{BUNDLED_QUOTES}'")
    from_parquet, from_duckdb = (
        ParquetSource(BUNDLED_QUOTES).read(WEEK),
        DuckDBSource(file).read(WEEK),
    )
    assert list(from_parquet.columns) == list(QUOTE_TYPES)
    pd.testing.assert_frame_equal(from_parquet, from_duckdb)


def test_a_folder_of_files_reads_as_the_one_file(tmp_path: Path) -> None:
    duckdb.execute(
        f"COPY (SELECT *, year(date) AS year FROM '{BUNDLED_QUOTES}') "
        f"TO '{tmp_path}' (FORMAT parquet, PARTITION_BY year)"
    )
    assert len(list(tmp_path.glob("year=*"))) == 10
    everything = QuoteQuery()
    pd.testing.assert_frame_equal(
        ParquetSource(tmp_path).read(everything), ParquetSource(BUNDLED_QUOTES).read(everything)
    )


def test_the_query_limits_period_and_tickers_and_rows_come_sorted() -> None:
    frame = ParquetSource(BUNDLED_QUOTES).read(WEEK)
    assert set(frame["ticker"]) == {"PETR4", "VALE3"}
    assert frame["date"].min() == pd.Timestamp("2023-12-20")
    assert frame["date"].max() == pd.Timestamp("2023-12-28")
    assert frame[["ticker", "date"]].equals(
        frame[["ticker", "date"]].sort_values(["ticker", "date"])
    )


def test_columns_that_a_source_lacks_are_null_and_reported() -> None:
    frame = ParquetSource(BUNDLED_QUOTES).read(WEEK)
    assert frame.attrs["missing"] == ["avg", "best_buy", "best_sell", "trades", "turnover"]
    assert frame[frame.attrs["missing"]].isna().all(axis=None)


def test_newest_is_the_last_session() -> None:
    assert ParquetSource(BUNDLED_QUOTES).newest() == date(2023, 12, 28)


def quote_rows(path: Path, *rows: tuple[object, ...]) -> ParquetSource:
    """A file of rows (ticker, date, close, volume)."""
    values = ", ".join(
        "(" + ", ".join("NULL" if v is None else repr(v) for v in row) + ")" for row in rows
    )
    columns = (
        "ticker::VARCHAR AS ticker, date::DATE AS date, "
        "close::DOUBLE AS close, volume::BIGINT AS volume"
    )
    duckdb.execute(
        f"COPY (SELECT {columns} FROM (VALUES {values}) t(ticker, date, close, volume)) TO '{path}'"
    )
    return ParquetSource(path)


def test_newest_ignores_rows_of_the_future_but_not_of_today(tmp_path: Path) -> None:
    typo, day = ("PETR4", "2099-01-04", 10.0, 1), str(today())
    old = ("PETR4", "2023-01-04", 10.0, 1)
    tomorrow = ("PETR4", str(today() + timedelta(days=1)), 10.0, 1)
    assert quote_rows(tmp_path / "a.parquet", old, typo, tomorrow).newest() == date(2023, 1, 4)
    assert (
        quote_rows(tmp_path / "b.parquet", old, typo, ("PETR4", day, 10.0, 1)).newest() == today()
    )
    with pytest.raises(
        NoQuotesError, match=rf"c\.parquet holds no rows dated up to today \({day}\)"
    ):
        quote_rows(tmp_path / "c.parquet", typo, ("PETR4", None, 10.0, 1)).newest()


def test_rows_without_a_date_or_a_ticker_are_read_to_be_counted(tmp_path: Path) -> None:
    undated, nameless = ("PETR4", None, 1.0, 1), (None, "2023-01-04", 2.0, 1)
    others = [
        ("VALE3", None, 3.0, 1),
        (None, "2022-01-04", 4.0, 1),
        ("VALE3", "2023-01-04", 5.0, 1),
    ]
    source = quote_rows(
        tmp_path / "q.parquet", undated, nameless, *others, ("PETR4", "2023-01-04", 6.0, 1)
    )
    found = source.read(QuoteQuery(date(2023, 1, 1), date(2023, 12, 31), ("PETR4",)))
    assert sorted(found["close"]) == [1.0, 2.0, 6.0]


def test_of_rows_for_one_day_the_one_with_most_volume_is_last_whatever_their_order(
    tmp_path: Path,
) -> None:
    twins = [
        ("PETR4", "2023-01-04", close, volume)
        for close, volume in ((3.0, None), (2.0, 0), (1.0, 7), (0.5, 7), (9.0, 5))
    ]
    for n, rows in enumerate(permutations(twins)):
        if n % 10 == 0:
            found = quote_rows(tmp_path / "q.parquet", *rows).read(QuoteQuery())
            assert found["close"].tolist() == [3.0, 2.0, 9.0, 0.5, 1.0]


def test_the_split_column_of_other_tables_is_understood(tmp_path: Path) -> None:
    file = tmp_path / "q.parquet"
    duckdb.execute(
        "COPY (SELECT 'PETR4' AS ticker, DATE '2023-01-02' AS date, 10.0 AS close, "
        "2.0 AS split_coef) "
        f"TO '{file}' (FORMAT parquet)"
    )
    frame = ParquetSource(file).read(QuoteQuery())
    assert frame["split_factor"].tolist() == [2.0]
    assert frame["dividend"].isna().all()


@pytest.mark.parametrize(
    ("dividends", "read"),
    [
        ("0.5 NULL", [0.5, 0.0]),
        ("0.5 'nan' 0.0", [0.5, None, 0.0]),
        ("NULL 0.0", [None, 0.0]),
        ("NULL 'nan'", [None, None]),
        ("0.5 0.25", [0.5, 0.25]),
    ],
    ids=["payments and holes", "payments, holes and zeros", "zeros and holes", "holes", "payments"],
)
@pytest.mark.parametrize("kind", ["parquet", "duckdb"])
def test_a_hole_among_dividends_is_not_known_where_the_source_says_none_by_a_zero(
    dividends: str, read: list[float | None], kind: str, tmp_path: Path
) -> None:
    rows = " UNION ALL ".join(
        f"SELECT 'PETR4' AS ticker, DATE '2023-01-0{2 + n}' AS date, 10.0 AS close, "
        f"{dividend}::DOUBLE AS dividend"
        for n, dividend in enumerate(dividends.split())
    )
    if kind == "parquet":
        source = ParquetSource(duckdb_parquet(tmp_path / "q.parquet", rows))
    else:
        source = DuckDBSource(duckdb_file(tmp_path / "b3.duckdb", "b3_hist", rows))

    found = source.read(QuoteQuery())["dividend"]
    assert found.astype(object).where(found.notna(), None).tolist() == read
    # what the whole source has counts, not what a query reads of it
    part = source.read(QuoteQuery(end=date(2023, 1, 2)))["dividend"]
    assert part.astype(object).where(part.notna(), None).tolist() == read[:1]


def test_a_hole_among_payments_is_none_and_no_column_is_not_known(tmp_path: Path) -> None:
    dividends = ("0.5", "NULL", "'nan'::DOUBLE")
    rows = " UNION ALL ".join(
        f"SELECT 'PETR4' AS ticker, DATE '2023-01-0{2 + n}' AS date, 10.0 AS close, "
        f"{dividend} AS dividend"
        for n, dividend in enumerate(dividends)
    )
    file = tmp_path / "q.parquet"
    duckdb.execute(f"COPY ({rows}) TO '{file}' (FORMAT parquet)")
    assert ParquetSource(file).read(QuoteQuery())["dividend"].tolist() == [0.5, 0.0, 0.0]

    loaded = ParquetSource(file, loaded=True)
    with loaded.opened(QuoteQuery()) as opened:
        for source in (loaded, opened):
            own = source.read(QuoteQuery())["dividend"]
            assert own.isna().tolist() == [False, True, True]

    duckdb.execute(f"COPY (SELECT * EXCLUDE (dividend) FROM ({rows})) TO '{file}' (FORMAT parquet)")
    without = ParquetSource(file).read(QuoteQuery())
    assert without["dividend"].isna().all()
    assert "dividend" in without.attrs["missing"]


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


def test_the_references_own_feature_sample_is_refused_for_its_missing_close(
    tmp_path: Path, shared_data: Path
) -> None:
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
def test_wrong_columns_and_text_for_numbers_are_named(
    tmp_path: Path, columns: str, message: str
) -> None:
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

    with pytest.raises(
        InvalidQuotesError, match="cannot be read as quotes: it is not a Parquet file"
    ):
        open_source(page).newest()

    truncated = tmp_path / "truncated.parquet"
    truncated.write_bytes(BUNDLED_QUOTES.read_bytes()[:10_000])
    with pytest.raises(InvalidQuotesError, match="cannot be read as quotes"):
        open_source(truncated).newest()
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


@pytest.mark.parametrize("name", ["q[1].parquet", "all*.parquet", "q?.parquet", "it's.parquet"])
def test_a_file_name_is_never_read_as_a_glob_pattern(tmp_path: Path, name: str) -> None:
    for number, other in enumerate((name, "q1.parquet", "all2.parquet", "qx.parquet")):
        file = duckdb_parquet(
            tmp_path / other,
            f"SELECT 'PETR4' AS ticker, DATE '2023-12-28' AS date, {number + 1.0} AS close",
        )
    assert file.exists()
    assert ParquetSource(tmp_path / name).read(QuoteQuery())["close"].tolist() == [1.0]


@pytest.mark.parametrize(
    "name",
    ["set [2023]", "a*b", "h{1}", "back\\s"],
    ids=["brackets", "star", "braces", "backslash"],
)
def test_a_folder_name_is_never_read_as_a_glob_pattern(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "year=2023"
    folder.mkdir(parents=True)
    duckdb_parquet(
        folder / "x.parquet", "SELECT 'PETR4' AS ticker, DATE '2023-12-28' AS date, 1.0 AS close"
    )
    assert len(ParquetSource(tmp_path / name).read(QuoteQuery())) == 1


def test_a_lake_in_a_folder_with_brackets_is_read(tmp_path: Path, bundled: pd.DataFrame) -> None:
    storage = open_storage(tmp_path / "store [1]*")
    write_lake(bundled[bundled["ticker"] == "PETR4"], storage)
    read = open_source(tmp_path / "store [1]*" / "lake" / "quotes").read(QuoteQuery())
    assert len(read) == (bundled["ticker"] == "PETR4").sum()


def duckdb_parquet(path: Path, sql: str) -> Path:
    duckdb.execute(f"COPY ({sql}) TO '{str(path).replace(chr(39), chr(39) * 2)}' (FORMAT parquet)")
    return path


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".txt", ".parquet"])
def test_text_is_refused_with_the_way_to_convert_it(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"quotes{ending}"
    file.write_text("ticker;date;close\nPETR4;28/12/2023;37,24\n")
    with pytest.raises(
        InvalidQuotesError,
        match=rf"not a Parquet file; CSV .*read_csv\('{file.name}'\).*decimal_separator",
    ):
        open_source(file).newest()
    with pytest.raises((NoQuotesError, InvalidQuotesError), match="CSV"):
        open_source(tmp_path).newest()


def test_the_advised_command_converts_a_csv_file(tmp_path: Path) -> None:
    (tmp_path / "quotes.csv").write_text("ticker;date;close\nPETR4;28/12/2023;37,24\n")
    told = (
        f"read_csv('{tmp_path}/quotes.csv', delim=';', decimal_separator=',', "
        "dateformat='%d/%m/%Y')"
    )
    duckdb.sql(f"COPY (FROM {told}) TO '{tmp_path}/quotes.parquet'")
    row = open_source(tmp_path / "quotes.parquet").read(QuoteQuery()).iloc[0]

    assert (row["ticker"], row["close"], row["date"]) == (
        "PETR4",
        37.24,
        pd.Timestamp("2023-12-28"),
    )


@pytest.mark.parametrize("asked", [None, "b3_hist", "B3_Hist", "main.b3_hist"])
def test_capitals_in_a_table_do_not_matter(tmp_path: Path, asked: str | None) -> None:
    file = duckdb_file(tmp_path / "b3.duckdb", "B3_HIST", f"FROM '{BUNDLED_QUOTES}' LIMIT 10")
    assert len(DuckDBSource(file, asked).read(QuoteQuery())) == 10


@pytest.mark.parametrize("asked", [None, "b3_hist", "prices.b3_hist", "PRICES.B3_HIST"])
def test_a_table_in_a_schema_is_found(tmp_path: Path, asked: str | None) -> None:
    file = duckdb_file(tmp_path / "b3.duckdb", "other", "SELECT 1 AS x")
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE SCHEMA Prices")
        connection.execute(f"CREATE TABLE Prices.B3_Hist AS FROM '{BUNDLED_QUOTES}' LIMIT 10")
    source = open_source(f"{file}#{asked}" if asked else file)
    assert len(source.read(QuoteQuery())) == 10


def test_a_table_in_two_schemas_is_ambiguous_until_one_is_named(tmp_path: Path) -> None:
    file = duckdb_file(tmp_path / "b3.duckdb", "b3_hist", f"FROM '{BUNDLED_QUOTES}' LIMIT 10")
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE SCHEMA old")
        connection.execute(f"CREATE VIEW old.B3_HIST AS FROM '{BUNDLED_QUOTES}' LIMIT 5")
    for asked in (None, "b3_hist"):
        with pytest.raises(
            InvalidQuotesError,
            match=r"has main\.b3_hist and old\.B3_HIST; name one with path#schema\.table",
        ):
            DuckDBSource(file, asked).read(QuoteQuery())

    assert len(DuckDBSource(file, "old.b3_hist").read(QuoteQuery())) == 5
    with pytest.raises(
        InvalidQuotesError, match=r"no table quotes; .* It has main\.b3_hist, old\.B3_HIST"
    ):
        DuckDBSource(file, "quotes").read(QuoteQuery())


NUMBERS = [name for name, kind in QUOTE_TYPES.items() if kind in ("DOUBLE", "BIGINT")]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("column", NUMBERS)
def test_infinite_and_nan_values_are_missing_values(
    tmp_path: Path, column: str, value: str
) -> None:
    plain = dict.fromkeys(NUMBERS, "1.0") | {column: f"CAST('{value}' AS DOUBLE)"}
    columns = ", ".join(f"{number} AS {name}" for name, number in plain.items())
    file = duckdb_parquet(
        tmp_path / "q.parquet", f"SELECT 'PETR4' AS ticker, DATE '2023-12-28' AS date, {columns}"
    )
    read = ParquetSource(file).read(QuoteQuery())[column].iloc[0]

    # an infinite factor or dividend is a fault, which cleaning reports; no factor is 1
    if column in DEFAULTS and value != "nan":
        assert read == float(value)
    elif column == "split_factor":
        assert read == 1.0
    else:
        assert pd.isna(read)


def test_a_hole_written_as_nan_is_a_missing_value(tmp_path: Path) -> None:
    hole = (
        "CASE WHEN ticker = 'PETR4' AND date = '2023-06-01' "
        "THEN CAST('nan' AS DOUBLE) ELSE volume END"
    )
    file = duckdb_parquet(
        tmp_path / "q.parquet", f"SELECT * REPLACE ({hole} AS volume) FROM '{BUNDLED_QUOTES}'"
    )
    (found,) = [
        f
        for f in load_quotes(ParquetSource(file), PipelineParams()).findings
        if f.kind == "missing_value"
    ]

    assert (found.rows, found.action) == (1, "kept")
    assert found.examples[0].startswith("PETR4 2023-06-01: no volume")


MOMENTS = (
    "2023-12-28 00:00:00+00",
    "2023-12-28 00:00:00-03",
    "2023-12-28 00:00:00-02",
    "2023-12-28 17:55:00-03",
)
"""Of one session: midnight in UTC, midnight in Sao Paulo in winter and in summer, the close."""

READ_ALL = """
import json, sys
from pathlib import Path
from b3shared.quotes.ingest.import_quotes import fill_lake
from b3shared.quotes.sources import open_source
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage import open_storage

folder = Path(sys.argv[1])
found = {}
for number, place in enumerate(sorted(folder.glob("*.parquet")) + sorted(folder.glob("*.duckdb"))):
    source = open_source(place)
    lake = folder / f"lake-{number}-{sys.argv[2]}"
    fill_lake(source, open_storage(lake))
    filled = open_source(lake / "lake" / "quotes")
    for name, read in ((place.name, source), (f"lake of {place.name}", filled)):
        days = {str(read.newest()), *(str(day.date()) for day in read.read(QuoteQuery())["date"])}
        found[name] = sorted(days | {str(day) for day in read.days(read.newest(), read.newest())})
print(json.dumps(found))
"""


@pytest.mark.parametrize("zone", ["UTC", "America/Sao_Paulo", "Asia/Tokyo"])
def test_a_timestamp_belongs_to_the_same_session_on_every_machine(
    tmp_path: Path, zone: str
) -> None:
    """In a process of its own: DuckDB asks for the machine's zone once."""
    for number, moment in enumerate(MOMENTS):
        sql = f"SELECT 'PETR4' AS ticker, TIMESTAMPTZ '{moment}' AS date, 37.24 AS close"
        duckdb_parquet(tmp_path / f"{number}.parquet", sql)
    duckdb_file(tmp_path / "b3.duckdb", "b3_hist", sql)
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, str(tmp_path), zone.replace("/", "-")],
        env=os.environ | {"TZ": zone},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    found = json.loads(done.stdout)
    assert len(found) == 2 * (len(MOMENTS) + 1)
    assert set(map(tuple, found.values())) == {("2023-12-28",)}


def test_tickers_of_a_vendor_are_refused_with_an_example_and_its_right_form(tmp_path: Path) -> None:
    sql = (
        f"SELECT * REPLACE (ticker || '.SA' AS ticker) FROM '{BUNDLED_QUOTES}' "
        "WHERE ticker = 'PETR4'"
    )
    source = ParquetSource(duckdb_parquet(tmp_path / "q.parquet", sql))
    with pytest.raises(
        NoQuotesError,
        match=r"not_a_cash_equity \(such as PETR4\.SA .*such as PETR4, got 'PETR4\.SA'",
    ):
        load_quotes(source, PipelineParams())
