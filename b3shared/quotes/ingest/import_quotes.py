"""Imports the quotes of another source into the lake, and detects splits where it lists none."""

from dataclasses import dataclass
from pathlib import Path

from b3shared.core.errors import InvalidParameterError
from b3shared.quotes.corporate_actions.announcements.archive import announcements_state
from b3shared.quotes.corporate_actions.rename_table import RENAMES
from b3shared.quotes.ingest.ingest import Ingest
from b3shared.quotes.lake.lake import LAKE, Lake
from b3shared.quotes.lake.manifest import KEY as MANIFEST
from b3shared.quotes.lake.write import replace_lake, write_lake
from b3shared.quotes.sources.base import QuoteSource
from b3shared.quotes.sources.lake import LakeSource
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage import Storage


@dataclass(frozen=True)
class Filled:
    """The result of an import.

    Attributes:
        keys: of the files that hold the quotes, in the storage.
        missing: columns that the source lacks, and the lake's files too.
        detected: whether corporate actions were detected.
        possible_renames: pairs of tickers that may be one share, if a detection ran.
        event_findings: what a person should look at in the corporate actions, if one ran.
    """

    keys: list[str]
    missing: list[str]
    detected: bool
    possible_renames: list[str]
    event_findings: list[str]

    def notes(self) -> list[str]:
        """Return sentences for the user."""
        notes = [f"the source has no {', '.join(self.missing)}"] if self.missing else []
        if self.detected:
            notes.append("splits and bonuses were looked for in the prices")
        if self.event_findings:
            count = len(self.event_findings)
            notes.append(f"{count} findings about corporate actions: {self.event_findings[0]}")
        return notes + [f"possible rename: {pair} to {RENAMES}" for pair in self.possible_renames]


def fill_lake(source: QuoteSource, storage: Storage, *, replace: bool = False) -> Filled:
    """Import all quotes of a source into the lake of a storage, and detect corporate actions.

    The detection is that of an ingest. It runs if the source has no split_factor, if the lake has
    actions that were made from other quotes, if announcements are kept, or if the user has a table
    of renamed tickers, which are joined in the same step.

    Args:
        source: of the quotes. It must not be a lake, whose files hold more than its quotes.
        storage: of the deployment.
        replace: the lake holds only these quotes afterwards; else years without a quote of the
            source stay as they are.

    Raises:
        InvalidParameterError: The source is a lake, or lies in one.
        NoQuotesError: The source has no quote up to today; the lake stays as it is.
    """
    _refuse_lake(source, storage)
    source.newest()  # raises where there is no quote
    frame = source.read(QuoteQuery())
    missing: list[str] = frame.attrs["missing"]
    write = replace_lake if replace else write_lake
    keys = write(frame, storage)

    lists_none = "split_factor" in missing
    has_actions = Lake(storage).manifest().actions is not None
    announced = announcements_state(storage) != ""
    detected = lists_none or has_actions or announced or storage.exists(RENAMES)
    ingest = Ingest(storage)
    if detected:
        ingest.actions()
    return Filled(keys, missing, detected, ingest.possible_renames, ingest.event_findings)


def _refuse_lake(source: QuoteSource, storage: Storage) -> None:
    """Raise if the source is a lake.

    Read and written again, a lake would lose DISMES, and keep detected actions as facts.
    """
    files = _files(source)
    own = Path(storage.url, LAKE).resolve()
    if source.name == f"{storage.url}/{LAKE}" or any(file.is_relative_to(own) for file in files):
        raise InvalidParameterError(
            f"quotes must be other than the lake that is to be filled, got {source.name!r}"
        )

    in_lake = any((file.parent.parent / MANIFEST).is_file() for file in files)
    if isinstance(source, LakeSource) or in_lake:
        raise InvalidParameterError(
            f"quotes must not be a lake, which holds more than its quotes, got {source.name!r}. "
            "To have the lake elsewhere, copy the folder lake/ of its storage as it is "
            "(cp -r, aws s3 cp --recursive)"
        )


def _files(source: QuoteSource) -> list[Path]:
    """Return the local files that a source may read."""
    if isinstance(source, LakeSource):
        return [] if source.name.startswith("s3://") else [Path(source.name, MANIFEST).resolve()]
    if not isinstance(source, ParquetSource):
        return []
    return [file.resolve() for file in source.files()]
