"""Answers are complete, equal those of the Python API, and state when they are not fresh."""

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from served_store import (
    FEATURES,
    MEDIANS,
    SCALE,
    TICKERS,
    VOLATILITY,
    WINDOWS,
    WatchedStorage,
    register_tiny,
    serve,
    tiny_snapshot,
    weights,
)
from small_run import SMALL

from b3shared.api.schemas import BatchAnswer, PredictAnswer
from b3shared.core.errors import (
    B3Error,
    IncompatibleFeaturesError,
    InvalidParameterError,
    TooLittleHistoryError,
    UnknownModelError,
    UnknownTickerError,
)
from b3shared.core.versions import FEATURES_VERSION
from b3shared.core.vocabulary import CLASSES
from b3shared.features.training_table import preprocess
from b3shared.models.base import Forecast
from b3shared.models.decision import decide
from b3shared.models.random_forest.model import RandomForestModel
from b3shared.models.scorer import Scorer
from b3shared.params.run import PipelineParams
from b3shared.pipeline.serving_snapshot import build_snapshot
from b3shared.registry.compatibility import universe_of, windows_name
from b3shared.registry.key import ModelKey
from b3shared.registry.promotion import promote
from b3shared.registry.release import Release
from b3shared.registry.versions import Registry
from b3shared.services import B3Model
from b3shared.serving.explanation import explain
from b3shared.serving.live import CHECK_SECONDS, Live
from b3shared.serving.predictor import FRESH_SESSIONS, OTHER_FEATURES, Predictor
from b3shared.serving.rows import GONE_SESSIONS
from b3shared.storage import FolderStorage

RF = ModelKey("models", "rf")

FOREST = {name: value for name, value in SMALL.items() if name != "tickers"}
PARAMS = PipelineParams.from_values(FOREST)
NEXT_DAY = date(
    2023, 12, 29
)  # a Friday; the newest session of the bundled quotes is the Thursday before


class World:
    """A store that is served, with a clock and a calendar that only move by hand."""

    def __init__(self, folder: Path) -> None:
        self.now, self.today, self.folder = 0.0, NEXT_DAY, folder
        self.store = WatchedStorage(folder)
        self.live = Live(self.store, clock=lambda: self.now)
        self.predictor = Predictor(self.live, lambda: self.today)

    def predict(self, ticker: str, **more: Any) -> dict[str, Any]:
        answer = self.predictor.predict(ticker, **more)
        PredictAnswer.model_validate(answer, strict=True)
        assert answer.keys() == PredictAnswer.model_fields.keys()
        return json.loads(json.dumps(answer, allow_nan=False))  # all of it is JSON

    def batch(self, tickers: list[str] | None, **more: Any) -> dict[str, Any]:
        answer = self.predictor.batch(tickers, **more)
        BatchAnswer.model_validate(answer, strict=True)
        assert answer.keys() == BatchAnswer.model_fields.keys()
        return json.loads(json.dumps(answer, allow_nan=False))

    def refusal(self, ticker: str, **more: Any) -> B3Error:
        with pytest.raises(B3Error) as caught:
            self.predictor.predict(ticker, **more)
        return caught.value


