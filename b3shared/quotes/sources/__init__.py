"""Sources of quotes: a lake, DuckDB and MotherDuck, Parquet."""

from pathlib import Path

from b3shared.quotes.lake.manifest import KEY as MANIFEST
from b3shared.quotes.sources.base import QuoteSource
from b3shared.quotes.sources.duckdb import DuckDBSource
from b3shared.quotes.sources.lake import LakeSource
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.storage.database import is_motherduck


def open_source(location: str | Path) -> QuoteSource:
    """Return the source of a location.

    Args:
        location: a lake, at ``s3://`` or in a folder with a manifest; a ``md:`` database of
            MotherDuck or a ``*.duckdb``/``*.db`` file, both optionally with ``#table``; else a
            Parquet file or a folder of them.

    Raises:
        SourceUnavailableError: No such file or folder.
    """
    path, _, table = str(location).partition("#")
    if path.startswith("s3://") or (Path(path) / MANIFEST).is_file():
        return LakeSource(path)
    if is_motherduck(path) or path.lower().endswith((".duckdb", ".db", ".ddb")):
        return DuckDBSource(path, table or None)
    return ParquetSource(str(location))
