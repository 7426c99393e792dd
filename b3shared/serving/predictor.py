"""A forecast for a ticker, with its reasons and everything that keeps it from looking better than it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import Any

import numpy as np

from b3shared.dataset import CLASSES, FloatArray, IntArray
from b3shared.errors import B3Error, IncompatibleFeaturesError, TooLittleHistoryError, UnknownTickerError
from b3shared.models.base import Forecast
from b3shared.params import MODEL_TYPES, PipelineParams
from b3shared.serving.live import Live, Version
from b3shared.serving.offer import needed_offer
from b3shared.serving.snapshot import Snapshot

FRESH_SESSIONS = 3
"""Weekdays since a ticker's last session up to which an answer is fresh: a long weekend, a late file."""
GONE_SESSIONS = 20
"""Sessions of the market without the ticker after which it is taken for delisted, renamed or suspended."""
REASONS = 5
"""Features that an explanation names."""


@dataclass(frozen=True)
class Scored:
    """Rows of the snapshot with what a version says of them."""

    rows: IntArray
    forecast: Forecast
    actions: IntArray


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

        Raises:
            UnknownTickerError: Not in the lake, or gone from the market.
            TooLittleHistoryError: Its newest session lacks features, or it trades too little.
            NothingLiveError: No version or no snapshot is live.
            UnknownModelError: ``model_version`` is not registered.
        """
        self.live.refresh()
        kind = MODEL_TYPES[model_type.lower()]
        snapshot = self.live.snapshot
        version = self.live.version(kind, model_version or self.live.live_version(kind))
        row = find(snapshot, ticker)
        window = check_usable(snapshot, row, version)
        scored = self._score(version, np.array([row]), window[None])
        return self._answer(snapshot, version, scored, 0, window, requested=model_type, kind=kind)

    def batch(
        self, tickers: Sequence[str] | None, model_type: str = "rf", model_version: str | None = None
    ) -> dict[str, Any]:
        """One short row per ticker, and the reason for every ticker without a forecast.

        Args:
            tickers: None for all of the snapshot.
            model_type: any accepted name.
            model_version: None for the live one.
        """
        self.live.refresh()
        kind = MODEL_TYPES[model_type.lower()]
        snapshot = self.live.snapshot
        version = self.live.version(kind, model_version or self.live.live_version(kind))
        rows, windows, errors = [], [], []
        for ticker in snapshot.ticker.tolist() if tickers is None else dict.fromkeys(tickers):
            try:
                row = find(snapshot, ticker)
                windows.append(check_usable(snapshot, row, version))
                rows.append(row)
            except B3Error as error:
                errors.append({"ticker": ticker.strip().upper(), "code": error.code, "message": error.message})
        predictions = []
        if rows:
            scored = self._score(version, np.array(rows), np.stack(windows))
            predictions = [self._row(snapshot, scored, n) for n in range(len(rows))]
        return {
            "status": "success",
            "message": f"{len(predictions)} forecasts, {len(errors)} tickers without one",
            "predictions": predictions,
            "errors": errors,
            "classes": list(CLASSES),
            "model_type": kind,
            "model_version": version.name,
            "skill": self.live.skill(kind, version),
            "as_of": str(snapshot.as_of),
        }

    def _score(self, version: Version, rows: IntArray, windows: FloatArray) -> Scored:
        forecast = version.scorer.score(windows)
        return Scored(rows, forecast, version.scorer.decide(forecast))

    def _answer(
        self, snapshot: Snapshot, version: Version, scored: Scored, n: int, window: FloatArray, *, requested: str, kind: str
    ) -> dict[str, Any]:
        metadata = version.scorer.metadata
        row, action = int(scored.rows[n]), int(scored.actions[n])
        reasons = self._degraded(snapshot, row)
        probability = scored.forecast.probabilities[n]
        returns = None if scored.forecast.returns is None else float(scored.forecast.returns[n])
        close = float(snapshot.close[row])
        return {
            "status": "success",
            "message": "; ".join(reasons) if reasons else "Prediction completed successfully",
            "ticker": str(snapshot.ticker[row]),
            "company": str(snapshot.company[row]),
            "predictions": [CLASSES[action]],
            "prediction_probabilities": [probability.tolist()],
            "classes": list(CLASSES),
            "base_rates": version.scorer.base_rates.tolist(),
            "decision": metadata["decision"],
            "feature_importance": metadata["importance"],
            "explanation": explain(version, window, action, probability),
            "predicted_return": returns,
            "predicted_price": None if returns is None else close * (1.0 + returns),
            "interval": None,
            "last_price": close,
            "input_shape": [1, *window.shape],
            "features_used": list(version.scorer.feature_names),
            "model_type": kind,
            "requested_model_type": requested,
            "model_source": f"{self.live.storage.url}/models/{self.live.namespace}/{kind}/{version.name}",
            "model_version": version.name,
            "target": version.manifest.get("target"),
            "skill": self.live.skill(kind, version),
            "as_of": str(snapshot.date[row]),
            "data_age_sessions": self._age(snapshot, row),
            "degraded": bool(reasons),
        }

    def _row(self, snapshot: Snapshot, scored: Scored, n: int) -> dict[str, Any]:
        row = int(scored.rows[n])
        return {
            "ticker": str(snapshot.ticker[row]),
            "prediction": CLASSES[int(scored.actions[n])],
            "probabilities": scored.forecast.probabilities[n].tolist(),
            "predicted_return": None if scored.forecast.returns is None else float(scored.forecast.returns[n]),
            "last_price": float(snapshot.close[row]),
            "as_of": str(snapshot.date[row]),
            "data_age_sessions": self._age(snapshot, row),
            "degraded": bool(self._degraded(snapshot, row)),
        }

    def _age(self, snapshot: Snapshot, row: int) -> int:
        """Weekdays since the row's session; holidays count, so it is an upper bound on the sessions missed."""
        return int(np.busday_count(snapshot.date[row], np.datetime64(self.today())))

    def _degraded(self, snapshot: Snapshot, row: int) -> list[str]:
        reasons = []
        if (age := self._age(snapshot, row)) > FRESH_SESSIONS:
            reasons.append(f"the newest quote is of {snapshot.date[row]}, {age} sessions ago")
        if behind := int(snapshot.age[row]):
            reasons.append(f"the ticker missed the last {behind} sessions of the market")
        if self.live.stale_reason:
            reasons.append(self.live.stale_reason)
        return reasons


