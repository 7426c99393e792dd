"""A forecast for a ticker, with its reasons and everything that keeps it from looking better than it is."""

from collections.abc import Callable, Sequence
from datetime import date
from difflib import get_close_matches
from typing import Any

import numpy as np

from b3shared.dataset import CLASSES, FloatArray, IntArray
from b3shared.errors import IncompatibleFeaturesError, TooLittleHistoryError, UnknownTickerError
from b3shared.models.base import Forecast
from b3shared.registry import checked_model_type
from b3shared.serving.explanation import explain
from b3shared.serving.live import Live, Version
from b3shared.serving.offer import is_other_code
from b3shared.serving.snapshot import Snapshot
from b3shared.serving.windows import NO_ROW, longest_gap

FRESH_SESSIONS = 3
"""Sessions of the exchange since a ticker's last one up to which an answer is fresh: a long weekend, a late file."""
GONE_SESSIONS = 20
"""Sessions of the market without the ticker after which it is taken for delisted, renamed or suspended."""
OTHER_CODE = "features are computed by other code than the version learnt from: retrain"
SUCCESS = "Prediction completed successfully"


class Predictor:
    """Answers for tickers from what is live.

    Args:
        live: what is live.
        today: gives the current date in São Paulo, for the age of the data.
    """

    def __init__(self, live: Live, today: Callable[[], date]) -> None:
        self.live, self.today = live, today

    def predict(self, ticker: str, model_type: str = "rf", model_version: str | None = None) -> dict[str, Any]:
        """The whole answer for one ticker.

        Args:
            ticker: trimmed and put in capitals.
            model_type: any accepted name.
            model_version: None for the live one.

        Raises:
            UnknownTickerError: Not in the lake, or gone from the market.
            TooLittleHistoryError: Its newest session lacks features, it trades too little, or too seldom for a window.
            NothingLiveError: No version or no snapshot is live.
            UnknownModelError: ``model_version`` is not registered.
            IncompatibleFeaturesError: The snapshot does not have what the version needs.
            InvalidParameterError: There is no such model type.
        """
        kind, snapshot, version = self._ask(model_type, model_version)
        row = find(snapshot, ticker)
        window = check_usable(snapshot, row, version)
        forecast = version.scorer.score(window[None], snapshot.volatility[[row]])
        return self._answer(snapshot, row, kind, version, window, forecast) | {"requested_model_type": model_type}

    def batch(
        self, tickers: Sequence[str] | None, model_type: str = "rf", model_version: str | None = None
    ) -> dict[str, Any]:
        """One short row per ticker, and the reason for every ticker without a forecast.

        Args:
            tickers: None for all of the snapshot; one that is named twice is answered once.
            model_type: any accepted name.
            model_version: None for the live one.

        Raises:
            As :meth:`predict`, except for what is wrong with a single ticker.
        """
        kind, snapshot, version = self._ask(model_type, model_version)
        rows, windows, errors = [], [], []
        for ticker in snapshot.ticker.tolist() if tickers is None else dict.fromkeys(t.strip().upper() for t in tickers):
            try:
                row = find(snapshot, ticker)
                windows.append(check_usable(snapshot, row, version))
                rows.append(row)
            except (UnknownTickerError, TooLittleHistoryError) as error:
                errors.append({"ticker": ticker, "code": error.code, "message": error.message})
        predictions = []
        if rows:
            forecast = version.scorer.score(np.stack(windows), snapshot.volatility[rows])
            actions = version.scorer.decide(forecast)
            predictions = [self._row(snapshot, row, kind, version, forecast, actions, n) for n, row in enumerate(rows)]
        return {
            "status": "success",
            "message": f"forecasts: {len(predictions)}; tickers without one: {len(errors)}",
            "predictions": predictions,
            "errors": errors,
            "classes": list(CLASSES),
            "model_type": kind,
            "requested_model_type": model_type,
            "model_version": version.name,
            "skill": self.live.skill(kind, version),
            "as_of": str(snapshot.as_of),
        }

    def _ask(self, model_type: str, model_version: str | None) -> tuple[str, Snapshot, Version]:
        """Type, snapshot and version of a request."""
        self.live.refresh()
        kind = checked_model_type(model_type)
        snapshot, version = self.live.snapshot, self.live.version(kind, model_version)
        check_fits(snapshot, version)
        return kind, snapshot, version

    def _answer(
        self, snapshot: Snapshot, row: int, kind: str, version: Version, window: FloatArray, forecast: Forecast
    ) -> dict[str, Any]:
        metadata = version.scorer.metadata
        action = int(version.scorer.decide(forecast)[0])
        of_window = window.shape if version.scorer.takes_sequences else (None, None)
        reasons = self._degraded(snapshot, row, kind, version)
        return {
            "status": "success",
            "message": "; ".join(reasons) or SUCCESS,
            "ticker": str(snapshot.ticker[row]),
            "company": str(snapshot.company[row]),
            "predictions": [CLASSES[action]],
            "prediction_probabilities": forecast.probabilities.tolist(),
            "classes": list(CLASSES),
            "base_rates": version.scorer.base_rates.tolist(),
            "decision": metadata["decision"],
            "feature_importance": metadata["importance"],
            "explanation": explain(version.scorer, window, snapshot.volatility[row], action, forecast),
            **expected(snapshot, row, version, forecast, 0),
            "input_shape": [1, *window.shape],
            "features_used": list(version.scorer.feature_names),
            "sequence_length": of_window[0],
            "features_count": of_window[1],
            "model_type": kind,
            "model_source": f"models/{self.live.namespace}/{kind}/{version.name}",
            "model_version": version.name,
            "target": version.manifest.get("target"),
            "skill": self.live.skill(kind, version),
            "as_of": str(snapshot.date[row]),
            "data_age_sessions": self._age(snapshot, row),
            "degraded": bool(reasons),
        }

    def _row(
        self, snapshot: Snapshot, row: int, kind: str, version: Version, forecast: Forecast, actions: IntArray, n: int
    ) -> dict[str, Any]:
        reasons = self._degraded(snapshot, row, kind, version)
        return {
            "ticker": str(snapshot.ticker[row]),
            "prediction": CLASSES[int(actions[n])],
            "probabilities": forecast.probabilities[n].tolist(),
            **expected(snapshot, row, version, forecast, n),
            "as_of": str(snapshot.date[row]),
            "data_age_sessions": self._age(snapshot, row),
            "degraded": bool(reasons),
            "message": "; ".join(reasons) or SUCCESS,
        }

    def _age(self, snapshot: Snapshot, row: int) -> int:
        """Sessions of the exchange between the row's and today: those that the data could have and do not."""
        return int(snapshot.age[row] + np.searchsorted(snapshot.upcoming, np.datetime64(self.today())))

    def _degraded(self, snapshot: Snapshot, row: int, kind: str, version: Version) -> list[str]:
        """What keeps the answer from being what a fresh one would be; empty if nothing does."""
        reasons = []
        if (age := self._age(snapshot, row)) > FRESH_SESSIONS:
            reasons.append(f"the newest quote is of {snapshot.date[row]}, {age} sessions ago")
        if behind := int(snapshot.age[row]):
            reasons.append(f"the ticker did not trade in the market's last {behind} session{'s' if behind > 1 else ''}")
        if is_other_code(version.manifest, snapshot.feature_code):
            reasons.append(OTHER_CODE)
        return reasons + self.live.doubts(kind, version)


