"""Quotes of another source into the lake: what it has and nothing else, and splits looked for where it lists none."""

from dataclasses import dataclass
from pathlib import Path

from b3shared.core.errors import InvalidParameterError
from b3shared.quotes.corporate_actions.rename_table import RENAMES
from b3shared.quotes.ingest.ingest import Ingest
from b3shared.quotes.lake.lake import LAKE, Lake, replace_lake, write_lake
from b3shared.quotes.lake.manifest import KEY as MANIFEST
from b3shared.quotes.sources.base import QuoteSource
from b3shared.quotes.sources.lake import LakeSource
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage import Storage


@dataclass(frozen=True)
class Filled:
    """What came of it.

    Attributes:
        keys: of the files that hold the quotes, in the storage.
        missing: columns that the source lacks, and the lake's files too.
        detected: whether corporate actions were looked for.
        possible_renames: pairs of tickers that may be one share, where they were looked for.
    """

    keys: list[str]
    missing: list[str]
    detected: bool
    possible_renames: list[str]

    def notes(self) -> list[str]:
        """What a user should know of it."""
        told = [f"the source has no {', '.join(self.missing)}"] if self.missing else []
        told += ["splits and bonuses were looked for in the prices"] * self.detected
        return told + [f"possible rename: {pair} to {RENAMES}" for pair in self.possible_renames]


def fill_lake(source: QuoteSource, storage: Storage, *, replace: bool = False) -> Filled:
    """Put all quotes of a source into the lake of a storage, and look for corporate actions as an ingest does.

    They are looked for where the source has no split_factor, where the lake has some that were
    found in other quotes, and where the user has a table of renamed tickers, which are joined in
    the same step.

    Args:
        source: of the quotes; no lake, whose files hold more than can be read from it.
        storage: of the deployment.
        replace: the lake holds these quotes and no others; else years that the source has none of
            stay as they are.

    Raises:
        InvalidParameterError: The source is a lake, or lies in one.
        NoQuotesError: The source has no quote up to today; the lake stays as it is.
    """
    _refuse_lake(source, storage)
    source.newest()
    frame = source.read(QuoteQuery())
    missing: list[str] = frame.attrs["missing"]
    keys = (replace_lake if replace else write_lake)(frame, storage)
    detected = (
        "split_factor" in missing
        or Lake(storage).manifest().actions is not None
        or storage.exists(RENAMES)
    )
    ingest = Ingest(storage)
    if detected:
        ingest.actions()
    return Filled(keys, missing, detected, ingest.possible_renames)


def _refuse_lake(source: QuoteSource, storage: Storage) -> None:
    """A lake read and written again would lose DISMES, and keep as facts what was only detected."""
    files = _files(source)
    own = Path(storage.url, LAKE).resolve()
    if source.name == f"{storage.url}/{LAKE}" or any(file.is_relative_to(own) for file in files):
        raise InvalidParameterError(
            f"quotes = {source.name}: this is the lake that is to be filled; name other quotes"
        )
    if isinstance(source, LakeSource) or any(
        (file.parent.parent / MANIFEST).is_file() for file in files
    ):
        raise InvalidParameterError(
            f"quotes = {source.name}: this is a lake already, and more than its quotes; quotes of another kind are allowed. "
            "To have the lake elsewhere, copy the folder lake/ of its storage as it is (cp -r, aws s3 cp --recursive)"
        )


def _files(source: QuoteSource) -> list[Path]:
    """The local files that a source may read."""
    if isinstance(source, LakeSource):
        return [] if source.name.startswith("s3://") else [Path(source.name, MANIFEST).resolve()]
    if not isinstance(source, ParquetSource):
        return []
    return [file.resolve() for file in source.files()]
