"""Finds listed splits that the prices do not show, because they are adjusted for them already.

A source's prices are either as they were traded or adjusted, seldom some of each. So each listed
split is judged by the return of its own day and by the other splits of the source: one bonus of 5 %
cannot be told from an ordinary day, a hundred of them can.
"""

from typing import Any

import duckdb
import numpy as np
import pandas as pd

from b3shared.core.arrays import Array, FloatArray
from b3shared.quotes.findings import EXAMPLES, Finding

DEGREES = 3.0
"""Degrees of freedom of the Student t of daily returns: its tails are those of real crashes."""

LARGEST_WEIGHT = 3.0
"""Greatest weight of one split as evidence on the others, in log odds: a single wrong row must not
decide for a whole source."""

LEAST_MOVE = 0.01
"""Least scale of a day's return: on quiet shares the trailing value is too low."""

UNTRACED = -5.0
"""Log odds (1 to 150) below which a split counts as already in the prices. A source is believed
until the evidence against it is that strong."""

_NEIGHBOURS = 10
"""Rows around a listed split among which its neighbouring trades are looked for."""

_ROWS = """
    WITH quotes AS (
        SELECT ticker, CAST("date" AS DATE) AS day, CAST(close AS DOUBLE) AS close,
            CAST(volume AS DOUBLE) AS volume, CAST(split_factor AS DOUBLE) AS factor,
            coalesce(CAST(dividend AS DOUBLE), 0) AS dividend
        FROM {relation} WHERE ticker IS NOT NULL AND "date" IS NOT NULL
    ), splits AS MATERIALIZED (
        SELECT DISTINCT ticker, day FROM quotes
        WHERE factor > 0 AND isfinite(factor) AND factor <> 1
    ), near AS (
        FROM quotes WHERE EXISTS (
            FROM splits WHERE splits.ticker = quotes.ticker
                AND quotes.day BETWEEN splits.day - 100 AND splits.day + 30
        ) QUALIFY row_number() OVER (
            PARTITION BY ticker, day ORDER BY volume DESC NULLS LAST, close, factor
        ) = 1
    ), traded AS (
        SELECT *, CASE WHEN close > 0 AND coalesce(volume, 1) > 0 THEN close END AS price FROM near
    ), lagged AS (
        SELECT *,
            last_value(price IGNORE NULLS)
                OVER (w ROWS BETWEEN {rows} PRECEDING AND 1 PRECEDING) AS before,
            first_value(price IGNORE NULLS)
                OVER (w ROWS BETWEEN CURRENT ROW AND {rows} FOLLOWING) AS after
        FROM traded WINDOW w AS (PARTITION BY ticker ORDER BY day)
    ), moves AS (
        SELECT *, median(abs(ln(price / before))) OVER (
            PARTITION BY ticker ORDER BY day ROWS BETWEEN 60 PRECEDING AND 1 PRECEDING
        ) AS usual FROM lagged
    )
    SELECT ticker, day AS date, factor, dividend, before, after, usual FROM moves
    WHERE factor > 0 AND isfinite(factor) AND factor <> 1 ORDER BY ticker, day
"""


def untraced_splits(connection: duckdb.DuckDBPyConnection, relation: str) -> pd.DataFrame:
    """Find the listed splits that the prices of the quotes do not show.

    Args:
        connection: where the relation can be read.
        relation: what may stand after FROM; columns ticker, date, close, volume, split_factor and
            dividend.

    Returns:
        ``ticker``, ``date`` (datetime64[s]) and ``factor`` of each, sorted.

    Raises:
        duckdb.Error: The relation cannot be read.
    """
    listed = connection.execute(_ROWS.format(relation=relation, rows=_NEIGHBOURS)).df()
    listed["date"] = listed["date"].astype("datetime64[s]")
    mask = untraced(_evidence(listed))
    return listed.loc[mask, ["ticker", "date", "factor"]].reset_index(drop=True)


def untraced(evidence: FloatArray) -> Array:
    """Return a mask of the splits that are in the prices already.

    Args:
        evidence: (splits,) of one source: log odds that the day's prices are as traded; 0 where the
            prices tell nothing.
    """
    weight = np.clip(evidence, -LARGEST_WEIGHT, LARGEST_WEIGHT)
    # a split's own day counts in full; the others are bounded, so that they never outvote a clear
    # trace
    others = np.clip(weight.sum() - weight, -2 * LARGEST_WEIGHT, 2 * LARGEST_WEIGHT)
    mask: Array = evidence + others < UNTRACED
    return mask


def _evidence(listed: pd.DataFrame) -> FloatArray:
    """(splits,) log odds that the day's prices are as traded, from its return and the usual one."""

    def column(name: str) -> FloatArray:
        return listed[name].to_numpy(dtype=np.float64, na_value=np.nan)

    before = column("before")
    after = column("after")
    with np.errstate(divide="ignore", invalid="ignore"):
        as_adjusted = np.log(after / before)
        as_traded = np.log(after * column("factor") / (before - column("dividend")))
        # 1.4826: the standard deviation of a normal return over its median absolute value
        scale = np.fmax(np.nan_to_num(column("usual"), nan=0.0) * 1.4826, LEAST_MOVE)
        odds = log_density(as_traded / scale) - log_density(as_adjusted / scale)
    return np.nan_to_num(odds, nan=0.0, posinf=0.0, neginf=0.0)


def log_density(value: FloatArray) -> FloatArray:
    """Return the log density of Student's t with :data:`DEGREES`, without its constant."""
    density: FloatArray = -(DEGREES + 1.0) / 2.0 * np.log1p(value**2 / DEGREES)
    return density


def without_untraced(frame: pd.DataFrame, splits: pd.DataFrame) -> tuple[pd.DataFrame, Finding]:
    """Clear the splits that are in the prices already; return the quotes and the finding.

    Args:
        frame: quotes in the schema; ``attrs`` are kept.
        splits: as :func:`untraced_splits` returns them.
    """
    untraced_rows = pd.MultiIndex.from_frame(splits[["ticker", "date", "factor"]])
    own = pd.MultiIndex.from_arrays([frame["ticker"], frame["date"], frame["split_factor"]])
    rows = own.isin(untraced_rows)

    shown = frame.loc[rows, ["ticker", "date", "split_factor"]].head(EXAMPLES)
    examples = tuple(_example(*row) for row in shown.itertuples(index=False))
    out = frame.assign(split_factor=frame["split_factor"].mask(rows, 1.0))
    out.attrs = frame.attrs
    return out, Finding("split_without_trace", int(rows.sum()), "cleared", examples)


def _example(ticker: Any, day: Any, factor: Any) -> str:
    return (
        f"{ticker} {pd.Timestamp(day).date()}: split_factor {factor} is listed, "
        "and the price did not change by it"
    )
