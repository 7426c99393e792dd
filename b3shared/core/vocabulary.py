"""Names that every part uses: classes of a label, kinds of instruments, the longest gap."""

from typing import Literal

Instrument = Literal["ordinary", "preferred", "unit", "bdr", "etf", "fii", "other"]
"""Kind of paper; :func:`b3shared.quotes.instruments.instrument_of` tells it."""

SHARES: tuple[Instrument, ...] = ("ordinary", "preferred", "unit")
"""What forecasts are for: companies' shares, and units of them."""

CLASSES = ("buy", "hold", "sell")
"""Class names in the order of every label code, probability column and confusion matrix."""

BUY, HOLD, SELL = range(3)

UNLABELLED = -1
"""Code of a row whose outcome is not known."""

MAX_GAP = 5
"""Default of ``max_gap``: the most sessions from a row of a ticker to its next in one history."""
