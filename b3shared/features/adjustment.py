"""Cumulative factors of corporate actions, which a later action never changes.

The usual back-adjustment rescales all history whenever a share splits, so yesterday's feature
changes tomorrow. Here the factors are accumulated forwards: ``price * price_factor`` is a
continuous series in the basis of the ticker's first session, and a level in t's own basis is that
series divided by t's factor. Both need only what was known at t.
"""

from itertools import pairwise

import numpy as np
import pandas as pd

from b3shared.core.arrays import Array, FloatArray


def forward_factors(frame: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    """Return cumulative factors of prices (splits, dividends) and of volumes (splits), per row.

    At an ex-date t with split factor s and dividend d the price factor grows by ``s / (1 - d /
    close[t-1])``, the usual convention (CRSP, Yahoo): the price of t-1 in t's basis is
    ``(close[t-1] - d) / s``. Then ``close * price_factor`` compounds total returns and ``volume /
    split_factor`` counts shares of the first session.

    A dividend that is not known (NaN) counts as none: the return is that of the price.

    Args:
        frame: quotes sorted by ticker and date, with close, split_factor and dividend.

    Returns:
        ``(price_factor, share_factor)``, (rows,) float64 each, 1.0 in the first row of every
        ticker.
    """
    ticker = frame["ticker"].to_numpy()
    first = np.ones(len(frame), dtype=bool)
    first[1:] = ticker[1:] != ticker[:-1]

    close = frame["close"].to_numpy(dtype=np.float64)
    previous = np.concatenate([[np.nan], close[:-1]])
    dividend = np.nan_to_num(frame["dividend"].to_numpy(dtype=np.float64), nan=0.0)
    dividend_yield = np.where(first, 0.0, dividend / previous)

    share = np.where(first, 1.0, frame["split_factor"].to_numpy(dtype=np.float64))
    price = share / (1.0 - dividend_yield)
    return _cumprod(price, first), _cumprod(share, first)


def _cumprod(step: FloatArray, first: Array) -> FloatArray:
    """Cumulative product that starts again where ``first`` is set."""
    out = np.empty_like(step)
    bounds = np.append(np.flatnonzero(first), len(step))
    for begin, end in pairwise(bounds):
        out[begin:end] = np.cumprod(step[begin:end])
    return out
