"""Ingests the exchange's files: parses, merges, detects corporate actions, commits in one step."""

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from b3shared.core.errors import (
    B3Error,
    InvalidActionsError,
    NotPublishedError,
    SourceUnavailableError,
)
from b3shared.core.tempdir import temporary_directory
from b3shared.quotes.cotahist.download import QuoteServer
from b3shared.quotes.cotahist.periods import Period, period_name
from b3shared.quotes.cotahist.reader import CotahistFile, CotahistReport
from b3shared.quotes.ingest.folder import FILE_FAULTS, find_files, incomplete_error
from b3shared.quotes.ingest.lake_actions import LakeActions, Progress
from b3shared.quotes.ingest.records import Ingested, IngestRecord, record_unread
from b3shared.quotes.lake.lake import Draft, Lake
from b3shared.quotes.lake.manifest import Manifest
from b3shared.quotes.lake.merge import ReplacementPolicy, StagedQuotes, YearChange
from b3shared.storage import Storage

__all__ = ["Ingest", "Progress"]

SCRATCH = "ingest_quotes"
"""Name of the ingest's folders of temporary files."""


class Ingest:
    """Ingests files into the lake of a storage.

    Corporate actions and renamed tickers are detected in all quotes together: with a single file in
    the same step, of several files (``more``) once, with the last. If an ingest ends before that,
    the manifest shows that they are older than the quotes. Readers use the old ones until the next
    file, or :meth:`actions`, detects anew.

    Args:
        storage: of the deployment.
        server: where the exchange's files are; None where none is to be fetched.
        progress: is told of the work.
    """

    def __init__(
        self, storage: Storage, server: QuoteServer | None = None, progress: Progress | None = None
    ) -> None:
        self._storage = storage
        self._server = server
        self._progress = progress or (lambda fields: None)
        self._lake = Lake(storage)
        self._actions = LakeActions(storage, self._lake, self._progress)

    @property
    def without_effect(self) -> list[str]:
        """Rows of the user's tables that changed nothing in the last detection."""
        return self._actions.without_effect

    @property
    def possible_renames(self) -> list[str]:
        """Pairs of tickers that may be one share, of the last detection."""
        return self._actions.possible_renames

    @property
    def event_findings(self) -> list[str]:
        """What a person should look at in the corporate actions, of the last detection."""
        return self._actions.event_findings

    def file(
        self,
        path: Path,
        *,
        partial: bool = False,
        force: bool = False,
        source: str | None = None,
        more: bool = False,
    ) -> Ingested:
        """Ingest one file: its sessions replace those of the lake, except rows of a newer file.

        A file with unusable lines removes nothing: what it lacks may be in those.

        Args:
            path: of a COTAHIST file.
            partial: it is a subset of the exchange's file: only rows of the same ticker and session
                are replaced.
            force: rows of a newer file are replaced too.
            source: origin of the file, for the record; None is the path.
            more: others follow, and the detection waits for the last.

        Raises:
            InvalidActionsError: The user's table of corporate actions or of renames has a bad row;
                the quotes are in the lake.
            B3Error: The file is faulty; the lake is as before, and the record has the reason.
        """
        facts = {"source": source or str(path), "partial": partial, "force": force}
        record = IngestRecord(self._storage, path, facts)
        try:
            return self._ingest(path, record, partial=partial, force=force, more=more)
        except B3Error as error:
            record.failed(error)
            raise

    def folder(
        self, path: Path, *, partial: bool = False, force: bool = False
    ) -> Iterator[Ingested]:
        """Ingest all files of a folder, in the order in which the exchange made them.

        A faulty file does not keep the others out.

        Args:
            path: of the folder.
            partial: see :meth:`file`.
            force: see :meth:`file`.

        Raises:
            SourceUnavailableError: There is no such folder.
            NoQuotesError: It has no such file.
            IncompleteIngestError: Some files were refused; all others are in the lake.
            B3Error: An error that is not of one file; the files before it are in the lake.
        """
        files = find_files(path, partial=partial)
        refused: dict[str, B3Error] = {}
        with self.batch():
            for number, file in enumerate(files, 1):
                try:
                    yield self.file(file, partial=partial, force=force, more=number < len(files))
                except FILE_FAULTS as error:
                    refused[file.name] = error
            if refused:
                raise incomplete_error(refused, len(files))

    def key(self, key: str, *, partial: bool = False) -> Ingested:
        """Ingest a file that is in the storage."""
        with temporary_directory(SCRATCH) as folder:
            path = self._storage.download(key, Path(folder, key.rpartition("/")[2]))
            return self.file(path, partial=partial, source=f"{self._storage.url}/{key}")

    def period(self, period: Period, *, more: bool = False, within: float = math.inf) -> Ingested:
        """Fetch the exchange's file of a period and ingest it.

        Args:
            period: a year, a month or a day.
            more: see :meth:`file`.
            within: seconds that the download may take.

        Raises:
            NotPublishedError: There is no such file.
            B3Error: It cannot be fetched, or is faulty.
        """
        if self._server is None:
            raise SourceUnavailableError("no address of the exchange's files is set")
        self._progress({"step": period_name(period), "phase": "downloading"})

        url = self._server.url(period)
        with temporary_directory(SCRATCH) as folder:
            try:
                path = self._server.download(period, folder, within)
            except NotPublishedError:
                raise
            except B3Error as error:
                record_unread(self._storage, period, url, error)
                raise
            return self.file(path, source=url, more=more)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Wrap files with ``more``: after an error, detect the actions of the files before it."""
        try:
            yield
        except B3Error:
            with suppress(B3Error):  # the file's own error is what matters
                self.actions()
            raise

    def actions(self) -> bool:
        """Detect actions and renames if the quotes or the user's tables changed since.

        Returns:
            Whether the lake changed.
        """
        before, after = self._lake.change(
            lambda before, folder: self._actions.completed(before, {}, folder)
        )
        return after is not before

    def _ingest(
        self, path: Path, record: IngestRecord, *, partial: bool, force: bool, more: bool
    ) -> Ingested:
        with temporary_directory(SCRATCH) as folder, StagedQuotes(folder) as staged:
            report = self._staged(path, partial, staged)
            whole_days = not partial and not report.rejected
            policy = ReplacementPolicy(report.created, whole_days=whole_days, force=force)
            changes: dict[int, YearChange] = {}
            bad_table: list[InvalidActionsError] = []

            def draft(before: Manifest, folder: Path) -> Draft:
                self._progress({"step": path.name, "phase": "merging"})
                years, found = self._merged(before, staged, folder, policy)
                changes.update(found)
                try:
                    change = (
                        Draft(years) if more else self._actions.completed(before, years, folder)
                    )
                except InvalidActionsError as error:  # the quotes are good all the same
                    bad_table[:] = [error]
                    change = Draft(years)

                record.committing(report, found)
                return change

            before, after = self._lake.change(draft)
            result = Ingested.from_report(path.name, report, changes, changed=after is not before)
            record.done(report, result, after)

        if bad_table:
            raise InvalidActionsError(
                f"{bad_table[0].message}; the quotes of {path.name} are in the lake, "
                "corporate actions as they were"
            ) from bad_table[0]
        return result

    def _staged(self, path: Path, partial: bool, staged: StagedQuotes) -> CotahistReport:
        """Read a file into the staged quotes and return its report."""
        rows = 0
        with CotahistFile.open(path, partial=partial) as file:
            for frame in file.chunks():
                staged.add(frame)
                rows += len(frame)
                self._progress({"step": path.name, "phase": f"{rows:,} quotes read"})
            return file.report

    def _merged(
        self, before: Manifest, staged: StagedQuotes, folder: Path, policy: ReplacementPolicy
    ) -> tuple[dict[int, Path | None], dict[int, YearChange]]:
        """Write the years that the new quotes change; return their files, and all changes."""
        files: dict[int, Path | None] = {}
        changes = {}
        for year in staged.years():
            existing = [self._lake.fetch(file, folder) for file in before.years.get(year, ())]
            target = folder / f"merged-{year}.parquet"
            changes[year] = staged.merge(year, existing, target, policy)
            if changes[year].any:
                files[year] = target
        return files, changes
