"""The whole product in two calls: run, predict; resumed, repeated, and with bad input."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_run import SMALL

from b3shared import B3Model, PipelineParams
from b3shared.core.config import Settings
from b3shared.core.errors import (
    ConflictError,
    IncompatibleFeaturesError,
    InvalidParameterError,
    NothingLiveError,
    TooLittleHistoryError,
    UnknownModelError,
    UnknownTickerError,
)
from b3shared.core.vocabulary import SHARES
from b3shared.features.training_table import preprocess
from b3shared.models.scorer import Scorer
from b3shared.params.steps import Step
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.registry.release import Release
from b3shared.registry.versions import Registry
from b3shared.services.b3_model import RunResult

SMALL_TICKERS = sorted(SMALL["tickers"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[B3Model, RunResult]:
    model = B3Model(storage=tmp_path_factory.mktemp("store"))
    return model, model.run(run_id="first", **SMALL)


def test_a_run_registers_a_version_that_is_live(trained: tuple[B3Model, RunResult]) -> None:
    model, result = trained
    assert result.live
    assert result.decision == "first version of this type"
    manifest = Registry(model.storage, "models").manifest("rf", result.model_version)
    assert manifest["train_end"] == "2023-12-28"
    assert manifest["lineage"]["run_id"] == "first"
    assert {"b3_model.joblib", "model.onnx", "model.json", "metrics.json", "report.html"} <= set(
        manifest["files"]
    )
    assert set(manifest["lineage"]["steps"]) == {str(step) for step in list(Step)[:6]}


def test_repeating_a_run_does_no_work_and_returns_the_same_result(
    trained: tuple[B3Model, RunResult],
) -> None:
    model, result = trained
    before: list[bool] = []
    again = model.run(run_id="first", finished=lambda record, done: before.append(done), **SMALL)
    assert before == [True] * 8
    assert again.model_version == result.model_version
    with pytest.raises(ConflictError, match="horizon"):
        model.run(run_id="first", horizon=5, **SMALL)


def test_a_run_killed_in_the_middle_is_resumed_where_it_was(tmp_path: Path) -> None:
    model = B3Model(storage=tmp_path)

    class KilledError(Exception):
        pass

    def kill(words: dict[str, object]) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        model.run(run_id="killed", progress=kill, **SMALL)
    assert not (tmp_path / "models").exists()
    before: dict[str, bool] = {}
    model.run(
        run_id="killed",
        finished=lambda record, done: before.update({str(record.step): done}),
        **SMALL,
    )
    assert before["split_data"]
    assert not before["train_model"]


def test_predictions_are_those_of_the_registered_model(
    trained: tuple[B3Model, RunResult], eight: pd.DataFrame, tmp_path: Path
) -> None:
    model, result = trained
    answer = model.predict(eight)
    assert sorted(answer.index) == SMALL_TICKERS

    np.testing.assert_allclose(answer[["buy", "hold", "sell"]].sum(axis=1), 1.0)
    data = preprocess(eight, PipelineParams.from_values(SMALL)).data
    scorer = Scorer.load(
        Registry(model.storage, "models").fetch("rf", result.model_version, tmp_path)
    )
    newest = np.flatnonzero(data.date == data.date.max())
    expected = scorer.score(data.X[newest]).probabilities
    np.testing.assert_allclose(
        answer.loc[data.ticker[newest], ["buy", "hold", "sell"]], expected, atol=1e-12
    )
    assert (answer["as_of"] == pd.Timestamp("2023-12-28")).all()
    assert answer.loc["PETR4", "last_price"] == 37.24
    assert (answer["dividends_known_until"] == answer["as_of"]).all()


def test_predictions_say_where_dividends_are_not_known(
    trained: tuple[B3Model, RunResult], eight: pd.DataFrame
) -> None:
    model, _ = trained
    without = eight.drop(columns="dividend")
    without.attrs = {}
    assert model.predict(without)["dividends_known_until"].isna().all()


def test_predictions_can_be_of_some_tickers_and_an_older_day(
    trained: tuple[B3Model, RunResult], eight: pd.DataFrame
) -> None:
    model, result = trained
    earlier = eight[eight["date"] <= "2023-06-30"]
    answer = model.predict(
        earlier, tickers=[" petr4 ", "VALE3"], model_version=result.model_version
    )
    assert list(answer.index) == ["PETR4", "VALE3"]
    assert (answer["as_of"] == pd.Timestamp("2023-06-30")).all()


def test_namespaces_do_not_affect_each_other(
    trained: tuple[B3Model, RunResult], eight: pd.DataFrame
) -> None:
    model, _ = trained
    with pytest.raises(NothingLiveError):
        model.predict(eight, "mine")
    other = model.run(model_dir="mine", model_name="forest.joblib", **SMALL)
    assert other.live
    assert (
        "forest.joblib"
        in Registry(model.storage, "mine").manifest("rf", other.model_version)["files"]
    )
    assert model.predict(eight, "mine")["model_version"].unique().tolist() == [other.model_version]


def test_the_gate_keeps_a_challenger_that_is_not_better(trained: tuple[B3Model, RunResult]) -> None:
    model, _ = trained
    challenger = model.run(random_state=7, **SMALL)
    assert not challenger.live
    assert "does not exceed" in challenger.decision
    assert challenger.records[Step.SAVE_MODEL].summary["evidence"]["rows"] > 1000
    assert challenger.records[Step.EVALUATE_MODEL].summary["test_openings"] >= 2


def test_without_refit_the_evaluated_model_is_what_is_registered(tmp_path: Path) -> None:
    result = B3Model(storage=tmp_path).run(refit=False, decision="argmax", **SMALL)
    trained_part = result.records[Step.SPLIT_DATA].summary["boundaries"]["train"]["last"]
    assert result.records[Step.REFIT_MODEL].summary["train_end"] >= trained_part
    assert result.records[Step.REFIT_MODEL].summary["train_end"] < "2023-01-01"


def test_quotes_that_cannot_feed_the_model_are_refused(
    trained: tuple[B3Model, RunResult], eight: pd.DataFrame
) -> None:
    model, _ = trained
    with pytest.raises(
        TooLittleHistoryError, match=r"no ticker .* has 50 sessions of history.* 286 are"
    ):
        model.predict(eight.groupby("ticker").tail(50))

    few = pd.concat(
        [
            eight[eight["ticker"].isin(SMALL_TICKERS[:3])],
            eight[~eight["ticker"].isin(SMALL_TICKERS[:3])].head(9),
        ]
    )

    with pytest.raises(IncompatibleFeaturesError, match="ranks"):
        model.predict(
            pd.concat(
                [few, eight[eight["ticker"].isin(SMALL_TICKERS[3:6])].groupby("ticker").head(5)]
            )
        )
    with pytest.raises(UnknownTickerError, match="XXXX3") as caught:
        model.predict(eight, tickers=["PETR4", "XXXX3", "YYYY3"])
    assert [(e["ticker"], e["code"]) for e in caught.value.details["errors"]] == [
        ("XXXX3", "UNKNOWN_TICKER"),
        ("YYYY3", "UNKNOWN_TICKER"),
    ]
    with pytest.raises(UnknownModelError):
        model.predict(eight, model_version="20200101-00000000")


def test_a_version_that_learnt_from_features_of_other_code_answers_with_a_warning(
    trained: tuple[B3Model, RunResult], eight: pd.DataFrame, tmp_path: Path
) -> None:
    model, result = trained
    copied = shutil.copytree(model.storage.url, tmp_path / "store")
    path = copied / "models" / "models" / "rf" / result.model_version / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"features_version": 0}))
    with pytest.warns(
        UserWarning, match="the features have changed since this version learned: retrain"
    ):
        answer = B3Model(storage=copied).predict(eight)
    pd.testing.assert_frame_equal(answer, model.predict(eight))


@pytest.fixture(scope="module")
def with_fund(eight: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Quotes of eight tickers, of which WEGE3 is a real-estate fund by its BDI code and ESPECI."""
    own = eight["ticker"] == "WEGE3"
    frame = eight.assign(
        bdi_code=eight["bdi_code"].mask(own, "12"), type=eight["type"].mask(own, "CI")
    )
    return write_parquet(frame, tmp_path_factory.mktemp("fund") / "quotes.parquet")


