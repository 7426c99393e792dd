"""Compares features and labels with vectorised pandas: equal numbers, time, growth with the rows.

``PYTHONPATH=. python tests/bench/bench_features.py``. The quotes are the bundled ones, repeated
under other ticker names.
"""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from measuring import machine

from b3shared.core.config import BUNDLED_QUOTES
from b3shared.features.build import build_features
from b3shared.features.labels import build_labels
from b3shared.params.run import PipelineParams
from b3shared.quotes.loading.load import load_quotes
from b3shared.quotes.sources.parquet import ParquetSource

ROUNDS = 3


def with_pandas(frame: pd.DataFrame) -> pd.DataFrame:
    """Base features, their ranks, the market and the direction label in vectorised pandas."""
    g = frame.groupby("ticker", sort=False)
    step = frame["split_factor"] / (1 - frame["dividend"] / g["close"].shift(1))
    factor = step.fillna(1.0).groupby(frame["ticker"], sort=False).cumprod()
    close = frame["close"] * factor
    by = close.groupby(frame["ticker"], sort=False)

    def roll(values: pd.Series, window: int, how: str, least: int | None = None) -> pd.Series:
        rolling = values.groupby(frame["ticker"], sort=False).rolling(
            window, min_periods=least or window
        )
        return getattr(rolling, how)().droplevel(0)

    daily, change = by.pct_change(1), by.diff()
    shares = frame["volume"] / g["split_factor"].cumprod()
    log_volume = np.log(shares)
    up = roll(change.where(change > 0, 0.0), 14, "mean")
    down = roll((-change).where(change < 0, 0.0), 14, "mean")
    low = roll(close, 14, "min")
    high = roll(close, 14, "max")
    mean20 = roll(close, 20, "mean")
    ema = {span: by.ewm(span=span, adjust=False).mean().droplevel(0) for span in (12, 26)}
    out = pd.DataFrame({f"return_{n}": by.pct_change(n) for n in (1, 2, 5, 10, 20, 60, 120)})
    for n in (5, 20, 60):
        out[f"volatility_{n}"] = roll(daily, n, "std")
    out["range_20"] = roll(np.log(frame["high"] / frame["low"]), 20, "mean")
    out["intraday"] = frame["close"] / frame["open"] - 1
    out["volume_surprise"] = log_volume - roll(log_volume, 20, "mean")
    out["rsi_14"] = 100 - 100 / (1 + up / down)
    out["stochastic_14"] = 100 * ((close - low) / (high - low))
    out["macd_relative"] = (ema[12] - ema[26]) / close
    out["bollinger_z"] = (close - mean20) / roll(close, 20, "std")
    out["distance_to_high"] = close / roll(close, 252, "max", 60) - 1
    turnover = roll(frame["close"] * frame["volume"], 60, "median")
    liquid = turnover > 2_000_000
    ranks = out.where(liquid).groupby(frame["date"]).rank(pct=True)
    market = daily.where(liquid).groupby(frame["date"]).mean()
    for name, values in {
        "market_return_5": market.rolling(5).sum(),
        "market_return_20": market.rolling(20).sum(),
        "market_volatility_20": market.rolling(20).std(),
    }.items():
        out[name] = frame["date"].map(values)
    outcome = by.shift(-2) / close - 1
    band = 0.5 * out["volatility_20"] * np.sqrt(2)
    out["label"] = np.select([outcome > band, outcome < -band], [0, 2], 1)
    return out.join(ranks.add_suffix("_rank"))


def ours(frame: pd.DataFrame) -> pd.DataFrame:
    """The same features and label from this project."""
    features = build_features(frame, "v2", 2_000_000)
    labels = build_labels(features.series, PipelineParams())
    return pd.DataFrame(features.X, columns=list(features.names)).assign(label=labels.label)


def rank_bounds(
    values: pd.Series, ranks: pd.Series, date: pd.Series
) -> tuple[pd.Series, pd.Series]:
    """Least and greatest percentile rank of every ranked row.

    Values that rounding alone tells apart may be ranked either way.
    """
    low = pd.Series(np.nan, index=values.index)
    high = low.copy()
    ranked = values[ranks.notna()]

    for _, day in ranked.groupby(date):
        ordered = np.sort(day)
        slack = 1e-8 * np.maximum(1.0, day.abs())
        low[day.index] = (np.searchsorted(ordered, day - slack) + 1) / len(day) - 1e-6
        high[day.index] = np.searchsorted(ordered, day + slack, side="right") / len(day) + 1e-6
    return low, high


def clock(function: Callable[[pd.DataFrame], pd.DataFrame], frame: pd.DataFrame) -> float:
    """Median seconds of a call over some rounds."""
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        function(frame)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def main() -> None:
    """Check that both give the same numbers, then time them at three sizes."""
    base = load_quotes(ParquetSource(BUNDLED_QUOTES), PipelineParams()).frame
    theirs, mine = with_pandas(base), ours(base)

    for name in theirs.columns.drop("label"):
        if name.endswith("_rank"):
            low, high = rank_bounds(theirs[name.removesuffix("_rank")], theirs[name], base["date"])
            unranked = theirs[name].isna()
            same = np.where(unranked, mine[name].isna(), mine[name].between(low, high))
        else:
            same = np.isclose(mine[name], theirs[name], rtol=1e-5, atol=1e-7, equal_nan=True)
        assert same.mean() > 0.999999, name
    known = mine["label"] >= 0
    assert (mine["label"][known] == theirs["label"][known]).all()
    print(machine())
    print(f"{'rows':>10}{'ours s':>9}{'pandas s':>10}{'ours/pandas':>13}{'growth exponent':>17}")
    before: tuple[int, float] | None = None
    for copies in (1, 4, 16):
        parts = [base.assign(ticker=base["ticker"] + f"{n:02d}") for n in range(copies)]
        frame = pd.concat(parts, ignore_index=True)
        mine_s, pandas_s = clock(ours, frame), clock(with_pandas, frame)
        growth = np.log(mine_s / before[1]) / np.log(len(frame) / before[0]) if before else np.nan
        times = f"{mine_s:>9.2f}{pandas_s:>10.2f}{mine_s / pandas_s:>13.2f}"
        print(f"{len(frame):>10,}{times}{growth:>17.2f}", flush=True)
        before = (len(frame), mine_s)


if __name__ == "__main__":
    main()
