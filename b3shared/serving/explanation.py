"""Why a version says what it says of one row."""

from typing import Any

import numpy as np

from b3shared.dataset import CLASSES, FloatArray
from b3shared.models.base import Forecast
from b3shared.models.scorer import Scorer

REASONS = 5
"""Features that an explanation names."""
SAID = 3
"""Of these, how many the summary names on either side."""


def explain(scorer: Scorer, window: FloatArray, volatility: float, action: int, forecast: Forecast) -> dict[str, Any]:
    """How the forecast changes when one feature at a time takes its median of the training rows.

    Occlusion (Zeiler and Fergus 2014; Covert et al. 2021): all features in one batched call. Effects need not add up.

    Args:
        scorer: of the version.
        window: (features,) or (lookback, features) float32; in a window a feature is replaced in every session.
        volatility: of the row, as the forecast was made with.
        action: code into :data:`b3shared.dataset.CLASSES`.
        forecast: what the version says of the window, its one row.

    Returns:
        ``summary``, ``method`` and ``reasons``: the strongest features with their value in the newest session, the
        median, the effect: by how much the action's probability falls without the feature (below 0: it rises), and the
        same of the return, None where the version says none. The action's effect ranks them.
    """
    probability = forecast.probabilities[0]
    medians = np.asarray(scorer.metadata["medians"], dtype=np.float32)
    which = np.arange(len(medians))
    occluded = np.repeat(window[None], len(medians), axis=0)
    occluded[which, ..., which] = medians.reshape(-1, *[1] * (window.ndim - 1))
    without = scorer.score(occluded, np.full(len(medians), volatility))
    effect = probability[action] - without.probabilities[:, action]
    on_return = None if forecast.returns is None or without.returns is None else forecast.returns[0] - without.returns
    newest = np.atleast_2d(window)[-1]
    reasons = [
        {
            "feature": scorer.feature_names[n],
            "value": float(newest[n]),
            "typical": float(medians[n]),
            "effect": float(effect[n]),
            "return_effect": None if on_return is None else float(on_return[n]),
        }
        for n in np.argsort(-np.abs(effect), kind="stable")[:REASONS]
    ]
    base = float(scorer.base_rates[action])
    said = f"{CLASSES[action]} {probability[action]:.1%}, in {base:.1%} of the training rows"
    return {
        "summary": "; ".join([said, *_sides(reasons)]),
        "method": "occlusion to the training median",
        "reasons": reasons,
    }


def _sides(reasons: list[dict[str, Any]]) -> list[str]:
    """The features that speak for the action, and those that speak against it."""
    favouring = [r["feature"] for r in reasons if r["effect"] > 0][:SAID]
    opposing = [r["feature"] for r in reasons if r["effect"] < 0][:SAID]
    sides = [("for it", favouring), ("against it", opposing)]
    said = [f"{word}: {', '.join(names)}" for word, names in sides if names]
    return said or ["no single feature moves it"]
