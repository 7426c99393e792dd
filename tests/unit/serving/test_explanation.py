"""The summary and the reasons of an answer agree with its figures."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from predictor_world import World
from served_store import (
    FEATURES,
    MEDIANS,
    TICKERS,
    WINDOWS,
    register_tiny,
    serve,
    tiny_snapshot,
)

from b3shared.core.vocabulary import CLASSES
from b3shared.models.base import Forecast
from b3shared.models.decision import decide
from b3shared.registry.promotion import promote
from b3shared.serving.explanation import explain


def test_the_summary_separates_reasons_for_and_against(tiny: World) -> None:
    answer = tiny.predict("VALE3")
    summary, reasons = answer["explanation"]["summary"], answer["explanation"]["reasons"]
    assert len(reasons) == len(FEATURES)
    sides = dict(re.findall(r"(For it|Against it): ([^.]*)\.", summary))
    favouring = [r["feature"] for r in reasons if r["effect"] > 0]
    opposing = [r["feature"] for r in reasons if r["effect"] < 0]

    assert sides.get("For it", "") == ", ".join(favouring)
    assert sides.get("Against it", "") == ", ".join(opposing)
    assert (
        f" The model shows {'a little' if answer['skill'] == 'weak' else 'no'} skill on the "
        "test dates" in summary
    )


def test_the_summary_names_the_likeliest_class_and_then_the_action(tiny: World) -> None:
    seen = set()

    for ticker in TICKERS:
        answer = tiny.predict(ticker)
        chances, base = answer["prediction_probabilities"][0], answer["base_rates"]
        told = [
            f"{c} ({100 * p:.1f} %, usually {100 * b:.1f} %)"
            for c, p, b in zip(CLASSES, chances, base, strict=True)
        ]
        likeliest, action = int(np.argmax(chances)), CLASSES.index(answer["predictions"][0])
        summary = answer["explanation"]["summary"]
        assert summary.startswith(f"Most likely: {told[likeliest]}. ")
        assert (f" Leaning: {told[action]}. " in summary) == (action != likeliest)
        seen.add(action != likeliest)
    assert True in seen


def scored(
    row: list[float], expected: float | None = None, decision: str = "lift"
) -> tuple[Any, Forecast]:
    """A scorer that always answers the same row of probabilities, and its forecast."""
    returns = None if expected is None else np.array([expected])
    forecast = Forecast(np.array([row]), returns, None)
    metadata = {"decision": decision, "medians": [0.0]}
    answers = SimpleNamespace(
        metadata=metadata, base_rates=np.array([0.31, 0.41, 0.28]), feature_names=("momentum",)
    )
    answers.score = lambda *_: forecast
    return answers, forecast


@pytest.mark.parametrize(
    ("row", "expected", "opening"),
    [
        (
            [0.337, 0.416, 0.247],
            0.002,
            "Most likely: hold (41.6 %, usually 41.0 %). Leaning: buy (33.7 %, usually 31.0 %). "
            "The model ",
        ),
        ([0.25, 0.50, 0.25], None, "Most likely: hold (50.0 %, usually 41.0 %). The model "),
        (
            [0.308, 0.395, 0.297],
            None,
            "Most likely: hold (39.5 %, usually 41.0 %). Leaning to sell (29.7 %, usually 28.0 %), "
            "but buy is more likely (30.8 %): so hold. The model ",
        ),
        (
            [0.3, 0.4, 0.3],
            None,
            "Most likely: hold (40.0 %, usually 41.0 %). Leaning to sell (30.0 %, usually 28.0 %), "
            "but buy is as likely (30.0 %): so hold. The model ",
        ),
        (
            [0.337, 0.416, 0.247],
            -0.0005,
            "Most likely: hold (41.6 %, usually 41.0 %). Leaning to buy (33.7 %, usually 31.0 %), "
            "but the expected return is -0.050 %: so hold. The model ",
        ),
    ],
    ids=["leaning", "hold", "other side likelier", "sides equal", "return contradicts"],
)
def test_the_summary_says_why_a_side_is_not_called(
    row: list[float], expected: float | None, opening: str
) -> None:
    scorer, forecast = scored(row, expected)
    (action,) = decide(forecast.probabilities, scorer.base_rates, "lift", forecast.returns)
    found = explain(scorer, np.zeros(1, np.float32), 0.02, int(action), forecast, "none")
    assert found["summary"].startswith(opening)
    assert found["summary"].endswith("cannot be told from chance. No single feature moves it.")


def test_a_row_of_medians_has_no_reasons(tiny: World, tmp_path: Path) -> None:
    medians = np.broadcast_to(np.array(MEDIANS, np.float32), (4, 4, 3)).copy()
    serve(tiny.store, replace(tiny_snapshot(), windows={WINDOWS: medians}), tmp_path / "medians")
    explanation = tiny.predict("PETR4")["explanation"]
    assert explanation["summary"].endswith(" No single feature moves it.")
    assert {reason["effect"] for reason in explanation["reasons"]} == {0.0}


@pytest.mark.parametrize("kind", ["rf", "lstm"])
def test_no_answers_text_contradicts_its_figures(kind: str, tmp_path: Path) -> None:
    world, words = World(tmp_path / "store"), set()
    serve(world.store, tiny_snapshot(), tmp_path / "snapshot")

    for seed in range(12):
        lookback = {"lookback": 4} if kind == "lstm" else {}
        version = register_tiny(world.store, tmp_path / str(seed), seed, kind, **lookback)
        promote(world.store, "models", kind, version, who="test", why="test")
        rows = world.batch(None, model_type=kind, model_version=version)["predictions"]
        for row in rows:
            buy, _, sell = row["probabilities"]
            direction = {"buy": 1, "hold": 0, "sell": -1}[row["prediction"]]
            assert direction in (0, np.sign(buy - sell))
            if row["predicted_return"] is not None:
                assert direction in (0, np.sign(row["predicted_return"]))
            assert world.predict(row["ticker"], model_type=kind, model_version=version)[
                "predictions"
            ] == [row["prediction"]]
            words.add(row["prediction"])
    assert words == set(CLASSES)


def test_the_action_is_the_class_of_greatest_lift_if_its_figures_agree(tiny: World) -> None:
    commonest = 0
    for ticker in TICKERS:
        answer = tiny.predict(ticker)
        probabilities = np.array(answer["prediction_probabilities"][0])
        code = int(decide(probabilities[None], np.array(answer["base_rates"]), "lift")[0])
        assert answer["predictions"] == [CLASSES[code]]
        commonest += answer["predictions"] == [CLASSES[int(probabilities.argmax())]]
    assert commonest < len(TICKERS)  # else the two rules could not be told apart here
