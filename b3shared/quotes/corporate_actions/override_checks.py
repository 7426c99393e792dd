"""Checks a user's table of corporate actions and converts it to typed columns."""

from typing import Any

import numpy as np
import pandas as pd

from b3shared.core.errors import InvalidActionsError
from b3shared.quotes.schema import CASH_EQUITY

FACTORS = (1e-8, 1e8)
"""Least and greatest split_factor of an override; the exchange has seen one share for millions."""

DIVIDENDS = (0.0, 1e6)
"""Least and greatest dividend of an override, in R$ per share."""

OVERRIDE_COLUMNS = ("ticker", "date", "split_factor", "dividend", "reject")

_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_FLAGS = {
    "true": True,
    "1": True,
    "1.0": True,
    "false": False,
    "0": False,
    "0.0": False,
    "": False,
}


def check_overrides(overrides: pd.DataFrame) -> pd.DataFrame:
    """Return the overrides with all columns, typed, one row per ticker and day.

    Payouts of one day add, factors of one day multiply. An absent split_factor becomes 1, an absent
    dividend 0.

    Raises:
        InvalidActionsError: A column is unknown or lacking, a value is out of bounds, a row is
            empty, or two rows contradict each other. The message names the row.
    """
    _check_columns(list(overrides.columns))

    out = pd.DataFrame({"ticker": overrides["ticker"].astype("string").str.strip().str.upper()})
    out["date"] = parse_days(overrides)
    for column in ("split_factor", "dividend"):
        out[column] = _numbers(overrides, column)
    out["reject"] = _flags(overrides)

    for column, wrong, requirement in _faults(out):
        if wrong.any():
            raise _row_error(overrides, int(np.flatnonzero(wrong)[0]), column, requirement)
    return _one_row_per_day(out.fillna({"split_factor": 1.0, "dividend": 0.0}))


def parse_days(table: pd.DataFrame) -> pd.Series:
    """Parse the column ``date`` of a user's table; anything but YYYY-MM-DD becomes NaT.

    A time of day is refused too: actions are matched by the exact timestamp of their day.
    """
    text = table["date"].astype("string").str.strip()
    is_day = text.str.fullmatch(_DAY).fillna(False)
    days = pd.to_datetime(text.where(is_day), errors="coerce", format="%Y-%m-%d")
    return days.astype("datetime64[s]")


def _check_columns(columns: list[Any]) -> None:
    lacking = [column for column in ("ticker", "date") if column not in columns]
    unknown = [str(column) for column in columns if column not in OVERRIDE_COLUMNS]

    faults = [f"lack {', '.join(lacking)}"] * bool(lacking)
    faults += [f"have {', '.join(unknown)}"] * bool(unknown)
    if faults:
        raise InvalidActionsError(
            f"overrides {' and '.join(faults)}; the columns are {', '.join(OVERRIDE_COLUMNS)}"
        )


def _faults(rows: pd.DataFrame) -> list[tuple[str, pd.Series, str]]:
    """(column, mask of the wrong rows, requirement) of each check, in the order of reporting."""
    has_values = rows[["split_factor", "dividend"]].notna().any(axis=1)
    bad_ticker = ~rows["ticker"].str.fullmatch(CASH_EQUITY).fillna(False)
    bad_factor = ~rows["split_factor"].fillna(1).between(*FACTORS)
    bad_dividend = ~rows["dividend"].fillna(0).between(*DIVIDENDS)
    contradicted = rows["reject"] & _accepted_elsewhere(rows)

    return [
        ("ticker", bad_ticker, "must be a ticker such as PETR4"),
        ("date", rows["date"].isna(), "must be a day as YYYY-MM-DD, such as 2023-12-28"),
        ("split_factor", bad_factor, _within(FACTORS)),
        ("dividend", bad_dividend, _within(DIVIDENDS)),
        ("reject", rows["reject"] & has_values, "must not be true beside split_factor or dividend"),
        (
            "reject",
            ~rows["reject"] & ~has_values,
            "must be true in a row without split_factor and dividend",
        ),
        ("reject", contradicted, "must not be true where another row gives that day an action"),
    ]


def _row_error(
    overrides: pd.DataFrame, row: int, column: str, requirement: str
) -> InvalidActionsError:
    value = overrides[column].tolist()[row] if column in overrides else None
    who = f"{overrides['ticker'].iloc[row]} {overrides['date'].iloc[row]}"
    return InvalidActionsError(
        f"overrides row {row + 1} ({who}): {column} {requirement}, got {value!r}", row=row + 1
    )


def _within(bounds: tuple[float, float]) -> str:
    return f"must be a number from {bounds[0]:g} to {bounds[1]:g}"


def _accepted_elsewhere(rows: pd.DataFrame) -> Any:
    """Mask of the rows whose ticker and date have a row that does not reject."""
    return (~rows["reject"]).groupby([rows["ticker"], rows["date"]], dropna=False).transform("any")


def _one_row_per_day(rows: pd.DataFrame) -> pd.DataFrame:
    """Merge the rows of a ticker and date.

    Payouts add because each is per share of the session before, whatever else the day brings.
    """
    how = {"split_factor": "prod", "dividend": "sum", "reject": "any"}
    return rows.groupby(["ticker", "date"], sort=False).agg(how).reset_index()


def _numbers(overrides: pd.DataFrame, column: str) -> Any:
    """Parse a column of numbers: NaN where it is blank, infinity where the text is no number.

    Infinity lies outside all bounds, so such text is refused as out of bounds.
    """
    if column not in overrides:
        return np.full(len(overrides), np.nan)
    blank = overrides[column].isna() | (overrides[column].astype(str).str.strip() == "")
    numbers = pd.to_numeric(overrides[column], errors="coerce").astype(np.float64)
    return numbers.fillna(np.inf).mask(blank)


def _flags(overrides: pd.DataFrame) -> Any:
    """Parse the column ``reject`` as booleans; blank is false."""
    if "reject" not in overrides:
        return np.zeros(len(overrides), dtype=bool)
    text = overrides["reject"].astype("string").str.strip().str.lower().fillna("")
    known = text.isin(list(_FLAGS))
    if not known.all():
        row = int(np.flatnonzero(~known)[0])
        value = overrides["reject"].iloc[row]
        raise InvalidActionsError(
            f"overrides row {row + 1}: reject must be true or false, got {value!r}", row=row + 1
        )
    return text.map(_FLAGS).astype(bool)
