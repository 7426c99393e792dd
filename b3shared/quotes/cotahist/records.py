"""Parses the records of a COTAHIST file: lines of fixed width to columns, many at once.

The layout is the exchange's ("Layout do arquivo - Cotações históricas"): 245 Latin-1 characters a
line; prices and turnover have two implied decimals. Positions here count from 0, the last one
excluded.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from b3shared.quotes.cotahist.periods import Period

WIDTH = 245
"""Characters of a line, without its end."""
RECORD_TYPE = slice(0, 2)
DATE = slice(2, 10)
BDI_CODE = slice(10, 12)
TICKER = slice(12, 24)
MARKET = slice(24, 27)
COMPANY = slice(27, 39)
TYPE = slice(39, 49)
CURRENCY = slice(52, 56)
PRICES = slice(56, 147)
TRADES = slice(147, 152)
VOLUME = slice(152, 170)
TURNOVER = slice(170, 188)
FACTOR = slice(210, 217)
ISIN = slice(230, 242)
DISMES = slice(242, 245)

PRICE_COLUMNS = ("open", "high", "low", "avg", "close", "best_buy", "best_sell")
"""In the order of the file, 13 digits each."""
CASH = 10
"""TPMERC of the cash market in round lots; odd lots, forwards and options have others."""
REAIS = "R$"

Bytes = NDArray[np.uint8]
"""Lines as (lines, 245) bytes."""
Mask = NDArray[np.bool_]

_ZERO = ord("0")
_BLANK = ord(" ")
_NUMBERS = {
    "date": DATE,
    "prices": PRICES,
    "trades": TRADES,
    "volume": VOLUME,
    "turnover": TURNOVER,
    "quotation factor": FACTOR,
    "distribution number": DISMES,
}
_EVEN = np.random.default_rng(245).integers(0, 2**63, size=31, dtype=np.uint64) * np.uint64(2)
_HASH = _EVEN + np.uint64(1)


@dataclass(frozen=True)
class Lines:
    """Lines of a block of text.

    Attributes:
        data: the block.
        starts: position in it of each line.
        lengths: characters of each, without CRLF or LF.
        numbers: of each in the file, from 1.
    """

    data: bytes
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    numbers: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, which: Any) -> "Lines":
        return Lines(self.data, self.starts[which], self.lengths[which], self.numbers[which])

    def text(self, row: int) -> str:
        """Return one line."""
        return self.data[self.starts[row] : self.starts[row] + self.lengths[row]].decode("latin-1")

    def field(self, field: slice = slice(0, WIDTH)) -> Bytes:
        """Return one field, or all, as (lines, characters); every line must have full width."""
        width = field.stop - field.start
        if len(self) == 0:
            return np.empty((0, width), np.uint8)
        windows = np.lib.stride_tricks.sliding_window_view(
            np.frombuffer(self.data, np.uint8), width
        )
        return np.asarray(windows[self.starts + field.start])


def lines_of(data: bytes, first: int) -> Lines:
    """Split a block of text into lines; the first has the number ``first`` in its file."""
    buffer = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(buffer == ord("\n"))
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts
    lengths -= (lengths > 0) & (buffer[ends - 1] == ord("\r"))
    return Lines(data, starts, lengths, first + np.arange(len(starts)))


def lines_of_width(data: bytes, first: int) -> Lines:
    """Split a block of text that an editor may have saved as UTF-8 into lines.

    In UTF-8 a line with an accent has more bytes than characters, so such text is converted to
    Latin-1. Characters that Latin-1 lacks become question marks, which keeps the width.
    """
    lines = lines_of(data, first)
    if data.isascii() or (lines.lengths == WIDTH).all():
        return lines
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return lines
    return lines_of(text.encode("latin-1", "replace"), first)


def are_digits(field: Bytes) -> Mask:
    """Return a mask of the rows of a field that hold only digits."""
    return ((field - np.uint8(_ZERO)) <= 9).all(axis=-1)  # below "0" wraps around to above 9


def number(field: Bytes) -> NDArray[np.int64]:
    """Convert digits (..., up to 18) to integers (...)."""
    out = np.zeros(field.shape[:-1], np.int64)
    for place in range(field.shape[-1]):
        out = out * 10 + (field[..., place] - np.uint8(_ZERO))
    return out


def text(field: Bytes) -> tuple[list[str], NDArray[np.int64]]:
    """Return the distinct values of a text field, stripped, and the index of each row's value."""
    values, codes = np.unique(
        np.ascontiguousarray(field).view(f"S{field.shape[1]}").ravel(), return_inverse=True
    )
    return [value.decode("latin-1").strip() for value in values.tolist()], codes


