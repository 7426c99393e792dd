"""The one schema of daily quotes.

A source may lack a nullable column (it reads as NULL, and the load says so).
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
"""Feature columns that ``b3_featured`` carries; passed through when a source has all of them and lacks the prices."""


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
"""Column -> DuckDB type. Prices in R$ per share as traded that day (quotation factor applied), volume in shares,
turnover in R$. ``split_factor``: one share of the session before became this many (1 if none). ``dividend``: R$ that a
holder of one share at the close of the session before receives, on the ex-date (0 if none)."""

REQUIRED = ("ticker", "date", "close")
"""Without these there is no quote."""

ALIASES = {"split_coef": "split_factor"}
"""Other names under which sources are known to carry a column."""

DEFAULTS = {"split_factor": "1.0", "dividend": "0.0"}
"""What NULL means in the columns of corporate actions: no action."""

CASH_EQUITY = r"^(?:[A-Z][A-Z0-9]|[0-9][A-Z])[A-Z0-9]{2}[0-9]{1,2}B?$"
"""Ticker of a share, unit, BDR or fund in round lots: four characters (B3SA3, 5GTK11) and a class number. Odd lots carry
a final F, options and forwards a letter or T in place of the class number."""
