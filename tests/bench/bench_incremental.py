"""Features of one new day from carried state, against computing them anew and against pandas; 5 and 20 years of history.

``PYTHONPATH=. python tests/bench/bench_incremental.py [TICKERS]``, 500 by default. The quotes are the bundled ones, repeated
under other ticker names and, for the longer history, one after another. The pandas are the reference project's own way:
its 13 formulas over groups, ``rolling`` and ``ewm`` per ticker, on the whole history, since it keeps no state.
"""

import os
import platform
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from b3shared.config import BUNDLED_QUOTES
from b3shared.features import build_features
from b3shared.incremental import FeatureState
from b3shared.params import PipelineParams
from b3shared.quotes.loading import load_quotes
from b3shared.quotes.sources import ParquetSource

LIMIT = 2_000_000.0
ROUNDS = 5


def with_pandas(frame: pd.DataFrame) -> pd.DataFrame:
    """The features of the reference's ``v1`` that need no book, per ticker, as it writes them."""
    out = frame[["ticker", "date", "close"]].copy()
    by = frame.groupby("ticker", sort=False)

    def per(column: str, work: Callable[[pd.Series], pd.Series]) -> pd.Series:
        return by[column].transform(work)

    daily = (frame["close"] - frame["open"]) / frame["open"]
    out["rolling_volatility_5"] = daily.groupby(frame["ticker"], sort=False).transform(lambda x: x.rolling(5).std())
    out["moving_avg_10"] = per("close", lambda x: x.rolling(10).mean())
    fast, slow = (per("close", lambda x, n=n: x.ewm(span=n, adjust=False).mean()) for n in (12, 26))
    out["macd"] = fast - slow
    change = by["close"].diff()
    gain, loss = change.where(change > 0, 0), -change.where(change < 0, 0)
    up, down = (x.groupby(frame["ticker"], sort=False).transform(lambda x: x.rolling(14).mean()) for x in (gain, loss))
    out["rsi_14"] = 100 - 100 / (1 + up / down)
    out["volume_change"] = by["volume"].pct_change()
    out["avg_volume_10"] = per("volume", lambda x: x.rolling(10).mean())
    out["price_momentum_5"] = per("close", lambda x: x.pct_change(5))
    out["high_breakout_20"] = (frame["high"] == per("high", lambda x: x.rolling(20).max())).astype(int)
    out["bollinger_upper"] = per("close", lambda x: x.rolling(20).mean()) + 2 * per("close", lambda x: x.rolling(20).std())
    low, high = per("close", lambda x: x.rolling(14).min()), per("close", lambda x: x.rolling(14).max())
    out["stochastic_14"] = 100 * (frame["close"] - low) / (high - low)
    return out


def history(base: pd.DataFrame, tickers: int, years: int) -> pd.DataFrame:
    """So many tickers with so many years (a multiple of five)."""
    parts = []
    for copy in range(-(-tickers // base["ticker"].nunique())):
        for again in range(years // 5):
            names = base["ticker"] + f"{copy:02d}"
            parts.append(base.assign(ticker=names, date=base["date"] + pd.Timedelta(days=1826 * again)))
    frame = pd.concat(parts).sort_values(["ticker", "date"], ignore_index=True)
    return frame[frame["ticker"].isin(frame["ticker"].unique()[:tickers])].reset_index(drop=True)


def clock(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Median CPU seconds of some rounds: all of this runs on one core, and other work on the machine does not count."""
    seconds = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return float(np.median(seconds))


def main() -> None:
    """Check that the new day is the same to the last bit, then print the times."""
    tickers = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    base = load_quotes(ParquetSource(BUNDLED_QUOTES), PipelineParams()).frame
    print(f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}, Python {platform.python_version()}")
    print(f"{tickers} tickers; CPU milliseconds for one new day")
    print(
        f"{'years':>6}{'rows':>11}{'set':>5}{'new day':>10}{'anew':>10}{'anew/new':>10}{'pandas v1':>11}{'pandas/new':>12}"
    )
    for years in (5, 20):
        frame = history(base, tickers, years)
        day = frame["date"].max()
        before, new = frame[frame["date"] < day].reset_index(drop=True), frame[frame["date"] == day]
        peer = 1e3 * clock(lambda frame=frame: with_pandas(frame), 1)
        for version in ("v1", "v2"):
            state = FeatureState.of(before, version, LIMIT)
            whole = build_features(frame, version, LIMIT).X[new.index]
            np.testing.assert_array_equal(state.append(new)[1].X, whole)
            mine = 1e3 * clock(lambda state=state, new=new: state.append(new), 15)
            anew = 1e3 * clock(lambda frame=frame, version=version: build_features(frame, version, LIMIT), 1)
            print(
                f"{years:>6}{len(frame):>11,}{version:>5}{mine:>10.1f}{anew:>10.0f}{anew / mine:>10.0f}"
                f"{peer:>11.0f}{peer / mine:>12.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
