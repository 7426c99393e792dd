"""Names that every folder uses: kinds of instruments, and the classes of a label."""

from typing import Literal

Instrument = Literal["ordinary", "preferred", "unit", "bdr", "etf", "fii", "other"]
"""Kind of instrument, as :func:`b3shared.quotes.instruments.instrument_of` determines it."""

SHARES: tuple[Instrument, ...] = ("ordinary", "preferred", "unit")
"""Companies' shares and units of them: what forecasts are for."""

CLASSES = ("buy", "hold", "sell")
"""Class names in the order of every label code, probability column and confusion matrix."""

BUY, HOLD, SELL = range(3)
"""Label codes: positions in :data:`CLASSES`."""

UNLABELLED = -1
"""Label code of a row whose outcome is unknown."""
