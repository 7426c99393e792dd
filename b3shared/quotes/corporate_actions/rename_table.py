"""The user's own table of renamed tickers: companies that got a new ISIN with their new name."""

import io

import numpy as np
import pandas as pd

from b3shared.core.errors import InvalidActionsError
from b3shared.quotes.corporate_actions.table import override_days
from b3shared.quotes.schema import CASH_EQUITY

RENAMES = "lake/actions/renames.csv"
"""Where it lies in the deployment's storage."""

COLUMNS = ("old", "new", "date")


def read_renames(data: bytes) -> pd.DataFrame:
    """The rows of the table, checked.

    Args:
        data: CSV text with the columns ``old``, ``new`` and ``date``: the first session of the new
            ticker.

    Returns:
        ``old`` and ``new``, text in capitals, and ``date``, datetime64[s]; in the order of the
        table.

    Raises:
        InvalidActionsError: It is no CSV file, a column is unknown or lacking, a value is not
            allowed, or rows contradict each other. The message names the row.
    """
    try:
        table = pd.read_csv(io.BytesIO(data), dtype=str, skipinitialspace=True)
    except ValueError as error:  # of pandas' parser, and of text that is not UTF-8
        raise InvalidActionsError(f"{RENAMES} is not a CSV file: {error}") from error
    if sorted(table.columns) != sorted(COLUMNS):
        raise InvalidActionsError(
            f"{RENAMES} has {', '.join(table.columns)}; the columns must be {', '.join(COLUMNS)}"
        )
    out = pd.DataFrame(
        {name: table[name].astype("string").str.strip().str.upper() for name in ("old", "new")}
    )
    out["date"] = override_days(table)
    for column, wrong, allowed in _faults(out):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            value = table[column].tolist()[row]
            raise InvalidActionsError(
                f"{RENAMES} row {row + 1}: {column} = {value!r}: {allowed}", row=row + 1
            )
    return out


def _faults(rows: pd.DataFrame) -> list[tuple[str, pd.Series, str]]:
    """(column, mask of the wrong rows, what is allowed)."""
    began = {new: day for new, day in zip(rows["new"], rows["date"], strict=True) if pd.notna(new)}
    earlier = pd.to_datetime(
        pd.Series([began.get(old, pd.NaT) for old in rows["old"].fillna("")], dtype="datetime64[s]")
    )
    ticker = {name: ~rows[name].str.fullmatch(CASH_EQUITY).fillna(False) for name in ("old", "new")}
    return [
        ("old", ticker["old"], "a ticker such as TBLE3 is needed"),
        ("new", ticker["new"], "a ticker such as EGIE3 is needed"),
        ("date", rows["date"].isna(), "a day as YYYY-MM-DD is needed, such as 2016-07-21"),
        ("new", rows["old"] == rows["new"], "another ticker than the old one is needed"),
        (
            "old",
            rows["old"].duplicated(),
            "a ticker goes on under one other; another row says under which",
        ),
        ("new", rows["new"].duplicated(), "a ticker has one before it; another row says which"),
        # so that no chain of names comes back to its beginning
        (
            "date",
            earlier >= rows["date"],
            "a day after the one on which the old ticker itself began is needed",
        ),
    ]


def with_given(
    found: pd.DataFrame, given: pd.DataFrame, ends: pd.DataFrame
) -> tuple[pd.DataFrame, list[str]]:
    """Renames by ISIN together with the user's, whose word wins, and which rows of the user's change nothing.

    A row is taken if its old ticker ended before its date and its new one began then or later:
    otherwise two quotes of one session would be one ticker's.

    Args:
        found: ``old``, ``new`` and ``first_session_of_new``, by ISIN.
        given: as :func:`read_renames` gives them.
        ends: ``ticker`` and ``date``: at least the first and the last session of every ticker.

    Returns:
        ``old``, ``new``, ``first_session_of_new``; and each row without effect as ``OLD -> NEW:
        why``.
    """
    by_ticker = ends.groupby("ticker")["date"].agg(["min", "max"])
    spans = dict(
        zip(
            by_ticker.index.astype(str),
            zip(by_ticker["min"], by_ticker["max"], strict=True),
            strict=True,
        )
    )
    why = [
        _unfit(*row, spans) for row in zip(given["old"], given["new"], given["date"], strict=True)
    ]
    fits = np.array([not words for words in why], dtype=bool)
    taken = given[fits].rename(columns={"date": "first_session_of_new"})
    told = [
        f"{old} -> {new}: {words}"
        for old, new, words in zip(given["old"], given["new"], why, strict=True)
        if words
    ]
    others = found[~found["old"].isin(taken["old"]) & ~found["new"].isin(taken["new"])]
    both = [frame[list(taken.columns)] for frame in (others, taken) if len(frame)]
    return pd.concat(both, ignore_index=True) if both else others[list(taken.columns)], told


def _unfit(
    old: str, new: str, day: pd.Timestamp, spans: dict[str, tuple[pd.Timestamp, pd.Timestamp]]
) -> str:
    """Why the quotes do not allow a rename; empty: they do."""
    if absent := [ticker for ticker in (old, new) if ticker not in spans]:
        return f"the lake has no quote of {' and '.join(absent)}"
    last, first = spans[old][1], spans[new][0]
    if last >= day:
        return f"{old} has quotes until {last.date()}, not only before {day.date()}"
    if first < day:
        return f"{new} has quotes from {first.date()} on, not only from {day.date()}"
    return ""
