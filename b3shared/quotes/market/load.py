"""Loads the market around a run's quotes: CDI, Ibovespa, sectors."""

from datetime import date

import numpy as np

from b3shared.dataset.market import Daily, Market
from b3shared.quotes.market.cdi import read_cdi
from b3shared.quotes.market.ibovespa import read_fund, read_ibovespa
from b3shared.quotes.market.sectors import read_sectors
from b3shared.quotes.sources.base import QuoteSource
from b3shared.storage import Storage


def load_market(
    source: QuoteSource, first: date, last: date, storage: Storage, quotes: str = ""
) -> Market:
    """Return what is known of the market from one day to another, both included.

    Files of the storage come before those beside the quotes, and the fund of the Ibovespa among the
    quotes before a file of closes.

    Args:
        source: the quotes of the run, whatever instruments it takes of them.
        first: first session of the run.
        last: last session of the run.
        storage: of the deployment.
        quotes: location of the deployment's quotes, see
            :func:`b3shared.quotes.market.csv_file.find_file`.

    Raises:
        InvalidMarketError: A file is faulty.
        B3Error: The source cannot be read.
    """
    cdi = read_cdi(storage, quotes)
    indices = (read_fund(source, first, last), read_ibovespa(storage, quotes))
    return Market(
        cdi=_within(cdi, first, last),
        indices=tuple(
            index for found in indices if (index := _within(found, first, last)) is not None
        ),
        sectors=read_sectors(storage, quotes),
    )


def _within(daily: Daily | None, first: date, last: date) -> Daily | None:
    """Return the days of a period; None where there is none of them."""
    if daily is None:
        return None
    inside = daily.within(np.datetime64(first), np.datetime64(last))
    return inside if len(inside) else None
