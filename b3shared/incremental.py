"""Features of new sessions from carried state: a new day costs its own rows, however long the history is.

A state holds what the next session's features depend on, and nothing more: every ticker's last 252 rows, its
exponential means and forward factors, and the market's last 20 means. The formulas are those of whole histories
(:mod:`b3shared.series`), asked for the newest column only, so the features are the same to the last bit.

A state only goes forward. When rows of the past change, appear or vanish, the states from there on are void: an earlier
one is taken and the sessions since are appended again (:mod:`b3shared.feature_states`).
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from b3shared.appending import FACTORS, Appending, Grids, NewFeatures
from b3shared.cross_section import MARKET_SESSIONS, MarketReturn
from b3shared.dataset import Array, FloatArray
from b3shared.errors import InvalidQuotesError
from b3shared.features import Coverage, coverage_of, ticker_features
from b3shared.fingerprint import feature_code
from b3shared.quotes.digests import QUOTED, session_digests
from b3shared.quotes.sources import PRECOMPUTED
from b3shared.series import LONGEST_WINDOW

SPANS = (12, 26)
"""Of the exponential means that features need."""

NEVER = np.datetime64("NaT", "D")


@dataclass(frozen=True)
class FeatureState:
    """What the features of the next session depend on. Make it by :meth:`of`.

    Attributes:
        version: feature set, "v1" or "v2".
        min_turnover: liquidity limit in R$ a session.
        code: of the features (:func:`b3shared.fingerprint.feature_code`) that made it.
        tickers: (tickers,) str, sorted.
        last: (tickers,) datetime64[D], each ticker's newest session.
        tail: (tickers, 252) float64 by column, each ticker's newest rows on the right; NaN before its first.
        ema: (tickers,) float64 by span, of the close in the forward basis.
        market: (up to 20,) float64, the market's mean daily return of the newest sessions.
        columns: columns of the source with a value somewhere.
        sessions: (sessions,) datetime64[D], every session that was counted in, ascending.
        digests: (sessions,) uint64, of the rows of each: tells whether they have changed since.
    """

    version: str
    min_turnover: float
    code: str
    tickers: Array
    last: Array
    tail: Grids
    ema: dict[int, FloatArray]
    market: FloatArray
    columns: frozenset[str]
    sessions: Array
    digests: Array

    @property
    def as_of(self) -> np.datetime64:
        """The newest session."""
        newest: np.datetime64 = self.sessions[-1]
        return newest

    @classmethod
    def of(cls, frame: pd.DataFrame, version: str, min_turnover: float) -> Self:
        """The state after a whole history; its cost is the history's.

        Args:
            frame: clean quotes sorted by ticker and date.
            version: see :func:`b3shared.features.build_features`.
            min_turnover: likewise.

        Raises:
            InvalidQuotesError: The feature set cannot be had from these quotes, or comes with them.
        """
        coverage = coverage_of(frame)
        if set(PRECOMPUTED) <= coverage.columns:
            raise InvalidQuotesError("the quotes bring their features with them: there is nothing to carry")
        own = ticker_features(frame, version, min_turnover, coverage)
        series, panel = own.shared, own.shared.panel
        tickers = panel.tickers.astype(str)
        if np.any(tickers[1:] <= tickers[:-1]):
            raise ValueError("rows are not sorted by ticker")
        length = np.bincount(panel.line)
        line, newest = np.arange(len(length)), length - 1
        place = length[:, None] - LONGEST_WINDOW + np.arange(LONGEST_WINDOW)

        def tail(grid: FloatArray) -> FloatArray:
            return np.where(place >= 0, grid[line[:, None], np.maximum(place, 0)], np.nan)

        market = MarketReturn(len(panel.calendar))
        market.add(panel.session[own.liquid], panel.rows(series.daily_return)[own.liquid])
        sessions, digests = session_digests(frame)
        return cls(
            version=version,
            min_turnover=min_turnover,
            code=feature_code(),
            tickers=tickers,
            last=panel.date[np.cumsum(length) - 1],
            tail={c: tail(series.raw(c)) for c in QUOTED} | {c: tail(getattr(series, c)) for c in FACTORS},
            ema={span: series.ema(span)[line, newest] for span in SPANS},
            market=market.mean[-MARKET_SESSIONS:],
            columns=coverage.columns,
            sessions=sessions,
            digests=digests,
        )

    def append(self, rows: pd.DataFrame) -> tuple["FeatureState", NewFeatures]:
        """The state after some more sessions, and their features.

        Args:
            rows: clean quotes of one or more sessions after :attr:`as_of`; any order, any tickers, new ones too.

        Raises:
            InvalidQuotesError: A row is not after the state's newest session, or there are two for one ticker and date.
        """
        early = rows["date"] <= pd.Timestamp(self.as_of)
        if early.any():
            row = rows[early].iloc[0]
            raise InvalidQuotesError(
                f"{row['ticker']} {row['date'].date()}: features go on from {self.as_of}; for a change of the past take "
                "an earlier state"
            )
        if (twice := rows.duplicated(["ticker", "date"])).any():
            row = rows[twice].iloc[0]
            raise InvalidQuotesError(f"{row['ticker']} {row['date'].date()}: two rows for one ticker and date")
        rows = rows.sort_values(["date", "ticker"])
        work = Appending(self._with(np.union1d(self.tickers, rows["ticker"].to_numpy(dtype=str)), coverage_of(rows)))
        days = [work.day(of_day) for _, of_day in rows.groupby("date", sort=True)]
        sessions, digests = session_digests(rows)
        state = replace(
            work.state,
            market=np.array(work.market[-MARKET_SESSIONS:]),
            sessions=np.concatenate([self.sessions, sessions]),
            digests=np.concatenate([self.digests, digests]),
        )
        return state, work.joined(days)

    def first_difference(self, frame: pd.DataFrame) -> np.datetime64 | None:
        """The first session up to :attr:`as_of` whose rows are not those that were counted in; None if there is none.

        Sessions before the first of ``frame`` and after its last are not compared: it says nothing of them.
        """
        sessions, digests = session_digests(frame[frame["date"] <= pd.Timestamp(self.as_of)])
        if not len(sessions):
            return None
        mine = (self.sessions >= sessions[0]) & (self.sessions <= sessions[-1])
        every = np.union1d(self.sessions[mine], sessions)
        here, there = (np.zeros(len(every), dtype=np.uint64) for _ in range(2))
        here[np.searchsorted(every, self.sessions[mine])] = self.digests[mine]
        there[np.searchsorted(every, sessions)] = digests
        differ = every[here != there]
        return differ[0] if len(differ) else None

    def save(self, path: Path) -> Path:
        """Write the state (npz, no pickles inside) and return the path."""
        plain = ("version", "min_turnover", "code", "tickers", "last", "market", "sessions", "digests")
        np.savez(
            path,
            allow_pickle=False,
            **{name: np.array(getattr(self, name)) for name in plain},
            **{f"tail_{name}": grid for name, grid in self.tail.items()},
            **{f"ema_{span}": values for span, values in self.ema.items()},
            columns=np.array(sorted(self.columns)),
        )
        return path

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(
                version=str(stored["version"]),
                min_turnover=float(stored["min_turnover"]),
                code=str(stored["code"]),
                tickers=stored["tickers"],
                last=stored["last"],
                tail={name: stored[f"tail_{name}"] for name in (*QUOTED, *FACTORS)},
                ema={span: stored[f"ema_{span}"] for span in SPANS},
                market=stored["market"],
                columns=frozenset(map(str, stored["columns"])),
                sessions=stored["sessions"],
                digests=stored["digests"],
            )

    def _with(self, tickers: Array, more: Coverage) -> "FeatureState":
        """A copy that may be changed in place, with room for new tickers."""
        place = np.searchsorted(tickers, self.tickers)

        def spread(values: Array, empty: object) -> Array:
            out = np.full((len(tickers), *values.shape[1:]), empty, dtype=values.dtype)
            out[place] = values
            return out

        return replace(
            self,
            tickers=tickers,
            last=spread(self.last, NEVER),
            tail={name: spread(grid, np.nan) for name, grid in self.tail.items()},
            ema={span: spread(values, np.nan) for span, values in self.ema.items()},
            columns=self.columns | more.columns,
        )
