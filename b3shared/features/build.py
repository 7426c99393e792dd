"""Columns in, columns out: what is known of a ticker at the close of t. Nothing after t is used, splits included.

Every price level is in t's own share basis: history is rescaled to t, so a level equals the price
traded at t and a later split changes no past row. This is done in the forward basis of
:mod:`b3shared.features.adjustment`: ratios are the same in every basis, and levels are divided by
t's own factor.

Most features need one ticker's rows only (:mod:`b3shared.features.series`); ``v2`` adds what the
date's tickers say together (:mod:`b3shared.features.cross_section`).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from b3shared.core.arrays import Array, FloatArray
from b3shared.core.errors import InvalidQuotesError
from b3shared.core.vocabulary import MAX_GAP
from b3shared.features.cross_section import (
    MARKET,
    MIN_CROSS_SECTION,
    CrossSection,
    MarketReturn,
    market_features,
    rank_names,
)
from b3shared.features.formulas import BOOK, V1, V2_BASE, formulas
from b3shared.features.panel import Panel
from b3shared.features.series import Series
from b3shared.quotes.schema import PRECOMPUTED

__all__ = [
    "MARKET",
    "V1",
    "V2_BASE",
    "Coverage",
    "Features",
    "Series",
    "build_features",
    "coverage_of",
    "ticker_features",
]


_NEEDED = {"v1": ("open", "high", "volume"), "v2": ("open", "high", "low", "volume")}
"""Columns without which a feature set cannot be had."""


@dataclass(frozen=True)
class Coverage:
    """What a whole source has, which one part of its tickers cannot tell.

    Attributes:
        tickers: how many, those of the part among them.
        columns: columns with a value somewhere.
        sample: some of the tickers, for messages.
    """

    tickers: int
    columns: frozenset[str]
    sample: tuple[str, ...] = ()

    def check(self, version: str) -> None:
        """InvalidQuotesError if a feature set cannot be had."""
        if version == "v1" and set(PRECOMPUTED) <= self.columns:
            return
        needed = _NEEDED[version]
        if missing := [c for c in needed if c not in self.columns]:
            raise InvalidQuotesError(
                f"feature set {version} needs {', '.join(needed)}; the source has no {', '.join(missing)}",
                missing=missing,
            )
        if version == "v2" and self.tickers < MIN_CROSS_SECTION:
            named = f" ({', '.join(self.sample)})" if self.sample else ""
            raise InvalidQuotesError(
                f"feature set v2 ranks tickers against each other and needs at least {MIN_CROSS_SECTION}; there are "
                f"{self.tickers}{named}: load more tickers or use features='v1'",
                tickers=self.tickers,
            )


def coverage_of(frame: pd.DataFrame) -> Coverage:
    """What a table of quotes has, in all."""
    tickers = pd.unique(frame["ticker"])
    known = frozenset(str(c) for c in frame.columns if c in PRECOMPUTED or frame[c].notna().any())
    return Coverage(len(tickers), known, tuple(map(str, tickers[:MIN_CROSS_SECTION])))


@dataclass(frozen=True)
class Features:
    """Features of every row of the quotes, and the point-in-time columns that labels and baselines share.

    Attributes:
        names: names of the columns of ``X``.
        X: (rows, features) float64; NaN where the history is too short or a source has no value.
        liquid: (rows,) bool; trailing median turnover above the limit, or not knowable from the
            source.
        without: feature names that the source has no columns for, left out.
        shared: the series that labels and baselines need.
    """

    names: tuple[str, ...]
    X: FloatArray
    liquid: Array
    without: tuple[str, ...]
    shared: Series

    @cached_property
    def complete(self) -> Array:
        """(rows,) bool; every feature has a finite value."""
        return np.isfinite(self.X).all(axis=1)

    @cached_property
    def counted(self) -> Array:
        """(rows,) bool; liquid, and of known volatility: what an answer may be about if its features are known."""
        return np.asarray(self.liquid & np.isfinite(self.shared.panel.rows(self.shared.volatility)))

    @cached_property
    def eligible(self) -> Array:
        """(rows,) bool, read-only; counted and complete: the rows that models train on."""
        rows = np.asarray(self.counted & self.complete)
        rows.setflags(write=False)
        return rows


@dataclass(frozen=True)
class TickerFeatures:
    """The features of every row that need no other ticker.

    Attributes:
        columns: (rows,) float64 by name; NaN where the history is too short or a source has no
            value.
        liquid: (rows,) bool; trailing median turnover above the limit, or not knowable from the
            source.
        shared: the series that labels and baselines need.
    """

    columns: dict[str, FloatArray]
    liquid: Array
    shared: Series


def ticker_features(
    frame: pd.DataFrame,
    version: str,
    min_turnover: float,
    coverage: Coverage,
    max_gap: int = MAX_GAP,
) -> TickerFeatures:
    """Compute what needs no other ticker, for all tickers of a source or a part of them.

    Args:
        frame: quotes sorted by ticker and date (see :mod:`b3shared.quotes.schema`).
        version: see :func:`build_features`.
        min_turnover: see :func:`build_features`.
        coverage: what the whole source has.
        max_gap: see :func:`build_features`.

    Raises:
        InvalidQuotesError: The source lacks columns, or tickers, without which the feature set
            cannot be had.
    """
    coverage.check(version)
    with np.errstate(divide="ignore", invalid="ignore"):
        shared = Series(Panel(frame, max_gap))
        rows = shared.panel.rows
        if version == "v1" and set(PRECOMPUTED) <= coverage.columns:
            columns = {name: frame[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in V1}
        else:
            columns = {
                name: rows(grid())
                for name, grid in formulas(shared, version, coverage.columns).items()
            }
        knowable = not coverage.columns.isdisjoint(("turnover", "volume"))
        liquid = (
            rows(shared.median_turnover()) > min_turnover
            if knowable
            else np.ones(len(frame), dtype=bool)
        )
    return TickerFeatures(columns, liquid, shared)


def build_features(
    frame: pd.DataFrame, version: str, min_turnover: float, max_gap: int = MAX_GAP
) -> Features:
    """Compute a feature set for every row.

    Args:
        frame: quotes sorted by ticker and date (see :mod:`b3shared.quotes.schema`).
        version: "v1", the 13 features of the reference project; "v2", 18 scale-free features, their
            percentile ranks among the liquid tickers of the date, and 3 of the market.
        min_turnover: R$ a session that the trailing 60-session median must exceed for a row to be
            liquid.
        max_gap: sessions of the exchange from a row of a ticker to its next, at most; over a longer
            hole no feature reaches, and the ticker's history begins anew.

    Raises:
        InvalidQuotesError: The source lacks columns without which the feature set cannot be had.
    """
    coverage = coverage_of(frame)
    own = ticker_features(frame, version, min_turnover, coverage, max_gap)
    columns, panel = own.columns, own.shared.panel
    if version == "v2":
        liquid, session = np.flatnonzero(own.liquid), panel.session
        among = CrossSection(session[liquid])
        market = MarketReturn(len(panel.calendar))
        with np.errstate(divide="ignore", invalid="ignore"):
            market.add(session[liquid], panel.rows(own.shared.daily_return)[liquid])
        ranks = {}
        for name, rank in zip(columns, rank_names(tuple(columns)), strict=True):
            ranks[rank] = np.full(len(frame), np.nan)
            ranks[rank][liquid] = among.rank(columns[name][liquid])
        columns = (
            columns
            | ranks
            | {name: of[session] for name, of in market_features(market.mean).items()}
        )
    without = tuple(name for name in BOOK if version == "v1" and name not in columns)
    return Features(
        tuple(columns), np.column_stack(list(columns.values())), own.liquid, without, own.shared
    )
