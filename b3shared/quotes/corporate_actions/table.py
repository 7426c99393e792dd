"""Corporate actions as rows of a table: what was detected, what a user says of it, and how quotes get them on read.

A table of actions has the columns of :data:`ACTION_TYPES`, one row per ticker, ex-date and kind. Detections come from
:func:`b3shared.quotes.corporate_actions.detection.detect_actions`; :func:`apply_overrides` lets a user's table win; :func:`with_actions`
is what a source of quotes calls when it reads::

    actions = apply_overrides(detect_actions(connection, relation), overrides)   # once, when the lake changes
    quotes = with_actions(quotes, actions)                                       # on every read
"""

from typing import Any, cast

import numpy as np
import pandas as pd

from b3shared.core.arrays import Array, FloatArray
from b3shared.core.errors import InvalidActionsError
from b3shared.quotes.schema import CASH_EQUITY

ACTION_TYPES: dict[str, str] = {
    "ticker": "VARCHAR",
    "date": "DATE",  # ex-date: the first session without the right
    "kind": "VARCHAR",
    "factor": "DOUBLE",
    "dividend": "DOUBLE",
    "confidence": "DOUBLE",
    "evidence": "VARCHAR",
    "source": "VARCHAR",
}
"""Column -> DuckDB type. ``factor``: one share of the session before became this many (1 if none), as ``split_factor`` of
:mod:`b3shared.quotes.schema`; ``dividend``: R$ per share of the session before (0 if none or not known);
``confidence``: probability, 0 to 1, that the action took place; ``evidence``: JSON text of the facts."""

KINDS = ("split", "reverse_split", "bonus", "dividend", "ex_mark")
"""``bonus``: a factor from 1 to 1.3, as a stock dividend gives. ``ex_mark``: a right left the price that day, of which the
quotes tell the sort and not the amount: its factor is 1, so applying it changes nothing."""

LARGEST_BONUS = 1.3
MINIMAL_CONFIDENCE = 0.4
"""Detections from here on are applied on read. Chosen on half of the tickers as the best F0.5 (a crash taken for a split is
hidden, a split that is missed is reported as a jump, so precision counts double); see ``tests/bench/bench_actions.py``.
An action below it stays in the table, for a person to confirm or reject."""

_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"

FACTORS, DIVIDENDS = (1e-8, 1e8), (0.0, 1e6)
"""Least and greatest that an override may say.

The exchange has seen groupings of some millions to one.
"""

OVERRIDE_COLUMNS = ("ticker", "date", "split_factor", "dividend", "reject")


def with_actions(
    quotes: pd.DataFrame, actions: pd.DataFrame, minimal_confidence: float = MINIMAL_CONFIDENCE
) -> pd.DataFrame:
    """Quotes with split_factor and dividend filled from a table of actions where they have none of their own.

    An action whose ticker has no row on the ex-date goes to the ticker's next row; one before its
    first row or after its last is left out. Several actions of one row multiply (dividends are per
    share before all of them). A split_factor other than 1 or a dividend other than 0 that the
    quotes themselves carry stays.

    Args:
        quotes: rows in the schema, in any order.
        actions: columns as in :data:`ACTION_TYPES`.
        minimal_confidence: actions below are not applied.

    Returns:
        A copy, in the same order; ``attrs`` is kept, and ``attrs["suspected_actions"]`` has the
        detections that were not certain enough as ``{(ticker, date as datetime64[D]): factor}``.
    """
    out = quotes.copy()
    out.attrs = dict(quotes.attrs)
    certain = actions["confidence"] >= minimal_confidence
    relevant = actions["ticker"].isin(quotes["ticker"].unique())
    doubtful = actions[relevant & ~certain & (actions["factor"] != 1)]
    days = doubtful["date"].to_numpy().astype("datetime64[D]")
    out.attrs["suspected_actions"] = dict(
        zip(zip(doubtful["ticker"], days, strict=True), doubtful["factor"], strict=True)
    )
    split, dividend = _per_row(quotes, actions[relevant & certain])
    for column, values, none in (("split_factor", split, 1.0), ("dividend", dividend, 0.0)):
        own = quotes[column].to_numpy(dtype=np.float64, na_value=none)
        out[column] = np.where(own == none, values, own)
    return out


