"""Imports answers that were saved as files, so that a machine without internet can be fed."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from b3shared.core.clock import now
from b3shared.core.errors import B3Error, InvalidAnnouncementsError, SourceUnavailableError
from b3shared.quotes.corporate_actions.announcements.answers import (
    ALL_COMPANIES,
    companies_of,
    decode,
)
from b3shared.quotes.corporate_actions.announcements.archive import (
    Answer,
    keep_answers,
    read_record,
)
from b3shared.quotes.corporate_actions.announcements.calls import PAGED, Call, Company
from b3shared.quotes.corporate_actions.announcements.server import asked_name
from b3shared.quotes.corporate_actions.announcements.values import Field
from b3shared.storage import Storage

EXAMPLE = "ABEV_GetListedCashDividends.json, or ABEV_GetListedCashDividends_2.json of page 2"

_CALLS = {call.lower(): call for call in Call}
_NAME = re.compile(
    rf"(?:(?P<issuer>[a-z0-9]{{4}})_)?(?P<call>{'|'.join(_CALLS)})(?:_(?P<page>[0-9]+))?\.json"
)


@dataclass
class SavedResult:
    """What came of a folder of saved answers.

    Attributes:
        files: how many there are.
        issuers: roots of the companies whose answers were taken.
        refused: file name -> why it was not.
        changed: whether the archive changed.
    """

    files: int = 0
    issuers: list[str] = field(default_factory=list)
    refused: dict[str, B3Error] = field(default_factory=dict)
    changed: bool = False


@dataclass(frozen=True)
class _Saved:
    """The pages of one answer, and the files that they are in."""

    names: list[str]
    pages: list[Any]
    saved: datetime


def import_saved_answers(storage: Storage, folder: Path) -> SavedResult:
    """Keep the answers of a folder's files; a wrong file is named and the others are taken.

    The time of an answer is that of its file: up to then the announcements are known.

    Args:
        storage: of the deployment.
        folder: of files such as :data:`EXAMPLE`, in any case. ``GetInitialCompanies.json`` is the
            list, from which names are taken; without it they are those of the other answers.

    Raises:
        SourceUnavailableError: There is no such folder.
        InvalidAnnouncementsError: It has no JSON file.
    """
    if not folder.is_dir():
        raise SourceUnavailableError(f"{folder} is not a folder; give one with saved answers")
    paths = sorted(folder.glob("*.json", case_sensitive=False))
    if not paths:
        raise InvalidAnnouncementsError(f"{folder} holds no saved answer, such as {EXAMPLE}")

    result = SavedResult(len(paths))
    saved = _read(paths, result)
    listed = _listed(saved.pop((None, Call.LIST), None), result)
    issuers = sorted({issuer for issuer, _ in saved if issuer is not None})
    for issuer in issuers:
        answers = {call: saved[name, call] for name, call in saved if name == issuer}
        company = listed.get(issuer) or _named(storage, issuer, answers)
        taken = [_keep(storage, company, call, answers[call], result) for call in answers]
        if any(taken):
            result.issuers.append(issuer)
    return result


def _read(paths: list[Path], result: SavedResult) -> dict[tuple[str | None, Call], _Saved]:
    """Return the answers by company and call."""
    found: dict[tuple[str | None, Call], dict[int, Path]] = defaultdict(dict)
    for path in paths:
        try:
            key, page = _parsed(path)
            if page in found[key]:
                raise InvalidAnnouncementsError(
                    f"{path.name} must be another answer than {found[key][page].name}"
                )
            found[key][page] = path
        except B3Error as error:
            result.refused[path.name] = error

    saved = {}
    for key, pages in found.items():
        files = [pages[number] for number in sorted(pages)]
        try:
            where = Field(key[0] or ALL_COMPANIES, key[1])
            values = [decode(path.read_bytes(), where) for path in files]
        except B3Error as error:
            result.refused |= dict.fromkeys([path.name for path in files], error)
            continue
        time = min(path.stat().st_mtime for path in files)
        fetched = min(datetime.fromtimestamp(time, UTC), now())
        saved[key] = _Saved([path.name for path in files], values, fetched)
    return saved


def _parsed(path: Path) -> tuple[tuple[str | None, Call], int]:
    """Return company and call of a file's name, and the number of its page."""
    found = _NAME.fullmatch(path.name.lower())
    if found is None:
        raise InvalidAnnouncementsError(f"name must be such as {EXAMPLE}, got {path.name!r}")
    call = _CALLS[found["call"]]
    page = int(found["page"] or 1)
    if call is Call.LIST:
        return (None, call), page
    if found["issuer"] is None or (call not in PAGED and found["page"]):
        raise InvalidAnnouncementsError(f"name must be such as {EXAMPLE}, got {path.name!r}")
    return (found["issuer"].upper(), call), page


def _listed(saved: _Saved | None, result: SavedResult) -> dict[str, Company]:
    if saved is None:
        return {}
    try:
        return {company.issuer: company for company in companies_of(saved.pages)}
    except B3Error as error:
        result.refused |= dict.fromkeys(saved.names, error)
        return {}


def _named(storage: Storage, issuer: str, answers: dict[Call, _Saved]) -> Company:
    """Return a company by the names in its own answers, or else as the archive has it."""
    for call in (Call.DETAILS, Call.SUPPLEMENT):
        value = answers[call].pages[0] if call in answers else None
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, dict) and isinstance(value.get("tradingName"), str):
            code = value.get("codeCVM")
            return Company(issuer, value["tradingName"].strip(), str(code or ""))
    record = read_record(storage, issuer)
    return Company(issuer, issuer) if record is None else record.company


def _keep(
    storage: Storage, company: Company, call: Call, saved: _Saved, result: SavedResult
) -> bool:
    """Keep one answer; return whether it was taken."""
    answer = Answer(call, asked_name(call, company), saved.pages, saved.saved)
    try:
        result.changed |= keep_answers(storage, company, [answer])
    except InvalidAnnouncementsError as error:
        result.refused |= dict.fromkeys(saved.names, error)
        return False
    return True
