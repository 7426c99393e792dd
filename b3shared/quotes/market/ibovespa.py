"""The Ibovespa: closes of the fund BOVA11 in the quotes of a run, or those of a file.

``market/ibovespa.csv`` has the columns ``date,close``.
"""

from datetime import date

import numpy as np

from b3shared.dataset.market import Daily
from b3shared.quotes.market.csv_file import Found, daily_to_csv, find_file, read_daily
from b3shared.quotes.sources.base import QuoteSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.storage import Storage

IBOVESPA = "market/ibovespa.csv"
NAME = "Ibovespa"
COLUMN = "close"

FUND = "BOVA11"
"""The fund that holds the index. It pays no dividends: it buys more shares with those it gets, as
the index, a total-return index, assumes."""


def parse_ibovespa(found: Found) -> Daily:
    """Read the closes of a file.

    Raises:
        InvalidMarketError: See :func:`b3shared.quotes.market.csv_file.read_daily`; a close must be
            above 0.
    """
    return read_daily(found, NAME, COLUMN, _close_fault)


def _close_fault(close: float) -> str | None:
    return None if close > 0 else "above 0"


def read_ibovespa(storage: Storage, quotes: str = "") -> Daily | None:
    """Return the closes of the storage, or of the file beside the quotes; None without either."""
    found = find_file(IBOVESPA, storage, quotes)
    return None if found is None else parse_ibovespa(found)


def write_ibovespa(storage: Storage, closes: Daily) -> None:
    """Replace the closes of the storage."""
    storage.put(IBOVESPA, daily_to_csv(closes, COLUMN))


def read_fund(source: QuoteSource, first: date, last: date) -> Daily | None:
    """Return the fund's closes in a source of quotes, per share of its first day in the period.

    A split of the fund's shares multiplies the closes that follow, so that the step of the price is
    no return.

    Returns:
        None where the source has no quote of the fund in the period.

    Raises:
        B3Error: The source cannot be read.
    """
    frame = source.read(QuoteQuery(first, last, tickers=(FUND,)))
    frame = frame[(frame["ticker"] == FUND) & frame["date"].notna() & (frame["close"] > 0)]
    frame = frame.drop_duplicates("date", keep="last")
    if frame.empty:
        return None

    shares = frame["split_factor"].fillna(1.0).to_numpy(np.float64).cumprod()
    return Daily(
        f"{NAME} ({FUND})",
        f"{FUND} of the quotes",
        frame["date"].to_numpy().astype("datetime64[D]"),
        frame["close"].to_numpy(np.float64) * shares,
    )
