"""Connections to DuckDB and MotherDuck name what is missing, and never show a token."""

import os
import sys
from pathlib import Path

import boto3
import duckdb
import pytest
from moto import mock_aws

import b3shared
from b3shared.api.errors import HTTP_STATUS
from b3shared.core.config import BUNDLED_QUOTES, DatabaseSettings
from b3shared.core.errors import (
    DiskFullError,
    InvalidParameterError,
    InvalidQuotesError,
    OutOfMemoryError,
    SourceUnavailableError,
)
from b3shared.quotes.sources import open_source
from b3shared.quotes.sources.duckdb import DuckDBSource
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage.database import (
    connect,
    literal,
    motherduck_token,
    open_database,
    reading_error,
)

TOKEN = "tok'en-0123456789"


def token(environ):
    return motherduck_token(DatabaseSettings.from_environment(environ))


@pytest.fixture
def no_token(monkeypatch):
    for name in ("MOTHERDUCK_TOKEN", "motherduck_token", "MOTHERDUCK_SECRET_ARN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def aws(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "sa-east-1")
    with mock_aws():
        yield boto3.client("secretsmanager")


def test_without_a_token_the_error_says_where_it_goes(no_token, monkeypatch):
    monkeypatch.setenv("environment", "LOCAL")
    with pytest.raises(
        SourceUnavailableError, match=r"MotherDuckSecretArn.*MOTHERDUCK_TOKEN will do"
    ):
        open_source("md:b3").newest()


def test_on_aws_a_token_in_the_environment_does_not_count():
    with pytest.raises(
        SourceUnavailableError, match=r"MotherDuckSecretArn, the ARN of a secret that holds it$"
    ):
        token({"environment": "AWS", "MOTHERDUCK_TOKEN": TOKEN})
    assert TOKEN not in repr(DatabaseSettings.from_environment({"MOTHERDUCK_TOKEN": TOKEN}))
    assert token({"environment": "local", "MOTHERDUCK_TOKEN": f" {TOKEN}\n"}) == TOKEN


def test_the_secret_wins_over_the_environment(aws):
    arn = aws.create_secret(Name="motherduck", SecretString=f"{TOKEN}\n")["ARN"]
    assert token({"MOTHERDUCK_SECRET_ARN": arn, "MOTHERDUCK_TOKEN": "other"}) == TOKEN


def test_a_secret_that_is_absent_or_holds_bytes_is_named(aws):
    bytes_only = aws.create_secret(Name="binary", SecretBinary=b"\0\1")["ARN"]
    with pytest.raises(SourceUnavailableError, match=r"binary.* holds no text"):
        token({"MOTHERDUCK_SECRET_ARN": bytes_only})
    with pytest.raises(SourceUnavailableError, match="nowhere cannot be read"):
        token({"MOTHERDUCK_SECRET_ARN": "nowhere"})


@pytest.mark.parametrize("location", ["md:", "md:b3;drop", "md:b3?x=1", "md:" + "b" * 64])
def test_an_invalid_database_name_is_refused(location, monkeypatch):
    monkeypatch.setenv("MOTHERDUCK_TOKEN", TOKEN)
    with pytest.raises(InvalidParameterError, match="must be md: and a database's name"):
        open_source(location).read(QuoteQuery())


def test_without_the_extensions_package_the_error_names_it_and_its_version(monkeypatch):
    monkeypatch.setenv("MOTHERDUCK_TOKEN", TOKEN)
    monkeypatch.setitem(
        sys.modules, "duckdb_extension_motherduck", None
    )  # as if it were not installed
    wanted = f"duckdb-extension-motherduck=={duckdb.__version__}"
    with pytest.raises(SourceUnavailableError, match=wanted), open_database("md:b3"):
        pass


def test_an_unreachable_motherduck_is_a_retryable_error_that_hides_the_token(no_token, monkeypatch):
    """The real extension fails for lack of a network, or with one because of this token."""
    monkeypatch.setenv("MOTHERDUCK_TOKEN", TOKEN)
    with pytest.raises(
        SourceUnavailableError, match=r"^md:b3 cannot be opened, for lack of network or access"
    ) as caught:
        open_source("md:b3#b3_hist").newest()
    assert caught.value.retryable
    assert "0123456789" not in str(caught.value) + repr(caught.value.__cause__)


def test_a_file_is_read_only_unless_asked_otherwise(tmp_path: Path):
    path = tmp_path / "b3.duckdb"
    with pytest.raises(SourceUnavailableError, match="does not exist"), open_database(str(path)):
        pass

    with open_database(str(path), read_only=False) as connection:
        connection.execute(
            "CREATE TABLE b3_hist AS "
            "SELECT 'PETR4' AS ticker, DATE '2023-01-02' AS date, 24.0 AS close"
        )
    with (
        open_database(str(path)) as connection,
        pytest.raises(duckdb.InvalidInputException, match="read-only"),
    ):
        connection.execute("DELETE FROM b3_hist")
    assert DuckDBSource(path).read(QuoteQuery())["close"].tolist() == [24.0]


def test_temporary_tables_are_not_read_as_quotes(tmp_path: Path):
    with open_database(str(tmp_path / "b3.duckdb"), read_only=False) as connection:
        connection.execute("CREATE TEMP TABLE b3_hist AS SELECT 1 AS x")
        connection.execute(
            "CREATE TABLE b3_featured AS "
            "SELECT 'PETR4' AS ticker, DATE '2023-01-02' AS date, 2.0 AS close"
        )
    assert open_source(tmp_path / "b3.duckdb").read(QuoteQuery())["close"].tolist() == [2.0]


def test_a_file_that_is_no_database_is_named(tmp_path: Path):
    path = tmp_path / "b3.duckdb"
    path.write_bytes(os.urandom(5000))
    with (
        pytest.raises(SourceUnavailableError, match=r"b3\.duckdb cannot be opened"),
        open_database(str(path)),
    ):
        pass


def test_a_quotation_mark_cannot_end_a_literal():
    assert duckdb.execute(f"SELECT {literal(TOKEN)}").fetchone() == (TOKEN,)


SPILLING = (
    "SELECT count(*) FROM (SELECT i, md5(i::VARCHAR) AS m FROM range(3_000_000) t(i) ORDER BY m)"
)


def test_a_query_spills_to_the_temporary_folder_where_the_working_folder_cannot_be_written(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(
        "/proc"
    )  # in which not even root makes a folder; Lambda's working folder is read-only too
    with connect(memory_limit="64MB", threads=1) as connection:
        spill = Path(
            connection.execute("SELECT current_setting('temp_directory')").fetchall()[0][0]
        )
        assert spill.parent == tmp_path
        assert connection.execute(SPILLING).fetchall() == [(3_000_000,)]
        assert spill.is_dir()  # so it did spill

    assert not list(tmp_path.iterdir())


def test_two_connections_do_not_spill_to_one_folder():
    with connect() as one, connect() as other:
        folders = [
            c.execute("SELECT current_setting('temp_directory')").fetchall() for c in (one, other)
        ]
    assert folders[0] != folders[1]


def test_the_memory_limit_is_a_share_of_the_functions(monkeypatch):
    def limit() -> str:
        with connect() as connection:
            return connection.execute("SELECT current_setting('memory_limit')").fetchall()[0][0]

    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1000")
    assert limit() == "400.0 MiB"
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
    assert (
        limit()
        == duckdb.connect().execute("SELECT current_setting('memory_limit')").fetchall()[0][0]
    )


def test_no_extension_is_ever_downloaded_and_the_home_folder_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with connect() as connection:
        with pytest.raises(duckdb.Error, match="spatial"):
            connection.execute("LOAD spatial")
        with pytest.raises(duckdb.Error, match="httpfs"):
            connection.execute("FROM read_parquet('https://localhost:1/q.parquet')")
    assert not list(tmp_path.iterdir())


def test_every_connection_is_made_by_connect():
    code = Path(b3shared.__file__).parent
    made = [
        path.name
        for path in code.rglob("*.py")
        if "duckdb.connect(" in path.read_text(encoding="utf-8")
    ]
    assert made == ["database.py"]


def test_too_little_memory_is_not_blamed_on_the_quotes(monkeypatch):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "4")
    with pytest.raises(OutOfMemoryError, match="more memory") as caught:
        ParquetSource(BUNDLED_QUOTES).read(QuoteQuery())
    assert HTTP_STATUS[caught.value.code] == 507


def test_a_full_disk_is_not_blamed_on_the_quotes():
    with connect(memory_limit="64MB", threads=1) as connection:
        connection.execute("SET max_temp_directory_size = '1MiB'")
        with pytest.raises(duckdb.Error) as caught:
            connection.execute(SPILLING)
    error = reading_error(caught.value, "quotes.parquet")
    assert isinstance(error, DiskFullError)
    assert "ScratchSize" in error.message
    assert HTTP_STATUS[error.code] == 507


def test_a_removed_file_is_not_blamed_on_the_quotes(tmp_path):
    file = tmp_path / "q.parquet"
    file.write_bytes(BUNDLED_QUOTES.read_bytes())
    with ParquetSource(file).opened(QuoteQuery()) as held:
        file.unlink()
        with pytest.raises(SourceUnavailableError, match="cannot be reached") as caught:
            held.read(QuoteQuery())
    assert HTTP_STATUS[caught.value.code] == 503


def test_a_damaged_file_is_blamed_on_the_quotes(tmp_path):
    file = tmp_path / "q.parquet"
    data = BUNDLED_QUOTES.read_bytes()
    file.write_bytes(data[:1000] + bytes(100_000) + data[101_000:])
    with pytest.raises(InvalidQuotesError, match="cannot be read as quotes"):
        ParquetSource(file).read(QuoteQuery())