def days(lines: Bytes) -> tuple[NDArray[np.datetime64], Any]:
    """Return the dates of lines whose date has only digits, and a mask of those that exist."""
    year = number(lines[:, 2:6])
    month = number(lines[:, 6:8])
    day = number(lines[:, 8:10])
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    found: NDArray[np.datetime64] = (
        months.astype("datetime64[D]") + day.astype("timedelta64[D]") - np.timedelta64(1, "D")
    )
    exist = (month >= 1) & (month <= 12) & (day >= 1) & (found.astype("datetime64[M]") == months)
    return found, exist


def faults(lines: Bytes, period: Period) -> Iterator[tuple[Mask, Callable[[str], str]]]:
    """Yield (mask of the rows, reason from a row's text) of each fault that a record may have."""
    for name, field in _NUMBERS.items():
        yield ~are_digits(lines[:, field]), partial(_not_a_number, name, field)
    date, exist = days(lines)
    yield ~exist, lambda line: f"date: {line[DATE]!r} is no day"
    outside = (date < np.datetime64(period.first)) | (date > np.datetime64(period.last))
    yield outside, lambda line: f"date: {line[DATE]!r} lies outside the file's period, {period}"
    yield number(lines[:, FACTOR]) == 0, lambda _: "quotation factor: 0 is not allowed"
    texts = np.concatenate(
        [lines[:, s] for s in (BDI_CODE, TICKER, COMPANY, TYPE, CURRENCY, ISIN)], axis=1
    )
    yield (texts < _BLANK).any(axis=1), lambda _: "a control character in a text field"
    ticker = lines[:, TICKER]
    inner = (ticker[:, 1:] != _BLANK) & (ticker[:, :-1] == _BLANK)
    yield (
        (ticker[:, 0] == _BLANK) | inner.any(axis=1),
        lambda line: f"ticker: {line[TICKER]!r} is none",
    )


def _not_a_number(name: str, field: slice, line: str) -> str:
    return f"{name}: {line[field]!r} is not a number"


def digest(lines: Bytes) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each line; different lines practically never share one."""
    padded = np.zeros((len(lines), 248), np.uint8)
    padded[:, :WIDTH] = lines
    return (padded.view(np.uint64) * _HASH).sum(axis=1, dtype=np.uint64)


def to_frame(lines: Bytes) -> pd.DataFrame:
    """Convert faultless cash records to quotes.

    The columns are those of :mod:`b3shared.quotes.schema` that the file has, and ``dismes``. Prices
    are R$ per share (quotation factor applied), correctly rounded; ``volume`` is in shares,
    ``turnover`` in R$.
    """
    # one division, so that the result is correctly rounded
    hundredths = 100.0 * number(lines[:, FACTOR])[:, None]
    prices = number(lines[:, PRICES].reshape(len(lines), 7, 13)) / hundredths
    columns: dict[str, Any] = {
        "ticker": _strings(lines[:, TICKER]),
        "date": days(lines)[0].astype("datetime64[s]"),
        "company": _strings(lines[:, COMPANY]),
        "type": _strings(lines[:, TYPE]),
        "isin": _strings(lines[:, ISIN]),
        "bdi_code": _strings(lines[:, BDI_CODE]),
        **{name: prices[:, place] for place, name in enumerate(PRICE_COLUMNS)},
        "trades": number(lines[:, TRADES]),
        "volume": number(lines[:, VOLUME]),
        "turnover": number(lines[:, TURNOVER]) / 100.0,
        "dismes": number(lines[:, DISMES]).astype(np.int32),
    }
    return pd.DataFrame(columns)


def _strings(field: Bytes) -> Any:
    """Convert a text field; blank becomes NULL."""
    values, codes = text(field)
    return pd.array([value or None for value in values], dtype="str").take(codes)
