"""The table of corporate actions, and how quotes get their factors and dividends from it.

A table has the columns of :data:`ACTION_TYPES`, one row per ticker, ex-date and kind. A lake makes
it when its quotes change, and applies it on every read::

    actions = apply_overrides(detect_actions(connection, relation), overrides)
    quotes = with_actions(quotes, actions)
"""

from typing import cast

import numpy as np
import pandas as pd

from b3shared.core.arrays import Array, FloatArray

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
"""Column -> DuckDB type.

``factor``: one share of the session before became this many (1 if none), as ``split_factor`` of
:mod:`b3shared.quotes.schema`. ``dividend``: R$ per share of the session before (0 if none or
unknown). ``confidence``: probability, 0 to 1, that the action took place. ``evidence``: JSON text
of the facts.
"""

KINDS = ("split", "reverse_split", "bonus", "dividend", "ex_mark")
"""``bonus``: a factor from 1 to 1.3, as a stock dividend gives. ``ex_mark``: a right left the price
that day; the quotes tell its type and not its amount, so its factor is 1 and applying it changes
nothing."""

LARGEST_BONUS = 1.3
MINIMAL_CONFIDENCE = 0.4
"""Detections with at least this confidence are applied on read.

Chosen on half of the tickers as the best F0.5: precision counts double because a crash taken for a
split is hidden, while a missed split is reported as a jump; see ``tests/bench/bench_actions.py``.
An action below it stays in the table for a person to confirm or reject.
"""


def with_actions(
    quotes: pd.DataFrame, actions: pd.DataFrame, minimal_confidence: float = MINIMAL_CONFIDENCE
) -> pd.DataFrame:
    """Fill split_factor and dividend from a table of actions where the quotes have none.

    An action whose ticker has no row on the ex-date goes to the ticker's next row; one before its
    first row or after its last is left out. Several actions of one row multiply (dividends are per
    share before all of them). A split_factor other than 1 or a dividend other than 0 that the
    quotes themselves carry stays, and so does a dividend that is not known (NaN) without an action.

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
    own_split = quotes["split_factor"].to_numpy(dtype=np.float64, na_value=1.0)
    out["split_factor"] = np.where(own_split == 1.0, split, own_split)

    own_dividend = quotes["dividend"].to_numpy(dtype=np.float64, na_value=np.nan)
    without = (own_dividend == 0.0) | np.isnan(own_dividend)
    out["dividend"] = np.where(without & (dividend != 0.0), dividend, own_dividend)
    return out


def _per_row(quotes: pd.DataFrame, actions: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """(split factor, dividend) of every row of quotes, from the actions alone."""
    split = np.ones(len(quotes))
    dividend = np.zeros(len(quotes))
    acting = actions[(actions["factor"] != 1) | (actions["dividend"] != 0)]
    if acting.empty:
        return split, dividend

    rows_of = quotes.groupby("ticker", sort=False).indices
    dates = quotes["date"].to_numpy().astype("datetime64[D]")
    acting = acting.sort_values(["ticker", "date"], kind="stable")
    for ticker, own in acting.groupby("ticker", sort=False):
        rows = np.asarray(rows_of[cast(str, ticker)])
        rows = rows[~np.isnat(dates[rows])]
        rows = rows[np.argsort(dates[rows], kind="stable")]
        if not len(rows):
            continue

        ex_dates = own["date"].to_numpy().astype("datetime64[D]")
        at = np.searchsorted(dates[rows], ex_dates)
        inside = (at < len(rows)) & (ex_dates >= dates[rows[0]])
        factors = own["factor"].to_numpy(np.float64)[inside]
        amounts = own["dividend"].to_numpy(np.float64)[inside]
        for row, factor, amount in zip(rows[at[inside]], factors, amounts, strict=True):
            dividend[row] += split[row] * amount
            split[row] *= factor
    return _with_duplicates(quotes, split, dividend)


def _with_duplicates(
    quotes: pd.DataFrame, split: FloatArray, dividend: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Give every row of one ticker and date the same values: a later step keeps any one of them."""
    if not quotes.duplicated(["ticker", "date"]).any():
        return split, dividend
    key = [quotes["ticker"], quotes["date"]]
    by = pd.DataFrame({"split": split, "dividend": dividend}).groupby(key, sort=False, dropna=False)
    return by["split"].transform("prod").to_numpy(), by["dividend"].transform("sum").to_numpy()


def kind_of(factor: FloatArray) -> Array:
    """Return the kind of an action with each factor; ``dividend`` where it is 1."""
    return np.select(
        [factor == 1, factor < 1, factor <= LARGEST_BONUS],
        ["dividend", "reverse_split", "bonus"],
        default="split",
    )


def sorted_actions(actions: pd.DataFrame) -> pd.DataFrame:
    """Return the actions with the table's types, sorted by ticker, date and kind."""
    out = actions[list(ACTION_TYPES)].copy()
    out["date"] = pd.to_datetime(out["date"]).astype("datetime64[s]")
    numbers = {name: np.float64 for name, kind in ACTION_TYPES.items() if kind == "DOUBLE"}
    ordered = out.astype(numbers).sort_values(["ticker", "date", "kind"], kind="stable")
    return ordered.reset_index(drop=True)


def no_actions() -> pd.DataFrame:
    """Return a table of actions without a row."""
    return sorted_actions(pd.DataFrame({name: pd.Series(dtype="object") for name in ACTION_TYPES}))
