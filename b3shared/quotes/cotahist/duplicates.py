"""Lines of a COTAHIST file that quote one ticker twice on a day."""

import numpy as np
from numpy.typing import NDArray

from b3shared.core.errors import InvalidCotahistError
from b3shared.quotes.cotahist import records as record
from b3shared.quotes.cotahist.archive import Limits
from b3shared.quotes.cotahist.periods import Period


class QuotedDays:
    """Line number and digest of every cash record so far, by day and ticker: some 20 MB for a year."""

    def __init__(self, name: str, period: Period, limits: Limits) -> None:
        self._name, self._limits = name, limits
        self._first, self._days = np.datetime64(period.first), (period.last - period.first).days + 1
        self._tickers: dict[str, int] = {}
        self._number = np.zeros((self._days, 1024), np.int32)
        self._digest = np.zeros((self._days, 1024), np.uint64)

    def add(self, records: record.Bytes, numbers: NDArray[np.int64]) -> record.Mask:
        """Mask of the records whose day and ticker are new; the others repeat one of them to the letter.

        Raises:
            InvalidCotahistError: Two lines of one ticker and date differ, or there are too many
                tickers.
        """
        cell = (record.days(records)[0] - self._first).astype(np.int64), self._code(records)
        digests = record.digest(records)
        _, index, group = np.unique(
            cell[0] * self._limits.max_tickers + cell[1], return_index=True, return_inverse=True
        )
        new: record.Mask = (index[group] == np.arange(len(records))) & (self._number[cell] == 0)
        fresh = cell[0][new], cell[1][new]
        self._number[fresh], self._digest[fresh] = numbers[new], digests[new]
        differ = np.asarray(self._digest[cell] != digests)
        if differ.any():
            row = int(np.argmax(differ))
            ticker = records[row, record.TICKER].tobytes().decode("latin-1").strip()
            raise InvalidCotahistError(
                f"{self._name}: lines {self._number[cell][row]} and {numbers[row]} both quote {ticker} on "
                f"{self._first + cell[0][row]} and differ; nothing tells which is right",
                rejected=[int(self._number[cell][row]), int(numbers[row])],
            )
        return new

    def _code(self, records: record.Bytes) -> NDArray[np.int64]:
        """A column of its own for every ticker."""
        names, codes = record.text(records[:, record.TICKER])
        columns = np.array(
            [self._tickers.setdefault(name, len(self._tickers)) for name in names], dtype=np.int64
        )
        if len(self._tickers) > self._limits.max_tickers:
            raise InvalidCotahistError(
                f"{self._name} has more than {self._limits.max_tickers:,} tickers in the cash market; a year has some 3,000"
            )
        while len(self._tickers) > self._number.shape[1]:
            self._number = np.pad(self._number, ((0, 0), (0, self._number.shape[1])))
            self._digest = np.pad(self._digest, ((0, 0), (0, self._digest.shape[1])))
        return columns[codes]
