"""The last five of the bundled years, for tests that write or read all tickers."""

from datetime import date

from b3shared.core.config import BUNDLED_QUOTES

START = date(2019, 1, 1)

FIVE_YEARS = f"(FROM '{BUNDLED_QUOTES}' WHERE date >= DATE '{START}')"
"""What may stand after FROM. A run with the default period reads the same rows."""
