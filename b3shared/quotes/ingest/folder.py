"""The files of a folder: finds and orders COTAHIST files, reports those that were refused."""

from pathlib import Path

from b3shared.core.errors import (
    B3Error,
    IncompleteIngestError,
    InvalidCotahistError,
    NoQuotesError,
    SourceUnavailableError,
    UnreadableFileError,
)
from b3shared.quotes.cotahist.reader import CotahistFile

FILES = ("*.txt", "*.txt.gz", "*.zip")
"""Patterns of the files of a folder that are ingested, in any case."""

FILE_FAULTS = (UnreadableFileError, InvalidCotahistError, NoQuotesError, SourceUnavailableError)
"""Errors that concern one file and not the next."""


def find_files(folder: Path, *, partial: bool) -> list[Path]:
    """Return the files of a folder in the order in which the exchange made them.

    A correction comes after what it corrects. Files that cannot be opened come first, to be refused
    early.

    Raises:
        SourceUnavailableError: There is no such folder.
        NoQuotesError: There is no such file.
    """
    if not folder.is_dir():
        raise SourceUnavailableError(f"{folder} is not a folder; give one with COTAHIST files")
    found = {
        path
        for pattern in FILES
        for path in folder.glob(pattern, case_sensitive=False)
        if path.is_file()
    }
    if not found:
        raise NoQuotesError(f"{folder} holds no COTAHIST file ({', '.join(FILES)})")
    return sorted(found, key=lambda path: (_created(path, partial), path.name))


def incomplete_error(refused: dict[str, B3Error], files: int) -> IncompleteIngestError:
    """Return the error of a folder of which some files were refused: each with its reason."""
    reasons = "; ".join(f"{name}: {error.code}: {error.message}" for name, error in refused.items())
    failed = [
        {"file": name, "code": error.code, "message": error.message}
        for name, error in refused.items()
    ]
    others = ", the others were" if len(refused) < files else ""
    return IncompleteIngestError(
        f"{len(refused)} of {files} files not taken in{others}: {reasons}", failed=failed
    )


def _created(path: Path, partial: bool) -> str:
    """The date of a file's header as text; empty for one that cannot be opened."""
    try:
        with CotahistFile.open(path, partial=partial) as file:
            return str(file.created)
    except B3Error:
        return ""
