"""Finds a ticker's row in a snapshot, and checks that a version can use it."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from b3shared.core.arrays import FloatArray
from b3shared.core.errors import (
    IncompatibleFeaturesError,
    TooLittleHistoryError,
    UnknownTickerError,
)
from b3shared.dataset.market import SECTOR_COLUMNS
from b3shared.models.base import Forecast
from b3shared.registry.compatibility import universe_of
from b3shared.serving.snapshot import Snapshot
from b3shared.serving.version import Version
from b3shared.serving.windows import NO_ROW, longest_gap

GONE_SESSIONS = 20
"""Sessions without a ticker after which it counts as delisted, renamed or suspended."""


def find(snapshot: Snapshot, ticker: str) -> int:
    """Return the row of a ticker; else raise UnknownTickerError, which names similar ones."""
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
    """Raise IncompatibleFeaturesError unless the snapshot has the input of the version.

    It needs the version's features in their order, and windows that are long enough.
    """
    features = snapshot.names.get(version.windows, ())
    if features != version.scorer.feature_names:
        raise IncompatibleFeaturesError(
            f"version {version.name} needs {len(version.scorer.feature_names)} features "
            f"{version.windows}, which the snapshot of {snapshot.as_of} does not have: "
            "make the version live, and the next snapshot has them",
            missing=[name for name in version.scorer.feature_names if name not in features],
        )

    have = snapshot.lookback
    needed = _lookback(version)
    if have < needed:
        raise IncompatibleFeaturesError(
            f"version {version.name} looks back {needed} sessions; "
            f"the snapshot of {snapshot.as_of} holds {have}: "
            "make the version live, and the next snapshot has them",
            have=have,
            needed=needed,
        )


def check_usable(snapshot: Snapshot, row: int, version: Version) -> FloatArray:
    """Return the version's input for a row, or raise if the row cannot be used.

    Returns:
        (features,), or (lookback, features) for a model of sequences.

    Raises:
        UnknownTickerError: The ticker is gone from the market, or is none of the tickers or kinds
            of paper that the version was trained on.
        TooLittleHistoryError: Features are missing, the ticker trades less than those that the
            version was trained on, or its window has a larger gap than the version allows.
    """
    _check_trained_on(snapshot, row, version)
    _check_traded(snapshot, row)
    window: FloatArray = snapshot.windows[version.windows][row, -_lookback(version) :]
    if not np.isfinite(window).all():
        raise _why_incomplete(snapshot, row, version, window)

    check_gap(snapshot, row, version)
    return window if version.scorer.takes_sequences else window.reshape(-1)


def not_among(ticker: str, version: str, tickers: Sequence[str]) -> UnknownTickerError:
    """Build the error for a ticker that the version was not trained on."""
    return UnknownTickerError(
        f"version {version} was trained on {len(tickers)} tickers, and {ticker} is not among them",
        ticker=ticker,
        tickers=list(tickers),
    )


def _check_trained_on(snapshot: Snapshot, row: int, version: Version) -> None:
    """Raise UnknownTickerError if the version was not trained on tickers such as this one."""
    ticker = str(snapshot.ticker[row])
    universe = universe_of(version.manifest["params"])
    if universe.tickers and ticker not in universe.tickers:
        raise not_among(ticker, version.name, universe.tickers)

    # a ticker of the universe has its newest row in the last slot, whatever that row lacks
    slots = snapshot.slots.get(version.windows)
    if universe.instruments and slots is not None and slots[row, -1] == NO_ROW:
        raise UnknownTickerError(
            f"{ticker} is of another kind of paper than version {version.name} was trained on: "
            f"{', '.join(universe.instruments)}",
            ticker=ticker,
            instruments=list(universe.instruments),
        )


def _check_traded(snapshot: Snapshot, row: int) -> None:
    """Raise UnknownTickerError if the ticker no longer trades."""
    ticker = str(snapshot.ticker[row])
    missed = int(snapshot.age[row])
    if missed <= GONE_SESSIONS:
        return

    successor = _successor(snapshot, row)
    fate = "it was delisted, renamed or suspended"
    if successor:
        fate = f"it trades as {successor} now"
    raise UnknownTickerError(
        f"{ticker} last traded on {snapshot.date[row]}, {missed} sessions before "
        f"{snapshot.as_of}: {fate}",
        ticker=ticker,
        last_traded=str(snapshot.date[row]),
        successor=successor,
    )


def _why_incomplete(
    snapshot: Snapshot, row: int, version: Version, window: FloatArray
) -> TooLittleHistoryError:
    """Build the error for a window with missing values."""
    ticker = str(snapshot.ticker[row])
    have = int(snapshot.sessions[row])
    needed = version.params.min_history
    if have < needed:
        return TooLittleHistoryError(
            f"{ticker} has {have} sessions of history without a long hole; {needed} are needed",
            have=have,
            needed=needed,
        )

    turnover = float(snapshot.turnover[row])
    limit = version.params.min_turnover
    if turnover <= limit:
        return TooLittleHistoryError(
            f"{ticker} trades too little: its median turnover is R$ {turnover:,.0f} a session, "
            f"and version {version.name} was trained on tickers above R$ {limit:,.0f}",
            have=round(turnover, 2),
            needed=limit,
        )

    names = version.scorer.feature_names
    newest = zip(names, window[-1], strict=True)
    if missing := [name for name, value in newest if not np.isfinite(value)]:
        return TooLittleHistoryError(
            f"{ticker} lacks features in its newest session: {', '.join(missing)}", missing=missing
        )

    have = int((snapshot.slots[version.windows][row, -len(window) :] != NO_ROW).sum())
    return TooLittleHistoryError(
        f"{ticker} has {have} sessions of complete features with enough turnover; "
        f"version {version.name} looks back {len(window)}",
        have=have,
        needed=len(window),
    )


def check_gap(snapshot: Snapshot, row: int, version: Version) -> None:
    """Raise TooLittleHistoryError if two neighbours in a full window lie too far apart.

    The version's ``max_gap`` says how many sessions are allowed.
    """
    lookback = _lookback(version)
    allowed = version.params.max_gap
    if lookback == 1:
        return

    gap = int(longest_gap(snapshot.slots[version.windows][row, -lookback:]))
    if gap > allowed:
        raise TooLittleHistoryError(
            f"{snapshot.ticker[row]} trades too seldom: two of its newest {lookback} usable "
            f"sessions lie {gap} sessions of the market apart, and version {version.name} "
            f"was trained on windows with at most {allowed}",
            gap=gap,
            allowed=allowed,
        )


def expected(
    snapshot: Snapshot, row: int, version: Version, forecast: Forecast, n: int
) -> dict[str, Any]:
    """Return the ``n``-th return of a forecast as return and price, with its interval.

    Each is None for a version that predicts no return.
    """
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

    returns = float(forecast.returns[n])
    low, high = forecast.intervals[n].tolist()
    interval = {"level": scale.level, "return_low": low, "return_high": high}
    interval |= {"price_low": close * (1.0 + low), "price_high": close * (1.0 + high)}
    return found | {
        "predicted_return": returns,
        "predicted_price": close * (1.0 + returns),
        "interval": interval,
    }


def dividends_known_until(snapshot: Snapshot, row: int) -> str | None:
    """Return the last day of the known dividends as ISO text; None where none are known.

    An earlier snapshot, which does not say it, counts as one that knows none.
    """
    until = None if snapshot.dividends_until is None else snapshot.dividends_until[row]
    return None if until is None or np.isnat(until) else str(until)


def dividends_left_out(snapshot: Snapshot, row: int) -> list[str]:
    """Return a sentence on the dividends that a row's features leave out, if there may be any."""
    if snapshot.dividends_until is None:
        return ["This snapshot does not say up to when dividends are known."]
    until = dividends_known_until(snapshot, row)
    if until is None:
        return ["Dividends are not known: returns and features leave them out."]
    since = None if snapshot.dividends_from is None else snapshot.dividends_from[row]
    said = []
    if since is not None and not np.isnat(since):
        said += [
            f"Dividends before {since} are not all known: returns and features leave out some."
        ]
    if until < str(snapshot.date[row]):
        said += [f"Dividends after {until} are not known: returns and features leave them out."]

    return said


