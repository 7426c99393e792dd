"""The training table: what preprocessing writes and every later step reads.

NumPy only, so that no step needs pandas.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.core.vocabulary import UNLABELLED
from b3shared.dataset.npz import Pieces, map_npz, write_npz

MATRIX = "matrix.npy"
COLUMNS = "columns.npz"


@dataclass(frozen=True)
class Dataset:
    """Rows sorted by ticker and date: features, labels and what baselines need.

    The newest rows, whose outcome is not known yet, are included: their ``label`` is -1, their
    ``label_end`` NaT and their ``future_return`` NaN. Only the last three look ahead; every other
    column is point-in-time.

    Attributes:
        X: (rows, features) float32; a memory map when loaded from a folder.
        feature_names: names of the columns of ``X``.
        ticker: (rows,) str.
        date: (rows,) datetime64[D], the session t.
        session: (rows,) int32, number of t in the calendar of the data: differences are gaps in
            sessions.
        close: (rows,) float64, traded close of t in R$.
        volatility: (rows,) float64, trailing 20-session deviation of daily total returns, a
            fraction.
        return_5: (rows,) float64, total return of the last 5 sessions (baseline reversal).
        return_20: (rows,) float64, total return of the last 20 sessions (baseline momentum).
        known_label: (rows,) int8, the newest label of the ticker already known at the close of t;
            -1 if none.
        rule: (rows,) int8, the reference project's buy/sell rule at t.
        label: (rows,) int8 code into :data:`CLASSES`; -1 not known yet.
        label_end: (rows,) datetime64[D], session at whose close both label and ``future_return``
            are known.
        future_return: (rows,) float64, total return from the close of t to the outcome, a fraction.
    """

    X: FloatArray
    feature_names: tuple[str, ...]
    ticker: Array
    date: Array
    session: IntArray
    close: FloatArray
    volatility: FloatArray
    return_5: FloatArray
    return_20: FloatArray
    known_label: IntArray
    rule: IntArray
    label: IntArray
    label_end: Array
    future_return: FloatArray

    def __len__(self) -> int:
        return len(self.date)

    @property
    def labelled(self) -> IntArray:
        """Indices of the rows whose outcome is known."""
        return np.flatnonzero(self.label != UNLABELLED)

    def take(self, rows: Array) -> "Dataset":
        """Return the rows of the given indices (or boolean mask), in that order."""
        columns = {
            f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "feature_names"
        }
        return Dataset(feature_names=self.feature_names, **columns)

    def save(self, folder: Path) -> list[Path]:
        """Write ``matrix.npy`` and ``columns.npz`` (no pickles inside) and return their paths."""
        names = [f.name for f in fields(self) if f.name not in ("X", "feature_names", "ticker")]
        tickers, codes = np.unique(self.ticker, return_inverse=True)
        columns = {name: getattr(self, name) for name in names}

        matrix = folder / MATRIX
        np.save(matrix, np.ascontiguousarray(self.X, dtype=np.float32), allow_pickle=False)
        return [matrix, save_columns(folder, self.feature_names, tickers, codes, columns)]

    @classmethod
    def load(cls, folder: Path) -> "Dataset":
        """Load what :meth:`save` wrote; all but ``ticker`` is memory-mapped, read-only."""
        columns = map_npz(folder / COLUMNS)
        names = tuple(map(str, columns.pop("feature_names")))
        ticker = columns.pop("tickers")[columns.pop("ticker_code")]
        return cls(
            X=np.load(folder / MATRIX, mmap_mode="r"), feature_names=names, ticker=ticker, **columns
        )


def save_columns(
    folder: Path,
    names: tuple[str, ...],
    tickers: Array,
    codes: Array | Pieces,
    columns: Mapping[str, Array | Pieces],
) -> Path:
    """Write ``columns.npz``: every column of a training table but ``X``, each whole or in pieces.

    Args:
        folder: folder to write to.
        names: names of the features.
        tickers: (tickers,) str, sorted.
        codes: (rows,) int32, number of the row's ticker.
        columns: the other columns, by the names of :class:`Dataset`.
    """
    code = codes if isinstance(codes, Pieces) else codes.astype(np.int32)
    stored = {
        "feature_names": np.array(names),
        "tickers": np.array(tickers.tolist(), dtype=str),
        "ticker_code": code,
    }
    return write_npz(folder / COLUMNS, stored | dict(columns))
