"""Names that every part uses: the classes of a label, the kinds of instruments."""

from typing import Literal

Instrument = Literal["ordinary", "preferred", "unit", "bdr", "etf", "fii", "other"]
"""Kind of paper; :func:`b3shared.quotes.instruments.instrument_of` tells it."""


SHARES: tuple[Instrument, ...] = ("ordinary", "preferred", "unit")
"""What forecasts are for: companies' shares, and units of them."""


CLASSES = ("buy", "hold", "sell")
"""Class names in the order of every label code, probability column and confusion matrix."""


BUY, HOLD, SELL = range(3)


UNLABELLED = -1
