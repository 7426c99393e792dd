"""Tells for which days of a ticker dividends are known."""

import numpy as np
import pandas as pd

from b3shared.core.arrays import Array

RECENT_SESSIONS = 60
"""Newest rows of a ticker that recent features are made of; a forecast names days among them whose
dividends are not known."""


def known_until(frame: pd.DataFrame) -> "pd.Series[pd.Timestamp]":
    """Return the last day of the newest known dividends, by ticker; NaT where none are known.

    It ends the newest unbroken run of rows with a known dividend. A run of payments alone does not
    count: a payment is announced one by one, and says nothing of the days around it.

    Args:
        frame: quotes sorted by ticker and date; a dividend is NaN where it is not known.
    """
    return _newest_runs(frame)["until"]


def known_from(frame: pd.DataFrame, recent: int = RECENT_SESSIONS) -> "pd.Series[pd.Timestamp]":
    """Return the first day of the run that :func:`known_until` ends, by ticker.

    NaT where there is no such run, or no row before it among the ticker's newest ones.

    Args:
        frame: as for :func:`known_until`.
        recent: number of newest rows.
    """
    runs = _newest_runs(frame)
    among = runs["before"] & (runs["rows_since"] < recent)
    return runs["since"].where(among)


def _newest_runs(frame: pd.DataFrame) -> pd.DataFrame:
    """``since``, ``until``, ``before`` (a row) and ``rows_since`` of each ticker's newest run."""
    dividend = frame["dividend"].to_numpy(dtype=np.float64, na_value=np.nan)
    codes, tickers = pd.factorize(frame["ticker"])
    known = ~np.isnan(dividend)
    run = np.cumsum(_changes(codes) | _changes(known))

    counts = pd.Series(dividend == 0.0).groupby(run).transform("any").to_numpy(dtype=bool)
    row = pd.Series(np.arange(len(frame)))
    ends = row.where(pd.Series(known & counts)).groupby(codes).max()
    first = row.groupby(run).min()
    last = row.groupby(codes).max()

    found = ends.notna().to_numpy()
    at = ends[found].astype(np.int64).to_numpy()
    start = first.loc[pd.Index(run[at])].to_numpy()
    dates = frame["date"].to_numpy()
    out = pd.DataFrame(
        {
            "since": dates[start],
            "until": dates[at],
            "before": (start > 0) & (codes[start - 1] == codes[start]),
            "rows_since": last[found].to_numpy() - start + 1,
        },
        index=pd.Index(tickers[found], name="ticker"),
    )
    every = out.reindex(pd.Index(tickers, name="ticker").sort_values())
    return every.assign(before=every["before"].eq(True))


def _changes(values: Array) -> Array:
    """Mask of the values that differ from the one before; the first does."""
    changed: Array = np.r_[True, values[1:] != values[:-1]][: len(values)]
    return changed
