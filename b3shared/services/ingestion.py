"""The exchange's files into a lake, as a Python API: what the command line and a notebook use."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from b3shared.config import Settings
from b3shared.errors import IncompleteIngestError, NoQuotesError
from b3shared.pipeline.ingest_quotes import IngestRequest, ingest_quotes
from b3shared.quotes.ingest import Ingest, Progress
from b3shared.storage import open_storage


class B3IngestionService:
    """Fill and extend the lake of a storage.

    Args:
        settings: of the deployment: where the lake is, and where the exchange's files are.
        progress: told of the work.

    Attributes:
        actions_changed: whether the last call made the corporate actions anew without a file.
        overrides_without_effect: rows of the user's table of actions that change nothing, where it looked at them.
    """

    def __init__(self, settings: Settings | None = None, progress: Progress | None = None) -> None:
        self.settings, self._progress = settings or Settings.from_environment(), progress
        self.actions_changed, self.overrides_without_effect = False, list[str]()

    def ingest_published(self, years: list[int] | None = None, since: date | str | None = None) -> Iterator[dict[str, Any]]:
        """Fetch files from the exchange: whole years, every session since a day, or else whatever the lake lacks.

        Yields:
            What came of every file, as :class:`b3shared.quotes.ingest.Ingested` says it.

        Raises:
            NoQuotesError: Nothing was named, and the lake is empty.
            IncompleteIngestError: Of what the lake lacks, some files could not be taken in; all others were.
            B3Error: See :func:`b3shared.pipeline.ingest_quotes.ingest_quotes`.
        """
        event: dict[str, Any] = {"years": years or [], "since": since}
        while True:  # one file at a time, so that each is told of when it is there
            answer = ingest_quotes(IngestRequest.of(event), self.settings, lambda: False, self._progress)
            if "reason" in answer:
                raise NoQuotesError(answer["reason"])
            yield from answer["files"]
            self.actions_changed = answer["actions_changed"]
            self.overrides_without_effect = answer["overrides_without_effect"]
            if answer["status"] == "done":
                break
            event = answer["request"]
        if failed := answer["failed"]:
            told = "; ".join(f"{file['period']}: {file['code']}: {file['message']}" for file in failed)
            raise IncompleteIngestError(f"not taken in: {told}", failed=failed)

    def ingest_local(self, path: str | Path, *, partial: bool = False) -> Iterator[dict[str, Any]]:
        """Take in a COTAHIST file, or all of a folder, oldest first.

        Args:
            path: of the file or folder.
            partial: the files are subsets of the exchange's: only rows of the same ticker and session are replaced.

        Yields:
            What came of every file.
        """
        ingest, path = Ingest(open_storage(self.settings.storage), progress=self._progress), Path(path)
        for done in ingest.folder(path, partial=partial) if path.is_dir() else [ingest.file(path, partial=partial)]:
            yield done.to_json()
        self.overrides_without_effect = ingest.without_effect
