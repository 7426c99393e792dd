"""Purged and embargoed splits by date: into train, validation and test, and into folds.

A label of session t is known only at the close of its ``label_end``. A row whose label reaches the
next part would tell the model what happens there, so it is *purged*; rows whose label ends just
before are *embargoed*, because outcomes of neighbouring sessions are alike. Source: M. López de
Prado, Advances in Financial Machine Learning (2018), chapter 7.

One rule serves every function here. Let the *sessions* be the distinct dates of all rows given,
unlabelled ones too. A row of an earlier part stays only if at least ``embargo_days`` sessions lie
strictly between its ``label_end`` and the first date of the next part, and ``label_end`` is before
that date. For a ``label_end`` that is a session this says index(label_end) + embargo_days <
index(first date of the next part).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from b3shared.core.arrays import Array, IntArray
from b3shared.core.errors import InvalidParameterError, InvalidQuotesError, TooLittleHistoryError

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Split:
    """Row indices of the three parts.

    Attributes:
        train: int64 indices into the rows given, ascending; likewise ``val`` and ``test``.
        boundaries: per part its "first" and "last" date kept, ISO text.
        dropped: rows in no part, by reason: "unlabelled" (outcome not known yet), "purged",
            "embargoed".
    """

    train: IntArray
    val: IntArray
    test: IntArray
    boundaries: dict[str, dict[str, str]]
    dropped: dict[str, int]


def purged_split(
    date: Array, label_end: Array, *, test_size: float, val_size: float, embargo_days: int
) -> Split:
    """Split all rows by date: the newest dates are for test, those before for validation.

    Sizes are shares of the distinct labelled dates, rounded to the nearest (a half upwards). The
    purge and the embargo of the module's rule then thin the ends of train (against validation) and
    of validation (against test).

    Args:
        date: (rows,) datetime64[D], session t; any order, tickers may have different dates.
        label_end: (rows,) datetime64[D], session at whose close the label is known; NaT where it is
            not known yet.
        test_size: share of the newest dates, 0.01 to 0.98.
        val_size: share of the dates just before; together at most 0.99.
        embargo_days: sessions left free between a label's end and the next part, 0 or more.

    Raises:
        InvalidParameterError: A size or the embargo is out of bounds.
        InvalidQuotesError: Columns of unequal length, a missing date, or a label that ends before
            its date.
        TooLittleHistoryError: Too few dates for three parts, or the purge empties one.
    """
    if not (min(test_size, val_size) >= 0.01 and test_size + val_size <= 0.99):
        raise InvalidParameterError(
            "test_size and val_size must each be >= 0.01 and together <= 0.99, "
            f"got {test_size} and {val_size}"
        )

    date, label_end, sessions = _checked(date, label_end, embargo_days)
    labelled = ~np.isnat(label_end)
    dates = np.unique(date[labelled])
    sizes = _sizes(len(dates), test_size, val_size)
    if min(sizes) < 1:
        needed = next(n for n in range(3, 1000) if min(_sizes(n, test_size, val_size)) >= 1)
        raise TooLittleHistoryError(
            f"test_size {test_size} and val_size {val_size} need at least {needed} labelled dates, "
            f"got {len(dates)}",
            dates=len(dates),
            needed=needed,
        )

    firsts = dates[np.cumsum((0, *sizes[:-1]))]
    part = np.searchsorted(firsts, date, side="right") - 1
    dropped = {"unlabelled": int(np.count_nonzero(~labelled)), "purged": 0, "embargoed": 0}

    rows = {}
    for number, name in enumerate(PARTS):
        keep = labelled & (part == number)
        if number + 1 < len(PARTS):
            purged, embargoed = _reaching(label_end, firsts[number + 1], sessions, embargo_days)
            dropped["purged"] += int(np.count_nonzero(keep & purged))
            dropped["embargoed"] += int(np.count_nonzero(keep & embargoed))
            keep &= ~(purged | embargoed)

        rows[name] = np.flatnonzero(keep)
        if not len(rows[name]):
            raise _emptied(
                f"{name} part", labelled & (part == number), date, label_end, sessions, embargo_days
            )
    return Split(
        **rows, boundaries={name: _span(date[rows[name]]) for name in PARTS}, dropped=dropped
    )


def purged_folds(
    date: Array, label_end: Array, *, n_splits: int, embargo_days: int
) -> list[tuple[IntArray, IntArray]]:
    """Return walk-forward folds: each trains on all earlier dates and tests on the next block.

    The blocks are those of scikit-learn's ``TimeSeriesSplit`` over the distinct labelled dates
    instead of rows; train rows are purged and embargoed. Unlabelled rows are in no fold; their
    dates count as sessions. Arguments are as in :func:`purged_split`.

    Args:
        date: (rows,) datetime64[D].
        label_end: (rows,) datetime64[D].
        n_splits: folds, at least 2.
        embargo_days: sessions left free, 0 or more.

    Returns:
        Per fold, oldest first, the int64 indices (ascending) of its train and of its test rows.

    Raises:
        InvalidParameterError: ``n_splits`` or ``embargo_days`` is out of bounds.
        InvalidQuotesError: As in :func:`purged_split`.
        TooLittleHistoryError: Fewer dates than folds + 1, or the purge empties a fold's train part.
    """
    if n_splits < 2:
        raise InvalidParameterError(f"n_splits must be an integer >= 2, got {n_splits}")

    date, label_end, sessions = _checked(date, label_end, embargo_days)
    labelled = ~np.isnat(label_end)
    dates = np.unique(date[labelled])
    size = len(dates) // (n_splits + 1)
    if not size:
        raise TooLittleHistoryError(
            f"{n_splits} folds need at least {n_splits + 1} labelled dates, got {len(dates)}",
            dates=len(dates),
            needed=n_splits + 1,
        )

    folds: list[tuple[IntArray, IntArray]] = []
    for at in range(len(dates) - n_splits * size, len(dates), size):
        first = dates[at]
        last = dates[at + size - 1]
        purged, embargoed = _reaching(label_end, first, sessions, embargo_days)
        before = labelled & (date < first)
        train = np.flatnonzero(before & ~purged & ~embargoed)
        if not len(train):
            name = f"train part of the fold that tests from {first}"
            raise _emptied(name, before, date, label_end, sessions, embargo_days)
        folds.append((train, np.flatnonzero(labelled & (date >= first) & (date <= last))))
    return folds


class PurgedTimeSeriesSplit:
    """Cross-validation object for scikit-learn that yields the folds of :func:`purged_folds`.

    Args:
        n_splits: number of folds.
        embargo_days: sessions left free before each test block.
        date: (rows,) datetime64[D] of the rows of ``X``; None takes the level "date" of ``X.index``
            (pandas).
        label_end: (rows,) datetime64[D]; None takes the level "label_end" of ``X.index``.
    """

    def __init__(
        self,
        n_splits: int = 3,
        embargo_days: int = 5,
        date: Array | None = None,
        label_end: Array | None = None,
    ) -> None:
        self.n_splits = n_splits
        self.embargo_days = embargo_days
        self.date = date
        self.label_end = label_end

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds."""
        return self.n_splits

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[IntArray, IntArray]]:
        """Yield train and test row indices of ``X``, oldest fold first.

        ``y`` and ``groups`` are ignored.

        Raises:
            InvalidParameterError: The dates are neither given nor in ``X.index``, or are not one
                for each row of ``X``.
        """
        date = self._of_rows(X, "date", self.date)
        label_end = self._of_rows(X, "label_end", self.label_end)
        yield from purged_folds(
            date, label_end, n_splits=self.n_splits, embargo_days=self.embargo_days
        )

    @staticmethod
    def _of_rows(X: Any, name: str, given: Array | None) -> Array:
        index = getattr(X, "index", None)
        if given is not None:
            values = np.asarray(given, dtype="datetime64[D]")
        elif name in getattr(index, "names", ()):
            values = np.asarray(index.get_level_values(name), dtype="datetime64[D]")  # type: ignore[union-attr]
        else:
            raise InvalidParameterError(
                f"{name} is needed for a purged split: give it to PurgedTimeSeriesSplit, "
                f"or let X have a pandas MultiIndex with the levels 'date' and 'label_end'"
            )
        if len(values) != len(X):
            raise InvalidParameterError(
                f"{name} has {len(values)} entries for the {len(X)} rows of X: one each is needed"
            )

        return values