@pytest.fixture(scope="module")
def recent(bundled: pd.DataFrame) -> pd.DataFrame:
    """What publishing sees of the bundled quotes: the newest three years."""
    return bundled[bundled["date"] > "2020-12-28"].reset_index(drop=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A small run of the whole pipeline, served. Read-only."""
    folder = tmp_path_factory.mktemp("trained")
    B3Model(storage=folder).run(**FOREST)
    return World(folder)


def test_a_version_of_some_tickers_is_served_among_those_it_learnt_among(
    bundled: pd.DataFrame, tmp_path: Path
) -> None:
    """Training, the Python API and the served answer rank among the same eight tickers."""
    B3Model(storage=tmp_path).run(**SMALL)
    world = World(tmp_path)
    data = preprocess(
        bundled[bundled["ticker"].isin(SMALL["tickers"])].reset_index(drop=True),
        PipelineParams.from_values(SMALL),
    ).data
    newest = np.flatnonzero(data.date == data.date.max())
    world.live.refresh()
    expected = world.live.version("rf").scorer.score(data.X[newest]).probabilities
    by_hand = B3Model(storage=tmp_path).predict(bundled)
    for ticker, probabilities in zip(data.ticker[newest], expected, strict=True):
        np.testing.assert_allclose(
            world.predict(ticker)["prediction_probabilities"][0], probabilities, atol=1e-4
        )
        np.testing.assert_allclose(
            by_hand.loc[ticker, list(CLASSES)].astype(float), probabilities, atol=1e-9
        )
    refusal = world.refusal("GGBR4")
    assert refusal.code == "UNKNOWN_TICKER"
    assert "was trained on 8 tickers, and GGBR4 is not among them" in refusal.message


@pytest.fixture
def tiny(tmp_path: Path) -> World:
    """Four tickers, a model that can be computed by hand."""
    world = World(tmp_path / "store")
    serve(world.store, tiny_snapshot(), tmp_path / "snapshot")
    promote(
        world.store,
        "models",
        "rf",
        register_tiny(world.store, tmp_path / "rf", 1),
        who="test",
        why="test",
    )
    return world


@pytest.fixture(scope="module")
def odd(recent: pd.DataFrame, trained: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The trained version on a lake in which some tickers are not as they should be."""
    sessions = np.unique(recent["date"])
    gone = recent[(recent["ticker"] == "ABEV3") & (recent["date"] < sessions[-40])].assign(
        ticker="AMBV3"
    )
    lost = recent[(recent["ticker"] == "MGLU3") & (recent["date"] < sessions[-30])]
    late = recent[(recent["ticker"] == "BBAS3") & (recent["date"] < sessions[-3])]
    short = recent[(recent["ticker"] == "ITUB4") & (recent["date"] >= sessions[-100])]
    poor = recent[recent["ticker"] == "BBDC4"].copy()
    poor["volume"] //= 10_000
    kept = recent[~recent["ticker"].isin(["MGLU3", "BBAS3", "ITUB4", "BBDC4"])]
    lake = (
        pd.concat([kept, gone, lost, late, short, poor])
        .sort_values(["ticker", "date"])
        .reset_index(drop=True)
    )
    folder = tmp_path_factory.mktemp("odd")
    world = World(folder / "store")
    version = Release(trained.store).live("models", "rf")
    for key in trained.store.list(f"models/models/rf/{version}/"):
        world.store.put(key, trained.store.read(key))
    serve(
        world.store,
        build_snapshot(lake, PARAMS.lookback, {universe_of(PARAMS.model_dump(mode="json"))}),
        folder / "snapshot",
    )
    promote(world.store, "models", "rf", version, who="test", why="test")
    return world


# -- the numbers


def test_probabilities_are_those_of_the_python_api(trained: World, recent: pd.DataFrame) -> None:
    expected = B3Model(storage=trained.folder).predict(recent)
    assert len(expected) > 50
    for ticker, row in expected.iterrows():
        answer = trained.predict(ticker)
        np.testing.assert_allclose(
            answer["prediction_probabilities"][0], row[list(CLASSES)].tolist(), atol=1e-6, rtol=0
        )
        assert answer["predictions"] == [row["action"]]
        assert answer["last_price"] == row["last_price"]
        assert answer["model_version"] == row["model_version"]
        assert answer["as_of"] == str(row["as_of"].date())


def test_probabilities_are_those_of_the_trained_forest_on_the_same_rows(
    trained: World, recent: pd.DataFrame, tmp_path: Path
) -> None:
    data = preprocess(recent, PARAMS).data
    newest = np.flatnonzero(data.date == data.date.max())
    version = Release(trained.store).live("models", "rf")
    folder = Registry(trained.store, "models").fetch("rf", version, tmp_path)
    forest = RandomForestModel.load(folder, PARAMS)
    expected = forest.forecast(data, newest).probabilities
    batch = trained.batch(data.ticker[newest].tolist())
    got = [row["probabilities"] for row in batch["predictions"]]
    np.testing.assert_allclose(got, expected, atol=1e-6, rtol=0)
    assert [row["ticker"] for row in batch["predictions"]] == data.ticker[newest].tolist()


def test_a_batch_says_what_single_calls_say(trained: World) -> None:
    batch = trained.batch(None)
    assert len(batch["predictions"]) + len(batch["errors"]) == 62
    for row in batch["predictions"]:
        single = trained.predict(row["ticker"])
        np.testing.assert_allclose(
            row.pop("probabilities"), single["prediction_probabilities"][0], atol=1e-7, rtol=0
        )
        assert [row.pop("prediction")] == single["predictions"]
        assert row == {name: single[name] for name in row}
    for name in ("classes", "model_type", "model_version", "skill", "as_of"):
        assert batch[name] == trained.predict("PETR4")[name]


def test_the_explanation_is_what_replacing_one_feature_at_a_time_gives(
    trained: World, tmp_path: Path
) -> None:
    version = Release(trained.store).live("models", "rf")
    scorer = Scorer.load(Registry(trained.store, "models").fetch("rf", version, tmp_path))
    snapshot = trained.live.snapshot
    windows = snapshot.windows[windows_name("v2", universe_of(PARAMS.model_dump(mode="json")))]
    for ticker in ("PETR4", "WEGE3", "MGLU3"):
        answer = trained.predict(ticker)
        row, action = (
            windows[snapshot.ticker.tolist().index(ticker), -1],
            CLASSES.index(answer["predictions"][0]),
        )
        effects = {}
        for n, name in enumerate(scorer.feature_names):
            without = row.copy()
            without[n] = scorer.metadata["medians"][n]
            difference = (
                scorer.score(row[None]).probabilities[0]
                - scorer.score(without[None]).probabilities[0]
            )
            effects[name] = (
                float(difference[action]),
                float(row[n]),
                scorer.metadata["medians"][n],
            )
        reasons = answer["explanation"]["reasons"]
        for reason in reasons:
            expected = effects.pop(reason["feature"])
            np.testing.assert_allclose(
                (reason["effect"], reason["value"], reason["typical"]),
                expected,
                atol=1e-6,
                rtol=1e-6,
            )
        strength = [abs(reason["effect"]) for reason in reasons]
        assert strength == sorted(strength, reverse=True)
        assert max(abs(effect) for effect, *_ in effects.values()) <= min(strength) + 1e-9


def test_the_summary_tells_what_speaks_for_from_what_speaks_against(tiny: World) -> None:
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
    """A scorer that says one row of probabilities whatever it is asked, and its forecast."""
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
def test_no_answer_s_word_contradicts_its_figures(kind: str, tmp_path: Path) -> None:
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


def test_the_action_is_the_checked_one_of_greatest_lift(tiny: World) -> None:
    commonest = 0
    for ticker in TICKERS:
        answer = tiny.predict(ticker)
        probabilities = np.array(answer["prediction_probabilities"][0])
        code = int(decide(probabilities[None], np.array(answer["base_rates"]), "lift")[0])
        assert answer["predictions"] == [CLASSES[code]]
        commonest += answer["predictions"] == [CLASSES[int(probabilities.argmax())]]
    assert commonest < len(TICKERS)  # else the two rules could not be told apart here


def test_a_model_of_sequences_gets_its_window_and_says_return_and_price(
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


def test_a_return_is_never_below_losing_all(tiny: World, tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("until", "known", "said"),
    [
        ("2023-12-28", "2023-12-28", ""),
        ("2023-06-30", "2023-06-30", "Dividends after 2023-06-30 are not known: returns and "),
        ("NaT", None, "Dividends are not known: returns and features leave them out."),
        (None, None, "This snapshot does not say up to when dividends are known."),
    ],
)
def test_an_answer_says_up_to_when_dividends_are_known(
    until: str | None, known: str | None, said: str, tiny: World, tmp_path: Path
) -> None:
    days = None if until is None else np.full(4, np.datetime64(until, "D"))
    serve(tiny.store, replace(tiny_snapshot(), dividends_until=days), tmp_path / "dividends")
    answer = tiny.predict("PETR4")
    PredictAnswer.model_validate(answer)
    assert answer["dividends_known_until"] == known
    assert said in answer["explanation"]["summary"]
    assert answer["degraded"] is False
    (row,) = tiny.batch(["PETR4"])["predictions"]
    assert row["dividends_known_until"] == known


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


# -- the other fields


def test_every_other_field_says_what_is_known(trained: World) -> None:
    answer = trained.predict("PETR4", model_type="random_forest")
    version = Release(trained.store).live("models", "rf")
    manifest = Registry(trained.store, "models").manifest("rf", version)
    assert {
        name: answer[name]
        for name in ("status", "message", "ticker", "company", "classes", "degraded")
    } == {
        "status": "success",
        "message": "Prediction completed successfully",
        "ticker": "PETR4",
        "company": "PETROBRAS",
        "classes": ["buy", "hold", "sell"],
        "degraded": False,
    }
    assert (answer["model_type"], answer["requested_model_type"]) == ("rf", "random_forest")
    assert (answer["model_version"], answer["model_source"]) == (
        version,
        f"models/models/rf/{version}",
    )
    assert answer["features_used"] == manifest["features"] == list(answer["feature_importance"])
    assert sum(answer["feature_importance"].values()) == pytest.approx(1)
    assert answer["input_shape"] == [1, len(manifest["features"])]
    assert [answer[name] for name in ("predicted_return", "predicted_price", "interval")] == [
        None,
        None,
        None,
    ]
    assert [answer[name] for name in ("sequence_length", "features_count")] == [None, None]
    assert {reason["return_effect"] for reason in answer["explanation"]["reasons"]} == {None}
    assert answer["target"] == manifest["target"] == "direction, horizon 2, width 0.5"
    assert answer["decision"] == "lift"
    assert answer["skill"] == Release(trained.store).state().skill[RF]
    assert sum(answer["base_rates"]) == pytest.approx(1)
    assert sum(answer["prediction_probabilities"][0]) == pytest.approx(1)
    assert answer["explanation"]["method"] == "occlusion to the training median"
    assert (answer["as_of"], answer["data_age_sessions"]) == ("2023-12-28", 0)
    assert answer["dividends_known_until"] == "2023-12-28"
    assert "ividends" not in answer["explanation"]["summary"]


def test_a_registered_version_can_be_chosen_and_an_unknown_one_not(
    tiny: World, tmp_path: Path
) -> None:
    other = register_tiny(tiny.store, tmp_path / "other", 2, skill="proven")
    live, chosen = tiny.predict("PETR4"), tiny.predict("PETR4", model_version=other)
    assert (chosen["model_version"], chosen["skill"], live["skill"]) == (other, "proven", "weak")
    assert chosen["prediction_probabilities"] != live["prediction_probabilities"]
    assert tiny.batch(["PETR4"], model_version=other)["model_version"] == other
    with pytest.raises(UnknownModelError, match=f"{live['model_version']} is live"):
        tiny.predict("PETR4", model_version="20200101-00000000")
    with pytest.raises(InvalidParameterError, match=r"must be one of rf, .*, got 'svm'"):
        tiny.predict("PETR4", model_type="svm")


# -- tickers


@pytest.mark.parametrize("ticker", ["PETR4", "petr4", "  Petr4\n"])
def test_a_ticker_is_trimmed_and_put_in_capitals(tiny: World, ticker: str) -> None:
    assert tiny.predict(ticker)["ticker"] == "PETR4"


@pytest.mark.parametrize(
    ("ticker", "similar"),
    [
        ("PETR", ["PETR4", "PETR3"]),
        ("PTER4", ["PETR4", "PETR3"]),
        ("vale", ["VALE3"]),
        ("XXXX9", []),
        ("", []),
    ],
)
def test_an_unknown_ticker_is_answered_with_those_it_may_have_meant(
    tiny: World, ticker: str, similar: list[str]
) -> None:
    error = tiny.refusal(ticker)
    assert isinstance(error, UnknownTickerError)
    assert error.details == {"ticker": ticker.upper(), "similar": similar}
    assert ("did you mean" in error.message) == bool(similar)
    assert all(name in error.message for name in similar)


def test_a_ticker_that_left_the_market_is_said_to_have_gone(odd: World) -> None:
    error = odd.refusal("MGLU3")
    assert isinstance(error, UnknownTickerError)
    assert error.message == (
        "MGLU3 last traded on 2023-11-14, 30 sessions before 2023-12-28: it was delisted, "
        "renamed or suspended"
    )
    assert error.details == {"ticker": "MGLU3", "last_traded": "2023-11-14", "successor": None}


def test_a_renamed_ticker_names_the_one_with_its_isin(odd: World) -> None:
    error = odd.refusal("AMBV3")
    assert isinstance(error, UnknownTickerError)
    assert error.message.endswith(": it trades as ABEV3 now")
    assert error.details["successor"] == "ABEV3"
    assert odd.predict("ABEV3")["degraded"] is False


def test_two_tickers_of_one_isin_are_no_successor(tiny: World, tmp_path: Path) -> None:
    age = np.array([GONE_SESSIONS + 1, 0, 0, GONE_SESSIONS], np.int32)
    same = replace(tiny_snapshot(), age=age, isin=np.array(["BR1", "BR1", "BR1", "BR2"]))
    serve(tiny.store, same, tmp_path / "same")
    assert tiny.refusal("BBAS3").details["successor"] is None
    assert tiny.predict("VALE3")["degraded"] is True  # as long away as may be, not longer


def test_a_ticker_that_missed_sessions_is_answered_as_degraded(odd: World) -> None:
    answer = odd.predict("BBAS3")
    assert (answer["as_of"], answer["degraded"]) == ("2023-12-22", True)
    missed = "the ticker did not trade in the market's last 3 sessions"
    assert missed in answer["message"]
    row = odd.batch(["BBAS3"])["predictions"][0]
    assert (row["degraded"], row["message"]) == (True, answer["message"])


def test_too_little_history_says_how_much_there_is_and_how_much_is_needed(odd: World) -> None:
    error = odd.refusal("ITUB4")
    assert isinstance(error, TooLittleHistoryError)
    assert (
        error.message
        == "ITUB4 has 100 sessions of history, counted anew after a long hole; 286 are needed"
    )
    assert error.details == {"have": 100, "needed": 286}


def test_a_ticker_that_trades_too_little_says_its_turnover(odd: World) -> None:
    error = odd.refusal("BBDC4")
    assert isinstance(error, TooLittleHistoryError)
    assert error.details["needed"] == 2_000_000
    assert 0 < error.details["have"] < 100_000
    assert f"its median turnover is R$ {error.details['have']:,.0f} a session" in error.message
    assert "above R$ 2,000,000" in error.message


def test_features_that_lack_for_another_reason_are_named(tiny: World, tmp_path: Path) -> None:
    snapshot = tiny_snapshot()
    snapshot.windows[WINDOWS][2, -1, 1] = np.nan
    serve(tiny.store, snapshot, tmp_path / "holes")
    error = tiny.refusal("PETR4")
    assert isinstance(error, TooLittleHistoryError)
    assert error.message == "PETR4 lacks features in its newest session: volatility"
    assert error.details == {"missing": ["volatility"]}
    version = register_tiny(tiny.store, tmp_path / "lstm", 7, "lstm", lookback=3)
    snapshot.windows[WINDOWS][2, -1, 1] = 0.0
    snapshot.windows[WINDOWS][2, -4, 0] = np.nan  # before what the model looks at
    snapshot.windows[WINDOWS][3, -1, 2] = np.nan
    serve(
        tiny.store,
        replace(snapshot, as_of=np.datetime64("2023-12-29", "D")),
        tmp_path / "other holes",
    )
    tiny.now += CHECK_SECONDS
    assert tiny.predict("PETR4", model_type="lstm", model_version=version)["input_shape"] == [
        1,
        3,
        3,
    ]
    error = tiny.refusal("VALE3", model_type="lstm", model_version=version)
    assert error.message == "VALE3 lacks features in its newest session: volume"


def test_a_batch_answers_what_it_can_and_says_what_is_wrong_with_the_others(odd: World) -> None:
    batch = odd.batch([" petr4", "PETR4", "MGLU3", "XX", "ITUB4", "vale3 "])
    assert [row["ticker"] for row in batch["predictions"]] == ["PETR4", "VALE3"]
    assert [(e["ticker"], e["code"]) for e in batch["errors"]] == [
        ("MGLU3", "UNKNOWN_TICKER"),
        ("XX", "UNKNOWN_TICKER"),
        ("ITUB4", "TOO_LITTLE_HISTORY"),
    ]
    assert batch["errors"][2]["message"] == odd.refusal("ITUB4").message
    assert batch["message"] == "forecasts: 2; tickers without one: 3"
    assert odd.batch(["XX"])["predictions"] == []


def test_a_version_that_the_snapshot_cannot_feed_is_refused_as_a_whole(
    tiny: World, tmp_path: Path
) -> None:
    long = register_tiny(tiny.store, tmp_path / "long", 7, "lstm", lookback=5)
    poorer = register_tiny(tiny.store, tmp_path / "poorer", 8, min_turnover=1000.0)
    for ask in (
        lambda **more: tiny.predict("PETR4", **more),
        lambda **more: tiny.batch(["PETR4", "VALE3"], **more),
    ):
        with pytest.raises(
            IncompatibleFeaturesError,
            match="looks back 5 sessions; the snapshot of 2023-12-28 holds 4",
        ):
            ask(model_type="lstm", model_version=long)
        with pytest.raises(
            IncompatibleFeaturesError, match="needs 3 features v2-1000-shares, which the snapshot"
        ) as caught:
            ask(model_version=poorer)
        assert caught.value.details["missing"] == list(FEATURES)


# -- age


@pytest.mark.parametrize(
    ("today", "age"),
    [
        (date(2023, 12, 28), 0),  # Thursday, the session itself
        (
            date(2023, 12, 29),
            0,
        ),  # the exchange is closed on the last weekday of the year, and on New Year's Day
        (date(2024, 1, 2), 0),  # the first session since; its quotes come in the evening
        (date(2024, 1, 3), 1),
        (date(2024, 1, 5), 3),
        (date(2024, 1, 7), 4),  # Sunday
        (date(2023, 12, 27), 0),  # a clock that is behind makes nothing younger than today
    ],
)
def test_the_age_counts_the_sessions_that_the_data_could_have(
    tiny: World, today: date, age: int
) -> None:
    tiny.today = today
    answer = tiny.predict("PETR4")
    assert answer["data_age_sessions"] == age
    assert answer["degraded"] == (age > FRESH_SESSIONS)
    if answer["degraded"]:
        assert answer["message"] == f"the newest quote is of 2023-12-28, {age} sessions ago"
    assert tiny.batch(["PETR4"])["predictions"][0]["data_age_sessions"] == age


def test_a_release_that_cannot_be_checked_degrades_the_answer_and_all_reasons_are_given(
    tiny: World,
) -> None:
    tiny.predict("PETR4")
    tiny.now, tiny.store.down, tiny.today = CHECK_SECONDS, True, date(2024, 1, 10)
    answer = tiny.predict("PETR4")
    assert answer["status"] == "success"
    assert answer["degraded"] is True
    assert answer["message"] == (
        "the newest quote is of 2023-12-28, 6 sessions ago; "
        "what is live could not be checked (OSError); this was live before"
    )


def test_features_of_other_code_than_the_version_learnt_from_degrade_the_answer(
    tiny: World, tmp_path: Path
) -> None:
    old, new, unknown = (
        register_tiny(tiny.store, tmp_path / name, seed, features_version=code)
        for seed, (name, code) in enumerate(
            [("old", 0), ("new", FEATURES_VERSION), ("silent", None)], 11
        )
    )
    promote(tiny.store, "models", "rf", new, who="test", why="test")
    for version, degraded in ((old, True), (new, False), (unknown, False)):
        answer = tiny.predict("PETR4", model_version=version)
        row = tiny.batch(["PETR4"], model_version=version)["predictions"][0]
        assert (answer["degraded"], row["degraded"]) == (degraded, degraded)
        assert (OTHER_FEATURES in answer["message"], OTHER_FEATURES in row["message"]) == (
            degraded,
            degraded,
        )


def test_promotion_is_followed_by_answers(tiny: World, tmp_path: Path) -> None:
    before = tiny.predict("PETR4")
    other = register_tiny(FolderStorage(tiny.folder), tmp_path / "other", 2)
    promote(tiny.store, "models", "rf", other, who="test", why="test")
    assert tiny.predict("PETR4") == before
    tiny.now += CHECK_SECONDS
    assert tiny.predict("PETR4")["model_version"] == other
    Release(tiny.store).rollback("models", "rf", who="test", why="test")
    tiny.now += CHECK_SECONDS
    assert tiny.predict("PETR4") == before
