"""Purged splits: exact dates, and a brute-force oracle for everything else."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import RandomizedSearchCV, TimeSeriesSplit, cross_val_score

from b3shared.core.errors import (
    B3Error,
    InvalidParameterError,
    InvalidQuotesError,
    TooLittleHistoryError,
)
from b3shared.dataset.split import PurgedTimeSeriesSplit, purged_folds, purged_split

MONDAY = np.datetime64("2024-01-01", "D")  # a Monday


def weekdays(n: int) -> np.ndarray:
    return np.busday_offset(MONDAY, np.arange(n))


def panel(n_dates: int, n_tickers: int = 1, horizon: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Every ticker on every date; the last ``horizon`` dates are not labelled yet."""
    sessions = weekdays(n_dates)
    end = np.full(n_dates, np.datetime64("NaT", "D"))
    end[: n_dates - horizon] = sessions[horizon:]
    return np.tile(sessions, n_tickers), np.tile(end, n_tickers)


def reaches(
    end: np.datetime64, first: np.datetime64, sessions: list[np.datetime64], embargo: int
) -> str | None:
    """Why a label that ends on a day may not precede a part, or None; the rule for a single row."""
    if end >= first:
        return "purged"
    between = sum(end < s < first for s in sessions)
    return None if between >= embargo else "embargoed"


@pytest.mark.parametrize(
    ("horizon", "embargo", "train", "val", "test", "purged", "embargoed"),
    [
        # 20 weekdays numbered from 0; horizon 0: 12 + 4 + 4 labelled dates
        (0, 0, (0, 11), (12, 15), (16, 19), 0, 0),
        (0, 1, (0, 10), (12, 14), (16, 19), 0, 2),
        (0, 3, (0, 8), (12, 12), (16, 19), 0, 6),
        # horizon 2: 18 labelled dates, 10 + 4 + 4
        (2, 0, (0, 7), (10, 11), (14, 17), 4, 0),
        (2, 1, (0, 6), (10, 10), (14, 17), 4, 2),
    ],
)
def test_the_parts_of_a_split_have_the_expected_sessions(
    horizon, embargo, train, val, test, purged, embargoed
):
    sessions = weekdays(20)
    date, label_end = panel(20, n_tickers=3, horizon=horizon)
    split = purged_split(date, label_end, test_size=0.2, val_size=0.2, embargo_days=embargo)
    for part, (first, last) in {"train": train, "val": val, "test": test}.items():
        rows = getattr(split, part)
        assert rows.dtype == np.int64
        np.testing.assert_array_equal(np.unique(date[rows]), sessions[first : last + 1])
        assert len(rows) == 3 * (last + 1 - first)
        assert split.boundaries[part] == {
            "first": str(sessions[first]),
            "last": str(sessions[last]),
        }

    assert split.dropped == {
        "unlabelled": 3 * horizon,
        "purged": 3 * purged,
        "embargoed": 3 * embargoed,
    }


@pytest.mark.parametrize(
    ("dates", "test_size", "val_size", "expected"),
    [
        (100, 0.2, 0.2, (60, 20, 20)),
        (101, 0.2, 0.2, (61, 20, 20)),
        (103, 0.2, 0.2, (61, 21, 21)),
        (10, 0.25, 0.15, (5, 2, 3)),
        (3, 0.2, 0.2, (1, 1, 1)),
    ],
)
def test_sizes_are_rounded_shares_of_the_labelled_dates(dates, test_size, val_size, expected):
    date, label_end = panel(dates, n_tickers=2, horizon=0)
    split = purged_split(date, label_end, test_size=test_size, val_size=val_size, embargo_days=0)
    assert (
        tuple(len(np.unique(date[rows])) for rows in (split.train, split.val, split.test))
        == expected
    )


def test_unlabelled_dates_count_as_sessions_of_the_embargo():
    date = weekdays(10)
    label_end = date.copy()
    label_end[5] = np.datetime64(
        "NaT", "D"
    )  # the session before validation; 9 labelled dates: 5 + 2 + 2
    split = purged_split(date, label_end, test_size=0.2, val_size=0.2, embargo_days=1)
    assert split.train.tolist() == [0, 1, 2, 3, 4]
    assert split.val.tolist() == [6]


