"""Takes the exchange's files into a lake, for the command line and notebooks."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

from b3shared.core.clock import today
from b3shared.core.config import Settings
from b3shared.core.errors import (
    B3Error,
    IncompleteIngestError,
    NoQuotesError,
    NotPublishedError,
)
from b3shared.quotes.corporate_actions.announcements.archive import read_announcements
from b3shared.quotes.corporate_actions.announcements.saved_answers import import_saved_answers
from b3shared.quotes.ingest.announcements import fetch_announcements
from b3shared.quotes.ingest.folder import incomplete_error
from b3shared.quotes.ingest.ingest import Ingest, Progress
from b3shared.quotes.ingest.job import ingest_quotes
from b3shared.quotes.ingest.request import IngestRequest
from b3shared.quotes.market.sectors import update_sectors
from b3shared.storage import open_storage


class B3IngestionService:
    """Fill and extend the lake of a storage.

    Args:
        settings: of the deployment: where the lake is, and where the exchange's files are.
        progress: told of the work.

    Attributes:
        actions_changed: whether the last call made the corporate actions anew without a file.
        overrides_without_effect: rows of the user's tables that change nothing, where it looked at
            them.
        possible_renames: pairs of tickers that may be one share, where it looked for them.
        event_findings: what a person should look at in the corporate actions, newest first; the
            lake has all.
        not_published: files that it asked for and that the exchange does not have, by name
            (M012024, D02012024).
        market: what came of the market's files, where they were asked for
            (:class:`b3shared.quotes.market.update.MarketUpdate`).
    """

    def __init__(self, settings: Settings | None = None, progress: Progress | None = None) -> None:
        self.settings = settings or Settings.from_environment()
        self._progress = progress
        self.actions_changed = False
        self.overrides_without_effect: list[str] = []
        self.not_published: list[str] = []
        self.possible_renames: list[str] = []
        self.market: dict[str, Any] | None = None
        self.event_findings: list[str] = []

    def ingest_published(
        self,
        years: list[int] | None = None,
        since: date | str | None = None,
        *,
        market: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """Fetch files from the exchange: years, sessions since a day, or else what the lake lacks.

        Args:
            years: whole years.
            since: every session from this day on.
            market: fetch the CDI that the storage lacks too, from the central bank, after the
                quotes. What goes wrong with it is a finding in ``market``.

        Yields:
            What came of every file, as :class:`b3shared.quotes.ingest.records.Ingested` says it.

        Raises:
            NoQuotesError: Nothing was named, and the lake is empty.
            NotPublishedError: Of what was named, the exchange has nothing.
            IncompleteIngestError: Of what the lake lacks, some files could not be taken in; all
                others were.
            B3Error: See :func:`b3shared.quotes.ingest.job.ingest_quotes`.
        """
        event: dict[str, Any] = {"years": years or [], "since": since, "market": market}
        self.not_published = []
        found = False

        while True:  # one file at a time, so that each is told of when it is there
            answer = ingest_quotes(
                IngestRequest.from_event(event), self.settings, lambda: False, self._progress
            )
            if "reason" in answer:
                raise NoQuotesError(answer["reason"])
            found = found or bool(answer["files"])
            yield from answer["files"]
            self.not_published += answer["not_published"]
            self.actions_changed = answer["actions_changed"]
            self.overrides_without_effect = answer["overrides_without_effect"]
            self.possible_renames = answer["possible_renames"]
            self.market = answer.get("market")
            self.event_findings = answer["event_findings"]["newest"]
            if answer["status"] == "done":
                break
            event = answer["request"]

        if failed := answer["failed"]:
            told = "; ".join(
                f"{file['period']}: {file['code']}: {file['message']}" for file in failed
            )
            raise IncompleteIngestError(f"not taken in: {told}", failed=failed)
        if since is not None and not found:
            raise NotPublishedError(self._nothing(since), not_published=self.not_published)

    def _nothing(self, since: date | str) -> str:
        """Why a day that was named led to no file."""
        if not self.not_published:
            return f"since = {since}: there is no session of the exchange from then to {today()}"
        return (
            f"since = {since}: of {len(self.not_published)} files asked for, "
            f"the first {self.not_published[0]} and the last {self.not_published[-1]}, "
            f"none is published at {self.settings.cotahist_address}; the lake is as it was"
        )

    def ingest_local(
        self, path: str | Path, *, partial: bool = False, force: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Take in a COTAHIST file, or all of a folder, oldest first.

        Args:
            path: of the file or folder.
            partial: the files are subsets of the exchange's: only rows of the same ticker and
                session are replaced.
            force: also what the lake has from files that the exchange made later is replaced.

        Yields:
            What came of every file.
        """
        ingest = Ingest(open_storage(self.settings.storage), progress=self._progress)
        path = Path(path)
        if path.is_dir():
            os.listdir(path)  # what may not be read looks empty to a search for files

        how: dict[str, Any] = {"partial": partial, "force": force}
        for done in ingest.folder(path, **how) if path.is_dir() else [ingest.file(path, **how)]:
            yield done.to_json()

        self.overrides_without_effect = ingest.without_effect
        self.possible_renames = ingest.possible_renames
        self.event_findings = ingest.event_findings

    def fetch_announcements(self, issuers: Iterable[str] = ()) -> dict[str, Any]:
        """Fetch the announcements of the lake's companies that are due, and use them.

        Args:
            issuers: roots of tickers, such as PETR: only these are asked for, however new their
                answers are.

        Returns:
            ``{"fetched": roots, "findings": sentences}``: who was asked for, and who was not.

        Raises:
            NoQuotesError: The lake is empty, and nobody was named.
            IncompleteIngestError: Some companies could not be fetched; all others were.
            SourceUnavailableError: The server is down; what was fetched before is kept.
            B3Error: See :func:`b3shared.quotes.ingest.announcements.fetch_announcements`.
        """
        with self._actions_afterwards():
            plan, result = fetch_announcements(
                self.settings, issuers, self._progress or (lambda message: None)
            )
        if plan.reason:
            raise NoQuotesError(plan.reason)
        if failed := result.failures():
            told = "; ".join(f"{failure['code']}: {failure['message']}" for failure in failed)
            raise IncompleteIngestError(
                f"announcements of {len({issuer for issuer, _ in result.failed})} of "
                f"{len(plan.companies)} companies not fetched, the others were: {told}",
                failed=failed,
            )

        return {"fetched": result.fetched, "findings": plan.findings()}

    def import_announcements(self, folder: str | Path) -> dict[str, Any]:
        """Take in the answers of the exchange that were saved in a folder, and use them.

        Returns:
            ``{"files", "fetched": roots, "findings": []}``.

        Raises:
            IncompleteIngestError: Some files were refused; all others were taken in.
            B3Error: See
                :func:`b3shared.quotes.corporate_actions.announcements.saved_answers.import_saved_answers`.
        """
        with self._actions_afterwards():
            result = import_saved_answers(open_storage(self.settings.storage), Path(folder))
        if result.refused:
            raise incomplete_error(result.refused, result.files)
        return {"files": result.files, "fetched": result.issuers, "findings": []}

    @contextmanager
    def _actions_afterwards(self) -> Iterator[None]:
        """Make actions and sectors anew after announcements came, also where a later one failed."""
        storage = open_storage(self.settings.storage)
        ingest = Ingest(storage, progress=self._progress)
        try:
            yield
        except B3Error:
            with suppress(B3Error):  # the first error is what matters
                ingest.actions()
            with suppress(B3Error):
                update_sectors(storage, read_announcements(storage).companies)
            raise

        if ingest.actions():
            self.actions_changed = True
            self.overrides_without_effect = ingest.without_effect
            self.possible_renames = ingest.possible_renames
            self.event_findings = ingest.event_findings
        update_sectors(storage, read_announcements(storage).companies)
