"""The exchange's files into the lake: parse, merge, look for corporate actions, commit all in one step, keep a record."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from b3shared.core.errors import (
    B3Error,
    IncompleteIngestError,
    InvalidActionsError,
    InvalidCotahistError,
    NoQuotesError,
    NotPublishedError,
    SourceUnavailableError,
    UnreadableFileError,
)
from b3shared.core.serialization import file_sha256, from_json, to_json, utc_now
from b3shared.core.tempdir import temporary_directory
from b3shared.core.versions import DETECTION_VERSION
from b3shared.quotes.corporate_actions.detection import detect_actions
from b3shared.quotes.corporate_actions.overrides import OVERRIDES, read_overrides, without_effect
from b3shared.quotes.corporate_actions.rename_findings import possible_renames
from b3shared.quotes.corporate_actions.rename_table import RENAMES, read_renames
from b3shared.quotes.corporate_actions.renames import renamed_tickers
from b3shared.quotes.corporate_actions.table import apply_overrides
from b3shared.quotes.cotahist.download import QuoteServer
from b3shared.quotes.cotahist.periods import Period, period_name
from b3shared.quotes.cotahist.reader import CotahistFile, CotahistReport
from b3shared.quotes.lake.lake import Detected, Draft, Lake, relation_of
from b3shared.quotes.lake.manifest import Manifest, origin
from b3shared.quotes.lake.merge import MEMORY, StagedQuotes, Standing, YearChange
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.storage import Storage
from b3shared.storage.database import connect

RECORDS = "lake/ingested"
"""Prefix of the records of ingested files, by the files' hash."""

REJECTED_TOLD = 5
"""So many unusable lines are named outside the record."""

WHO = "ingest_quotes"
"""Whose temporary files those of an ingest are."""

FILES = ("*.txt", "*.txt.gz", "*.zip")
"""What a folder is searched for, in any case."""

FILE_FAULTS = (UnreadableFileError, InvalidCotahistError, NoQuotesError, SourceUnavailableError)
"""Errors that say of one file that it is not what it should be, and nothing of the next."""

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Ingested:
    """What came of one file.

    Attributes:
        name: of the file.
        sha256: of its bytes.
        first_session: ISO date.
        last_session: ISO date.
        rows: quotes of the cash market in it.
        rejected: lines that could not be used.
        rejected_lines: numbers of the first of them; the record has all, with the reasons.
        duplicates: lines that were there twice.
        years: what changed, by year.
        changed: whether the lake is another now.
    """

    name: str
    sha256: str
    first_session: str
    last_session: str
    rows: int
    rejected: int
    rejected_lines: tuple[int, ...]
    duplicates: int
    years: tuple[YearChange, ...]
    changed: bool

    def to_json(self) -> dict[str, Any]:
        """JSON types."""
        years = [year.to_json() for year in self.years]
        return asdict(self) | {"years": years, "rejected_lines": list(self.rejected_lines)}