def test_a_label_that_ends_on_a_weekend_counts_as_the_session_before():
    date = weekdays(25)  # validation begins on index 15, a Monday
    label_end = date.copy()
    label_end[14] += np.timedelta64(1, "D")  # from Friday to Saturday
    for embargo, kept in ((0, True), (1, False)):
        split = purged_split(date, label_end, test_size=0.2, val_size=0.2, embargo_days=embargo)
        assert (14 in split.train) is kept


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"test_size": 0.0}, InvalidParameterError, "test_size .* got 0.0"),
        ({"val_size": 0.8}, InvalidParameterError, "together <= 0.99, got 0.2 and 0.8"),
        ({"test_size": float("nan")}, InvalidParameterError, "test_size .* got nan"),
        ({"embargo_days": -1}, InvalidParameterError, "embargo_days must be .* got -1"),
        ({"date": weekdays(5)}, InvalidQuotesError, "one of each per row"),
        (
            {"date": np.full(20, np.datetime64("NaT", "D"))},
            InvalidQuotesError,
            "20 rows have no date",
        ),
        (
            {"date": weekdays(20) + np.timedelta64(10, "D")},
            InvalidQuotesError,
            "is before its date 2024-01-11",
        ),
        (
            {"label_end": np.full(20, np.datetime64("NaT", "D"))},
            TooLittleHistoryError,
            "at least 3 labelled dates, got 0",
        ),
        ({"test_size": 0.02}, TooLittleHistoryError, "at least 25 labelled dates, got 20"),
        ({"embargo_days": 4}, TooLittleHistoryError, "val part: it has 4 dates.*at least 5"),
    ],
)
def test_impossible_splits_are_refused_by_name(changes, error, says):
    call = {
        "date": weekdays(20),
        "label_end": weekdays(20),
        "test_size": 0.2,
        "val_size": 0.2,
        "embargo_days": 0,
    }
    with pytest.raises(error, match=says):
        purged_split(**(call | changes))


def test_the_number_of_dates_that_the_error_asks_for_suffices():
    sizes = {"test_size": 0.07, "val_size": 0.3, "embargo_days": 0}
    with pytest.raises(TooLittleHistoryError) as caught:
        purged_split(weekdays(3), weekdays(3), **sizes)
    needed = caught.value.details["needed"]
    purged_split(weekdays(needed), weekdays(needed), **sizes)
    with pytest.raises(TooLittleHistoryError):
        purged_split(weekdays(needed - 1), weekdays(needed - 1), **sizes)


@st.composite
def markets(draw):
    """Draw rows of up to 4 tickers with their own dates and label spans, in any order."""
    calendar = weekdays(draw(st.integers(12, 45)))
    date, label_end = [], []
    for _ in range(draw(st.integers(1, 4))):
        own = sorted(draw(st.sets(st.integers(0, len(calendar) - 1), min_size=1)))
        date += [calendar[i] for i in own]
        spans = draw(st.lists(st.integers(0, 9), min_size=len(own), max_size=len(own)))
        label_end += [
            calendar[i] + np.timedelta64(s, "D") if s < 9 else np.datetime64("NaT", "D")
            for i, s in zip(own, spans, strict=True)
        ]
    order = draw(st.permutations(range(len(date))))

    return np.array(date, "datetime64[D]")[list(order)], np.array(label_end, "datetime64[D]")[
        list(order)
    ]


@settings(max_examples=150, deadline=None)
@given(
    markets(),
    st.sampled_from([0.1, 0.2, 0.34]),
    st.sampled_from([0.1, 0.2, 0.34]),
    st.integers(0, 6),
)
def test_every_row_has_the_part_or_reason_that_the_oracle_gives(
    market, test_size, val_size, embargo
):
    date, label_end = market
    try:
        split = purged_split(
            date, label_end, test_size=test_size, val_size=val_size, embargo_days=embargo
        )
    except TooLittleHistoryError:
        split = None
    sessions = sorted(set(date))
    dates = sorted({d for d, e in zip(date, label_end, strict=True) if not np.isnat(e)})
    n_test, n_val = (int(np.floor(size * len(dates) + 0.5)) for size in (test_size, val_size))
    parts = {
        "train": dates[: len(dates) - n_test - n_val],
        "val": dates[len(dates) - n_test - n_val : len(dates) - n_test],
    }
    parts["test"] = dates[len(dates) - n_test :]
    expected = {"train": [], "val": [], "test": []}
    dropped = {"unlabelled": 0, "purged": 0, "embargoed": 0}
    for row, (d, e) in enumerate(zip(date, label_end, strict=True)):
        if np.isnat(e):
            dropped["unlabelled"] += 1
            continue
        name = next(name for name in parts if d in parts[name])
        following = {"train": parts["val"], "val": parts["test"], "test": []}[name]
        reason = reaches(e, following[0], sessions, embargo) if following else None
        if reason:
            dropped[reason] += 1
        else:
            expected[name].append(row)
    if split is None:
        assert not all(expected.values())
        return

    assert {name: getattr(split, name).tolist() for name in expected} == expected
    assert split.dropped == dropped


@settings(max_examples=100, deadline=None)
@given(markets(), st.integers(2, 4), st.integers(0, 6))
def test_every_fold_equals_that_of_the_oracle(market, n_splits, embargo):
    date, label_end = market
    try:
        folds = purged_folds(date, label_end, n_splits=n_splits, embargo_days=embargo)
    except TooLittleHistoryError:
        folds = None
    sessions = sorted(set(date))
    labelled = ~np.isnat(label_end)
    dates = np.array(sorted(set(date[labelled])))
    if len(dates) <= n_splits:
        assert folds is None
        return
    expected = []
    for _, test in TimeSeriesSplit(n_splits).split(dates):
        block = dates[test]
        rows = [r for r in range(len(date)) if labelled[r] and date[r] < block[0]]
        train = [r for r in rows if not reaches(label_end[r], block[0], sessions, embargo)]
        expected.append((train, [r for r in range(len(date)) if labelled[r] and date[r] in block]))
    if folds is None:
        assert not all(train for train, _ in expected)
        return

    assert [(train.tolist(), test.tolist()) for train, test in folds] == expected


