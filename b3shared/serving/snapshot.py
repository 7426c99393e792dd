"""Holds the newest features of every ticker, so that a prediction needs no history."""

import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from b3shared.core.arrays import Array, FloatArray, IntArray
from b3shared.core.errors import ArtifactCorruptError
from b3shared.core.serialization import to_json
from b3shared.core.versions import FEATURES_VERSION, features_version_of
from b3shared.dataset.market import SECTOR_COLUMNS, Sectors
from b3shared.registry.compatibility import description_key
from b3shared.storage import Storage

PREFIX = "serving/snapshots"
SCHEMA = 3
"""Of the stored file.

1 held the newest rows of a ticker, eligible or not, and no sessions of them. 1 and 2 did not say up
to when dividends are known.
"""
AHEAD = 2500
"""Sessions to come that a snapshot knows, about ten years; beyond, weekdays count as sessions."""
_OF_A_SECTOR = (*SECTOR_COLUMNS, "read")
COLUMNS = (
    "ticker",
    "company",
    "isin",
    "date",
    "age",
    "sessions",
    "close",
    "volatility",
    "turnover",
)


@dataclass(frozen=True)
class Snapshot:
    """The newest features of every ticker, and the other facts that an answer states.

    The windows are those that a training on the same quotes would make
    (:func:`b3shared.pipeline.serving_snapshot.newest_windows`). Two things differ: tickers too
    young for a training are ranked here among the others, and moving means start at the snapshot's
    first session, which moves their last digits.

    Attributes:
        as_of: the newest session of the lake.
        ticker: (tickers,) str, sorted.
        company: (tickers,) str.
        isin: (tickers,) str; empty where the source has none.
        date: (tickers,) datetime64[D], the ticker's newest session.
        age: (tickers,) int32, sessions of the market from there to ``as_of``.
        sessions: (tickers,) int32, sessions of history since the last hole of more than ``max_gap``
            sessions.
        close: (tickers,) float64, traded close in R$.
        volatility: (tickers,) float64, trailing 20-session deviation of daily total returns.
        turnover: (tickers,) float64, trailing 60-session median in R$ a session.
        names: name of a set of windows, see
            :func:`b3shared.registry.compatibility.windows_name` -> its
            features.
        windows: the same name -> (tickers, lookback, features) float32: last the newest row, before
            it the newest eligible ones; NaN where there is none, or a value of the newest row is
            not known.
        slots: the same name -> (tickers, lookback) int32, the number of each row's session in the
            calendar of the quotes, so that differences are gaps; -1 where there is no row. Empty
            for a snapshot of schema 1.
        upcoming: (sessions,) datetime64[D], the exchange's next ones after ``as_of``, :data:`AHEAD`
            of them. Snapshots made before have 250, those of schema 1 weekdays.
        dividends_until: (tickers,) datetime64[D], the last day of the ticker's newest unbroken run
            of known dividends; NaT where none are known. None for a snapshot of schema 1 or 2.
        dividends_from: (tickers,) datetime64[D], the first day of that run where earlier ones of
            the newest 60 rows are not all known; NaT elsewhere. None for a snapshot made before.
        sectors: of each ticker, in the order of ``ticker``; empty where it is not known. None where
            none was known when the snapshot was made, as in every earlier one.
        features_version: of the features (:mod:`b3shared.core.versions`); None if it is not known.
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
    slots: dict[str, IntArray]
    upcoming: Array
    dividends_until: Array | None = None
    dividends_from: Array | None = None
    sectors: Sectors | None = None
    features_version: int | None = FEATURES_VERSION

    @property
    def lookback(self) -> int:
        """Return the number of rows in a window.

        It is 1 for a snapshot of schema 1, whose earlier rows are not those of a training.
        """
        return min((slots.shape[1] for slots in self.slots.values()), default=1)

    def sessions_until(self, day: datetime.date) -> int:
        """Count the sessions of the exchange after ``as_of`` and before a day.

        Exact as far as ``upcoming`` reaches. Beyond, every weekday counts, so holidays count too.
        """
        today = np.datetime64(day)
        known = int(np.searchsorted(self.upcoming, today))
        if known < len(self.upcoming):
            return known
        newest = self.upcoming[-1] if known else self.as_of
        return known + max(0, int(np.busday_count(newest + np.timedelta64(1, "D"), today)))

    def save(self, storage: Storage, folder: Path) -> str:
        """Store the snapshot and, beside it, its description (``.json``); return its key.

        The same content, the same key.
        """
        path = folder / "snapshot.npz"
        optional: dict[str, Array] = {}
        if self.features_version is not None:
            optional["features_version"] = np.array(self.features_version)
        if self.dividends_until is not None:
            optional["dividends_until"] = self.dividends_until
        if self.dividends_from is not None:
            optional["dividends_from"] = self.dividends_from
        if self.sectors is not None:
            optional |= {f"sectors_{name}": getattr(self.sectors, name) for name in _OF_A_SECTOR}

        np.savez(
            path,
            allow_pickle=False,
            schema=np.array(SCHEMA),
            **optional,
            as_of=np.array(self.as_of),
            upcoming=self.upcoming,
            **{name: getattr(self, name) for name in COLUMNS},
            **{f"names_{version}": np.array(names) for version, names in self.names.items()},
            **{f"window_{version}": window for version, window in self.windows.items()},
            **{f"slots_{version}": slots for version, slots in self.slots.items()},
        )

        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        key = f"{PREFIX}/{self.as_of}-{digest}.npz"

        features = {version: list(names) for version, names in self.names.items()}
        description = {
            "schema": SCHEMA,
            "lookback": self.lookback,
            "features_version": self.features_version,
            "features": features,
        }
        storage.put(description_key(key), to_json(description))
        storage.upload(path, key)
        return key

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` stored, now or by an earlier schema.

        Raises:
            ArtifactCorruptError: The file is of a schema that this code does not know.
        """
        with np.load(path, allow_pickle=False) as stored:
            schema = int(stored["schema"]) if "schema" in stored else 1
            if not 1 <= schema <= SCHEMA:
                raise ArtifactCorruptError(
                    f"the snapshot has schema {schema}; 1 to {SCHEMA} are known"
                )

            windows = [
                name.removeprefix("window_") for name in stored.files if name.startswith("window_")
            ]
            return cls(
                as_of=stored["as_of"][()],
                **{name: stored[name] for name in COLUMNS},
                names={name: tuple(map(str, stored[f"names_{name}"])) for name in windows},
                windows={name: stored[f"window_{name}"] for name in windows},
                slots={
                    name: stored[f"slots_{name}"] for name in windows if f"slots_{name}" in stored
                },
                upcoming=stored["upcoming"]
                if "upcoming" in stored
                else _weekdays_after(stored["as_of"][()]),
                dividends_until=stored.get("dividends_until"),
                dividends_from=stored.get("dividends_from"),
                sectors=_sectors(stored),
                features_version=features_version_of(
                    {
                        name: stored[name].item()
                        for name in ("features_version", "feature_code")
                        if name in stored
                    }
                ),
            )


def _sectors(stored: Mapping[str, Array]) -> Sectors | None:
    """Return the sectors of a stored snapshot, None for one without."""
    if "sectors_sector" not in stored:
        return None
    columns = {name: stored[f"sectors_{name}"] for name in _OF_A_SECTOR}
    return Sectors(ticker=stored["ticker"], **columns)


def _weekdays_after(day: np.datetime64) -> Array:
    return np.busday_offset(day, np.arange(1, AHEAD + 1), roll="backward")


def describe(snapshot: Snapshot) -> dict[str, Any]:
    """Count the tickers of a snapshot, as JSON types."""
    complete = {
        v: int(np.isfinite(w[:, -1]).all(axis=1).sum()) for v, w in snapshot.windows.items()
    }
    return {
        "as_of": str(snapshot.as_of),
        "tickers": len(snapshot.ticker),
        "tickers_with_features": complete,
        "stale_tickers": int((snapshot.age > 0).sum()),
    }