@pytest.mark.parametrize("instruments", [SHARES, None])
def test_a_version_ranks_the_kinds_of_paper_that_it_learnt_among_whatever_it_is_given(
    with_fund: Path, instruments: tuple[str, ...] | None, tmp_path: Path
) -> None:
    forest = {name: value for name, value in SMALL.items() if name != "tickers"}
    model = B3Model(with_fund, tmp_path)
    model.run(instruments=instruments, lookback=8, **forest)
    everything = ParquetSource(with_fund).read(QuoteQuery())
    of_shares = everything[everything["ticker"] != "WEGE3"]
    answer = model.predict(everything)

    assert ("WEGE3" in answer.index) == (instruments is None)
    loaded = model.newest_quotes()
    assert ("WEGE3" in set(loaded["ticker"])) == (instruments is None)

    pd.testing.assert_frame_equal(model.predict(loaded), answer)
    probabilities = [
        found.loc["PETR4", ["buy", "hold", "sell"]].tolist()
        for found in (answer, model.predict(of_shares))
    ]
    assert (probabilities[0] == probabilities[1]) == (instruments is not None), (
        "a ticker more or less moves the ranks"
    )


def test_a_version_is_given_the_length_of_history_and_the_market_that_it_learnt_from(
    trained: tuple[B3Model, RunResult], eight: pd.DataFrame, tmp_path: Path
) -> None:
    model, result = trained
    young = eight["ticker"].eq("PETR4") & (eight["date"] < np.sort(eight["date"].unique())[-284])
    path = write_parquet(eight[~young], tmp_path / "young.parquet")
    assert model.run(lookback=8, random_state=3, run_id="short", **SMALL).records
    version = Registry(model.storage, "models").versions("rf")[0]["version"]
    young_model = B3Model(path, model.storage.url)

    assert "PETR4" in set(young_model.newest_quotes(model_version=version)["ticker"]), (
        "260 sessions are enough for it"
    )
    assert "PETR4" not in set(
        young_model.newest_quotes(model_version=result.model_version)["ticker"]
    ), "and 286 needed here"