def _per_row(quotes: pd.DataFrame, actions: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """(split factor, dividend) of every row of quotes, from the actions alone."""
    split, dividend = np.ones(len(quotes)), np.zeros(len(quotes))
    acting = actions[(actions["factor"] != 1) | (actions["dividend"] != 0)].sort_values(
        ["ticker", "date"], kind="stable"
    )
    if acting.empty:
        return split, dividend
    lines = quotes.groupby("ticker", sort=False).indices
    dates = quotes["date"].to_numpy().astype("datetime64[D]")
    for ticker, own in acting.groupby("ticker", sort=False):
        mine = np.asarray(lines[cast(str, ticker)])
        mine = mine[~np.isnat(dates[mine])]
        rows = mine[np.argsort(dates[mine], kind="stable")]
        ex = own["date"].to_numpy().astype("datetime64[D]")
        at = np.searchsorted(dates[rows], ex)
        here = (
            (at < len(rows)) & (ex >= dates[rows[0]])
            if len(rows)
            else np.zeros(len(ex), dtype=bool)
        )
        factors, amounts = own["factor"].to_numpy(np.float64), own["dividend"].to_numpy(np.float64)
        for row, factor, amount in zip(rows[at[here]], factors[here], amounts[here], strict=True):
            dividend[row] += split[row] * amount
            split[row] *= factor
    return _for_twins(quotes, split, dividend)


def _for_twins(
    quotes: pd.DataFrame, split: FloatArray, dividend: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The same for every row of one ticker and date: a later step keeps one of them, whichever it is."""
    key = [quotes["ticker"], quotes["date"]]
    if not quotes.duplicated(["ticker", "date"]).any():
        return split, dividend
    by = pd.DataFrame({"split": split, "dividend": dividend}).groupby(key, sort=False, dropna=False)
    return by["split"].transform("prod").to_numpy(), by["dividend"].transform("sum").to_numpy()


def apply_overrides(detected: pd.DataFrame, overrides: pd.DataFrame) -> pd.DataFrame:
    """The table of actions after a user's word, which always wins.

    A row of overrides stands for everything that happened to its ticker on its date: detections
    there are struck, and a row with confidence 1 and source ``given`` takes their place, unless it
    only rejects. Ex-marks stay: they are facts of the exchange's file. Several rows for a ticker
    and date are events of that day: payouts are added, factors are multiplied. Equal rows are
    instalments, and count each.

    Args:
        detected: columns as in :data:`ACTION_TYPES`.
        overrides: ``ticker``, ``date`` (a day, as text YYYY-MM-DD) and at least one of
            ``split_factor`` (positive), ``dividend`` (R$ per share of the session before, not
            negative) and ``reject`` (true: nothing happened then). Bounds are :data:`FACTORS` and
            :data:`DIVIDENDS`.

    Raises:
        InvalidActionsError: A column is unknown or lacking, a value is out of bounds, a row says
            nothing or contradicts itself or another one. The message names the row.
    """
    given = _checked(overrides)
    named = pd.MultiIndex.from_frame(given[["ticker", "date"]])
    dates = pd.to_datetime(detected["date"]).astype("datetime64[s]")
    struck = pd.MultiIndex.from_arrays([detected["ticker"], dates]).isin(named) & (
        detected["kind"] != "ex_mark"
    )
    said = given[~given["reject"]]
    rows = pd.DataFrame(
        {
            "ticker": said["ticker"],
            "date": said["date"],
            "kind": kind_of(said["split_factor"].to_numpy(np.float64)),
            "factor": said["split_factor"],
            "dividend": said["dividend"],
            "confidence": 1.0,
            "evidence": '{"given":true}',
            "source": "given",
        }
    )
    return sorted_actions(
        pd.concat(
            [f for f in (detected[~struck], rows) if len(f)] or [detected[~struck]],
            ignore_index=True,
        )
    )


def kind_of(factor: FloatArray) -> Array:
    """Kind of an action with this factor; ``dividend`` where it is 1."""
    return np.select(
        [factor == 1, factor < 1, factor <= LARGEST_BONUS],
        ["dividend", "reverse_split", "bonus"],
        default="split",
    )


def sorted_actions(actions: pd.DataFrame) -> pd.DataFrame:
    """A table of actions in its one order and types."""
    out = actions[list(ACTION_TYPES)].copy()
    out["date"] = pd.to_datetime(out["date"]).astype("datetime64[s]")
    numbers = {name: np.float64 for name, kind in ACTION_TYPES.items() if kind == "DOUBLE"}
    return (
        out.astype(numbers)
        .sort_values(["ticker", "date", "kind"], kind="stable")
        .reset_index(drop=True)
    )


def no_actions() -> pd.DataFrame:
    """A table of actions without a row."""
    return sorted_actions(pd.DataFrame({name: pd.Series(dtype="object") for name in ACTION_TYPES}))


def _checked(overrides: pd.DataFrame) -> pd.DataFrame:
    """Overrides with all columns, no NULL, and every value within its bounds."""
    columns = list(overrides.columns)
    lacking = [c for c in ("ticker", "date") if c not in columns]
    unknown = [c for c in columns if c not in OVERRIDE_COLUMNS]
    if lacking or unknown:
        said = [f"lack {', '.join(lacking)}"] * bool(lacking) + [
            f"have {', '.join(map(str, unknown))}"
        ] * bool(unknown)
        raise InvalidActionsError(
            f"overrides {' and '.join(said)}; the columns are {', '.join(OVERRIDE_COLUMNS)}"
        )
    out = pd.DataFrame({"ticker": overrides["ticker"].astype("string").str.strip().str.upper()})
    out["date"] = override_days(overrides)
    for column in ("split_factor", "dividend"):
        out[column] = _numbers(overrides, column)
    out["reject"] = _flags(overrides)
    says = out[["split_factor", "dividend"]].notna().any(axis=1)
    faults = [
        (
            "ticker",
            ~out["ticker"].str.fullmatch(CASH_EQUITY).fillna(False),
            "a ticker such as PETR4 is needed",
        ),
        ("date", out["date"].isna(), "a day as YYYY-MM-DD is needed, such as 2023-12-28"),
        (
            "split_factor",
            ~out["split_factor"].fillna(1).between(*FACTORS),
            _numbers_allowed(FACTORS),
        ),
        ("dividend", ~out["dividend"].fillna(0).between(*DIVIDENDS), _numbers_allowed(DIVIDENDS)),
        ("reject", out["reject"] & says, "true leaves no room for a split_factor or dividend"),
        ("reject", ~out["reject"] & ~says, "give a split_factor, a dividend, or reject = true"),
        (
            "reject",
            out["reject"] & _said_elsewhere(out),
            "another row says what happened then; keep one of them",
        ),
    ]
    for column, wrong, allowed in faults:
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            value = overrides[column].tolist()[row] if column in columns else None
            who = f"{overrides['ticker'].iloc[row]} {overrides['date'].iloc[row]}"
            raise InvalidActionsError(
                f"overrides row {row + 1} ({who}): {column} = {value!r}: {allowed}", row=row + 1
            )
    return _of_each_day(out.fillna({"split_factor": 1.0, "dividend": 0.0}))


def _numbers_allowed(bounds: tuple[float, float]) -> str:
    return f"a number from {bounds[0]:g} to {bounds[1]:g} is allowed"


def _said_elsewhere(rows: pd.DataFrame) -> Any:
    """Mask of the rows whose ticker and date have a row that does not reject."""
    return (~rows["reject"]).groupby([rows["ticker"], rows["date"]], dropna=False).transform("any")


def _of_each_day(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for a ticker and date.

    Payouts are per share of the session before, whatever else the day brings: they add.
    """
    how = {"split_factor": "prod", "dividend": "sum", "reject": "any"}
    return rows.groupby(["ticker", "date"], sort=False).agg(how).reset_index()


def override_days(overrides: pd.DataFrame) -> pd.Series:
    """The column ``date`` of overrides; what is not a day and nothing else is NaT.

    A time of day would not be the ex-date that it stands for: dates of actions are matched to the
    second.
    """
    text = overrides["date"].astype("string").str.strip()
    whole = text.str.fullmatch(_DAY).fillna(False)
    return pd.to_datetime(text.where(whole), errors="coerce", format="%Y-%m-%d").astype(
        "datetime64[s]"
    )


def _numbers(overrides: pd.DataFrame, column: str) -> Any:
    """A column of numbers, NaN where nothing is said; text that is no number becomes infinite, which no bound allows."""
    if column not in overrides:
        return np.full(len(overrides), np.nan)
    blank = overrides[column].isna() | (overrides[column].astype(str).str.strip() == "")
    return (
        pd.to_numeric(overrides[column], errors="coerce")
        .astype(np.float64)
        .fillna(np.inf)
        .mask(blank)
    )


def _flags(overrides: pd.DataFrame) -> Any:
    """The column ``reject`` as booleans; nothing said is false."""
    if "reject" not in overrides:
        return np.zeros(len(overrides), dtype=bool)
    text = overrides["reject"].astype("string").str.strip().str.lower().fillna("")
    known = {
        "true": True,
        "1": True,
        "1.0": True,
        "false": False,
        "0": False,
        "0.0": False,
        "": False,
    }
    if not (allowed := text.isin(list(known))).all():
        row = int(np.flatnonzero(~allowed)[0])
        raise InvalidActionsError(
            f"overrides row {row + 1}: reject = {overrides['reject'].iloc[row]!r}: true or false is allowed",
            row=row + 1,
        )
    return text.map(known).astype(bool)
