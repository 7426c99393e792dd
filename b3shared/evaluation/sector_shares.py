"""Shares of the stocks, of the signals and of the holdings by the exchange's sectors."""

from typing import Any

import numpy as np

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.core.vocabulary import BUY, SELL
from b3shared.dataset.market import Sectors
from b3shared.dataset.table import Dataset
from b3shared.evaluation.candidates import Candidates, select
from b3shared.evaluation.metrics import divide


def sector_shares(
    sectors: Sectors | None, data: Dataset, rows: IntArray, actions: IntArray, score: FloatArray
) -> dict[str, Any] | None:
    """Share out the test rows by sector; None where no sector is known.

    The classification is that of the days on which it was read, not of the test part's: the shares
    describe, and no figure of the evaluation depends on them.

    Args:
        sectors: of the tickers.
        data: the whole table.
        rows: (rows,) indices of the test rows.
        actions: (rows,) of the model.
        score: (rows,) by which the backtest chooses among the buys.

    Returns:
        ``first_read``, ``last_read``, and ``shares``: of every sector, the greatest first, its
        ``sector`` (None: not known), ``tickers``, and its share of the ``rows``, of the ``buy`` and
        ``sell`` signals, and of the ``holdings``, long only, entered one session later.
    """
    tickers, code = np.unique(data.ticker[rows], return_inverse=True)
    known = None if sectors is None else sectors.of(tickers)
    if known is None or not known.sector.astype(bool).any():
        return None

    names, sector = np.unique(known.sector, return_inverse=True)
    of_row = sector[code]
    every = {
        "rows": _share(of_row, len(names)),
        "buy": _share(of_row[actions == BUY], len(names)),
        "sell": _share(of_row[actions == SELL], len(names)),
        "holdings": _holdings(data, rows, actions, score, sector, len(names)),
    }

    counted = np.bincount(sector, minlength=len(names))
    order = np.argsort(-every["rows"], kind="stable")
    shares = [
        {"sector": str(names[number]) or None, "tickers": int(counted[number])}
        | {name: float(share[number]) for name, share in every.items()}
        for number in order
    ]
    read = known.read[~np.isnat(known.read)]
    return {"first_read": read.min(), "last_read": read.max(), "shares": shares}


def _share(sector: Array, count: int) -> FloatArray:
    """Return each sector's share of some rows, (sectors,); NaN without rows."""
    found = np.bincount(sector, minlength=count)
    return divide(found, np.full(count, len(sector)), empty=np.nan)


def _holdings(
    data: Dataset,
    rows: IntArray,
    actions: IntArray,
    score: FloatArray,
    sector: Array,
    count: int,
) -> FloatArray:
    """Return each sector's mean share of the portfolio, over the dates that have one."""
    weights = select(Candidates.from_dataset(data, rows, "next_close"), actions == BUY, score, None)
    total = np.bincount(sector, weights=weights.sum(axis=0), minlength=count)
    return divide(total, np.full(count, weights.sum()), empty=np.nan)
