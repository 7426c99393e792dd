"""Types of the tickers and kinds of paper of a run, in every form in which a caller gives them."""

from typing import Annotated, get_args

from pydantic import BeforeValidator, Field

from b3shared.core.vocabulary import Instrument

Ticker = Annotated[str, Field(pattern=r"^[A-Z0-9]{4,12}$")]


def _upper(value: object) -> object:
    """Return tickers once each, sorted and in capitals; anything else stays, to be refused."""
    if isinstance(value, str):
        value = value.split(",")
    if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
        return tuple(sorted({v.strip().upper() for v in value}))
    return value


def _in_order(value: object) -> object:
    """Return each kind once, in the schema's order; unknown ones stay, to be refused."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if isinstance(value, list | tuple) and all(v in get_args(Instrument) for v in value):
        return tuple(kind for kind in get_args(Instrument) if kind in value)
    return value


Tickers = Annotated[tuple[Ticker, ...], BeforeValidator(_upper)]
"""Tickers as a list, or as text with commas."""

Instruments = Annotated[tuple[Instrument, ...], BeforeValidator(_in_order)]
"""Kinds of paper as a list, or as text with commas."""
