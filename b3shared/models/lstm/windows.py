"""Windows of consecutive rows of one ticker, gathered by index, without copies of the table."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.core.errors import InvalidQuotesError, TooLittleHistoryError
from b3shared.core.vocabulary import UNLABELLED
from b3shared.dataset.table import Dataset
from b3shared.models.conformal import unit_of
from b3shared.models.scorer import check_finite

_CHUNK = 16_384
"""Rows that are copied at once where all rows of a memory map are visited."""


def unbroken(data: Dataset, max_gap: int) -> IntArray:
    """Count the rows of an unbroken history that ends in each row, that row included.

    A history is of one ticker, and breaks where more than ``max_gap`` sessions of the market lie
    from a row to the next: 5 lets 4 be missing, 1 none.

    Args:
        data: rows sorted by ticker and date.
        max_gap: sessions.

    Returns:
        (rows,) int64.
    """
    position = np.arange(len(data))
    begins = np.ones(len(data), dtype=bool)
    begins[1:] = (data.ticker[1:] != data.ticker[:-1]) | (np.diff(data.session) > max_gap)
    count: IntArray = position - np.maximum.accumulate(np.where(begins, position, 0)) + 1
    return count


def complete(data: Dataset, rows: IntArray, lookback: int, max_gap: int) -> Array:
    """(len(rows),) bool: which rows end a window of ``lookback`` rows of unbroken history."""
    mask: Array = unbroken(data, max_gap)[rows] >= lookback
    return mask


@dataclass(frozen=True)
class Windows:
    """Every window of a table, by the index of its newest row.

    Attributes:
        X: (rows, features) float32; may be a memory map.
        lookback: rows of a window.
    """

    X: FloatArray
    lookback: int

    def gather(self, rows: IntArray, out: FloatArray) -> None:
        """Copy windows, oldest row first.

        Args:
            rows: (windows,) index of the newest row of each; all of them :func:`complete`.
            out: (lookback, windows, features) float32, overwritten; C-contiguous. Time comes first:
                an LSTM works so.
        """
        back = np.arange(1 - self.lookback, 1)[:, None]
        # mode "raise" would copy through a buffer
        np.take(np.asarray(self.X), rows + back, axis=0, out=out, mode="clip")

    def rows_of(self, rows: IntArray) -> IntArray:
        """Return every row that lies in a window of the given ones, once, ascending."""
        size = len(self.X) + 1
        entered = np.bincount(rows - self.lookback + 1, minlength=size) - np.bincount(
            rows + 1, minlength=size
        )
        return np.flatnonzero(np.cumsum(entered) > 0)


@dataclass(frozen=True)
class Examples:
    """Windows with their outcomes, to train or to judge a network on.

    Attributes:
        windows: of the table.
        rows: (n,) int64, newest row of each window.
        labels: (n,) int64 codes into :data:`b3shared.core.vocabulary.CLASSES`.
        returns: (n,) float32 actual returns in units (:func:`b3shared.models.conformal.unit_of`).
    """

    windows: Windows
    rows: IntArray
    labels: IntArray
    returns: FloatArray

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, mask: Array) -> "Examples":
        """Select by a boolean mask."""
        return Examples(self.windows, self.rows[mask], self.labels[mask], self.returns[mask])

    @classmethod
    def from_rows(cls, data: Dataset, rows: IntArray, lookback: int, horizon: int) -> Self:
        """Make the windows that end in the given rows, checked.

        Args:
            data: the table.
            rows: indices, all of them :func:`complete`.
            lookback: rows of a window.
            horizon: sessions from the close of t to the outcome.

        Raises:
            InvalidQuotesError: A row has no outcome, or a feature in a window is NaN or infinite.
        """
        labels = data.label[rows]
        future = data.future_return[rows]
        if (missing := np.count_nonzero(labels == UNLABELLED)) > 0:
            raise InvalidQuotesError(
                f"{missing} of the {len(rows)} rows have no label yet; leave them out"
            )

        returns = future / unit_of(data.volatility[rows], horizon)
        if (missing := np.count_nonzero(~np.isfinite(returns))) > 0:
            raise InvalidQuotesError(
                f"{missing} of the {len(rows)} rows have no finite return or volatility; "
                "leave them out"
            )

        windows = Windows(data.X, lookback)
        for chunk in _chunks(windows.rows_of(rows)):
            check_finite(data.X[chunk], data.feature_names)
        return cls(windows, rows, labels.astype(np.int64), returns.astype(np.float32))

    @classmethod
    def from_part(
        cls, data: Dataset, rows: IntArray, part: str, lookback: int, max_gap: int, horizon: int
    ) -> Self:
        """Make the windows of one part of a split; rows without a complete window are left out.

        Args:
            data: the table.
            rows: indices of the part.
            part: its name, for the error.
            lookback: rows of a window.
            max_gap: sessions, see :func:`unbroken`.
            horizon: sessions from the close of t to the outcome.

        Raises:
            TooLittleHistoryError: No row ends a complete window.
            InvalidQuotesError: As :meth:`from_rows`.
        """
        covered = rows[complete(data, rows, lookback, max_gap)]
        if not len(covered):
            raise TooLittleHistoryError(
                f"none of the {len(rows)} {part} rows ends a window of lookback = {lookback} "
                f"rows of its ticker, one at most max_gap = {max_gap} sessions after the other",
                rows=len(rows),
                needed=lookback,
            )
        return cls.from_rows(data, covered, lookback, horizon)


def stop_and_calibrate(data: Dataset, later: Examples, horizon: int) -> tuple[Examples, Examples]:
    """Split the validation windows by date: stop on the earlier half, calibrate on the later.

    The earlier outcomes are known before the later half begins.

    Raises:
        TooLittleHistoryError: Too few dates for two halves.
    """
    date = data.date[later.rows]
    label_end = data.label_end[later.rows]
    dates = np.unique(date)
    first = dates[len(dates) // 2]
    stop = later.take((date < first) & (label_end < first))
    calibrate = later.take(date >= first)

    if not len(stop):
        needed = 2 * (horizon + 1)
        raise TooLittleHistoryError(
            f"a horizon of {horizon} needs at least {needed} validation dates, got {len(dates)}: "
            "half of them stop the training, with outcomes known before the other half, which "
            "calibrates",
            dates=len(dates),
            needed=needed,
        )
    return stop, calibrate


def center_and_spread(X: FloatArray, rows: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return (features,) float64 medians and spreads of some rows.

    The spread is the interquartile range over 1.349, which is the deviation of a normal feature: a
    few wild values, which features of volume have, do not press all others together. Where half of
    the values are the same it is the standard deviation, and 1 for a feature that never changes.
    """
    found = np.array(
        [_center_and_spread(X[rows, feature].astype(np.float64)) for feature in range(X.shape[1])]
    )
    return found[:, 0], found[:, 1]


def _center_and_spread(values: FloatArray) -> tuple[float, float]:
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    # what rounding leaves of a constant is no spread
    least = 1e-7 * max(1e-30, abs(median))
    spread = next((s for s in ((high - low) / 1.349, values.std()) if s > least), 1.0)
    return float(median), float(spread)


def _chunks(rows: IntArray) -> list[IntArray]:
    return [rows[at : at + _CHUNK] for at in range(0, len(rows), _CHUNK)]
