"""The record of one company in the archive: its answers with their times, and the united rows."""

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from b3shared.core.serialization import from_json, to_json
from b3shared.quotes.corporate_actions.announcements.announcement import Announcement, Details
from b3shared.quotes.corporate_actions.announcements.answers import (
    details_of,
    rows_of,
)
from b3shared.quotes.corporate_actions.announcements.calls import Call, Company
from b3shared.quotes.corporate_actions.announcements.united import KeptRow, unite
from b3shared.storage import Storage

RULES_VERSION = 1
"""Raised when answers are read or united differently: records are then made anew from the answers
that are kept."""


@dataclass(frozen=True)
class KeptAnswer:
    """An answer that is kept, and when the exchange gave it.

    Attributes:
        call: of the exchange.
        name: what was asked for: a trading name, a root of tickers or a number of the CVM.
        key: of the answer in the storage.
        sha256: of its content.
        first: UTC time when it was fetched first.
        last: UTC time when it was fetched last, with no other answer in between.
    """

    call: Call
    name: str
    key: str
    sha256: str
    first: datetime
    last: datetime


@dataclass(frozen=True)
class CompanyRecord:
    """What is kept of one company.

    Attributes:
        company: as the newest list had it.
        named: UTC time of that list, or of the answers that came with the name.
        answers: by time.
        rows: the united announcements.
        details: of the newest answer; None without one.
        earlier: of the same registrant under its earlier roots, whose rows are among these. Only
            records that were read together have it; it is not stored.
    """

    company: Company
    named: datetime
    answers: tuple[KeptAnswer, ...] = ()
    rows: list[KeptRow] = field(default_factory=list)
    details: Details | None = None
    earlier: tuple["CompanyRecord", ...] = ()

    def newest(self, call: Call) -> KeptAnswer | None:
        """Return the newest answer of a call; None without one."""
        found = [answer for answer in self.answers if answer.call is call]
        return max(found, key=lambda answer: answer.last, default=None)

    def fetched(self, call: Call) -> datetime | None:
        """Return the UTC time of the newest answer of a call; None without one."""
        newest = self.newest(call)
        return None if newest is None else newest.last

    def times(self) -> list[datetime]:
        """Return the UTC times of the first and last of each answer."""
        return [time for answer in self.answers for time in (answer.first, answer.last)]

    def with_answer(
        self, answer: KeptAnswer, pages: list[Any], storage: Storage
    ) -> "CompanyRecord":
        """Return the record with one more answer, whose first and last times are the same.

        The newest answer of the call is extended if it has the same content. An answer older than
        others of its call makes all rows anew.

        Args:
            answer: to add.
            pages: its content.
            storage: of the archive, for the content of the others.
        """
        newest = self.newest(answer.call)
        time = answer.first
        same = [known for known in self.answers if _same(known, answer)]
        if any(known.first <= time <= known.last for known in same):
            return self

        in_time = newest is None or newest.last < time
        if in_time and newest is not None and newest in same:
            answers = tuple(
                replace(known, last=time) if known == newest else known for known in self.answers
            )
        else:
            answers = (*self.answers, answer)
        grown = replace(self, answers=tuple(sorted(answers, key=_order)))
        return grown._added(answer, pages) if in_time else grown.made_anew(storage)

    def made_anew(self, storage: Storage) -> "CompanyRecord":
        """Return the record with rows and details from its answers, oldest first."""
        points = {(time, known) for known in self.answers for time in (known.first, known.last)}
        record = replace(self, rows=[], details=None)
        pages = {known.key: read_pages(storage, known.key) for known in self.answers}
        for time, known in sorted(points, key=lambda point: (point[0], point[1].key)):
            record = record._added(replace(known, first=time), pages[known.key])
        return record

    def _added(self, answer: KeptAnswer, pages: list[Any]) -> "CompanyRecord":
        issuer = self.company.issuer
        if answer.call is Call.DETAILS:
            return replace(self, details=details_of(issuer, pages))
        lines = rows_of(answer.call, issuer, pages)
        return replace(self, rows=unite(self.rows, lines, answer.name, answer.first))

    def to_json(self) -> bytes:
        """Return the record as it is stored."""
        answers = [
            {
                "call": str(answer.call),
                "name": answer.name,
                "key": answer.key,
                "sha256": answer.sha256,
                "first": time_text(answer.first),
                "last": time_text(answer.last),
            }
            for answer in self.answers
        ]

        return to_json(
            {
                "version": RULES_VERSION,
                "company": self.company.to_json(),
                "named": time_text(self.named),
                "answers": answers,
                "rows": [_row_to_json(row) for row in self.rows],
                "details": None if self.details is None else _details_to_json(self.details),
            }
        )

    @classmethod
    def from_json(cls, data: bytes, key: str, storage: Storage) -> "CompanyRecord":
        """Return the record that :meth:`to_json` wrote, made anew if its rules were others.

        Raises:
            ArtifactCorruptError: It is no JSON.
        """
        document = from_json(data, key)
        answers = tuple(
            KeptAnswer(
                call=Call(answer["call"]),
                name=answer["name"],
                key=answer["key"],
                sha256=answer["sha256"],
                first=datetime.fromisoformat(answer["first"]),
                last=datetime.fromisoformat(answer["last"]),
            )
            for answer in document["answers"]
        )
        company = Company.from_json(document["company"])
        record = cls(company, datetime.fromisoformat(document["named"]), answers)
        if document["version"] != RULES_VERSION:
            return record.made_anew(storage)

        details = document["details"]
        return replace(
            record,
            rows=[_row_from_json(row) for row in document["rows"]],
            details=None if details is None else _details_from_json(details),
        )


