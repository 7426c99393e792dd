"""Writes COTAHIST files with the quotes of a test, in the exchange's layout."""

import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path


@dataclass(frozen=True)
class Quote:
    """One record of the cash market, or of another."""

    day: date
    ticker: str = "PETR4"
    close: float = 10.0
    volume: int = 1000
    market: str = "010"
    dismes: int = 100
    isin: str = ""
    type: str = "PN"

    def line(self) -> str:
        """Its 245 characters."""
        prices = "".join(f"{round(value * 100):013}" for value in [self.close] * 7)
        # by default one ISIN per ticker: tickers of one ISIN are one paper
        isin = self.isin or f"BR{self.ticker[:4]}ACNPR6"
        head = f"01{self.day:%Y%m%d}02{self.ticker:<12}{self.market}"
        head += f"{'PETROBRAS':<12}{self.type:<10}{'':3}R$  "
        amounts = f"{10:05}{self.volume:018}{round(self.close * self.volume * 100):018}"
        line = f"{head}{prices}{amounts}{0:013}099991231{1:07}{0:013}{isin:<12}{self.dismes:03}"
        assert len(line) == 245
        return line


def cotahist(
    quotes: Iterable[Quote], year: int, created: str | None = None, records: int | None = None
) -> bytes:
    """The text of a whole file: header, records, trailer.

    ``records`` is the trailer's count where it must be wrong.
    """
    lines = [quote.line() for quote in quotes]
    stamp = created or f"{year}1231"
    count = len(lines) + 2 if records is None else records
    head = f"00COTAHIST.{year}BOVESPA {stamp}".ljust(245)
    tail = f"99COTAHIST.{year}BOVESPA {stamp}{count:011}".ljust(245)
    return ("\r\n".join([head, *lines, tail]) + "\r\n").encode("latin-1")


def zipped(text: bytes, member: str) -> bytes:
    """The file as the exchange sends it: zipped."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, text)
    return buffer.getvalue()


def daily(folder: Path, day: date, quotes: Iterable[Quote], created: str | None = None) -> Path:
    """Write a daily file into a folder."""
    path = folder / f"COTAHIST_D{day:%d%m%Y}.TXT"
    path.write_bytes(cotahist(quotes, day.year, created or f"{day:%Y%m%d}"))
    return path


def annual(
    folder: Path, year: int, quotes: Iterable[Quote], name: str = "", created: str | None = None
) -> Path:
    """Write an annual file into a folder."""
    path = folder / (name or f"COTAHIST_A{year}.TXT")
    path.write_bytes(cotahist(quotes, year, created))
    return path
