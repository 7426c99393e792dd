"""Answers of a model that looks back over a window: returns, prices, windows refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from predictor_world import World
from served_store import (
    FEATURES,
    MEDIANS,
    SCALE,
    TICKERS,
    VOLATILITY,
    WINDOWS,
    register_tiny,
    serve,
    tiny_snapshot,
    weights,
)

from b3shared.core.errors import (
    IncompatibleFeaturesError,
    TooLittleHistoryError,
)
from b3shared.core.vocabulary import CLASSES
from b3shared.registry.promotion import promote
from b3shared.serving.live import CHECK_SECONDS


def test_a_sequence_model_gets_its_window_and_answers_return_and_price(
    tiny: World, tmp_path: Path
) -> None:
    version = register_tiny(tiny.store, tmp_path / "lstm", 7, "lstm", lookback=3)
    promote(tiny.store, "models", "lstm", version, who="test", why="test")
    tiny.now += CHECK_SECONDS
    answer = tiny.predict("PETR4", model_type="lstm_mtl")
    window = tiny.live.snapshot.windows[WINDOWS][
        2, -3:
    ]  # the snapshot holds four sessions, the model looks back three
    actions, returns = weights(7)

    def model(rows: np.ndarray) -> np.ndarray:
        """Make a model of the mean's softmax, calibrated from equal priors to the class shares."""
        raw = np.exp(rows.mean(axis=0) @ actions) * answer["base_rates"]
        return raw / raw.sum()

    np.testing.assert_allclose(answer["prediction_probabilities"][0], model(window), atol=1e-6)
    unit = VOLATILITY[2] * 2.0  # a horizon of four sessions

    def said(rows: np.ndarray) -> float:
        return float((rows.mean(axis=0) @ returns)[0]) * unit

    expected, half = said(window), SCALE["quantile"] * unit
    assert answer["predicted_return"] == pytest.approx(expected, abs=1e-7)
    assert answer["predicted_price"] == pytest.approx(30.0 * (1 + expected), abs=1e-5)
    assert answer["interval"] == {
        "level": 0.8,
        "return_low": pytest.approx(expected - half, abs=1e-7),
        "return_high": pytest.approx(expected + half, abs=1e-7),
        "price_low": pytest.approx(30.0 * (1 + expected - half), abs=1e-5),
        "price_high": pytest.approx(30.0 * (1 + expected + half), abs=1e-5),
    }
    assert (answer["input_shape"], answer["sequence_length"], answer["features_count"]) == (
        [1, 3, 3],
        3,
        3,
    )
    assert (answer["model_type"], answer["requested_model_type"]) == ("lstm", "lstm_mtl")
    action = CLASSES.index(answer["predictions"][0])
    for reason in answer["explanation"]["reasons"]:
        n = FEATURES.index(reason["feature"])
        without = window.copy()
        without[:, n] = MEDIANS[n]
        assert reason["effect"] == pytest.approx(
            model(window)[action] - model(without)[action], abs=1e-6
        )
        assert reason["return_effect"] == pytest.approx(said(window) - said(without), abs=1e-7)
        assert reason["value"] == pytest.approx(float(window[-1, n]))


def test_each_ticker_of_a_batch_of_sequences_gets_its_own_price_and_interval(
    tiny: World, tmp_path: Path
) -> None:
    version = register_tiny(tiny.store, tmp_path / "lstm", 7, "lstm", lookback=4)
    promote(tiny.store, "models", "lstm", version, who="test", why="test")
    rows = tiny.batch(None, model_type="lstm")["predictions"]
    assert [row["ticker"] for row in rows] == list(TICKERS)

    widths = [row["interval"]["return_high"] - row["interval"]["return_low"] for row in rows]
    np.testing.assert_allclose(
        widths, [2 * SCALE["quantile"] * 2.0 * volatility for volatility in VOLATILITY], rtol=1e-12
    )
    for row in rows:
        single = tiny.predict(row["ticker"], model_type="lstm")
        assert row["predicted_price"] == pytest.approx(
            row["last_price"] * (1 + single["predicted_return"]), rel=1e-6
        )
        assert row["interval"] == pytest.approx(single["interval"], rel=1e-6)


def test_an_answered_return_is_never_below_minus_one(tiny: World, tmp_path: Path) -> None:
    serve(tiny.store, replace(tiny_snapshot(), volatility=np.full(4, 5.0)), tmp_path / "wild")
    version = register_tiny(tiny.store, tmp_path / "lstm", 7, "lstm", lookback=4)
    interval = tiny.predict("PETR4", model_type="lstm", model_version=version)["interval"]
    assert (interval["return_low"], interval["price_low"]) == (-1.0, 0.0)


def test_a_window_with_a_gap_is_refused_and_one_that_the_training_would_take_is_not(
    tiny: World, tmp_path: Path
) -> None:
    version = register_tiny(tiny.store, tmp_path / "lstm", 7, "lstm", lookback=3, max_gap=5)
    sessions = tiny_snapshot().slots[WINDOWS]
    sessions[1] = [80, 100, 105, 110]  # a long gap before what the model looks at
    sessions[2] = [90, 99, 105, 106]
    serve(tiny.store, replace(tiny_snapshot(), slots={WINDOWS: sessions}), tmp_path / "gaps")
    assert tiny.predict("PETR3", model_type="lstm", model_version=version)["sequence_length"] == 3

    error = tiny.refusal("PETR4", model_type="lstm", model_version=version)
    assert isinstance(error, TooLittleHistoryError)
    assert error.message == (
        "PETR4 trades too seldom: two of its newest 3 usable sessions lie 6 sessions of the "
        "market apart, and version "
        f"{version} was trained on windows with at most 5"
    )
    assert error.details == {"gap": 6, "allowed": 5}

    batch = tiny.batch(["PETR3", "PETR4"], model_type="lstm", model_version=version)
    assert [e["message"] for e in batch["errors"]] == [error.message]
    assert tiny.predict("PETR4")["status"] == "success"  # the forest sees the newest session only


def test_a_snapshot_of_schema_1_answers_for_the_forest_and_refuses_sequences(
    tiny: World, tmp_path: Path
) -> None:
    version = register_tiny(tiny.store, tmp_path / "lstm", 7, "lstm", lookback=3)
    serve(tiny.store, replace(tiny_snapshot(), slots={}), tmp_path / "old")
    assert tiny.predict("PETR4")["status"] == "success"
    error = tiny.refusal("PETR4", model_type="lstm", model_version=version)
    assert isinstance(error, IncompatibleFeaturesError)
    assert "looks back 3 sessions; the snapshot of 2023-12-28 holds 1" in error.message


def test_a_ticker_with_too_few_usable_sessions_says_how_many_it_has(
    tiny: World, tmp_path: Path
) -> None:
    version = register_tiny(tiny.store, tmp_path / "lstm", 7, "lstm", lookback=3)
    snapshot = tiny_snapshot()
    snapshot.windows[WINDOWS][2, :2] = np.nan
    snapshot.slots[WINDOWS][2, :2] = -1
    serve(tiny.store, snapshot, tmp_path / "few")
    error = tiny.refusal("PETR4", model_type="lstm", model_version=version)
    assert isinstance(error, TooLittleHistoryError)
    assert error.message.startswith(
        "PETR4 has 2 sessions of complete features with enough turnover; version "
    )
    assert error.details == {"have": 2, "needed": 3}