class Ingest:
    """Brings files into the lake of a storage.

    Corporate actions and renamed tickers are looked for in all quotes together: with a single file
    in the same step, of several files (``more``) once, with the last. Whatever ends in between, the
    manifest tells that they are behind the quotes; readers have those of before, and the next file,
    or :meth:`actions`, makes up for it even if it changes nothing.

    Args:
        storage: of the deployment.
        server: where the exchange's files are; None where none is to be fetched.
        progress: told of the work.

    Attributes:
        without_effect: rows of the user's tables that changed nothing when they were last looked
            at.
        possible_renames: pairs of tickers that may be one share, as they were last looked for.
    """

    def __init__(
        self, storage: Storage, server: QuoteServer | None = None, progress: Progress | None = None
    ) -> None:
        self._storage, self._server, self._lake = storage, server, Lake(storage)
        self._tell = progress or (lambda words: None)
        self.without_effect: list[str] = []
        self.possible_renames: list[str] = []

    def file(
        self,
        path: Path,
        *,
        partial: bool = False,
        force: bool = False,
        source: str | None = None,
        more: bool = False,
    ) -> Ingested:
        """Bring one file in: its sessions replace exactly those of the lake, but for what is there from a newer file.

        A file with unusable lines removes nothing: what it lacks may be in those.

        Args:
            path: of a COTAHIST file.
            partial: it is a subset of the exchange's file: only rows of the same ticker and session
                are replaced.
            force: also what is there from a file that the exchange made later is replaced.
            source: where it comes from, for the record; None is the path.
            more: others follow, and corporate actions wait for the last.

        Raises:
            InvalidActionsError: The user's table of corporate actions or of renames has a bad row;
                the quotes are in the lake.
            B3Error: The file is not what it should be; the lake is as before, and the record says
                why.
        """
        record = _Record(
            self._storage, path, {"source": source or str(path), "partial": partial, "force": force}
        )
        try:
            return self._ingest(path, record, partial=partial, force=force, more=more)
        except B3Error as error:
            record.failed(error)
            raise

    def folder(
        self, path: Path, *, partial: bool = False, force: bool = False
    ) -> Iterator[Ingested]:
        """Bring all files of a folder in, in the order in which the exchange made them: a correction comes last.

        A file that is not what it should be keeps no other out.

        Args:
            path: of the folder.
            partial: see :meth:`file`.
            force: see :meth:`file`.

        Raises:
            NoQuotesError: There is none.
            IncompleteIngestError: Some files were refused; all others are in the lake.
            B3Error: What is no file's fault, as for one file; those before it are in the lake.
        """
        if not path.is_dir():
            raise SourceUnavailableError(f"{path} is not a folder; give one with COTAHIST files")
        found = {
            file
            for pattern in FILES
            for file in path.glob(pattern, case_sensitive=False)
            if file.is_file()
        }
        if not found:
            raise NoQuotesError(f"{path} holds no COTAHIST file ({', '.join(FILES)})")
        queue = sorted(found, key=lambda file: (self._made(file, partial), file.name))
        refused: dict[str, B3Error] = {}
        with self.batch():
            while queue:
                path = queue.pop(0)
                try:
                    yield self.file(path, partial=partial, force=force, more=bool(queue))
                except FILE_FAULTS as error:  # one bad file must not keep the others out
                    refused[path.name] = error
            if refused:
                raise _incomplete(refused, len(found))

    def key(self, key: str, *, partial: bool = False) -> Ingested:
        """Bring in a file that lies in the storage."""
        with temporary_directory(WHO) as folder:
            path = self._storage.download(key, Path(folder, key.rpartition("/")[2]))
            return self.file(path, partial=partial, source=f"{self._storage.url}/{key}")

    def period(self, period: Period, *, more: bool = False, within: float = math.inf) -> Ingested:
        """Fetch the exchange's file of a period and bring it in.

        Args:
            period: a year, a month or a day.
            more: see :meth:`file`.
            within: seconds that the download may take.

        Raises:
            NotPublishedError: There is no such file.
            B3Error: It cannot be had, or is not what it should be.
        """
        if self._server is None:
            raise SourceUnavailableError("no address of the exchange's files is set")
        self._tell({"step": period_name(period), "phase": "downloading"})
        with temporary_directory(WHO) as folder:
            try:
                path = self._server.download(period, folder, within)
            except NotPublishedError:
                raise
            except B3Error as error:
                self._unread(period, self._server.url(period), error)
                raise
            return self.file(path, source=self._server.url(period), more=more)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Around files with ``more``: if one is refused, corporate actions are looked for in those before it."""
        try:
            yield
        except B3Error:
            with suppress(B3Error):  # the file's own error is what matters
                self.actions()
            raise

    def actions(self) -> bool:
        """Look for corporate actions if they are behind the quotes or the user's table; whether the lake is another now."""
        before, after = self._lake.change(
            lambda before, folder: self._completed(before, {}, folder)
        )
        return after is not before

    def _unread(self, period: Period, url: str, error: B3Error) -> None:
        """The record of a file that did not come; it has no hash, so the newest failure of a period stands there."""
        facts = {
            "source": url,
            "status": "failed",
            "at": utc_now(),
            "error": {"code": error.code, "message": error.message},
        }
        self._storage.put(f"{RECORDS}/unread-{period_name(period)}.json", to_json(facts))

    def _ingest(
        self, path: Path, record: "_Record", *, partial: bool, force: bool, more: bool
    ) -> Ingested:
        with temporary_directory(WHO) as folder, StagedQuotes(folder) as staged:
            report = self._staged(path, partial, staged)
            standing = Standing(
                report.created, whole_days=not partial and not report.rejected, force=force
            )
            changes: dict[int, YearChange] = {}
            bad_table: list[InvalidActionsError] = []

            def draft(before: Manifest, folder: Path) -> Draft:
                self._tell({"step": path.name, "phase": "merging"})
                years, found = self._merged(before, staged, folder, standing)
                changes.update(found)
                try:
                    whole = Draft(years) if more else self._completed(before, years, folder)
                except InvalidActionsError as error:  # no fault of the quotes
                    bad_table[:] = [error]
                    whole = Draft(years)
                record.committing(report, found)
                return whole

            before, after = self._lake.change(draft)
            done = Ingested(
                name=path.name,
                sha256=report.sha256,
                first_session=str(report.first_session),
                last_session=str(report.last_session),
                rows=report.cash_records,
                rejected=len(report.rejected),
                rejected_lines=tuple(number for number, _ in report.rejected[:REJECTED_TOLD]),
                duplicates=report.duplicates,
                years=tuple(changes[year] for year in sorted(changes)),
                changed=after is not before,
            )
            record.done(report, done, after)
            if bad_table:
                raise InvalidActionsError(
                    f"{bad_table[0].message}; the quotes of {path.name} are in the lake, corporate actions as they were"
                ) from bad_table[0]
            return done

    def _staged(self, path: Path, partial: bool, staged: StagedQuotes) -> CotahistReport:
        rows = 0
        with CotahistFile.open(path, partial=partial) as file:
            for frame in file.chunks():
                staged.add(frame)
                rows += len(frame)
                self._tell({"step": path.name, "phase": f"{rows:,} quotes read"})
            return file.report

    def _merged(
        self, before: Manifest, staged: StagedQuotes, folder: Path, standing: Standing
    ) -> tuple[dict[int, Path | None], dict[int, YearChange]]:
        """The years that the new quotes change, as files, and what they change in every year."""
        files: dict[int, Path | None] = {}
        changes = {}
        for year in staged.years():
            existing = [self._lake.fetch(file, folder) for file in before.years.get(year, ())]
            target = folder / f"merged-{year}.parquet"
            changes[year] = staged.merge(year, existing, target, standing)
            if changes[year].any:
                files[year] = target
        return files, changes

    def _completed(self, before: Manifest, years: dict[int, Path | None], folder: Path) -> Draft:
        """New years with what all quotes of the lake, as it will be, tell: renamed tickers, and corporate actions.

        The user's word on the actions is included. Where it was made from the same already, the
        draft changes nothing.
        """
        said, named = self._given(OVERRIDES), self._given(RENAMES)
        rules = f"{DETECTION_VERSION} {said!r}" + ("" if named is None else f" {named!r}")
        if not years and before.detected_from == origin(before.years, rules):
            return Draft(years)
        kept = [file for year, files in before.years.items() if year not in years for file in files]
        quotes = [self._lake.fetch(file, folder) for file in kept] + [
            path for path in years.values() if path
        ]
        if not quotes:
            return Draft(years)
        self._tell({"step": "corporate actions", "phase": "detecting"})
        with connect(memory_limit=MEMORY) as connection:
            given = None if named is None else read_renames(named)
            renamed = renamed_tickers(connection, relation_of(quotes), given)
            renames = write_parquet(renamed.table, folder / "renames.parquet")
            relation = relation_of(quotes, renames)
            self.without_effect = [f"{RENAMES}: {words}" for words in renamed.without_effect]
            self.possible_renames = possible_renames(connection, relation)
            final = actions = detect_actions(connection, relation)
            if said is not None:
                table = read_overrides(said, renamed.table)
                final = apply_overrides(actions, table)
                self.without_effect += without_effect(table, actions, final, connection, relation)
        return Draft(
            years, Detected(write_parquet(final, folder / "actions.parquet"), renames, rules)
        )

    def _given(self, key: str) -> bytes | None:
        """One of the user's tables; None if there is none."""
        found = self._storage.read_versioned(key)
        return None if found is None else found[0]

    @staticmethod
    def _made(path: Path, partial: bool) -> str:
        """When the exchange made a file, as text; files that cannot be opened come first, to be refused early."""
        try:
            with CotahistFile.open(path, partial=partial) as file:
                return str(file.created)
        except B3Error:
            return ""