def read_pages(storage: Storage, key: str) -> list[Any]:
    """Return the pages of an answer that is kept."""
    pages: list[Any] = from_json(storage.read(key), key)["pages"]
    return pages


def time_text(time: datetime) -> str:
    """Return a UTC time as ISO 8601 with microseconds: sorts as text."""
    return time.isoformat(timespec="microseconds")


def _same(known: KeptAnswer, answer: KeptAnswer) -> bool:
    return (known.call, known.name, known.sha256) == (answer.call, answer.name, answer.sha256)


def _order(answer: KeptAnswer) -> tuple[datetime, str]:
    return answer.first, answer.key


def _row_to_json(row: KeptRow) -> dict[str, Any]:
    line = row.line

    return {
        "answer": line.answer,
        "isin": line.isin,
        "share_class": line.share_class,
        "label": line.label,
        "last_cum": None if line.last_cum is None else str(line.last_cum),
        "approved": None if line.approved is None else str(line.approved),
        "value": line.value,
        "factor": line.factor,
        "issue_price": line.issue_price,
        "name": row.name,
        "first_fetched": time_text(row.first_fetched),
        "fetched": time_text(row.fetched),
    }


def _row_from_json(row: dict[str, Any]) -> KeptRow:
    line = Announcement(
        answer=row["answer"],
        isin=row["isin"],
        share_class=row["share_class"],
        label=row["label"],
        last_cum=_day(row["last_cum"]),
        approved=_day(row["approved"]),
        value=row["value"],
        factor=row["factor"],
        issue_price=row["issue_price"],
    )
    first_fetched = datetime.fromisoformat(row["first_fetched"])

    return KeptRow(line, row["name"], first_fetched, datetime.fromisoformat(row["fetched"]))


def _details_to_json(details: Details) -> dict[str, Any]:
    return {
        "papers": [list(paper) for paper in details.papers],
        "sector": details.sector,
        "subsector": details.subsector,
        "segment": details.segment,
    }


def _details_from_json(details: dict[str, Any]) -> Details:
    papers = tuple((ticker, isin) for ticker, isin in details["papers"])
    return Details(papers, details["sector"], details["subsector"], details["segment"])


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
