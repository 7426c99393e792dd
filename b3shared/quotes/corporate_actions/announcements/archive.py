"""Keeps the exchange's answers in the deployment's storage, and reads them as tables.

Every answer that differs from the newest kept one is an object of its own and never changed. A
record per company names its answers with their times, and has their rows united. The index names
every company's record by its hash; its own hash is the state of the archive.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from b3shared.core.errors import ConflictError
from b3shared.core.serialization import from_json, to_json
from b3shared.quotes.corporate_actions.announcements.answers import check_answer
from b3shared.quotes.corporate_actions.announcements.calls import Call, Company
from b3shared.quotes.corporate_actions.announcements.company_record import (
    CompanyRecord,
    KeptAnswer,
    time_text,
)
from b3shared.quotes.corporate_actions.announcements.table import Announcements
from b3shared.quotes.corporate_actions.announcements.table_frames import to_tables
from b3shared.quotes.corporate_actions.announcements.united import unite_successor
from b3shared.storage import Storage

ANNOUNCEMENTS = "lake/announcements"
"""Prefix of the archive in a deployment's storage."""

INDEX = f"{ANNOUNCEMENTS}/index.json"

ATTEMPTS = 20
"""How often a change is tried when another writer was first."""

READERS = 8
"""Threads that read records; a storage's own connections are about as many."""


@dataclass(frozen=True)
class Answer:
    """A complete answer of the exchange about one company.

    Attributes:
        call: of the exchange.
        name: what was asked for: a trading name, a root of tickers or a number of the CVM.
        pages: the JSON value of each page; one for a call without pages.
        fetched: UTC time.
    """

    call: Call
    name: str
    pages: list[Any]
    fetched: datetime


@dataclass(frozen=True)
class IndexEntry:
    """A company in the index.

    Attributes:
        record: SHA-256 of its record.
        fetched: UTC time up to which its announcements are known; None if a call has no answer.
        details_fetched: UTC time of its newest details; None without.
    """

    record: str
    fetched: datetime | None
    details_fetched: datetime | None


def announcements_state(storage: Storage) -> str:
    """Return a hash of what is kept; it changes when a row or a known-until date changes.

    It is empty where nothing is kept. It costs one read of a small object.
    """
    found = storage.read_versioned(INDEX)
    return "" if found is None else hashlib.sha256(found[0]).hexdigest()


def read_index(storage: Storage) -> dict[str, IndexEntry]:
    """Return the companies that are kept, by their root of four letters."""
    return _index_from(storage.read_versioned(INDEX))


def keep_answers(storage: Storage, company: Company, answers: Sequence[Answer]) -> bool:
    """Add answers of one company to the archive.

    Args:
        storage: of the deployment.
        company: as the exchange's list has it now.
        answers: complete ones.

    Returns:
        Whether the archive changed; it does not if the very same answers are there.

    Raises:
        InvalidAnnouncementsError: An answer cannot be read; nothing is kept.
        ConflictError: Other writers were first in every attempt.
    """
    if not answers:
        return False
    for answer in answers:
        check_answer(answer.call, company.issuer, answer.pages)

    def change() -> bool:
        changed, entry = _change_record(storage, company, answers)
        return _change_index(storage, company.issuer, entry) or changed

    return _until_first(change, f"the announcements of {company.issuer}")


def read_announcements(storage: Storage) -> Announcements:
    """Return all that is kept: the announcements and the companies.

    The announcements of a company that was listed under several roots, one after the other with the
    same number of the CVM, are under the newest.
    """
    issuers = sorted(read_index(storage))
    with ThreadPoolExecutor(READERS) as threads:
        found = threads.map(lambda issuer: read_record(storage, issuer), issuers)
        records = [record for record in found if record is not None]
    return to_tables(_joined_successors(records))


def read_record(storage: Storage, issuer: str) -> CompanyRecord | None:
    """Return the record of a company; None without one."""
    key = _record_key(issuer)
    found = storage.read_versioned(key)
    return None if found is None else CompanyRecord.from_json(found[0], key, storage)


