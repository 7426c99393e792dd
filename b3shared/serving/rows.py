"""A ticker's row of a snapshot: found, usable by a version, or the reason why not."""

from difflib import get_close_matches
from typing import Any

import numpy as np

from b3shared.core.arrays import FloatArray
from b3shared.core.errors import (
    IncompatibleFeaturesError,
    TooLittleHistoryError,
    UnknownTickerError,
)
from b3shared.models.base import Forecast
from b3shared.serving.snapshot import Snapshot
from b3shared.serving.version import Version
from b3shared.serving.windows import NO_ROW, longest_gap

GONE_SESSIONS = 20
"""Sessions of the market without the ticker after which it is taken for delisted, renamed or suspended."""


def find(snapshot: Snapshot, ticker: str) -> int:
    """Row of a ticker, trimmed and in capitals; UnknownTickerError says what else it may be."""
    wanted = ticker.strip().upper()
    row = int(np.searchsorted(snapshot.ticker, wanted))
    if row < len(snapshot.ticker) and snapshot.ticker[row] == wanted:
        return row
    # the first letter is seldom mistyped, and comparing with every ticker would make a long batch
    # of unknown ones slow
    near = get_close_matches(
        wanted, [t for t in snapshot.ticker.tolist() if t[0] == wanted[:1]], n=3
    )
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise UnknownTickerError(
        f"there are no quotes of {wanted or ticker!r}{hint}", ticker=wanted, similar=near
    )


def check_fits(snapshot: Snapshot, version: Version) -> None:
    """IncompatibleFeaturesError unless the snapshot has the version's features, in its order, and sessions enough."""
    offered = snapshot.names.get(version.offer, ())
    if offered != version.scorer.feature_names:
        raise IncompatibleFeaturesError(
            f"version {version.name} needs {len(version.scorer.feature_names)} features {version.offer}, which the "
            f"snapshot of {snapshot.as_of} does not have: make the version live, and the next snapshot has them",
            missing=[name for name in version.scorer.feature_names if name not in offered],
        )
    have, needed = snapshot.lookback, _lookback(version)
    if have < needed:
        raise IncompatibleFeaturesError(
            f"version {version.name} looks back {needed} sessions; the snapshot of {snapshot.as_of} holds {have}: "
            "make the version live, and the next snapshot has them",
            have=have,
            needed=needed,
        )


def check_usable(snapshot: Snapshot, row: int, version: Version) -> FloatArray:
    """The input of the version for a row: (features,), or (lookback, features) for a model of sequences.

    Raises:
        UnknownTickerError: The ticker is gone from the market, or not among those that the version
            learnt.
        TooLittleHistoryError: Features are missing, the ticker trades less than those that the
            version learnt from, or its window jumps over more sessions of the market than a window
            of the training may.
    """
    ticker, missed = str(snapshot.ticker[row]), int(snapshot.age[row])
    if version.params.tickers and ticker not in version.params.tickers:
        raise UnknownTickerError(
            f"version {version.name} learnt {len(version.params.tickers)} tickers, and {ticker} is not among them",
            ticker=ticker,
            tickers=list(version.params.tickers),
        )
    if missed > GONE_SESSIONS:
        successor = _successor(snapshot, row)
        word = (
            f"it trades as {successor} now"
            if successor
            else "it was delisted, renamed or suspended"
        )
        raise UnknownTickerError(
            f"{ticker} last traded on {snapshot.date[row]}, {missed} sessions before {snapshot.as_of}: {word}",
            ticker=ticker,
            last_traded=str(snapshot.date[row]),
            successor=successor,
        )
    window: FloatArray = snapshot.windows[version.offer][row, -_lookback(version) :]
    if np.isfinite(window).all():
        check_gap(snapshot, row, version)
        return window if version.scorer.takes_sequences else window.reshape(-1)
    have, minimum = int(snapshot.sessions[row]), version.params.min_history
    if have < minimum:
        raise TooLittleHistoryError(
            f"{ticker} has {have} sessions of history; {minimum} are needed",
            have=have,
            needed=minimum,
        )
    turnover, limit = float(snapshot.turnover[row]), version.params.min_turnover
    if turnover <= limit:
        raise TooLittleHistoryError(
            f"{ticker} trades too little: its median turnover is R$ {turnover:,.0f} a session, and the model learnt from "
            f"tickers above R$ {limit:,.0f}",
            have=round(turnover, 2),
            needed=limit,
        )
    if names := [
        n
        for n, value in zip(version.scorer.feature_names, window[-1], strict=True)
        if not np.isfinite(value)
    ]:
        raise TooLittleHistoryError(
            f"{ticker} lacks features in its newest session: {', '.join(names)}", missing=names
        )
    have = int((snapshot.slots[version.offer][row, -len(window) :] != NO_ROW).sum())
    raise TooLittleHistoryError(
        f"{ticker} has {have} sessions of complete features with enough turnover; version {version.name} looks back "
        f"{len(window)}",
        have=have,
        needed=len(window),
    )


def check_gap(snapshot: Snapshot, row: int, version: Version) -> None:
    """TooLittleHistoryError if two neighbours in a full window lie more sessions apart than the version allows."""
    lookback, allowed = _lookback(version), version.params.max_gap
    if lookback == 1:
        return
    gap = int(longest_gap(snapshot.slots[version.offer][row, -lookback:]))
    if gap > allowed:
        raise TooLittleHistoryError(
            f"{snapshot.ticker[row]} trades too seldom: two of its newest {lookback} usable sessions lie {gap} sessions of "
            f"the market apart, and version {version.name} learnt from windows with at most {allowed}",
            gap=gap,
            allowed=allowed,
        )


def expected(
    snapshot: Snapshot, row: int, version: Version, forecast: Forecast, n: int
) -> dict[str, Any]:
    """The ``n``-th return of a forecast as return and price, with its interval; None for a version that says none."""
    close = float(snapshot.close[row])
    found: dict[str, Any] = {
        "predicted_return": None,
        "predicted_price": None,
        "interval": None,
        "last_price": close,
    }
    scale = version.scorer.return_scale
    if scale is None or forecast.returns is None or forecast.intervals is None:
        return found
    returns, (low, high) = float(forecast.returns[n]), forecast.intervals[n].tolist()
    interval = {"level": scale.level, "return_low": low, "return_high": high}
    interval |= {"price_low": close * (1.0 + low), "price_high": close * (1.0 + high)}
    return found | {
        "predicted_return": returns,
        "predicted_price": close * (1.0 + returns),
        "interval": interval,
    }


def _lookback(version: Version) -> int:
    """Sessions that the version's input spans."""
    return version.params.lookback if version.scorer.takes_sequences else 1


def _successor(snapshot: Snapshot, row: int) -> str | None:
    """A ticker that trades under the same ISIN."""
    isin = snapshot.isin[row]
    same = np.flatnonzero(
        (snapshot.isin == isin) & (snapshot.isin != "") & (snapshot.age <= GONE_SESSIONS)
    )
    return str(snapshot.ticker[same[0]]) if len(same) == 1 else None
