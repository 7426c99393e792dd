"""The predict function over four tickers, and over an empty storage."""

from four_tickers import empty, function

__all__ = ["empty", "function"]
