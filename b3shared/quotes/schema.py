"""The schema of daily quotes.

A source may lack a nullable column: it is read as NULL, and the load reports it.
"""

PRECOMPUTED = (
    "rolling_volatility_5",
    "moving_avg_10",
    "macd",
    "rsi_14",
    "volume_change",
    "avg_volume_10",
    "best_buy_sell_spread",
    "close_to_best_buy",
    "price_momentum_5",
    "high_breakout_20",
    "bollinger_upper",
    "stochastic_14",
)
"""Feature columns of ``b3_featured``.

They are passed through where a source has all of them and lacks the prices.
"""

QUOTE_TYPES: dict[str, str] = {
    "ticker": "VARCHAR",
    "date": "DATE",
    "company": "VARCHAR",
    "type": "VARCHAR",  # ESPECI: class, ex-marks, listing segment
    "isin": "VARCHAR",
    "bdi_code": "VARCHAR",
    "open": "DOUBLE",
    "high": "DOUBLE",
    "low": "DOUBLE",
    "avg": "DOUBLE",
    "close": "DOUBLE",
    "best_buy": "DOUBLE",
    "best_sell": "DOUBLE",
    "trades": "BIGINT",
    "volume": "BIGINT",
    "turnover": "DOUBLE",
    "split_factor": "DOUBLE",
    "dividend": "DOUBLE",
}
"""Column -> DuckDB type.

Prices are in R$ per share as traded that day (quotation factor applied), volume in shares, turnover
in R$. ``split_factor``: one share of the session before became this many (1 if none). ``dividend``:
R$ that a holder of one share at the close of the session before receives, on the ex-date; 0 if
there is none, NULL (NaN in a frame) where it is not known whether there is one.
"""

REQUIRED = ("ticker", "date", "close")
"""Columns that every source must have."""

ALIASES = {"split_coef": "split_factor"}
"""Other names that sources are known to use for a column."""

DEFAULTS = {"split_factor": "1.0", "dividend": "0.0"}
"""Values that stand for NULL in the columns of corporate actions: no action."""

ABSENT = {"split_factor": "1.0"}
"""Values of the columns that a source lacks, for those that are not NULL then.

Splits are looked for in the prices. Dividends cannot be found there, so that they are not known.
"""

CASH_EQUITY = r"^(?:[A-Z][A-Z0-9]|[0-9][A-Z])[A-Z0-9]{2}[0-9]{1,2}B?$"
"""Pattern of the ticker of a share, unit, BDR or fund in round lots.

It is four characters and a class number (B3SA3, 5GTK11). Odd lots have a final F, options and
forwards a letter or T in place of the class number.
"""