def _joined_successors(records: list[CompanyRecord]) -> list[CompanyRecord]:
    """Join records of one registrant that follow each other in time."""
    joined: list[CompanyRecord] = []
    by_code: dict[str, CompanyRecord] = {}
    for record in sorted(records, key=lambda record: min(record.times())):
        code = record.company.code_cvm
        earlier = by_code.get(code) if code else None
        if earlier is not None and max(earlier.times()) <= min(record.times()):
            joined.remove(earlier)
            record = replace(
                record,
                rows=unite_successor(record.rows, earlier.rows),
                earlier=(*earlier.earlier, earlier),
            )
        if code:
            by_code[code] = record
        joined.append(record)

    return sorted(joined, key=lambda record: record.company.issuer)


def _change_record(
    storage: Storage, company: Company, answers: Iterable[Answer]
) -> tuple[bool, IndexEntry]:
    """Store answers and the record that names them; return whether the record changed."""
    answers = sorted(answers, key=lambda answer: answer.fetched)
    key = _record_key(company.issuer)
    found = storage.read_versioned(key)
    newest = max(answer.fetched for answer in answers)
    if found is None:
        record = CompanyRecord(company, newest)
    else:
        record = CompanyRecord.from_json(found[0], key, storage)
        if newest >= record.named:
            record = replace(record, company=company, named=newest)

    for answer in answers:
        kept = _stored(storage, record, answer)
        record = record.with_answer(kept, answer.pages, storage)
    data = record.to_json()
    if found is None:
        storage.create(key, data)
    elif found[0] != data:
        storage.replace(key, data, found[1])
    return found is None or found[0] != data, _entry(record, data)


def _stored(storage: Storage, record: CompanyRecord, answer: Answer) -> KeptAnswer:
    """Store an answer unless the record has one with this content next to it in time."""
    issuer = record.company.issuer
    content = {"issuer": issuer, "call": str(answer.call), "name": answer.name}
    digest = hashlib.sha256(to_json(content | {"pages": answer.pages})).hexdigest()
    for known in record.answers:
        if (known.call, known.name, known.sha256) == (answer.call, answer.name, digest):
            return replace(known, first=answer.fetched, last=answer.fetched)

    time = answer.fetched.strftime("%Y%m%dT%H%M%S.%fZ")
    key = f"{ANNOUNCEMENTS}/answers/{issuer}/{answer.call}/{time}-{digest[:12]}.json"
    document = content | {"fetched": time_text(answer.fetched), "pages": answer.pages}
    with suppress(ConflictError):  # stored by an attempt that was not first with the record
        storage.create(key, to_json(document))
    return KeptAnswer(answer.call, answer.name, key, digest, answer.fetched, answer.fetched)


def _change_index(storage: Storage, issuer: str, entry: IndexEntry) -> bool:
    found = storage.read_versioned(INDEX)
    index = _index_from(found)
    if index.get(issuer) == entry:
        return False
    index[issuer] = entry
    data = to_json({name: _entry_to_json(entry) for name, entry in index.items()})
    if found is None:
        storage.create(INDEX, data)
    else:
        storage.replace(INDEX, data, found[1])
    return True


def _entry(record: CompanyRecord, data: bytes) -> IndexEntry:
    times = [record.fetched(call) for call in (Call.CASH, Call.SUPPLEMENT)]
    known = [time for time in times if time is not None]
    return IndexEntry(
        record=hashlib.sha256(data).hexdigest(),
        fetched=min(known) if len(known) == len(times) else None,
        details_fetched=record.fetched(Call.DETAILS),
    )


def _index_from(found: tuple[bytes, str] | None) -> dict[str, IndexEntry]:
    document = {} if found is None else from_json(found[0], INDEX)
    return {
        issuer: IndexEntry(entry["record"], _time(entry["fetched"]), _time(entry["details"]))
        for issuer, entry in document.items()
    }


def _entry_to_json(entry: IndexEntry) -> dict[str, str | None]:
    times = {"fetched": entry.fetched, "details": entry.details_fetched}
    return {"record": entry.record} | {
        name: None if time is None else time_text(time) for name, time in times.items()
    }


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _record_key(issuer: str) -> str:
    return f"{ANNOUNCEMENTS}/companies/{issuer}.json"


def _until_first(change: Callable[[], bool], what: str) -> bool:
    """Make a change, again while other writers are first."""
    overtaken: ConflictError | None = None
    for _ in range(ATTEMPTS):
        try:
            return change()
        except ConflictError as error:
            overtaken = error
    raise ConflictError(
        f"others changed {what} first, {ATTEMPTS} times in a row; try again later"
    ) from overtaken
