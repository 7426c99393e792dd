"""Finds lines of a COTAHIST file that quote one ticker twice on a day."""

import numpy as np
from numpy.typing import NDArray

from b3shared.core.errors import InvalidCotahistError
from b3shared.quotes.cotahist import records as record
from b3shared.quotes.cotahist.archive import Limits
from b3shared.quotes.cotahist.periods import Period


class QuotedDays:
    """Line number and digest of every cash record so far, by day and ticker.

    They take some 20 MB for a year.
    """

    def __init__(self, name: str, period: Period, limits: Limits) -> None:
        self._name = name
        self._limits = limits
        self._first = np.datetime64(period.first)
        self._tickers: dict[str, int] = {}
        days = (period.last - period.first).days + 1
        self._number = np.zeros((days, 1024), np.int32)
        self._digest = np.zeros((days, 1024), np.uint64)

    def add(self, records: record.Bytes, numbers: NDArray[np.int64]) -> record.Mask:
        """Add records and return a mask of those whose day and ticker are new.

        The others repeat an earlier line exactly.

        Raises:
            InvalidCotahistError: Two lines of one ticker and date differ, or there are too many
                tickers.
        """
        day = (record.days(records)[0] - self._first).astype(np.int64)
        column = self._columns(records)
        cell = day, column
        digests = record.digest(records)

        key = day * self._limits.max_tickers + column
        _, index, group = np.unique(key, return_index=True, return_inverse=True)
        first_in_block = index[group] == np.arange(len(records))
        new: record.Mask = first_in_block & (self._number[cell] == 0)
        new_cell = day[new], column[new]
        self._number[new_cell] = numbers[new]
        self._digest[new_cell] = digests[new]

        differ = np.asarray(self._digest[cell] != digests)
        if differ.any():
            row = int(np.argmax(differ))
            ticker = records[row, record.TICKER].tobytes().decode("latin-1").strip()
            lines = [int(self._number[cell][row]), int(numbers[row])]
            raise InvalidCotahistError(
                f"{self._name}: lines {lines[0]} and {lines[1]} both quote {ticker} on "
                f"{self._first + day[row]} and differ; nothing tells which is right",
                rejected=lines,
            )
        return new

    def _columns(self, records: record.Bytes) -> NDArray[np.int64]:
        """The column of each record's ticker; a new ticker gets a new column."""
        names, codes = record.text(records[:, record.TICKER])
        columns = np.array(
            [self._tickers.setdefault(name, len(self._tickers)) for name in names], dtype=np.int64
        )
        if len(self._tickers) > self._limits.max_tickers:
            raise InvalidCotahistError(
                f"{self._name} has more than {self._limits.max_tickers:,} tickers in the cash "
                "market; a year has some 3,000"
            )
        while len(self._tickers) > self._number.shape[1]:
            self._number = np.pad(self._number, ((0, 0), (0, self._number.shape[1])))
            self._digest = np.pad(self._digest, ((0, 0), (0, self._digest.shape[1])))
        return columns[codes]
