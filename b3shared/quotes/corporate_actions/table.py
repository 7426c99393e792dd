"""The table of corporate actions, and how quotes get their factors and dividends from it.

A table has the columns of :data:`ACTION_TYPES`, one row per event. A lake makes it when its quotes
or the announcements change, and applies it on every read::

    quotes = with_actions(quotes, actions, coverage)

:mod:`b3shared.quotes.corporate_actions.history` keeps every earlier state of the events.
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
    "last_cum": "DATE",
    "known": "DATE",
    "label": "VARCHAR",
    "state": "VARCHAR",
    "event": "VARCHAR",
    "revision": "BIGINT",
}
"""Column -> DuckDB type.

``date``: NULL where it is not set yet. ``factor``: one share of the session before became this many
(1 if none), as ``split_factor`` of :mod:`b3shared.quotes.schema`. ``dividend``: R$ per share of the
session before (0 if none or unknown); of equal instalments their sum. ``confidence``: probability,
0 to 1, that the action took place. ``evidence``: JSON text of the facts. ``source``: ``announced``,
``detected`` or ``given`` (by the user). ``last_cum``: last session with the right. ``known``: day
from which on it was known: the approval, or the ex-date where no approval is given or the event was
detected; NULL for the user's. ``label``: of the exchange. ``state``: one of :data:`STATES`.
``event``: names the event among those of its ticker, the same in all its revisions. ``revision``:
number of the change of the table that wrote the row.
"""

KINDS = ("split", "reverse_split", "bonus", "dividend", "ex_mark", "right")
"""``bonus``: a factor from 1 to 1.3, as a stock dividend gives. ``ex_mark``: a right left the price
that day; the quotes tell its type and not its amount. ``right``: a subscription, a spin-off or
something with a label that is not known, whose worth is not announced. The factor of the last two
is 1, and applying them changes nothing."""

STATES = (
    "announced",
    "confirmed",
    "contradicted",
    "unclear",
    "detected",
    "given",
    "overridden",
    "withdrawn",
)
"""``announced``: the quotes do not tell, or have not reached the ex-date. ``confirmed``: by DISMES,
an ex-mark or the price. ``contradicted``: the price shows that it did not happen so. ``unclear``:
several rows whose composition is not established. ``overridden``: a row of the user stands for that
day. ``withdrawn``: no longer announced or detected."""

APPLIED = ("announced", "confirmed", "detected", "given")
"""States of the events that change quotes on read."""

LARGEST_BONUS = 1.3
MINIMAL_CONFIDENCE = 0.4
"""Detections with at least this confidence are applied on read.

Chosen on half of the tickers as the best F0.5: precision counts double because a crash taken for a
split is hidden, while a missed split is reported as a jump; see ``tests/bench/bench_actions.py``.
An action below it stays in the table for a person to confirm or reject.
"""

SAME_AMOUNT = 0.01
"""Greatest relative difference of an announced amount or factor to that which the quotes list on
the ticker's row beside it, for both to be the same event, dated differently."""


def with_actions(
    quotes: pd.DataFrame,
    actions: pd.DataFrame,
    coverage: pd.DataFrame | None = None,
    minimal_confidence: float = MINIMAL_CONFIDENCE,
) -> pd.DataFrame:
    """Fill split_factor and dividend from a table of actions where the quotes have none.

    An action whose ticker has no row on the ex-date goes to the ticker's next row; one before its
    first row or after its last is left out. The payments of one ex-date add up and its factors
    multiply, all per share of the session before; ex-dates that fall on one row follow each other.
    A split_factor other than 1 or a dividend other than 0 that the quotes themselves carry stays,
    and counts too for the announcement of the same amount on the row beside it. A dividend that is
    not known (NaN) becomes known where the coverage says so, or by a payment. It is not known on
    the day of an event whose worth is not known, see :func:`of_unknown_worth`.

    Args:
        quotes: rows in the schema, in any order.
        actions: columns as in :data:`ACTION_TYPES`, one revision per event.
        coverage: ``ticker``, ``known_from`` and ``known_until``: spans of days for which all
            dividends of the ticker are known, one or more of each; NaT in ``known_from`` is every
            day before. None: there are none.
        minimal_confidence: actions below are not applied.

    Returns:
        A copy, in the same order; ``attrs`` is kept, and ``attrs["suspected_actions"]`` has the
        detections that were not certain enough as ``{(ticker, date as datetime64[D]): factor}``.
    """
    out = quotes.copy()
    out.attrs = dict(quotes.attrs)
    relevant = actions[actions["ticker"].isin(quotes["ticker"].unique()) & actions["date"].notna()]
    certain = relevant["confidence"] >= minimal_confidence
    stands = ~relevant["state"].isin(["overridden", "withdrawn"])
    out.attrs["suspected_actions"] = _suspected(relevant[~certain & stands])

    acting = relevant[certain & relevant["state"].isin(APPLIED)]
    split, paid = _per_row(quotes, acting)
    own_split = quotes["split_factor"].to_numpy(dtype=np.float64, na_value=1.0)
    beside = _listed_beside(quotes, _logs(own_split), _logs(split))
    out["split_factor"] = np.where((own_split == 1.0) & ~beside, split, own_split)

    doubtful = relevant[of_unknown_worth(relevant)]
    marked = _per_row(quotes, doubtful.assign(factor=1.0, dividend=1.0))[1] != 0.0
    out["dividend"] = np.where(marked, _carried(quotes), _dividends(quotes, paid, coverage))
    return out


