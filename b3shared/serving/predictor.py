"""Answers forecasts for tickers, with their reasons and their limits."""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.core.vocabulary import CLASSES
from b3shared.models.base import Forecast
from b3shared.params.models import DEFAULT_MODEL_TYPE, model_spec
from b3shared.registry.compatibility import learned_from_other_features
from b3shared.registry.key import ModelKey
from b3shared.serving.explanation import explain
from b3shared.serving.live import Live
from b3shared.serving.rows import (
    check_fits,
    check_usable,
    dividends_known_until,
    dividends_left_out,
    expected,
    find,
)
from b3shared.serving.scoring import score_tickers
from b3shared.serving.snapshot import Snapshot
from b3shared.serving.version import Version

FRESH_SESSIONS = 3
"""Sessions since a ticker's newest quote up to which an answer counts as fresh.

They allow for a long weekend and a late file.
"""
OTHER_FEATURES = "the features have changed since this version learned: retrain"
SUCCESS = "Prediction completed successfully"


class Predictor:
    """Answers for tickers from what is live.

    Args:
        live: what is live.
        today: gives the current date in São Paulo, for the age of the data.
    """

    def __init__(self, live: Live, today: Callable[[], date]) -> None:
        self.live = live
        self.today = today

    def predict(
        self, ticker: str, model_type: str = DEFAULT_MODEL_TYPE, model_version: str | None = None
    ) -> dict[str, Any]:
        """Return the complete answer for one ticker.

        Args:
            ticker: trimmed and put in capitals.
            model_type: any accepted name.
            model_version: None for the live one.

        Raises:
            UnknownTickerError: Not in the lake, or gone from the market.
            TooLittleHistoryError: Its newest session lacks features, it trades too little, or too
                seldom for a window.
            NothingLiveError: No version or no snapshot is live.
            UnknownModelError: ``model_version`` is not registered.
            IncompatibleFeaturesError: The snapshot does not have what the version needs.
            InvalidParameterError: There is no such model type.
        """
        kind, snapshot, version = self._ask(model_type, model_version)
        row = find(snapshot, ticker)
        window = check_usable(snapshot, row, version)

        forecast = version.scorer.score(window[None], snapshot.volatility[[row]])
        return self._answer(snapshot, row, kind, version, window, forecast) | {
            "requested_model_type": model_type
        }

    def batch(
        self,
        tickers: Sequence[str] | None,
        model_type: str = DEFAULT_MODEL_TYPE,
        model_version: str | None = None,
    ) -> dict[str, Any]:
        """Return one short row per ticker, and the reason for every ticker without a forecast.

        Args:
            tickers: None for all of the snapshot; one that is named twice is answered once.
            model_type: any accepted name.
            model_version: None for the live one.

        Raises:
            As :meth:`predict`, except for what is wrong with a single ticker.
        """
        kind, snapshot, version = self._ask(model_type, model_version)
        asked = snapshot.ticker.tolist() if tickers is None else tickers
        scores = score_tickers(snapshot, version, dict.fromkeys(t.strip().upper() for t in asked))

        predictions = []
        if scores.forecast is not None:
            predictions = [
                self._row(snapshot, row, kind, version, scores.forecast, scores.actions, n)
                for n, row in enumerate(scores.rows)
            ]

        errors = [
            {"ticker": ticker, "code": error.code, "message": error.message}
            for ticker, error in scores.refused.items()
        ]
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
        """Return the type, the snapshot and the version of a request."""
        kind = model_spec(model_type).name
        snapshot, version = self.live.ask(kind, model_version)
        check_fits(snapshot, version)
        return kind, snapshot, version

    def _answer(
        self,
        snapshot: Snapshot,
        row: int,
        kind: str,
        version: Version,
        window: FloatArray,
        forecast: Forecast,
    ) -> dict[str, Any]:
        metadata = version.scorer.metadata
        action = int(version.scorer.decide(forecast)[0])
        of_window = window.shape if version.scorer.takes_sequences else (None, None)

        reasons = self._degraded(snapshot, row, kind, version)
        skill = self.live.skill(kind, version)

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
            "explanation": explain(
                version.scorer,
                window,
                snapshot.volatility[row],
                action,
                forecast,
                skill,
                notes=dividends_left_out(snapshot, row),
            ),
            **expected(snapshot, row, version, forecast, 0),
            "input_shape": [1, *window.shape],
            "features_used": list(version.scorer.feature_names),
            "sequence_length": of_window[0],
            "features_count": of_window[1],
            "model_type": kind,
            "model_source": f"models/{ModelKey(self.live.namespace, kind)}/{version.name}",
            "model_version": version.name,
            "target": version.manifest.get("target"),
            "skill": skill,
            "as_of": str(snapshot.date[row]),
            "data_age_sessions": self._age(snapshot, row),
            "dividends_known_until": dividends_known_until(snapshot, row),
            "degraded": bool(reasons),
        }

    def _row(
        self,
        snapshot: Snapshot,
        row: int,
        kind: str,
        version: Version,
        forecast: Forecast,
        actions: IntArray,
        n: int,
    ) -> dict[str, Any]:
        reasons = self._degraded(snapshot, row, kind, version)

        return {
            "ticker": str(snapshot.ticker[row]),
            "prediction": CLASSES[int(actions[n])],
            "probabilities": forecast.probabilities[n].tolist(),
            **expected(snapshot, row, version, forecast, n),
            "as_of": str(snapshot.date[row]),
            "data_age_sessions": self._age(snapshot, row),
            "dividends_known_until": dividends_known_until(snapshot, row),
            "degraded": bool(reasons),
            "message": "; ".join(reasons) or SUCCESS,
        }

    def _age(self, snapshot: Snapshot, row: int) -> int:
        """Count the sessions of the exchange from the row's newest one until today."""
        return int(snapshot.age[row]) + snapshot.sessions_until(self.today())

    def _degraded(self, snapshot: Snapshot, row: int, kind: str, version: Version) -> list[str]:
        """List the reasons why the answer is not as good as a fresh one."""
        reasons = []
        if (age := self._age(snapshot, row)) > FRESH_SESSIONS:
            reasons.append(f"the newest quote is of {snapshot.date[row]}, {age} sessions ago")
        if behind := int(snapshot.age[row]):
            plural = "s" if behind > 1 else ""
            reasons.append(
                f"the ticker did not trade in the market's last {behind} session{plural}"
            )
        if learned_from_other_features(version.manifest, snapshot.features_version):
            reasons.append(OTHER_FEATURES)
        return reasons + self.live.doubts(kind, version)
