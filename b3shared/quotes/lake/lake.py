"""The deployment's lake of daily quotes: one sorted Parquet file a year, and the manifest that names them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from b3shared.core.errors import ArtifactNotFoundError, ConflictError
from b3shared.core.serialization import file_sha256
from b3shared.core.tempdir import temporary_directory
from b3shared.quotes.corporate_actions.table import sorted_actions
from b3shared.quotes.lake.manifest import (
    LakeFile,
    Manifest,
    commit,
    file_key,
    origin,
    read_manifest,
    sweep,
)
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.schema import DEFAULTS
from b3shared.storage import Storage
from b3shared.storage.database import connect, parquet_files

LAKE = "lake/quotes"
"""Prefix of the lake in a deployment's storage."""

ATTEMPTS = 20
"""How often a change is made anew when somebody else's came first; one of those who race always wins."""

ACTIONS_TABLE = "lake_actions"


@dataclass(frozen=True)
class Detected:
    """What all quotes of a lake tell together; files are local.

    Attributes:
        actions: the corporate actions.
        renames: the renamed tickers.
        rules: by which they were found; see :func:`b3shared.quotes.lake.manifest.origin`. None:
            they are behind the quotes.
    """

    actions: Path
    renames: Path
    rules: str | None


@dataclass(frozen=True)
class Draft:
    """What a change wants the lake to be; files are local.

    Attributes:
        years: year -> its new file; None removes the year. Years that are not here stay.
        detected: in the quotes as they will be; None keeps what there is.
        forget: the quotes are others altogether; what was detected does not apply to them.
    """

    years: Mapping[int, Path | None]
    detected: Detected | None = None
    forget: bool = False


class Lake:
    """The writing side.

    Args:
        storage: of the deployment.
        prefix: of the lake in it.
    """

    def __init__(self, storage: Storage, prefix: str = LAKE) -> None:
        self.storage, self.prefix = storage, f"{prefix.strip('/')}/" if prefix else ""

    def manifest(self) -> Manifest:
        """The lake as it stands."""
        return read_manifest(self.storage, self.prefix)

    def fetch(self, file: LakeFile, folder: Path) -> Path:
        """Copy a file of the lake to a folder, hash checked; one that is there already is not fetched again."""
        path = folder / file.key
        return (
            path
            if path.exists()
            else self.storage.download(self.prefix + file.key, path, file.sha256)
        )

    def change(self, make: Callable[[Manifest, Path], Draft]) -> tuple[Manifest, Manifest]:
        """Change the lake in one step: readers see the state before or after, and a crash leaves the one before.

        Args:
            make: makes the draft from the manifest at hand, with files in the given empty folder.
                It is called again when somebody else changed the lake meanwhile, so that nothing of
                theirs is lost.

        Returns:
            The manifests before and after; the same one if the draft changes nothing, and then
            nothing was written.

        Raises:
            ConflictError: Others were quicker every time.
        """
        for _ in range(ATTEMPTS):
            before = self.manifest()
            try:
                with temporary_directory("lake") as folder:
                    after = self._uploaded(before, make(before, folder))
                if after is before:
                    return before, after
                commit(self.storage, self.prefix, after)
            except (
                ConflictError,
                ArtifactNotFoundError,
            ) as error:  # a file is gone when the lake has changed twice
                if isinstance(error, ArtifactNotFoundError) and self.manifest() == before:
                    raise
                overtaken = error
                continue
            sweep(self.storage, self.prefix, before, after)
            return before, after
        raise ConflictError(
            f"others changed the lake {self.storage.url}/{self.prefix} first, {ATTEMPTS} times in a row; try again later"
        ) from overtaken

    def _uploaded(self, before: Manifest, draft: Draft) -> Manifest:
        """The manifest that the draft leads to, its new files stored."""
        years = dict(before.years)
        for year, path in sorted(draft.years.items()):
            if path is None:
                years.pop(year, None)
            else:
                years[year] = (self._stored(path, f"year={year}", before, years.get(year, ())),)
        if draft.forget:
            return before.successor(years, None, None, None)
        if (new := draft.detected) is None:
            return before.successor(years, before.actions, before.renames, before.detected_from)
        actions = self._stored(new.actions, "actions", before, (before.actions,))
        renames = self._stored(new.renames, "renames", before, (before.renames,))
        return before.successor(
            years, actions, renames, None if new.rules is None else origin(years, new.rules)
        )

    def _stored(
        self, path: Path, folder: str, before: Manifest, there: tuple[LakeFile | None, ...]
    ) -> LakeFile:
        """A file of the lake with this content: the one that is there, or a new one."""
        digest = file_sha256(path)
        if len(there) == 1 and there[0] is not None and there[0].sha256 == digest:
            return there[0]
        key = file_key(folder, before.sequence + 1, digest)
        self.storage.upload(path, self.prefix + key)
        return LakeFile(key, digest, *_extent(path))


