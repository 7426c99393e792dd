"""Reads the header and the trailer of a COTAHIST file."""

import codecs
import re
from dataclasses import dataclass
from datetime import date, datetime

from b3shared.core.errors import InvalidCotahistError
from b3shared.quotes.cotahist.archive import CotahistText, Limits, check_start
from b3shared.quotes.cotahist.records import WIDTH

_HEADER = re.compile(r"00COTAHIST\.([12]\d{3})BOVESPA (\d{8}) {214}")
_TRAILER = re.compile(r"99COTAHIST\.([12]\d{3})BOVESPA (\d{8})(\d{11}) {203}")


@dataclass(frozen=True)
class Header:
    """The first line of a file.

    Attributes:
        year: of its quotes.
        created: the day on which the exchange made it.
    """

    year: int
    created: date

    def trailer_count(self, line: str) -> int | None:
        """Return the count of lines that this file's trailer states; None for another line."""
        found = _TRAILER.fullmatch(line)
        if found is None or found.group(1, 2) != (f"{self.year}", f"{self.created:%Y%m%d}"):
            return None
        return int(found[3])


def read_header(text: CotahistText, limits: Limits) -> tuple[Header, bytes]:
    """Read the first line of a text; return it, and the bytes that were read behind it.

    Raises:
        UnreadableFileError: The text is empty, a web page, or yet another archive.
        InvalidCotahistError: The first line is no COTAHIST header.
    """
    start = b""
    while b"\n" not in start and len(start) < limits.max_line:
        more = text.read(limits.max_line)
        if not more:
            break
        start += more
    check_start(text.name, start)

    line, _, rest = start.removeprefix(codecs.BOM_UTF8).partition(b"\n")
    header = line.removesuffix(b"\r").decode("latin-1")
    found = _HEADER.fullmatch(header)
    created = _day(found[2]) if found else None
    if found is None or created is None:
        raise InvalidCotahistError(
            f"{text.name}: line 1 is no COTAHIST header (00COTAHIST.YYYYBOVESPA YYYYMMDD and "
            f"blanks up to {WIDTH} characters): {header[:60]!r}, {len(header)} characters"
        )
    return Header(int(found[1]), created), rest


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None