def of_unknown_worth(events: pd.DataFrame) -> Array:
    """Return a mask of the events that leave open how much left the price.

    They are subscriptions, spin-offs and mergers, rows whose composition is not established, and
    payments that the price contradicts; none for whose day a row of the user stands.
    """
    state = events["state"]
    refused = (state == "contradicted") & (events["dividend"] != 0)
    open_worth = (events["kind"] == "right") | (state == "unclear") | refused
    return (open_worth & ~state.isin(["overridden", "withdrawn"])).to_numpy(dtype=bool)


def _suspected(doubtful: pd.DataFrame) -> dict[tuple[str, np.datetime64], float]:
    doubtful = doubtful[doubtful["factor"] != 1]
    days = doubtful["date"].to_numpy().astype("datetime64[D]")
    named = zip(doubtful["ticker"], days, strict=True)
    return dict(zip(named, doubtful["factor"], strict=True))


def _dividends(quotes: pd.DataFrame, paid: FloatArray, coverage: pd.DataFrame | None) -> FloatArray:
    """(rows,) dividends of the quotes and the actions; NaN where they are not known."""
    own = quotes["dividend"].to_numpy(dtype=np.float64, na_value=np.nan)
    carried = _carried(quotes)
    paid = np.where(_listed_beside(quotes, np.nan_to_num(carried, nan=0.0), paid), 0.0, paid)

    known = ~np.isnan(own) | _covered(quotes, coverage)
    filled = np.where(known | (paid != 0.0), paid, np.nan)
    return np.where(np.isnan(carried), filled, carried)


def _carried(quotes: pd.DataFrame) -> FloatArray:
    """(rows,) payments that the quotes themselves list; NaN where they list none."""
    own = quotes["dividend"].to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(own == 0.0, np.nan, own)


def _covered(quotes: pd.DataFrame, coverage: pd.DataFrame | None) -> Array:
    """Mask of the rows whose dividends the coverage knows: those within any span of the ticker."""
    covered = np.zeros(len(quotes), dtype=bool)
    if coverage is None or coverage.empty:
        return covered
    dates = quotes["date"].to_numpy().astype("datetime64[D]")
    number = coverage.groupby("ticker").cumcount()
    for _, spans in coverage.groupby(number):
        own = spans.set_index("ticker")
        since = quotes["ticker"].map(own["known_from"]).to_numpy().astype("datetime64[D]")
        until = quotes["ticker"].map(own["known_until"]).to_numpy().astype("datetime64[D]")
        covered |= (dates <= until) & (np.isnat(since) | (dates >= since))
    return covered


def _listed_beside(quotes: pd.DataFrame, own: FloatArray, found: FloatArray) -> Array:
    """Mask of the rows whose found amount the quotes list on the ticker's row beside them."""
    same = np.zeros(len(quotes), dtype=bool)
    if not own.any() or not found.any():
        return same

    codes, _ = pd.factorize(quotes["ticker"])
    order = np.lexsort([quotes["date"].to_numpy(), codes])
    ticker = codes[order]
    listed, wanted = own[order], found[order]
    for step in (1, -1):
        beside = np.roll(listed, step)
        joined = (np.roll(ticker, step) == ticker) & (listed == 0.0) & (wanted != 0.0)
        joined[0 if step == 1 else -1] = False
        close = np.abs(beside - wanted) <= SAME_AMOUNT * np.abs(wanted)
        # an amount of the neighbour's own session does not count a second time
        same[order] |= joined & close & (np.roll(wanted, step) == 0.0)
    return same


def _logs(factors: FloatArray) -> FloatArray:
    """Logs of the factors; 0 for one that is impossible, which cleaning reports."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(np.log(factors), nan=0.0, posinf=0.0, neginf=0.0)


def _per_row(quotes: pd.DataFrame, actions: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """(split factor, dividend) of every row of quotes, from the actions alone."""
    split = np.ones(len(quotes))
    dividend = np.zeros(len(quotes))
    acting = actions[(actions["factor"] != 1) | (actions["dividend"] != 0)]
    if acting.empty:
        return split, dividend

    by_date = acting.groupby(["ticker", "date"], sort=True)
    together = by_date.agg({"factor": "prod", "dividend": "sum"}).reset_index()
    rows_of = quotes.groupby("ticker", sort=False).indices
    dates = quotes["date"].to_numpy().astype("datetime64[D]")
    for ticker, own in together.groupby("ticker", sort=False):
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
    """Return the actions with the table's types, sorted by ticker, date, kind, event, revision."""
    out = actions[list(ACTION_TYPES)].copy()
    for name, kind in ACTION_TYPES.items():
        if kind == "DATE":
            out[name] = pd.to_datetime(out[name]).astype("datetime64[s]")
    numbers = {"DOUBLE": np.float64, "BIGINT": np.int64}
    out = out.astype({name: numbers[k] for name, k in ACTION_TYPES.items() if k in numbers})
    order = ["ticker", "date", "kind", "event", "revision"]
    return out.sort_values(order, kind="stable").reset_index(drop=True)


def no_actions() -> pd.DataFrame:
    """Return a table of actions without a row."""
    return sorted_actions(pd.DataFrame({name: pd.Series(dtype="object") for name in ACTION_TYPES}))
