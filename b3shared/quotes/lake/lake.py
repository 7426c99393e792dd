"""The deployment's lake of daily quotes: changes its files and its manifest in one step.

A lake has one sorted Parquet file a year, and a manifest that names them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from b3shared.core.errors import ArtifactNotFoundError, B3Error, ConflictError
from b3shared.core.serialization import file_sha256
from b3shared.core.tempdir import temporary_directory
from b3shared.quotes.lake.manifest import (
    DETECTED,
    LakeFile,
    Manifest,
    commit,
    detection_hash,
    file_key,
    read_manifest,
    sweep,
)
from b3shared.storage import Storage
from b3shared.storage.database import parquet_files, scratch

LAKE = "lake/quotes"
"""Prefix of the lake in a deployment's storage."""

ATTEMPTS = 20
"""How often a change is tried when another writer commits first; one of the writers always wins."""


@dataclass(frozen=True)
class Detected:
    """What was made from all quotes of a lake and the announcements; the files are local.

    Attributes:
        actions: the corporate actions, all revisions of them.
        renames: the renamed tickers.
        coverage: the days for which the dividends of each ticker are known.
        findings: what a person should look at.
        rules: by which they were found; see
            :func:`b3shared.quotes.lake.manifest.detection_hash`. None: they are older than the
            quotes.
    """

    actions: Path
    renames: Path
    coverage: Path
    findings: Path
    rules: str | None


@dataclass(frozen=True)
class Draft:
    """A change of the lake; the files are local.

    Attributes:
        years: year -> its new file; None removes the year. Years that are not here stay.
        detected: in the quotes after the change; None keeps what there is.
        forget: the quotes are different altogether, and what was detected does not apply to them.
    """

    years: Mapping[int, Path | None]
    detected: Detected | None = None
    forget: bool = False


class Lake:
    """Reads and changes the lake of a storage.

    Args:
        storage: of the deployment.
        prefix: of the lake in it.
    """

    def __init__(self, storage: Storage, prefix: str = LAKE) -> None:
        self.storage = storage
        self.prefix = f"{prefix.strip('/')}/" if prefix else ""

    def manifest(self) -> Manifest:
        """Return the manifest of the lake as it is now."""
        return read_manifest(self.storage, self.prefix)

    def fetch(self, file: LakeFile, folder: Path) -> Path:
        """Copy a file of the lake to a folder unless it is there, and check its hash."""
        path = folder / file.key
        if path.exists():
            return path
        return self.storage.download(self.prefix + file.key, path, file.sha256)

    def change(self, make: Callable[[Manifest, Path], Draft]) -> tuple[Manifest, Manifest]:
        """Change the lake in one step.

        Readers see the state before or after, and a crash leaves the one before.

        Args:
            make: makes the draft from the current manifest, with files in the given empty folder.
                It is called again when another writer changed the lake meanwhile, so that no
                change is lost.

        Returns:
            The manifests before and after; the same one if the draft changes nothing, and then
            nothing was written.

        Raises:
            ConflictError: Other writers committed first in every attempt.
        """
        overtaken: B3Error | None = None
        for _ in range(ATTEMPTS):
            before = self.manifest()
            try:
                with temporary_directory("lake") as folder:
                    after = self._uploaded(before, make(before, folder))
                if after is before:
                    return before, after
                commit(self.storage, self.prefix, after)
            except ConflictError as error:
                overtaken = error
                continue
            except ArtifactNotFoundError as error:
                # a file is deleted when the lake has changed twice since its manifest was read
                if self.manifest() == before:
                    raise
                overtaken = error
                continue
            sweep(self.storage, self.prefix, before, after)
            return before, after

        raise ConflictError(
            f"others changed the lake {self.storage.url}/{self.prefix} first, "
            f"{ATTEMPTS} times in a row; try again later"
        ) from overtaken

    def _uploaded(self, before: Manifest, draft: Draft) -> Manifest:
        """Store the new files of a draft and return the manifest that it leads to."""
        years = dict(before.years)
        for year, path in sorted(draft.years.items()):
            if path is None:
                years.pop(year, None)
            else:
                years[year] = (self._stored(path, f"year={year}", before, years.get(year, ())),)

        if draft.forget:
            return before.successor(years, [None] * len(DETECTED), None)
        if draft.detected is None:
            return before.successor(years, before.detected(), before.detected_from)

        new = draft.detected
        files = [
            self._stored(getattr(new, name), name, before, (file,))
            for name, file in zip(DETECTED, before.detected(), strict=True)
        ]
        detected_from = None if new.rules is None else detection_hash(years, new.rules)
        return before.successor(years, files, detected_from)

    def _stored(
        self, path: Path, folder: str, before: Manifest, existing: tuple[LakeFile | None, ...]
    ) -> LakeFile:
        """Return the lake's file with this content: the existing one, or a new upload."""
        digest = file_sha256(path)
        if len(existing) == 1 and existing[0] is not None and existing[0].sha256 == digest:
            return existing[0]
        key = file_key(folder, before.sequence + 1, digest)
        self.storage.upload(path, self.prefix + key)
        return LakeFile(key, digest, *_extent(path))


def relation_of(paths: list[Path], renames: Path | None = None) -> str:
    """Return SQL that reads Parquet files as one relation, columns matched by name.

    With a table of renames, renamed tickers get their newest name.
    """
    quotes = (
        f"read_parquet({parquet_files(paths)}, union_by_name = true, hive_partitioning = false)"
    )
    if renames is None:
        return quotes
    newest = "coalesce(renamed.new, quotes.ticker) AS ticker"
    join = (
        f"LEFT JOIN read_parquet({parquet_files([renames])}) AS renamed "
        "ON quotes.ticker = renamed.old"
    )
    return f"(SELECT quotes.* REPLACE ({newest}) FROM {quotes} AS quotes {join})"


def _extent(path: Path) -> tuple[int, str | None, str | None]:
    """Rows, first and last day of a file; None where no row has a date."""
    with scratch() as connection:
        relation = relation_of([path])
        named = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        day = "CAST(date AS DATE)" if "date" in {row[0] for row in named} else "NULL::DATE"
        rows, first, last = connection.execute(
            f"SELECT count(*), min({day}), max({day}) FROM {relation}"
        ).fetchall()[0]
    return int(rows), None if first is None else str(first), None if last is None else str(last)
