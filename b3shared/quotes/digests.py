"""What the rows of a session say, as one number: whether a session has changed is told without keeping its rows."""

import numpy as np
import pandas as pd

from b3shared.dataset import Array

QUOTED = ("open", "high", "low", "close", "volume", "turnover", "best_buy", "best_sell")
ACTIONS = ("split_factor", "dividend")
"""The numbers that features and labels are made of."""


def session_digests(frame: pd.DataFrame) -> tuple[Array, Array]:
    """The sessions of some quotes, and a digest (uint64) of each one's rows, whatever their order.

    It covers all that features and labels are made of; a text such as the company's name does not count.
    """
    numbers = {c: frame[c].to_numpy(dtype=np.float64, na_value=np.nan) for c in (*QUOTED, *ACTIONS)}
    rows = pd.DataFrame({"ticker": frame["ticker"].to_numpy(), **numbers})
    digest = pd.util.hash_pandas_object(rows, index=False).to_numpy()
    sessions, place = np.unique(frame["date"].to_numpy().astype("datetime64[D]"), return_inverse=True)
    out = np.zeros(len(sessions), dtype=np.uint64)
    np.add.at(out, place, digest)
    return sessions, out
