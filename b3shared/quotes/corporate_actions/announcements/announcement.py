"""An announcement of the exchange, and the details of a company, as published."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Announcement:
    """One line of an answer; the fields are those of the table of announcements."""

    answer: str
    isin: str | None
    share_class: str | None
    label: str
    last_cum: date | None
    approved: date | None
    value: float | None = None
    factor: float | None = None
    issue_price: float | None = None

    @property
    def key(self) -> tuple[str, str | None, str, date | None]:
        """What a corrected line has in common with the line before: all but its amounts."""
        return self.answer, self.isin or self.share_class, self.label, self.last_cum


@dataclass(frozen=True)
class Details:
    """A company's tickers and its place in the exchange's classification.

    Attributes:
        papers: (ticker, ISIN or None) of each.
        sector: first level; None where it is not classified.
        subsector: second level.
        segment: third level.
    """

    papers: tuple[tuple[str, str | None], ...]
    sector: str | None = None
    subsector: str | None = None
    segment: str | None = None
