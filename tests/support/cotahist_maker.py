"""Writes COTAHIST files, and reads them line by line: the oracle of the parser."""

import gzip
import zipfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

WIDTH = 245
PRICES = ("open", "high", "low", "avg", "close", "best_buy", "best_sell")


def record(
    ticker: str = "PETR4",
    day: str = "20200102",
    *,
    bdi_code: str = "02",
    market: str = "010",
    company: str = "PETROBRAS",
    especi: str = "PN      N2",
    currency: str = "R$",
    prices: tuple[int, ...] = (3025, 3070, 3007, 3050, 3070, 3070, 3071),
    trades: int = 37537,
    volume: int = 37774500,
    turnover: int = 115212345600,
    factor: int = 1,
    isin: str = "BRPETRACNPR6",
    dismes: int = 218,
) -> str:
    """One line of type 01; prices and turnover in hundredths."""
    line = (
        f"01{day}{bdi_code}{ticker:<12}{market}{company:<12}{especi:<10}{'':3}{currency:<4}"
        + "".join(f"{price:013d}" for price in prices)
        + f"{trades:05d}{volume:018d}{turnover:018d}{0:013d}099991231"
        + f"{factor:07d}{0:013d}{isin:<12}{dismes:03d}"
    )
    assert len(line) == WIDTH
    return line


def header(year: int = 2020, created: str = "20201230") -> str:
    return f"00COTAHIST.{year}BOVESPA {created}".ljust(WIDTH)


def trailer(count: int, year: int = 2020, created: str = "20201230") -> str:
    return f"99COTAHIST.{year}BOVESPA {created}{count:011d}".ljust(WIDTH)


def text(
    records: list[str], *, year: int = 2020, created: str = "20201230", end: str = "\r\n"
) -> bytes:
    """The text of a complete, valid file."""
    lines = [header(year, created), *records, trailer(len(records) + 2, year, created)]
    return "".join(line + end for line in lines).encode("latin-1")


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def raw_text(path: Path) -> bytes:
    """The text of a file, unpacked at once."""
    if path.name.lower().endswith(".gz"):
        return gzip.decompress(path.read_bytes())
    if path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            return archive.read(archive.namelist()[0])
    return path.read_bytes()


def read_slowly(data: bytes) -> list[dict[str, Any]]:
    """The cash records of a valid file, read a line at a time, in exact decimals."""
    rows = []
    for line in data.decode("latin-1").split("\n"):
        if line[:2] != "01" or line[24:27] != "010":
            continue
        factor = int(line[210:217])
        row: dict[str, Any] = {
            "ticker": line[12:24].strip(),
            "date": datetime.strptime(line[2:10], "%Y%m%d"),
            "company": line[27:39].strip(),
            "type": line[39:49].strip(),
            "isin": line[230:242].strip(),
            "bdi_code": line[10:12],
        }
        for place, name in enumerate(PRICES):
            row[name] = float(Decimal(line[56 + 13 * place : 69 + 13 * place]) / 100 / factor)
        row |= {"trades": int(line[147:152]), "volume": int(line[152:170])}
        row |= {"turnover": float(Decimal(line[170:188]) / 100), "dismes": int(line[242:245])}
        rows.append(row)

    return rows


def trailer_count(data: bytes) -> int:
    last = data.decode("latin-1").rstrip("\r\n").rpartition("\n")[2]
    return int(last[31:42])


def weekday(number: int) -> str:
    """The n-th weekday of January 2020 from the 2nd on, YYYYMMDD."""
    days = [day for day in range(2, 32) if date(2020, 1, day).weekday() < 5]
    return f"202001{days[number]:02d}"
