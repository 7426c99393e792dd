"""Quotes of tickers that end and begin within ten sessions, for tests of renames."""

import pandas as pd

DAYS = [day.date() for day in pd.bdate_range("2023-03-01", "2023-03-14")]
END = len(DAYS)


def quotes_of(*spans: tuple[str, int, int, float], volume: float = 1000.0) -> pd.DataFrame:
    """Quotes of each (ticker, first session, session after the last, price), beside BBQX3."""
    rows = [
        (name, pd.Timestamp(DAYS[n]), price, price, volume)
        for name, first, end, price in [("BBQX3", 0, len(DAYS), 5.0), *spans]
        for n in range(first, end)
    ]
    return pd.DataFrame(rows, columns=["ticker", "date", "open", "close", "volume"])
