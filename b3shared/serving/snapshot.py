"""The newest features of every ticker of the lake, made once a session so that a prediction needs no history."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from b3shared.dataset import Array, FloatArray, IntArray
from b3shared.documents import to_json
from b3shared.errors import InvalidQuotesError
from b3shared.fingerprint import feature_code
from b3shared.serving.offer import FEATURE_SETS, Universe, offer_key, offer_name
from b3shared.storage import Storage

if TYPE_CHECKING:
    import pandas as pd

    from b3shared.features import Features
    from b3shared.quotes.panel import Panel

PREFIX = "serving/snapshots"
SCHEMA = 1
COLUMNS = ("ticker", "company", "isin", "date", "age", "sessions", "close", "volatility", "turnover")


@dataclass(frozen=True)
class Snapshot:
    """Features at the newest sessions of every ticker, and what an answer says beside the forecast.

    Attributes:
        as_of: the newest session of the lake.
        ticker: (tickers,) str, sorted.
        company: (tickers,) str.
        isin: (tickers,) str; empty where the source has none.
        date: (tickers,) datetime64[D], the ticker's newest session.
        age: (tickers,) int32, sessions of the market from there to ``as_of``.
        sessions: (tickers,) int32, sessions of history in the lake's period.
        close: (tickers,) float64, traded close in R$.
        volatility: (tickers,) float64, trailing 20-session deviation of daily total returns.
        turnover: (tickers,) float64, trailing 60-session median in R$ a session.
        names: name of a set of windows (:func:`b3shared.serving.offer.offer_name`) -> its features.
        windows: the same name -> (tickers, lookback, features) float32, the newest last; NaN where a value is not known
            or the row was not liquid.
    """

    as_of: np.datetime64
    ticker: Array
    company: Array
    isin: Array
    date: Array
    age: IntArray
    sessions: IntArray
    close: FloatArray
    volatility: FloatArray
    turnover: FloatArray
    names: dict[str, tuple[str, ...]]
    windows: dict[str, FloatArray]

    @classmethod
    def of(cls, frame: "pd.DataFrame", lookback: int, universes: Collection[Universe]) -> Self:
        """Make the snapshot of clean quotes.

        Args:
            frame: quotes sorted by ticker and date.
            lookback: sessions in a window.
            universes: whom to rank against each other, as in training; windows are made for each.

        Raises:
            InvalidQuotesError: No feature set can be had from these quotes.
        """
        from b3shared.features import Series, build_features  # pandas: predict reads snapshots and never makes one
        from b3shared.quotes.panel import Panel

        panel = Panel(frame)
        series = Series(panel)
        names, windows, refused = {}, {}, InvalidQuotesError("none of the tickers is among the quotes")
        for feature_set, universe in product(FEATURE_SETS, universes):
            among = frame
            if universe.tickers is not None:
                among = frame[frame["ticker"].isin(universe.tickers)].reset_index(drop=True)
            if among.empty:
                continue
            try:
                features = build_features(among, feature_set, universe.min_turnover)
            except InvalidQuotesError as error:
                refused = error
                continue
            name = offer_name(feature_set, universe)
            names[name] = features.names
            windows[name] = _windows(panel, features, lookback)
        if not windows:
            raise refused
        last = np.append(np.flatnonzero(np.diff(panel.line)), len(frame) - 1)
        with np.errstate(all="ignore"):
            volatility = panel.rows(series.volatility)[last]
            turnover = panel.rows(series.median_turnover())[last]
        return cls(
            as_of=panel.calendar[-1],
            ticker=frame["ticker"].to_numpy(dtype=str)[last],
            company=frame["company"].fillna("").to_numpy(dtype=str)[last],
            isin=frame["isin"].fillna("").to_numpy(dtype=str)[last],
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
        path = folder / "snapshot.npz"
        np.savez(
            path,
            allow_pickle=False,
            schema=np.array(SCHEMA),
            feature_code=np.array(feature_code()),
            as_of=np.array(self.as_of),
            **{name: getattr(self, name) for name in COLUMNS},
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
            offers = [name.removeprefix("window_") for name in stored.files if name.startswith("window_")]
            return cls(
                as_of=stored["as_of"][()],
                **{name: stored[name] for name in COLUMNS},
                names={name: tuple(map(str, stored[f"names_{name}"])) for name in offers},
                windows={name: stored[f"window_{name}"] for name in offers},
            )


def _windows(panel: "Panel", features: "Features", lookback: int) -> FloatArray:
    """(tickers, lookback, features) float32: each ticker's newest rows; NaN before its first and where it does not count."""
    own = features.shared.panel
    lengths = np.bincount(own.line)
    out = np.full((len(panel.tickers), lookback, features.X.shape[1]), np.nan, dtype=np.float32)
    place = own.position - lengths[own.line] + lookback
    recent = (place >= 0) & features.liquid
    line = np.searchsorted(panel.tickers, own.tickers)[own.line]
    out[line[recent], place[recent]] = features.X[recent]
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
