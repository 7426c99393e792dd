"""Counts the lines and records of a COTAHIST file while it is read, and reports them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from b3shared.core.errors import InvalidCotahistError
from b3shared.quotes.cotahist.archive import Limits
from b3shared.quotes.cotahist.periods import Kind


@dataclass(frozen=True)
class CotahistReport:
    """The counts of a whole file.

    Attributes:
        file: its name.
        member: of the zip, if it is one.
        sha256: of its bytes as they lie on the disk.
        kind: daily, monthly or annual: as its name states, else by its sessions.
        partial: whether a subset of the exchange's file was asked for.
        created: date of its header.
        sessions: days with a cash record, ascending.
        lines: of text, header and trailer included.
        trailer_count: records that the trailer states; None if there is no trailer.
        record_types: lines of the full width by record type (00, 01, 99).
        cash_records: rows that the file gave.
        other_markets: records of other markets by TPMERC, left out.
        other_currencies: cash records that are not in R$ (before July 1994), left out.
        duplicates: cash records that repeat another one exactly, left out.
        rejected: (line number from 1, reason) of the unusable lines, left out.
    """

    file: str
    member: str | None
    sha256: str
    kind: Kind
    partial: bool
    created: date
    sessions: tuple[date, ...]
    lines: int
    trailer_count: int | None
    record_types: dict[str, int]
    cash_records: int
    other_markets: dict[str, int]
    other_currencies: dict[str, int]
    duplicates: int
    rejected: tuple[tuple[int, str], ...]

    @property
    def first_session(self) -> date:
        """The earliest day with a cash record."""
        return self.sessions[0]

    @property
    def last_session(self) -> date:
        """The latest day with a cash record."""
        return self.sessions[-1]

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        return asdict(self) | {
            "created": str(self.created),
            "sessions": [str(day) for day in self.sessions],
            "rejected": [list(line) for line in self.rejected],
        }


@dataclass
class Tally:
    """Running counts of one file.

    Attributes:
        name: of the file, for errors.
        limits: of unusable lines.
        lines: read so far.
        cash: rows given so far.
        duplicates: rows left out as repeated.
        types: full-width lines by record type.
        markets: records of other markets by TPMERC.
        currencies: cash records that are not in R$.
        sessions: days with a cash record.
        trailer_count: what the trailer states.
    """

    name: str
    limits: Limits
    lines: int = 0
    cash: int = 0
    duplicates: int = 0
    types: Counter[str] = field(default_factory=Counter)
    markets: Counter[str] = field(default_factory=Counter)
    currencies: Counter[str] = field(default_factory=Counter)
    sessions: set[date] = field(default_factory=set)
    trailer_count: int | None = None
    _rejected: list[tuple[int, str]] = field(default_factory=list)

    @property
    def rejected(self) -> tuple[tuple[int, str], ...]:
        """The unusable lines by number."""
        return tuple(sorted(self._rejected))

    def reject(self, lines: Iterable[tuple[int, str]]) -> None:
        """Add rejected lines, each with its number and a reason.

        Raises:
            InvalidCotahistError: There are more than a sound file has.
        """
        for line in lines:
            self._rejected.append(line)
            if len(self._rejected) > self.limits.max_rejected:
                raise self._too_many(self.limits.max_rejected)

    def check_rejected(self) -> None:
        """Check the unusable lines against the size of the whole file.

        Raises:
            InvalidCotahistError: There are too many of them.
        """
        allowed = max(self.limits.few_rejected, int(self.limits.max_rejected_share * self.lines))
        if len(self._rejected) > allowed:
            raise self._too_many(allowed)

    def describe_rejected(self) -> str:
        """Return the first unusable lines as text; empty if there are none."""
        return "".join(f"; line {number}: {reason}" for number, reason in self.rejected[:5])

    def _too_many(self, allowed: int) -> InvalidCotahistError:
        return InvalidCotahistError(
            f"{self.name}: {len(self._rejected)} unusable lines up to line {self.lines:,}, "
            f"{allowed} are allowed{self.describe_rejected()}",
            rejected=[list(line) for line in self.rejected[:20]],
        )
