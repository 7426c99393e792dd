"""The user's own table of renamed tickers: companies whose new name came with a new ISIN."""

import io

import numpy as np
import pandas as pd

from b3shared.core.errors import InvalidActionsError
from b3shared.quotes.corporate_actions.override_checks import parse_days
from b3shared.quotes.schema import CASH_EQUITY

RENAMES = "lake/actions/renames.csv"
"""Key of the table in the deployment's storage."""

COLUMNS = ("old", "new", "date")

type Span = tuple[pd.Timestamp, pd.Timestamp]
"""First and last session of a ticker."""


def read_renames(data: bytes) -> pd.DataFrame:
    """Read and check the table.

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
    out["date"] = parse_days(table)
    for column, wrong, requirement in _faults(out):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            value = table[column].tolist()[row]
            raise InvalidActionsError(
                f"{RENAMES} row {row + 1}: {column} {requirement}, got {value!r}", row=row + 1
            )
    return out


def _faults(rows: pd.DataFrame) -> list[tuple[str, pd.Series, str]]:
    """(column, mask of the wrong rows, requirement) of each check, in the order of reporting."""
    bad = {name: ~rows[name].str.fullmatch(CASH_EQUITY).fillna(False) for name in ("old", "new")}
    began = {new: day for new, day in zip(rows["new"], rows["date"], strict=True) if pd.notna(new)}
    began_of_old = pd.to_datetime(
        pd.Series([began.get(old, pd.NaT) for old in rows["old"].fillna("")], dtype="datetime64[s]")
    )

    return [
        ("old", bad["old"], "must be a ticker such as TBLE3"),
        ("new", bad["new"], "must be a ticker such as EGIE3"),
        ("date", rows["date"].isna(), "must be a day as YYYY-MM-DD, such as 2016-07-21"),
        ("new", rows["old"] == rows["new"], "must be another ticker than the old one"),
        ("old", rows["old"].duplicated(), "must be in one row only: a ticker has one successor"),
        ("new", rows["new"].duplicated(), "must be in one row only: a ticker has one predecessor"),
        # so that no chain of names comes back to its beginning
        (
            "date",
            began_of_old >= rows["date"],
            "must be after the day on which the old ticker itself began",
        ),
    ]


def merge_renames(
    by_isin: pd.DataFrame, given: pd.DataFrame, ends: pd.DataFrame
) -> tuple[pd.DataFrame, list[str]]:
    """Merge the renames by ISIN with the user's, which win; report the user's rows without effect.

    A row of the user is taken if its old ticker ended before its date and its new one began then or
    later: otherwise one ticker would have two quotes of one session.

    Args:
        by_isin: ``old``, ``new`` and ``first_session_of_new``.
        given: as :func:`read_renames` returns them.
        ends: ``ticker`` and ``date``: at least the first and the last session of every ticker.

    Returns:
        ``old``, ``new``, ``first_session_of_new``; and each row without effect as ``OLD -> NEW:
        why``.
    """
    by_ticker = ends.groupby("ticker")["date"].agg(["min", "max"])
    sessions = zip(by_ticker["min"], by_ticker["max"], strict=True)
    spans = dict(zip(by_ticker.index.astype(str), sessions, strict=True))
    rows = list(zip(given["old"], given["new"], given["date"], strict=True))
    reasons = [_contradiction(*row, spans) for row in rows]

    fits = np.array([not reason for reason in reasons], dtype=bool)
    taken = given[fits].rename(columns={"date": "first_session_of_new"})
    without_effect = [
        f"{old} -> {new}: {reason}"
        for (old, new, _), reason in zip(rows, reasons, strict=True)
        if reason
    ]

    others = by_isin[~by_isin["old"].isin(taken["old"]) & ~by_isin["new"].isin(taken["new"])]
    columns = list(taken.columns)
    filled = [frame[columns] for frame in (others, taken) if len(frame)] or [others[columns]]
    return pd.concat(filled, ignore_index=True), without_effect


def _contradiction(old: str, new: str, day: pd.Timestamp, spans: dict[str, Span]) -> str:
    """Why the quotes do not allow a rename; empty: they do."""
    if absent := [ticker for ticker in (old, new) if ticker not in spans]:
        return f"the lake has no quote of {' and '.join(absent)}"
    last = spans[old][1]
    first = spans[new][0]
    if last >= day:
        return f"{old} has quotes until {last.date()}, not only before {day.date()}"
    if first < day:
        return f"{new} has quotes from {first.date()} on, not only from {day.date()}"
    return ""
