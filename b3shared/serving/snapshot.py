"""The newest features of every ticker of the lake, made once a session so that a prediction needs no history."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from b3shared.dataset import Array, FloatArray, IntArray
from b3shared.documents import to_json
from b3shared.errors import InvalidQuotesError
from b3shared.features import build_features
from b3shared.fingerprint import feature_code
from b3shared.quotes.panel import Panel
from b3shared.serving.offer import offer_key
from b3shared.storage import Storage

PREFIX = "serving/snapshots"
FEATURE_SETS = ("v1", "v2")
SCHEMA = 1


@dataclass(frozen=True)
class Snapshot:
    """Features at the newest sessions of every ticker, and what an answer says beside the forecast.

    Attributes:
        as_of: the newest session of the lake.
        ticker: (tickers,) str, sorted.
        company: (tickers,) str.
        date: (tickers,) datetime64[D], the ticker's newest session.
        age: (tickers,) int32, sessions of the market from there to ``as_of``.
        sessions: (tickers,) int32, sessions of history in the lake's period.
        close: (tickers,) float64, traded close in R$.
        volatility: (tickers,) float64, trailing 20-session deviation of daily total returns.
        turnover: (tickers,) float64, trailing 60-session median in R$ a session.
        names: feature set -> names of its features.
        windows: feature set -> (tickers, lookback, features) float32, the newest last; NaN where a value is not known.
    """

    as_of: np.datetime64
    ticker: Array
    company: Array
    date: Array
    age: IntArray
    sessions: IntArray
    close: FloatArray
    volatility: FloatArray
    turnover: FloatArray
    names: dict[str, tuple[str, ...]]
    windows: dict[str, FloatArray]

    @classmethod
    def of(cls, frame: pd.DataFrame, lookback: int, min_turnover: float) -> Self:
        """Make the snapshot of clean quotes.

        Args:
            frame: quotes sorted by ticker and date.
            lookback: sessions in a window.
            min_turnover: R$ a session that a row must exceed to be among those that v2 ranks; as in training.

        Raises:
            InvalidQuotesError: No feature set can be had from these quotes.
        """
        names, windows, panel, series = {}, {}, None, None
        for version in FEATURE_SETS:
            try:
                features = build_features(frame, version, min_turnover)
            except InvalidQuotesError as error:
                refused = error
                continue
            panel, series = features.shared.panel, features.shared
            names[version] = features.names
            windows[version] = _windows(panel, features.X, lookback)
        if panel is None or series is None:
            raise refused
        last = np.append(np.flatnonzero(np.diff(panel.line)), len(frame) - 1)
        with np.errstate(all="ignore"):
            volatility = panel.rows(series.volatility)[last]
            turnover = panel.rows(series.median_turnover())[last]
        return cls(
            as_of=panel.calendar[-1],
            ticker=frame["ticker"].to_numpy(dtype=str)[last],
            company=frame["company"].fillna("").to_numpy(dtype=str)[last],
            date=panel.date[last],
            age=(len(panel.calendar) - 1 - panel.session[last]).astype(np.int32),
            sessions=(panel.position[last] + 1).astype(np.int32),
            close=frame["close"].to_numpy(dtype=np.float64)[last],
            volatility=volatility,
            turnover=turnover,
            names=names,
            windows=windows,
        )

    def save(self, storage: Storage, folder: Path) -> str:
        """Store the snapshot and, beside it, what it offers (``.json``); return its key. The same content, the same key."""
        columns = ("ticker", "company", "date", "age", "sessions", "close", "volatility", "turnover")
        path = folder / "snapshot.npz"
        np.savez(
            path,
            allow_pickle=False,
            schema=np.array(SCHEMA),
            feature_code=np.array(feature_code()),
            as_of=np.array(self.as_of),
            **{name: getattr(self, name) for name in columns},
            **{f"names_{version}": np.array(names) for version, names in self.names.items()},
            **{f"window_{version}": window for version, window in self.windows.items()},
        )
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        key = f"{PREFIX}/{self.as_of}-{digest}.npz"
        storage.put(offer_key(key), to_json({"schema": SCHEMA, "features": {v: list(n) for v, n in self.names.items()}}))
        storage.upload(path, key)
        return key

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` stored."""
        with np.load(path, allow_pickle=False) as stored:
            versions = [v for v in FEATURE_SETS if f"window_{v}" in stored]
            columns = ("ticker", "company", "date", "age", "sessions", "close", "volatility", "turnover")
            return cls(
                as_of=stored["as_of"][()],
                **{name: stored[name] for name in columns},
                names={v: tuple(map(str, stored[f"names_{v}"])) for v in versions},
                windows={v: stored[f"window_{v}"] for v in versions},
            )


def _windows(panel: Panel, X: FloatArray, lookback: int) -> FloatArray:
    """(tickers, lookback, features) float32: each ticker's newest rows, NaN before its first."""
    lengths = np.bincount(panel.line)
    out = np.full((len(lengths), lookback, X.shape[1]), np.nan, dtype=np.float32)
    place = panel.position - lengths[panel.line] + lookback
    recent = place >= 0
    out[panel.line[recent], place[recent]] = X[recent]
    return out


def describe(snapshot: Snapshot) -> dict[str, Any]:
    """What was published, as JSON types."""
    complete = {v: int(np.isfinite(w[:, -1]).all(axis=1).sum()) for v, w in snapshot.windows.items()}
    return {
        "as_of": str(snapshot.as_of),
        "tickers": len(snapshot.ticker),
        "tickers_with_features": complete,
        "stale_tickers": int((snapshot.age > 0).sum()),
    }
