"""Answers are complete, equal those of the Python API, and state when they are not fresh."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from predictor_world import World
from served_store import (
    FEATURES,
    WINDOWS,
    register_tiny,
    serve,
    tiny_snapshot,
)
from small_run import SMALL

from b3shared.core.errors import (
    IncompatibleFeaturesError,
    InvalidParameterError,
    TooLittleHistoryError,
    UnknownModelError,
    UnknownTickerError,
)
from b3shared.core.vocabulary import CLASSES
from b3shared.features.training_table import preprocess
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
from b3shared.serving.live import CHECK_SECONDS
from b3shared.serving.rows import GONE_SESSIONS

RF = ModelKey("models", "rf")
FOREST = {name: value for name, value in SMALL.items() if name != "tickers"}
PARAMS = PipelineParams.from_values(FOREST)


@pytest.fixture(scope="module")
def recent(bundled: pd.DataFrame) -> pd.DataFrame:
    """The newest three years of the bundled quotes, as publishing reads them."""
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


def test_a_batch_answers_as_single_calls_do(trained: World) -> None:
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


def test_every_field_beside_the_forecast_has_its_recorded_value(trained: World) -> None:
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


def test_a_ticker_that_left_the_market_is_refused_with_its_last_session(odd: World) -> None:
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


def test_no_successor_is_named_where_two_tickers_have_the_isin(tiny: World, tmp_path: Path) -> None:
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
    assert error.message == "ITUB4 has 100 sessions of history without a long hole; 286 are needed"
    assert error.details == {"have": 100, "needed": 286}


def test_a_ticker_that_trades_too_little_says_its_turnover(odd: World) -> None:
    error = odd.refusal("BBDC4")
    assert isinstance(error, TooLittleHistoryError)
    assert error.details["needed"] == 2_000_000
    assert 0 < error.details["have"] < 100_000
    assert f"its median turnover is R$ {error.details['have']:,.0f} a session" in error.message
    assert "above R$ 2,000,000" in error.message


def test_features_missing_for_another_reason_are_named(tiny: World, tmp_path: Path) -> None:
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
