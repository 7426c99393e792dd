"""The records of ingested files: what was done with each file, stored under its hash."""

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from b3shared.core.errors import B3Error, SourceUnavailableError
from b3shared.core.serialization import file_sha256, from_json, to_json, utc_now
from b3shared.quotes.cotahist.periods import Period, period_name
from b3shared.quotes.cotahist.report import CotahistReport
from b3shared.quotes.lake.manifest import Manifest
from b3shared.quotes.lake.merge import YearChange
from b3shared.storage import Storage

RECORDS = "lake/ingested"
"""Prefix of the records, whose names are the files' hashes."""

REJECTED_SHOWN = 5
"""Rejected lines that an :class:`Ingested` names; the record has all."""


@dataclass(frozen=True)
class Ingested:
    """The result for one file.

    Attributes:
        name: of the file.
        sha256: of its bytes.
        first_session: ISO date.
        last_session: ISO date.
        rows: quotes of the cash market in it.
        rejected: lines that could not be used.
        rejected_lines: numbers of the first of them; the record has all, with the reasons.
        duplicates: lines that were there twice.
        years: the changes by year.
        changed: whether the lake changed.
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

    @classmethod
    def from_report(
        cls, name: str, report: CotahistReport, changes: dict[int, YearChange], *, changed: bool
    ) -> "Ingested":
        """Make the result from the report of a file and its changes by year."""
        rejected_lines = tuple(number for number, _ in report.rejected[:REJECTED_SHOWN])

        return cls(
            name=name,
            sha256=report.sha256,
            first_session=str(report.first_session),
            last_session=str(report.last_session),
            rows=report.cash_records,
            rejected=len(report.rejected),
            rejected_lines=rejected_lines,
            duplicates=report.duplicates,
            years=tuple(changes[year] for year in sorted(changes)),
            changed=changed,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON types."""
        years = [year.to_json() for year in self.years]
        return asdict(self) | {"years": years, "rejected_lines": list(self.rejected_lines)}


class IngestRecord:
    """The record of one file.

    It is written as ``committing`` just before the lake changes, so that a crash leaves a trace,
    and as ``done`` or ``failed`` at the end.

    Args:
        storage: of the deployment.
        path: of the file.
        facts: further fields of the record.

    Raises:
        SourceUnavailableError: There is no such file.
    """

    def __init__(self, storage: Storage, path: Path, facts: dict[str, Any]) -> None:
        if not path.is_file():
            raise SourceUnavailableError(f"{path} is not a file; give a COTAHIST file")
        sha256 = file_sha256(path)
        self._storage = storage
        self._key = f"{RECORDS}/{sha256}.json"
        self._facts = {"name": path.name, "sha256": sha256, **facts}
        found = storage.read_versioned(self._key)
        self._before: dict[str, Any] = {} if found is None else from_json(found[0], self._key)

    def committing(self, report: CotahistReport, changes: dict[int, YearChange]) -> None:
        """Record that the lake is about to change; if it is not, an earlier record stays."""
        if any(change.any for change in changes.values()):
            years = [change.to_json() for change in changes.values()]
            self._write("committing", report=report.to_json(), years=years)

    def done(self, report: CotahistReport, result: Ingested, manifest: Manifest) -> None:
        """Record that the file is in the lake."""
        years = [year.to_json() for year in result.years]
        before = self._before.get("status")
        # this file changed the lake earlier: in a complete ingest, or before a crash that kept it
        # from recording so
        again = before in ("done", "committing") and not any(year.any for year in result.years)
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
                changed=result.changed,
                sequence=manifest.sequence,
            )
        elif years != self._before["years"]:
            self._storage.put(self._key, to_json({**self._before, "years": years, "at": utc_now()}))
        self._before = self._before | {"status": "done"}

    def failed(self, error: B3Error) -> None:
        """Record that the file was refused, unless it was ingested earlier."""
        if self._before.get("status") not in ("done", "committing"):
            with suppress(B3Error):  # the file's own error is what matters
                self._write("failed", error={"code": error.code, "message": error.message})

    def _write(self, status: str, **facts: Any) -> None:
        document = {**self._facts, **facts, "status": status, "at": utc_now()}
        self._storage.put(self._key, to_json(document))


def record_unread(storage: Storage, period: Period, url: str, error: B3Error) -> None:
    """Record that a file could not be fetched.

    It has no hash, so the record is under its period and holds the newest failure.
    """
    document = {
        "source": url,
        "status": "failed",
        "at": utc_now(),
        "error": {"code": error.code, "message": error.message},
    }
    storage.put(f"{RECORDS}/unread-{period_name(period)}.json", to_json(document))