def relation_of(paths: list[Path], renames: Path | None = None) -> str:
    """Parquet files as one relation, by the names of their columns; renamed tickers under their newest name."""
    quotes = (
        f"read_parquet({parquet_files(paths)}, union_by_name = true, hive_partitioning = false)"
    )
    if renames is None:
        return quotes
    newest = "coalesce(renamed.new, quotes.ticker) AS ticker"
    join = f"LEFT JOIN read_parquet({parquet_files([renames])}) AS renamed ON quotes.ticker = renamed.old"
    return f"(SELECT quotes.* REPLACE ({newest}) FROM {quotes} AS quotes {join})"


def write_lake(frame: pd.DataFrame, storage: Storage, prefix: str = LAKE) -> list[str]:
    """Put quotes into a lake, one file a year; a year that is there is replaced as a whole. Returns the keys.

    Years without a quote stay as they are; rows without a date go with the newest year, so that a
    load counts them. Columns that ``frame.attrs["missing"]`` says the source lacks are left out:
    what reading fills in is no fact. Corporate actions that were detected in what a year held
    before do not apply to what it holds now, and go with it.
    """
    lake = Lake(storage, prefix)

    def draft(before: Manifest, folder: Path) -> Draft:
        years = _by_year(frame, folder)
        digests = {year: file_sha256(path) for year, path in years.items() if path}
        replaced = [
            year
            for year, digest in digests.items()
            if digest not in {f.sha256 for f in before.years.get(year, ())}
        ]
        return Draft(years, _without(lake, before, replaced, folder))

    _, after = lake.change(draft)
    return _keys(lake, after, _by_year_numbers(frame))


def _without(lake: Lake, before: Manifest, years: list[int], folder: Path) -> Detected | None:
    """What was detected, without the actions of some years; the user's own stay.

    None if that changes nothing.
    """
    if before.actions is None or before.renames is None:
        return None
    actions = lake.fetch(before.actions, folder)
    gone = f"year(date) IN (SELECT unnest({years}::INTEGER[])) AND source = 'detected'"
    with connect() as connection:
        table = connection.execute(
            f"SELECT *, {gone} AS gone FROM read_parquet({parquet_files([actions])})"
        ).df()
    if not table["gone"].any():
        return None
    kept = sorted_actions(table[~table["gone"]])
    return Detected(
        write_parquet(kept, folder / "actions-kept.parquet"),
        lake.fetch(before.renames, folder),
        None,
    )


def replace_lake(frame: pd.DataFrame, storage: Storage, prefix: str = LAKE) -> list[str]:
    """Make a lake hold these quotes, as :func:`write_lake` does, and no others, in one step.

    Returns the keys.
    """

    def draft(before: Manifest, folder: Path) -> Draft:
        return Draft(dict.fromkeys(before.years) | _by_year(frame, folder), forget=True)

    lake = Lake(storage, prefix)
    _, after = lake.change(draft)
    return _keys(lake, after, list(after.years))


def _by_year_numbers(frame: pd.DataFrame) -> list[int]:
    years = frame["date"].dt.year
    return [int(year) for year in sorted(years.fillna(years.max()).dropna().unique())]


def _by_year(frame: pd.DataFrame, folder: Path) -> dict[int, Path | None]:
    """The rows of every year in a file of its own, sorted by ticker and date."""
    years = frame["date"].dt.year
    files: dict[int, Path | None] = {}
    frame = frame.drop(
        columns=[
            column for column in frame.attrs.get("missing", ()) if _is_as_filled(frame, column)
        ]
    )
    for year, rows in frame.groupby(years.fillna(years.max()), sort=True):
        ordered = rows.sort_values(["ticker", "date"], kind="stable")
        files[int(year)] = write_parquet(ordered, folder / f"{int(year)}.parquet")
    return files


def _is_as_filled(frame: pd.DataFrame, column: str) -> bool:
    """Whether a column holds what reading gives one that the source lacks, and nothing else."""
    if column not in frame:
        return False
    values = frame[column].dropna()
    return bool((values == float(DEFAULTS[column])).all() if column in DEFAULTS else values.empty)


def _keys(lake: Lake, manifest: Manifest, years: list[int]) -> list[str]:
    return [lake.prefix + file.key for year in years for file in manifest.years[year]]


def _extent(path: Path) -> tuple[int, str | None, str | None]:
    """Rows, first and last session of a file."""
    with connect() as connection:
        found = connection.execute(
            f"SELECT count(*), min(CAST(date AS DATE)), max(CAST(date AS DATE)) FROM {relation_of([path])}"
        ).fetchall()
    rows, first, last = found[0]
    return int(rows), None if first is None else str(first), None if last is None else str(last)
