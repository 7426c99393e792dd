"""Explains the forecast of one row by the features that move it most."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from b3shared.core.arrays import FloatArray
from b3shared.core.skill import in_words
from b3shared.core.vocabulary import BUY, CLASSES, SELL
from b3shared.models.base import Forecast
from b3shared.models.decision import propose
from b3shared.models.scorer import Scorer

REASONS = 5
"""Features that an explanation names."""
NAMED = 3
"""Features that the summary names on either side."""


def explain(
    scorer: Scorer,
    window: FloatArray,
    volatility: float,
    action: int,
    forecast: Forecast,
    skill: str,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Explain a forecast by replacing one feature at a time with its median in the training.

    Occlusion (Zeiler and Fergus 2014; Covert et al. 2021): all features in one batched call.
    Effects need not add up.

    Args:
        scorer: of the version.
        window: (features,) or (lookback, features) float32; in a window a feature is replaced in
            every session.
        volatility: of the row, as the forecast was made with.
        action: code into :data:`b3shared.core.vocabulary.CLASSES`.
        forecast: what the version predicts for the window, its one row.
        skill: the verdict of the version's evaluation.
        notes: sentences on what the forecast leaves out.

    Returns:
        ``summary`` (sentences: the most probable class, the action, the skill, the features for and
        against it, the notes), ``method`` and ``reasons``: the strongest features with their value
        in the newest session, the median, the effect: by how much the action's probability falls
        without the feature (below 0: it rises), and the same of the return, None where the version
        predicts none. The action's effect ranks them.
    """
    probability = forecast.probabilities[0]
    medians = np.asarray(scorer.metadata["medians"], dtype=np.float32)
    which = np.arange(len(medians))
    occluded = np.repeat(window[None], len(medians), axis=0)
    occluded[which, ..., which] = medians.reshape(-1, *[1] * (window.ndim - 1))

    without = scorer.score(occluded, np.full(len(medians), volatility))
    effect = probability[action] - without.probabilities[:, action]
    on_return = (
        None
        if forecast.returns is None or without.returns is None
        else forecast.returns[0] - without.returns
    )

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
    return {
        "summary": " ".join(
            [
                *_called(scorer, forecast, action),
                _sentence(in_words(skill)),
                *_sides(reasons),
                *notes,
            ]
        ),
        "method": "occlusion to the training median",
        "reasons": reasons,
    }


def _called(scorer: Scorer, forecast: Forecast, action: int) -> list[str]:
    """Return sentences with the most probable class and, if it differs, the action."""
    chances = forecast.probabilities[0]
    likeliest = int(np.argmax(chances))
    sentences = [f"Most likely: {_chance(scorer, chances, likeliest)}."]

    (proposed,) = propose(
        forecast.probabilities, scorer.base_rates, scorer.metadata["decision"]
    ).tolist()
    if proposed != action:
        sentences.append(f"{_contradiction(scorer, forecast, proposed)}: so {CLASSES[action]}.")
    elif action != likeliest:
        sentences.append(f"Leaning: {_chance(scorer, chances, action)}.")
    return sentences


def _contradiction(scorer: Scorer, forecast: Forecast, proposed: int) -> str:
    """State why the action that the rule proposed was not taken."""
    chances = forecast.probabilities[0]
    other = SELL if proposed == BUY else BUY
    opening = f"Leaning to {_chance(scorer, chances, proposed)}, but"
    if chances[other] >= chances[proposed] or forecast.returns is None:
        word = "as likely" if chances[other] == chances[proposed] else "more likely"
        return f"{opening} {CLASSES[other]} is {word} ({_percent(chances[other])})"
    return f"{opening} the expected return is {100 * forecast.returns[0]:+.3f} %"


def _chance(scorer: Scorer, chances: FloatArray, code: int) -> str:
    """Return a class with its probability and its share of the training rows."""
    return (
        f"{CLASSES[code]} ({_percent(chances[code])}, usually {_percent(scorer.base_rates[code])})"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _sides(reasons: list[dict[str, Any]]) -> list[str]:
    """Return sentences with the features for the action and those against it."""
    favouring = [r["feature"] for r in reasons if r["effect"] > 0][:NAMED]
    opposing = [r["feature"] for r in reasons if r["effect"] < 0][:NAMED]
    sides = [("For it", favouring), ("Against it", opposing)]
    sentences = [f"{word}: {', '.join(names)}." for word, names in sides if names]
    return sentences or ["No single feature moves it."]