def _incomplete(refused: dict[str, B3Error], files: int) -> IncompleteIngestError:
    """The error of a folder, naming every file that was refused and why."""
    told = "; ".join(f"{name}: {error.code}: {error.message}" for name, error in refused.items())
    failed = [
        {"file": name, "code": error.code, "message": error.message}
        for name, error in refused.items()
    ]
    others = ", the others were" if len(refused) < files else ""
    return IncompleteIngestError(
        f"{len(refused)} of {files} files not taken in{others}: {told}", failed=failed
    )


class _Record:
    """The record of one file: ``committing`` just before the lake changes, so that a crash leaves a trace, then the end."""

    def __init__(self, storage: Storage, path: Path, facts: dict[str, Any]) -> None:
        if not path.is_file():
            raise SourceUnavailableError(f"{path} is not a file; give a COTAHIST file")
        self._storage, self._sha256 = storage, file_sha256(path)
        self._key = f"{RECORDS}/{self._sha256}.json"
        self._facts = {"name": path.name, "sha256": self._sha256, **facts}
        found = storage.read_versioned(self._key)
        self._before: dict[str, Any] = {} if found is None else from_json(found[0], self._key)

    def committing(self, report: CotahistReport, changes: dict[int, YearChange]) -> None:
        """The lake is about to change; if it is not, an earlier record stays."""
        if any(change.any for change in changes.values()):
            self._write(
                "committing",
                report=report.to_json(),
                years=[change.to_json() for change in changes.values()],
            )

    def done(self, report: CotahistReport, done: Ingested, manifest: Manifest) -> None:
        """The file is in the lake."""
        years, before = [year.to_json() for year in done.years], self._before.get("status")
        again = before in ("done", "committing") and not any(year.any for year in done.years)
        # it was this file that changed the lake: long ago, or before a crash that kept it from
        # saying so
        if again:
            kept = {year["year"]: year["kept_newer"] for year in years}
            years = [
                year | {"kept_newer": kept.get(year["year"], [])} for year in self._before["years"]
            ]
        if not (again and before == "done"):
            self._write(
                "done",
                report=report.to_json(),
                years=years,
                changed=done.changed,
                sequence=manifest.sequence,
            )
        elif years != self._before["years"]:
            self._storage.put(self._key, to_json({**self._before, "years": years, "at": utc_now()}))
        self._before = self._before | {"status": "done"}

    def failed(self, error: B3Error) -> None:
        """The file was refused; that it went well before is not forgotten."""
        if self._before.get("status") not in ("done", "committing"):
            with suppress(B3Error):  # the file's own error is what matters
                self._write("failed", error={"code": error.code, "message": error.message})

    def _write(self, status: str, **facts: Any) -> None:
        self._storage.put(
            self._key, to_json({**self._facts, **facts, "status": status, "at": utc_now()})
        )
