"""The quotes that a version predicts from, and the tickers among them that it refuses."""

import shutil
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_run import SMALL

from b3shared import B3Model, PipelineParams
from b3shared.core.config import BUNDLED_QUOTES
from b3shared.core.errors import (
    SourceUnavailableError,
    TooLittleHistoryError,
    UnknownTickerError,
)
from b3shared.pipeline.serving_snapshot import build_snapshot
from b3shared.quotes.lake.parquet import write_parquet
from b3shared.quotes.sources.parquet import ParquetSource
from b3shared.quotes.sources.query import QuoteQuery
from b3shared.registry.compatibility import universe_of
from b3shared.registry.release import Release
from b3shared.services.given_quotes import tidy
from b3shared.serving.live import Live
from b3shared.serving.predictor import Predictor


@pytest.fixture(scope="module")
def odd(bundled: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Quotes with four tickers that nobody can forecast, each for another reason."""
    petr = bundled[bundled["ticker"] == "PETR4"]
    others = [
        petr.assign(ticker="GONE3", date=petr["date"] - pd.DateOffset(years=8)),
        petr.assign(ticker="YOUN3").tail(100),
        petr.assign(ticker="FUND11", bdi_code="12", type="CI"),
        petr.assign(ticker="THIN3", volume=petr["volume"] // 100_000),
    ]
    quotes = pd.concat([bundled, *others])
    return write_parquet(
        quotes[list(bundled.columns)], tmp_path_factory.mktemp("odd") / "quotes.parquet"
    )


REASONS = {
    "GONE3": r"GONE3 last traded on 2015-12-28, and quotes from 2018-12-29 on are used",
    "YOUN3": r"YOUN3 has 100 sessions since 2018-12-29, and 286 are needed",
    "FUND11": r"FUND11 is of the kind fii, and version \S+ was trained on ordinary, preferred",
    "XXXX3": r"no quotes of XXXX3 in .*quotes.parquet",
}


@pytest.fixture(scope="module")
def of_odd(odd: Path, tmp_path_factory: pytest.TempPathFactory) -> B3Model:
    model = B3Model(odd, tmp_path_factory.mktemp("of-odd"))
    model.run(**{name: value for name, value in SMALL.items() if name != "tickers"})
    return model


@pytest.mark.parametrize("ticker", REASONS)
def test_a_ticker_that_a_load_leaves_out_is_refused_with_the_true_reason(
    of_odd: B3Model, ticker: str
) -> None:
    kind = TooLittleHistoryError if ticker == "YOUN3" else UnknownTickerError
    with pytest.raises(kind, match=REASONS[ticker]):
        of_odd.newest_quotes(tickers=["PETR4", f" {ticker.lower()}"])


@pytest.fixture(scope="module")
def two_faces(
    of_odd: B3Model, odd: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pd.DataFrame, B3Model, Predictor]:
    """Quotes, a model that is given them as a frame, and the served one with a snapshot of them."""
    quotes = ParquetSource(odd).read(QuoteQuery())
    days = np.unique(quotes["date"])
    petr = quotes[quotes["ticker"] == "PETR4"]
    in_hole = (petr["date"] >= days[-200]) & (petr["date"] < days[-100])
    quotes = pd.concat(
        [
            quotes[quotes["date"] > "2020-12-28"],
            petr[petr["date"] < days[-30]].assign(ticker="LOST3", isin=""),
            petr[~in_hole].assign(ticker="HOLE3", isin=""),
        ]
    )

    folder = tmp_path_factory.mktemp("two-faces")
    model = B3Model(odd, shutil.copytree(of_odd.storage.url, folder / "store"))
    universe = universe_of(PipelineParams.from_values({}).model_dump(mode="json"))
    snapshot = build_snapshot(tidy(quotes).quotes, 1, {universe})
    key = snapshot.save(model.storage, folder)
    Release(model.storage).set_snapshot(key, str(snapshot.as_of), who="test")
    return quotes, model, Predictor(Live(model.storage), lambda: date(2023, 12, 29))


SITUATIONS = {
    "XXXX3": (UnknownTickerError, "there are no quotes of 'XXXX3'"),
    "PETR5": (UnknownTickerError, r"there are no quotes of 'PETR5'; did you mean PETR4"),
    "LOST3": (UnknownTickerError, r"LOST3 last traded on 2023-11-14, 30 sessions before"),
    "FUND11": (
        UnknownTickerError,
        r"FUND11 is of another kind of paper than version \S+ was trained on",
    ),
    "YOUN3": (
        TooLittleHistoryError,
        r"YOUN3 has 100 sessions of history without a long hole; 286 are needed",
    ),
    "HOLE3": (
        TooLittleHistoryError,
        r"HOLE3 has 100 sessions of history without a long hole; 286 are needed",
    ),
    "THIN3": (
        TooLittleHistoryError,
        r"THIN3 trades too little: its median turnover is R\$ \d+,\d+",
    ),
}


@pytest.mark.parametrize("ticker", SITUATIONS)
def test_a_ticker_without_a_forecast_gets_the_same_error_in_python_and_over_http(
    two_faces: tuple[pd.DataFrame, B3Model, Predictor], ticker: str
) -> None:
    quotes, model, predictor = two_faces
    kind, message = SITUATIONS[ticker]
    with pytest.raises(kind, match=message) as in_python:
        model.predict(quotes, tickers=[ticker])
    with pytest.raises(kind) as over_http:
        predictor.predict(ticker)
    assert in_python.value.message == over_http.value.message
    assert in_python.value.code == over_http.value.code
    assert in_python.value.details == over_http.value.details


def test_the_tickers_with_a_forecast_are_the_same_in_python_and_over_http(
    two_faces: tuple[pd.DataFrame, B3Model, Predictor],
) -> None:
    quotes, model, predictor = two_faces
    answer = model.predict(quotes)
    rows = predictor.batch(None)["predictions"]
    assert answer.index.tolist() == [row["ticker"] for row in rows]
    assert answer["action"].tolist() == [row["prediction"] for row in rows]
    np.testing.assert_array_equal(
        answer[["buy", "hold", "sell"]], [row["probabilities"] for row in rows]
    )
    assert answer["last_price"].tolist() == [row["last_price"] for row in rows]
    assert [str(day.date()) for day in answer["as_of"]] == [row["as_of"] for row in rows]


def test_predictions_are_made_from_the_quotes_of_the_version_unless_others_are_chosen(
    of_odd: B3Model, odd: Path
) -> None:
    unchosen = B3Model(storage=of_odd.storage.url)
    assert unchosen.newest_quotes().attrs["report"]["source"] == str(odd)
    assert B3Model(BUNDLED_QUOTES, of_odd.storage.url).newest_quotes().attrs["report"][
        "source"
    ] == str(BUNDLED_QUOTES)


def test_quotes_of_a_version_that_are_gone_are_named_with_what_to_do(
    of_odd: B3Model, odd: Path
) -> None:
    away = odd.rename(odd.with_suffix(".away"))
    try:
        with pytest.raises(
            SourceUnavailableError,
            match=r"quotes\.parquet does not exist.*was made from them: name the quotes",
        ):
            B3Model(storage=of_odd.storage.url).newest_quotes()
    finally:
        away.rename(odd)