def find(snapshot: Snapshot, ticker: str) -> int:
    """Row of a ticker, trimmed and in capitals; UnknownTickerError says what else it may be."""
    wanted = ticker.strip().upper()
    row = int(np.searchsorted(snapshot.ticker, wanted))
    if row < len(snapshot.ticker) and snapshot.ticker[row] == wanted:
        return row
    # the first letter is seldom mistyped, and comparing with every ticker would make a long batch of unknown ones slow
    near = get_close_matches(wanted, [t for t in snapshot.ticker.tolist() if t[0] == wanted[:1]], n=3)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    raise UnknownTickerError(f"there are no quotes of {wanted or ticker!r}{hint}", ticker=wanted, similar=near)


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
        UnknownTickerError: The ticker is gone from the market, or not among those that the version learnt.
        TooLittleHistoryError: Features are missing, the ticker trades less than those that the version learnt from, or
            its window jumps over more sessions of the market than a window of the training may.
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
        word = f"it trades as {successor} now" if successor else "it was delisted, renamed or suspended"
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
            f"{ticker} has {have} sessions of history; {minimum} are needed", have=have, needed=minimum
        )
    turnover, limit = float(snapshot.turnover[row]), version.params.min_turnover
    if turnover <= limit:
        raise TooLittleHistoryError(
            f"{ticker} trades too little: its median turnover is R$ {turnover:,.0f} a session, and the model learnt from "
            f"tickers above R$ {limit:,.0f}",
            have=round(turnover, 2),
            needed=limit,
        )
    if names := [n for n, value in zip(version.scorer.feature_names, window[-1], strict=True) if not np.isfinite(value)]:
        raise TooLittleHistoryError(f"{ticker} lacks features in its newest session: {', '.join(names)}", missing=names)
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


def expected(snapshot: Snapshot, row: int, version: Version, forecast: Forecast, n: int) -> dict[str, Any]:
    """The ``n``-th return of a forecast as return and price, with its interval; None for a version that says none."""
    close = float(snapshot.close[row])
    found: dict[str, Any] = {"predicted_return": None, "predicted_price": None, "interval": None, "last_price": close}
    scale = version.scorer.return_scale
    if scale is None or forecast.returns is None or forecast.intervals is None:
        return found
    returns, (low, high) = float(forecast.returns[n]), forecast.intervals[n].tolist()
    interval = {"level": scale.level, "return_low": low, "return_high": high}
    interval |= {"price_low": close * (1.0 + low), "price_high": close * (1.0 + high)}
    return found | {"predicted_return": returns, "predicted_price": close * (1.0 + returns), "interval": interval}


def _lookback(version: Version) -> int:
    """Sessions that the version's input spans."""
    return version.params.lookback if version.scorer.takes_sequences else 1


def _successor(snapshot: Snapshot, row: int) -> str | None:
    """A ticker that trades under the same ISIN."""
    isin = snapshot.isin[row]
    same = np.flatnonzero((snapshot.isin == isin) & (snapshot.isin != "") & (snapshot.age <= GONE_SESSIONS))
    return str(snapshot.ticker[same[0]]) if len(same) == 1 else None