def find(snapshot: Snapshot, ticker: str) -> int:
    """Row of a ticker, trimmed and in capitals; UnknownTickerError says what else it may be."""
    wanted = ticker.strip().upper()
    row = int(np.searchsorted(snapshot.ticker, wanted))
    if row < len(snapshot.ticker) and snapshot.ticker[row] == wanted:
        return row
    near = get_close_matches(wanted, snapshot.ticker.tolist(), n=3)
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    raise UnknownTickerError(f"there are no quotes of {wanted or ticker!r}{hint}", ticker=wanted, similar=near)


def check_usable(snapshot: Snapshot, row: int, version: Version) -> FloatArray:
    """The input of the version for a row: (features,), or (lookback, features) for a model of sequences.

    Raises:
        UnknownTickerError: The ticker is gone from the market.
        TooLittleHistoryError: Features are missing: too little history, or too little turnover.
        IncompatibleFeaturesError: The snapshot has not the version's features.
    """
    offer = needed_offer(version.manifest)
    if list(snapshot.names.get(offer, ())) != list(version.scorer.feature_names):
        raise IncompatibleFeaturesError(f"the snapshot of {snapshot.as_of} does not have version {version.name}'s features")
    ticker, missed = str(snapshot.ticker[row]), int(snapshot.age[row])
    if missed > GONE_SESSIONS:
        successor = _successor(snapshot, row)
        word = f"it trades as {successor} now" if successor else "delisted, renamed or suspended"
        raise UnknownTickerError(
            f"{ticker} last traded on {snapshot.date[row]}, {missed} sessions ago: {word}",
            ticker=ticker,
            successor=successor,
        )
    window = snapshot.windows[offer][row]
    needed: FloatArray = window if version.scorer.takes_sequences else window[-1]
    if np.isfinite(needed).all():
        return needed
    params = PipelineParams.of(version.manifest["params"])
    have, minimum = int(snapshot.sessions[row]), params.min_history
    if have < minimum:
        raise TooLittleHistoryError(
            f"{ticker} has {have} sessions of history; {minimum} are needed", have=have, needed=minimum
        )
    raise TooLittleHistoryError(
        f"{ticker} has no complete features on {snapshot.date[row]}: its median turnover is "
        f"R$ {float(snapshot.turnover[row]):,.0f} a session, and above R$ {params.min_turnover:,.0f} is needed",
        turnover=float(np.nan_to_num(snapshot.turnover[row])),
        needed=params.min_turnover,
    )


def _successor(snapshot: Snapshot, row: int) -> str | None:
    """A ticker that trades under the same ISIN."""
    isin = snapshot.isin[row]
    same = np.flatnonzero((snapshot.isin == isin) & (snapshot.isin != "") & (snapshot.age <= GONE_SESSIONS))
    return str(snapshot.ticker[same[0]]) if len(same) == 1 else None


def explain(version: Version, window: FloatArray, action: int, probability: FloatArray) -> dict[str, Any]:
    """Why this action: how its probability changes when one feature at a time takes its median of the training rows.

    Occlusion (Zeiler and Fergus 2014; Covert et al. 2021): all features in one batched call. Effects need not add up.
    """
    medians = np.asarray(version.scorer.metadata["medians"], dtype=np.float32)
    count = len(medians)
    occluded = np.repeat(window[None], count, axis=0)
    which = np.arange(count)
    occluded[which, ..., which] = medians.reshape(-1, *[1] * (window.ndim - 1))
    without = version.scorer.score(occluded).probabilities[:, action]
    effect = float(probability[action]) - without
    newest = window if window.ndim == 1 else window[-1]
    strongest = np.argsort(-np.abs(effect), kind="stable")[:REASONS]
    names = version.scorer.feature_names
    base = float(version.scorer.base_rates[action])
    said = f"{CLASSES[action]}: {probability[action]:.1%} against {base:.1%} of all training rows"
    return {
        "summary": f"{said}; most of it from {', '.join(names[n] for n in strongest[:3])}",
        "method": "occlusion to the training median",
        "reasons": [
            {"feature": names[n], "value": float(newest[n]), "typical": float(medians[n]), "effect": float(effect[n])}
            for n in strongest
        ],
    }