def test_bad_parameters_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="horizons"):
        B3Model(storage=tmp_path / "store").run(horizons=2)
    assert not (tmp_path / "store").exists() or not list((tmp_path / "store").rglob("*.json"))


def test_quotes_and_storage_default_to_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("B3_STORAGE", str(tmp_path))
    monkeypatch.setenv("B3_QUOTES", "elsewhere.parquet")
    assert B3Model().settings == Settings("LOCAL", str(tmp_path), "elsewhere.parquet")
    with pytest.raises(InvalidParameterError, match="AWS or LOCAL"):
        Settings.from_environment({"environment": "moon"})


def test_a_ticker_that_the_version_was_not_trained_on_is_refused(
    trained: tuple[B3Model, RunResult],
) -> None:
    model, result = trained
    quotes = model.newest_quotes(model_version=result.model_version, tickers=["PETR4"])
    with pytest.raises(
        UnknownTickerError, match="was trained on 8 tickers, and RENT3 is not among them"
    ):
        model.predict(quotes, model_version=result.model_version, tickers=["RENT3"])


def test_the_result_says_that_publishing_made_the_version_live(tmp_path: Path) -> None:
    model = B3Model(storage=tmp_path)
    first = model.run(run_id="first", **SMALL)
    second = model.run(run_id="second", model_dir="mine", min_turnover=5e6, **SMALL)
    assert not second.records[Step.SAVE_MODEL].summary["live"], (
        "only the snapshot kept it from that"
    )
    assert second.live
    third = model.run(run_id="third", random_state=7, **SMALL)
    Release(model.storage).promote("models", "rf", third.model_version, who="me", why="by hand")
    assert not model.run(run_id="first", **SMALL).live, "another is live since"
    assert first.live
