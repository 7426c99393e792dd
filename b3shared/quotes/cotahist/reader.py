"""Reads the exchange's own quotes, COTAHIST files, in bounded memory.

A file is checked against its header and its trailer.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from b3shared.core.errors import InvalidCotahistError, NoQuotesError
from b3shared.quotes.cotahist import records as record
from b3shared.quotes.cotahist.archive import CotahistText, Limits, open_text
from b3shared.quotes.cotahist.duplicates import QuotedDays
from b3shared.quotes.cotahist.header import read_header
from b3shared.quotes.cotahist.periods import Kind, Period
from b3shared.quotes.cotahist.records import Lines
from b3shared.quotes.cotahist.report import CotahistReport, Tally

__all__ = ["CotahistFile", "CotahistReport"]

BLOCK = 8 << 20
"""Bytes of text parsed at a time, some 34,000 lines; memory grows with it, speed hardly."""

_TRAILER_TYPE = np.frombuffer(b"99", np.uint8)
_END_OF_FILE = 0x1A
"""The end-of-file character of DOS; like empty lines it may follow the trailer."""


class CotahistFile:
    """An open COTAHIST file; see :meth:`open`.

    Attributes:
        name: of the file.
        sha256: of its bytes; known before a record is read, so that a file that was loaded before
            need not be parsed.
        period: the days that it may hold: what its name states, else the year of its header.
        created: date of its header.
    """

    def __init__(self, text: CotahistText, *, partial: bool, limits: Limits) -> None:
        self.name = text.name
        self.sha256 = text.sha256
        self._text = text
        self._partial = partial
        self._limits = limits
        self._header, self._carry = read_header(text, limits)
        self.created = self._header.created
        self.period = self._own_period()
        self._tally = Tally(text.name, limits, lines=1, types=Counter({"00": 1}))
        self._seen = QuotedDays(text.name, self.period, limits)
        self._trailer_line = 0
        self._started = False
        self._report: CotahistReport | None = None

    @classmethod
    @contextmanager
    def open(
        cls, path: str | Path, *, partial: bool = False, limits: Limits | None = None
    ) -> Iterator["CotahistFile"]:
        """Open a daily, monthly or annual file: text, gzip or zip, recognised by its content.

        Args:
            path: of a local file.
            partial: a subset of the exchange's file is expected: the trailer's count may differ
                from the lines, and the trailer may be missing. All other checks stay.
            limits: bounds of a sound file; None: the usual ones.

        Raises:
            SourceUnavailableError: The file cannot be opened.
            UnreadableFileError: It is a web page, a damaged archive, or one without exactly one
                COTAHIST member.
            InvalidCotahistError: Its first line is no COTAHIST header, or it is of another year
                than its name states.
        """
        limits = limits or Limits()
        with open_text(Path(path), limits) as text:
            yield cls(text, partial=partial, limits=limits)

    def chunks(self, size: int = BLOCK) -> Iterator[pd.DataFrame]:
        """Yield the cash market (TPMERC 010), a table per ``size`` bytes of text, in file order.

        A table has ticker, date, company, type, isin, bdi_code, open, high, low, avg, close,
        best_buy, best_sell, trades, volume, turnover as in :mod:`b3shared.quotes.schema`, and
        dismes (INTEGER). Days and tickers may go on in the next table; no ticker and date come
        twice: a line that repeats another exactly is left out. The file is known to be whole only
        after the last table, so use none before. May be called once.

        Raises:
            UnreadableFileError: The archive is truncated, damaged or too large.
            InvalidCotahistError: The trailer is missing or counts other than the lines (unless
                ``partial``), two lines say different things of one ticker and date, or too many
                lines are unusable.
            NoQuotesError: No record is of the cash market in R$.
        """
        if self._started:
            raise RuntimeError(f"{self.name} is read from its start to its end once: open it again")
        self._started = True
        for block in self._blocks(size):
            if len(frame := self._parse(block)):
                yield frame
        self._report = self._finish()

    @property
    def report(self) -> CotahistReport:
        """The counts of the file, known once :meth:`chunks` has come to its end."""
        if self._report is None:
            raise RuntimeError(f"{self.name} has not been read to its end: take all chunks first")
        return self._report

    def _own_period(self) -> Period:
        """The period that the name states, else the year of the header; both must agree."""
        stated = self._text.period
        year = self._header.year
        if stated and year != stated.first.year:
            raise InvalidCotahistError(
                f"{self.name} should hold {stated} by its name, "
                f"but its header is of the year {year}"
            )
        return stated or Period("annual", date(year, 1, 1), date(year, 12, 31))

    def _blocks(self, size: int) -> Iterator[bytes]:
        """Yield the text behind the header in blocks of whole lines."""
        carry = self._carry
        while data := self._text.read(size):
            data = carry + data
            cut = data.rfind(b"\n") + 1
            if cut:
                yield data[:cut]
            carry = data[cut:]
            if len(carry) > self._limits.max_line:
                raise InvalidCotahistError(
                    f"{self.name}: line {self._tally.lines + 1:,} has no end within "
                    f"{self._limits.max_line} bytes"
                )
        if carry:
            yield carry

    def _parse(self, block: bytes) -> pd.DataFrame:
        """Return the new cash records of a block; all other lines are counted."""
        tally = self._tally
        lines = record.lines_of_width(block, tally.lines + 1)
        tally.lines += len(lines)
        lines = self._before_trailer(lines)
        lines = self._reject(
            lines,
            lines.lengths != record.WIDTH,
            lambda line: f"{len(line)} characters, {record.WIDTH} are needed",
        )
        cash = self._cash(self._of_type_01(lines))

        records = cash.field()
        usable = self._usable(records, cash)
        records = records[usable]
        new = self._seen.add(records, cash.numbers[usable])
        frame = record.to_frame(records[new])

        tally.duplicates += len(records) - len(frame)
        tally.cash += len(frame)
        tally.sessions.update(day.date() for day in frame["date"].drop_duplicates())
        return frame

    def _before_trailer(self, lines: Lines) -> Lines:
        """Return the lines before the trailer; keep its count, and reject text behind it."""
        if self._tally.trailer_count is not None:
            self._reject_behind(lines)
            return lines[:0]

        wide = np.flatnonzero(lines.lengths == record.WIDTH)
        types = lines[wide].field(record.RECORD_TYPE)
        for row in wide[(types == _TRAILER_TYPE).all(axis=1)]:
            count = self._header.trailer_count(lines.text(row))
            if count is not None:
                self._tally.trailer_count = count
                self._tally.types["99"] += 1
                self._trailer_line = int(lines.numbers[row])
                self._reject_behind(lines[row + 1 :])
                return lines[:row]
        return lines

    def _reject_behind(self, lines: Lines) -> None:
        """Reject the lines behind the trailer, except empty ones and the end-of-file character."""
        block = np.frombuffer(lines.data, np.uint8)
        first = block[np.minimum(lines.starts, len(block) - 1)]
        blank = (lines.lengths == 0) | ((lines.lengths == 1) & (first == _END_OF_FILE))
        self._reject(lines, ~blank, lambda _: "behind the trailer")

    def _of_type_01(self, lines: Lines) -> Lines:
        """Return the quotes; count all record types, and reject the others."""
        values, codes = record.text(lines.field(record.RECORD_TYPE))
        counts = np.bincount(codes, minlength=len(values)).tolist()
        self._tally.types.update(dict(zip(values, counts, strict=True)))
        wrong = np.array([value != "01" for value in values], dtype=bool)[codes]
        return self._reject(
            lines,
            wrong,
            lambda line: (
                "a trailer of another file"
                if line[:2] == "99"
                else f"record type {line[:2]!r}, 01 is needed"
            ),
        )

    def _cash(self, lines: Lines) -> Lines:
        """Return the records of the cash market in R$, and count those of other markets."""
        digits = record.are_digits(lines.field(record.MARKET))
        lines = self._reject(
            lines, ~digits, lambda line: f"market: {line[record.MARKET]!r} is not a number"
        )
        markets = record.number(lines.field(record.MARKET))
        counts = np.bincount(markets[markets != record.CASH])
        self._tally.markets.update(
            {f"{market:03d}": int(counts[market]) for market in np.flatnonzero(counts)}
        )

        lines = lines[markets == record.CASH]
        values, codes = record.text(lines.field(record.CURRENCY))
        counts = np.bincount(codes, minlength=len(values))
        self._tally.currencies.update(
            {v: int(n) for v, n in zip(values, counts, strict=True) if v != record.REAIS}
        )
        return lines[np.array([value == record.REAIS for value in values], dtype=bool)[codes]]

    def _usable(self, records: record.Bytes, lines: Lines) -> record.Mask:
        """Return a mask of the faultless records; reject the others with their first fault."""
        good = np.ones(len(records), dtype=bool)
        for mask, reason in record.faults(records, self.period):
            self._reject(lines, mask & good, reason)
            good &= ~mask
        return good

    def _reject(self, lines: Lines, mask: record.Mask, reason: Callable[[str], str]) -> Lines:
        """Reject the lines of a mask and return the others."""
        rows = np.flatnonzero(mask).tolist()
        self._tally.reject((int(lines.numbers[row]), reason(lines.text(row))) for row in rows)
        return lines[~mask]

    def _finish(self) -> CotahistReport:
        """Check the whole file and return its counts."""
        tally = self._tally
        if not self._partial:
            self._check_trailer()
        tally.check_rejected()
        if not tally.cash:
            others = dict(tally.markets + tally.currencies)
            raise NoQuotesError(
                f"{self.name} has no record of the cash market (TPMERC 010) in {record.REAIS} "
                f"among {tally.lines:,} lines; records of other markets and currencies: "
                f"{others}{tally.describe_rejected()}"
            )

        sessions = tuple(sorted(tally.sessions))
        return CotahistReport(
            file=self.name,
            member=self._text.member,
            sha256=self.sha256,
            kind=self._text.period.kind if self._text.period else _kind(sessions[0], sessions[-1]),
            partial=self._partial,
            created=self.created,
            sessions=sessions,
            lines=tally.lines,
            trailer_count=tally.trailer_count,
            record_types=dict(sorted(tally.types.items())),
            cash_records=tally.cash,
            other_markets=dict(sorted(tally.markets.items())),
            other_currencies=dict(sorted(tally.currencies.items())),
            duplicates=tally.duplicates,
            rejected=tally.rejected,
        )

    def _check_trailer(self) -> None:
        tally = self._tally
        if tally.trailer_count is None:
            problem = f"ends after {tally.lines:,} lines without a trailer (truncated?)"
        elif tally.trailer_count != self._trailer_line:
            problem = (
                f"has {self._trailer_line:,} lines up to its trailer, "
                f"which counts {tally.trailer_count:,}"
            )
        else:
            return
        raise InvalidCotahistError(
            f"{self.name} {problem}; a subset of the exchange's file must be said to be one "
            f"(--partial){tally.describe_rejected()}",
            lines=tally.lines,
            trailer_count=tally.trailer_count,
        )


def _kind(first: date, last: date) -> Kind:
    """The kind of a file with these first and last sessions."""
    if first == last:
        return "daily"
    return "monthly" if (first.year, first.month) == (last.year, last.month) else "annual"