@settings(max_examples=50, deadline=None)
@given(markets(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_only_the_indices(market, random):
    date, label_end = market
    order = np.array(random.sample(range(len(date)), len(date)))
    options = {"test_size": 0.2, "val_size": 0.2, "embargo_days": 1}
    try:
        one = purged_split(date, label_end, **options)
    except TooLittleHistoryError as error:
        with pytest.raises(TooLittleHistoryError, match=f"^{re.escape(str(error))}$"):
            purged_split(date[order], label_end[order], **options)
        return
    two = purged_split(date[order], label_end[order], **options)
    for name in ("train", "val", "test"):
        assert sorted(order[getattr(two, name)].tolist()) == getattr(one, name).tolist()

    assert (two.boundaries, two.dropped) == (one.boundaries, one.dropped)


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"n_splits": 1}, InvalidParameterError, "n_splits must be .* got 1"),
        ({"n_splits": 20}, TooLittleHistoryError, "need at least 21 labelled dates, got 20"),
        (
            {"embargo_days": 5},
            TooLittleHistoryError,
            "tests from 2024-01-08: it has 5 dates.*at least 6",
        ),
    ],
)
def test_impossible_folds_are_refused_by_name(changes, error, says):
    call = {"date": weekdays(20), "label_end": weekdays(20), "n_splits": 3, "embargo_days": 0}
    with pytest.raises(error, match=says):
        purged_folds(**(call | changes))


class _SeesNoLeak(RandomForestClassifier):
    """Refuse training rows whose label, kept in column 1, ends after the test rows begin."""

    def fit(self, X, y):
        self.newest_label_end_ = X[:, 1].max()
        return super().fit(X, y)

    def score(self, X, y):
        assert self.newest_label_end_ < X[:, 0].min() - 1  # the embargo of one session
        return super().score(X, y)


def _rows(
    n_dates: int = 60, n_tickers: int = 3
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    date, label_end = panel(n_dates, n_tickers)
    date, label_end = date[~np.isnat(label_end)], label_end[~np.isnat(label_end)]
    number = {d: i for i, d in enumerate(weekdays(n_dates))}
    X = np.array(
        [[number[d], number[e]] for d, e in zip(date, label_end, strict=True)], dtype=float
    )
    return X, np.arange(len(X)) % 2, date, label_end


def test_the_splitter_works_in_cross_val_score_and_in_a_search():
    X, y, date, label_end = _rows()
    cv = PurgedTimeSeriesSplit(n_splits=4, embargo_days=1, date=date, label_end=label_end)
    assert cv.get_n_splits(X) == 4
    assert len(cross_val_score(_SeesNoLeak(3), X, y, cv=cv, error_score="raise")) == 4
    search = RandomizedSearchCV(
        _SeesNoLeak(3), {"max_depth": [1, 2, 3]}, n_iter=2, cv=cv, error_score="raise"
    ).fit(X, y)
    assert search.n_splits_ == 4


def test_sklearns_time_series_split_leaks_on_the_same_rows():
    X, y, _, _ = _rows(n_tickers=1)
    with pytest.raises(AssertionError):
        cross_val_score(_SeesNoLeak(3), X, y, cv=TimeSeriesSplit(4), error_score="raise")


def test_the_splitter_reads_dates_from_the_index_of_a_frame():
    X, y, date, label_end = _rows()
    index = pd.MultiIndex.from_arrays(
        [["A"] * len(X), date, label_end], names=["ticker", "date", "label_end"]
    )
    frame = pd.DataFrame(X, columns=["a", "b"], index=index)
    given_dates = PurgedTimeSeriesSplit(3, 1, date, label_end).split(X)
    for (train, test), (train_given, test_given) in zip(
        PurgedTimeSeriesSplit(3, 1).split(frame), given_dates, strict=True
    ):
        np.testing.assert_array_equal(train, train_given)
        np.testing.assert_array_equal(test, test_given)

    assert (
        len(
            cross_val_score(
                RandomForestClassifier(3),
                frame,
                y,
                cv=PurgedTimeSeriesSplit(3, 1),
                error_score="raise",
            )
        )
        == 3
    )


@pytest.mark.parametrize(
    ("X", "dates", "says"),
    [
        (np.zeros((20, 1)), {}, "date is needed for a purged split"),
        (pd.DataFrame({"a": range(20)}), {}, "date is needed for a purged split"),
        (np.zeros((20, 1)), {"date": weekdays(20)}, "label_end is needed for a purged split"),
        (
            np.zeros((20, 1)),
            {"date": weekdays(19), "label_end": weekdays(20)},
            "date has 19 entries for the 20 rows",
        ),
    ],
)
def test_missing_dates_are_named(X, dates, says):
    with pytest.raises(InvalidParameterError, match=says) as caught:
        list(PurgedTimeSeriesSplit(**dates).split(X))
    assert isinstance(caught.value, B3Error)
