"""A Parquet file, or a folder of them, as a source."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from b3shared.core.config import BUNDLED_QUOTES, NO_BUNDLED_QUOTES
from b3shared.core.errors import InvalidQuotesError, NoQuotesError, SourceUnavailableError
from b3shared.quotes.sources.base import DuckDBReader
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage.database import connect, parquet_files

_PARQUET = b"PAR1"
"""First bytes of every Parquet file."""


class ParquetSource(DuckDBReader):
    """A Parquet file, or a folder of them (hive partitions welcome).

    Args:
        path: of the file or folder.
        name: name in reports and errors; by default the path.
        loaded: it is what a load wrote: a NULL dividend is not known, and not 0.
    """

    def __init__(self, path: str | Path, name: str | None = None, *, loaded: bool = False) -> None:
        self.path = Path(path)
        self.name = name or str(path)
        if loaded:
            self.nullable = frozenset({"dividend"})

    @contextmanager
    def _relation(self, query: QuoteQuery) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        if not self.path.exists():
            if self.path == BUNDLED_QUOTES:
                raise SourceUnavailableError(NO_BUNDLED_QUOTES)
            raise SourceUnavailableError(
                f"{self.name} does not exist; give a Parquet file or a folder of them"
            )

        files = self.files()
        if not files:
            raise NoQuotesError(
                f"{self.name} holds no *.parquet file; {_how_to_convert('quotes.csv')}"
            )
        if files == [self.path] and self.path.stat().st_size == 0:
            raise NoQuotesError(
                f"{self.name} is empty (0 bytes); a Parquet file with quotes is needed"
            )

        for file in files:
            _check_is_parquet(file, self.name if file == self.path else str(file))

        with connect() as connection:
            yield connection, f"read_parquet({parquet_files(files)}, union_by_name = true)"

    def files(self) -> list[Path]:
        """Return the files that are read, sorted."""
        if not self.path.is_dir():
            return [self.path]
        return sorted(file for file in self.path.rglob("*.parquet") if file.is_file())


def _check_is_parquet(file: Path, name: str) -> None:
    """Refuse a file that does not begin as Parquet does, under a name for errors."""
    with file.open("rb") as opened:
        begin = opened.read(len(_PARQUET))
    if begin != _PARQUET:
        raise InvalidQuotesError(
            f"{name} cannot be read as quotes: it is not a Parquet file; "
            f"{_how_to_convert(Path(name).name)}"
        )


def _how_to_convert(name: str) -> str:
    """Tell the user how to convert quotes to Parquet."""
    return (
        "CSV and other text is not read yet: convert it to Parquet, in Python with "
        f"""duckdb.sql("COPY (FROM read_csv('{name}')) TO 'quotes.parquet'"); """
        "read_csv takes delim=';', decimal_separator=',' and dateformat='%d/%m/%Y' "
        "where the file needs them"
    )