def _checked(date: Array, label_end: Array, embargo_days: int) -> tuple[Array, Array, Array]:
    """Return the two columns as datetime64[D], and the sessions."""
    if embargo_days < 0:
        raise InvalidParameterError(f"embargo_days must be an integer >= 0, got {embargo_days}")

    date = np.asarray(date, dtype="datetime64[D]")
    label_end = np.asarray(label_end, dtype="datetime64[D]")
    if date.shape != label_end.shape or date.ndim != 1:
        raise InvalidQuotesError(
            f"date {date.shape} and label_end {label_end.shape}: one of each per row is needed"
        )
    if np.isnat(date).any():
        raise InvalidQuotesError(f"{np.isnat(date).sum()} rows have no date; every row needs one")
    if (early := label_end < date).any():
        row = int(np.argmax(early))
        raise InvalidQuotesError(
            f"label_end {label_end[row]} is before its date {date[row]} (row {row})"
        )
    return date, label_end, np.unique(date)


def _reaching(
    label_end: Array, first: Any, sessions: Array, embargo_days: int
) -> tuple[Array, Array]:
    """Return masks of labels that reach a part begun at ``first``, and that reach its embargo."""
    purged = label_end >= first
    free = int(np.searchsorted(sessions, first)) - embargo_days  # first session left free
    near = label_end >= sessions[free] if free >= 0 else np.ones(len(label_end), dtype=bool)
    return purged, near & ~purged


def _sizes(dates: int, test_size: float, val_size: float) -> tuple[int, int, int]:
    """Return the numbers of dates for train, validation and test."""
    test = int(test_size * dates + 0.5)
    val = int(val_size * dates + 0.5)
    return dates - test - val, val, test


def _span(date: Array) -> dict[str, str]:
    return {"first": str(date.min()), "last": str(date.max())}


def _emptied(
    part: str, rows: Array, date: Array, label_end: Array, sessions: Array, embargo_days: int
) -> TooLittleHistoryError:
    """Make the error for a part that purge and embargo empty; ``rows`` is its mask before both."""
    begin = np.searchsorted(sessions, date[rows])
    end = np.searchsorted(sessions, label_end[rows], side="right") - 1
    dates = len(np.unique(begin))
    shortest = int((end - begin).min())
    needed = shortest + embargo_days + 1
    return TooLittleHistoryError(
        f"the purge leaves nothing of the {part}: it has {dates} dates, and labels over {shortest} "
        f"sessions with embargo_days {embargo_days} need at least {needed}",
        dates=dates,
        needed=needed,
    )
