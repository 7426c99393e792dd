"""The exchange's own quotes: COTAHIST files, checked against their header and trailer, read in bounded memory."""

import codecs
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from b3shared.core.errors import InvalidCotahistError, NoQuotesError
from b3shared.quotes.cotahist import records as record
from b3shared.quotes.cotahist.archive import CotahistText, Limits, check_start, open_text
from b3shared.quotes.cotahist.duplicates import QuotedDays
from b3shared.quotes.cotahist.periods import Kind, Period
from b3shared.quotes.cotahist.records import Lines
from b3shared.quotes.cotahist.report import CotahistReport, Tally

__all__ = ["CotahistFile", "CotahistReport"]

BLOCK = 8 << 20
"""Bytes of text parsed at a time: some 34,000 lines. Memory grows with it, speed hardly."""

_HEADER = re.compile(r"00COTAHIST\.([12]\d{3})BOVESPA (\d{8}) {214}")
_TRAILER = re.compile(r"99COTAHIST\.([12]\d{3})BOVESPA (\d{8})(\d{11}) {203}")
_TRAILER_TYPE = np.frombuffer(b"99", np.uint8)
_END_OF_FILE = 0x1A
"""The sign of DOS; like empty lines it may follow the trailer."""


class CotahistFile:
    """One open COTAHIST file; see :meth:`open`.

    Attributes:
        name: of the file.
        sha256: of its bytes; known before a record is read, so that a file that was loaded before
            need not be parsed.
        period: the days that it may hold: what its name states, else the year of its header.
        created: date of its header.
    """

    def __init__(self, text: CotahistText, *, partial: bool, limits: Limits) -> None:
        self.name, self.sha256 = text.name, text.sha256
        self._text, self._partial, self._limits = text, partial, limits
        self._header, self._carry = self._read_header()
        self.created, self.period = _day(self._header[2]) or date.min, self._own_period()
        self._tally = Tally(text.name, limits, lines=1, types=Counter({"00": 1}))
        self._seen = QuotedDays(text.name, self.period, limits)
        self._trailer_line, self._started = 0, False
        self._report: CotahistReport | None = None

    @classmethod
    @contextmanager
    def open(
        cls, path: str | Path, *, partial: bool = False, limits: Limits | None = None
    ) -> Iterator["CotahistFile"]:
        """Open a daily, monthly or annual file: ``.TXT``, ``.TXT.gz``, ``.ZIP``; told by its content.

        Args:
            path: of a local file.
            partial: a subset of the exchange's file is expected: the trailer's count may differ
                from the lines, and the trailer may be missing. Everything else is checked as ever.
            limits: what is refused; None: the usual ones.

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
        """The cash market (TPMERC 010), a table for every ``size`` bytes of text, in the order of the file.

        A table has ticker, date, company, type, isin, bdi_code, open, high, low, avg, close,
        best_buy, best_sell, trades, volume, turnover as in :mod:`b3shared.quotes.schema`, and
        dismes (INTEGER). Days and tickers may go on in the next table; no ticker and date come
        twice: a line that repeats another to the letter is left out. Only when the last table was
        taken is the file known to be whole: keep nothing of it before. May be called once.

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
        """What the file held; known once :meth:`chunks` has come to its end."""
        if self._report is None:
            raise RuntimeError(f"{self.name} has not been read to its end: take all chunks first")
        return self._report

    def _read_header(self) -> tuple[re.Match[str], bytes]:
        """The first line, checked, and the bytes that were read behind it."""
        start = b""
        while (
            b"\n" not in start
            and len(start) < self._limits.max_line
            and (more := self._text.read(self._limits.max_line))
        ):
            start += more
        check_start(self.name, start)
        line, _, rest = start.removeprefix(codecs.BOM_UTF8).partition(b"\n")
        header = line.removesuffix(b"\r").decode("latin-1")
        found = _HEADER.fullmatch(header)
        if found is None or _day(found[2]) is None:
            raise InvalidCotahistError(
                f"{self.name}: line 1 is no COTAHIST header (00COTAHIST.YYYYBOVESPA YYYYMMDD and blanks up to "
                f"{record.WIDTH} characters): {header[:60]!r}, {len(header)} characters"
            )
        return found, rest

    def _own_period(self) -> Period:
        stated, year = self._text.period, int(self._header[1])
        if stated and year != stated.first.year:
            raise InvalidCotahistError(
                f"{self.name} should hold {stated} by its name, but its header is of the year {year}"
            )
        return stated or Period("annual", date(year, 1, 1), date(year, 12, 31))

    def _blocks(self, size: int) -> Iterator[bytes]:
        """The text behind the header in blocks of whole lines."""
        carry = self._carry
        while data := self._text.read(size):
            data = carry + data
            cut = data.rfind(b"\n") + 1
            if cut:
                yield data[:cut]
            carry = data[cut:]
            if len(carry) > self._limits.max_line:
                raise InvalidCotahistError(
                    f"{self.name}: line {self._tally.lines + 1:,} has no end within {self._limits.max_line} bytes"
                )
        if carry:
            yield carry

    def _parse(self, block: bytes) -> pd.DataFrame:
        """The new cash records of a block; everything else is counted."""
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
        records, numbers = records[usable], cash.numbers[usable]
        new = self._seen.add(records, numbers)
        frame = record.to_frame(records[new])
        tally.duplicates += len(records) - len(frame)
        tally.cash += len(frame)
        tally.sessions.update(day.date() for day in frame["date"].drop_duplicates())
        return frame

    def _before_trailer(self, lines: Lines) -> Lines:
        """The lines before the trailer, whose count is kept; text behind it is rejected."""
        if self._tally.trailer_count is None:
            wide = np.flatnonzero(lines.lengths == record.WIDTH)
            for row in wide[(lines[wide].field(record.RECORD_TYPE) == _TRAILER_TYPE).all(axis=1)]:
                found = _TRAILER.fullmatch(lines.text(row))
                if found and found.group(1, 2) == self._header.group(1, 2):
                    self._tally.trailer_count, self._trailer_line = (
                        int(found[3]),
                        int(lines.numbers[row]),
                    )
                    self._tally.types["99"] += 1
                    lines, behind = lines[:row], lines[row + 1 :]
                    break
            else:
                return lines
        else:
            lines, behind = lines[:0], lines
        end_of_file = (
            np.frombuffer(block := behind.data, np.uint8)[np.minimum(behind.starts, len(block) - 1)]
            == _END_OF_FILE
        )
        self._reject(
            behind,
            (behind.lengths > 1) | ((behind.lengths == 1) & ~end_of_file),
            lambda _: "behind the trailer",
        )
        return lines

    def _of_type_01(self, lines: Lines) -> Lines:
        types = lines.field(record.RECORD_TYPE)
        values, codes = record.text(types)
        self._tally.types.update(
            dict(zip(values, np.bincount(codes, minlength=len(values)).tolist(), strict=True))
        )
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
        """The records of the cash market in R$; those of others are counted."""
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
        """Mask of the records without a fault; the first fault of each other one is kept as its reason."""
        good = np.ones(len(records), dtype=bool)
        for mask, reason in record.faults(records, self.period):
            self._reject(lines, mask & good, reason)
            good &= ~mask
        return good

    def _reject(self, lines: Lines, mask: record.Mask, reason: Callable[[str], str]) -> Lines:
        """Leave the lines of a mask out; the others."""
        rows = np.flatnonzero(mask).tolist()
        self._tally.reject((int(lines.numbers[row]), reason(lines.text(row))) for row in rows)
        return lines[~mask]

    def _finish(self) -> CotahistReport:
        tally = self._tally
        if not self._partial:
            self._check_trailer()
        tally.check_rejected()
        if not tally.cash:
            others = tally.markets + tally.currencies
            raise NoQuotesError(
                f"{self.name} has no record of the cash market (TPMERC 010) in {record.REAIS} among {tally.lines:,} lines; "
                f"records of other markets and currencies: {dict(others)}{tally.describe_rejected()}"
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
            problem = f"has {self._trailer_line:,} lines up to its trailer, which counts {tally.trailer_count:,}"
        else:
            return
        raise InvalidCotahistError(
            f"{self.name} {problem}; a subset of the exchange's file must be said to be one (--partial)"
            f"{tally.describe_rejected()}",
            lines=tally.lines,
            trailer_count=tally.trailer_count,
        )


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None


def _kind(first: date, last: date) -> Kind:
    if first == last:
        return "daily"
    return "monthly" if (first.year, first.month) == (last.year, last.month) else "annual"