def sector_of(snapshot: Snapshot, row: int) -> dict[str, str | None] | None:
    """Return a ticker's sector, subsector, segment and the day they were read, as JSON types.

    None where the exchange's classification does not have it; a part that it leaves empty is None.
    """
    sectors = snapshot.sectors
    if sectors is None or not sectors.sector[row]:
        return None
    names = {name: str(getattr(sectors, name)[row]) or None for name in SECTOR_COLUMNS}
    return names | {"read": str(sectors.read[row])}


def sector_named(snapshot: Snapshot, row: int) -> list[str]:
    """Return a sentence that names a ticker's sector, if it is known."""
    found = sector_of(snapshot, row)
    return [] if found is None else [f"Sector: {found['sector']} (as of {found['read']})."]


def _lookback(version: Version) -> int:
    """Return the number of sessions in the version's input."""
    return version.params.lookback if version.scorer.takes_sequences else 1


def _successor(snapshot: Snapshot, row: int) -> str | None:
    """Return the one other ticker that trades under the same ISIN, if there is one."""
    isin = snapshot.isin[row]
    same = np.flatnonzero(
        (snapshot.isin == isin) & (snapshot.isin != "") & (snapshot.age <= GONE_SESSIONS)
    )
    return str(snapshot.ticker[same[0]]) if len(same) == 1 else None
