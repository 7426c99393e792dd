"""Quotes with planted corporate actions, and the detections that a read would apply."""

import numpy as np
import pandas as pd

from b3shared.quotes.corporate_actions.table import MINIMAL_CONFIDENCE

PLANTED = 120
"""Session of a walk on which something happens."""


def walk(
    seed: int = 0,
    volatility: float = 0.02,
    sessions: int = 160,
    ticker: str = "PETR4",
    price: float = 30.0,
) -> pd.DataFrame:
    """Quotes of a random walk, rounded to the cent, with volume that varies by half."""
    rng = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(rng.normal(0, volatility, sessions)))
    before = np.concatenate([[price], close[:-1]])
    open_ = before * np.exp(rng.normal(0, volatility / 3, sessions))
    spread = np.exp(np.abs(rng.normal(0, volatility / 2, sessions)))
    frame = pd.DataFrame(
        {
            "ticker": ticker,
            "date": pd.bdate_range("2022-01-03", periods=sessions).astype("datetime64[s]"),
        }
    )
    prices = {"open": open_, "close": close, "high": np.maximum(open_, close) * spread}
    prices["low"] = np.minimum(open_, close) / spread
    volume = np.round(1e6 * np.exp(rng.normal(0, 0.5, sessions)))

    return frame.assign(
        **{k: np.maximum(np.round(v, 2), 0.01) for k, v in prices.items()}, volume=volume
    )


def split(frame: pd.DataFrame, factor: float, at: int = PLANTED) -> pd.DataFrame:
    """The same quotes after a split: from a session on, one share is ``factor`` shares."""
    out = frame.copy()
    rest = np.arange(len(frame)) >= at
    for column in ("open", "high", "low", "close"):
        out[column] = np.where(
            rest, np.maximum(np.round(out[column] / factor, 2), 0.01), out[column]
        )
    return out.assign(volume=np.where(rest, np.round(out["volume"] * factor), out["volume"]))


def applied(actions: pd.DataFrame) -> list[tuple[str, str, float]]:
    """(ticker, date, factor) of the detections that a read would apply."""
    sure = actions[(actions["confidence"] >= MINIMAL_CONFIDENCE) & (actions["factor"] != 1)]
    return [
        (t, str(d.date()), f)
        for t, d, f in zip(sure["ticker"], sure["date"], sure["factor"], strict=True)
    ]


def day(frame: pd.DataFrame, at: int = PLANTED) -> str:
    return str(frame["date"].iloc[at].date())
