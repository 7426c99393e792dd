"""An evaluation with benchmarks and sectors: new figures beside the old ones, in JSON and text."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from b3shared.cli.output import backtest_text
from b3shared.core.vocabulary import BUY, HOLD, SELL
from b3shared.dataset.market import Daily, Market, Sectors
from b3shared.dataset.table import Dataset
from b3shared.evaluation.backtest import SESSIONS_PER_YEAR
from b3shared.evaluation.candidates import Candidates
from b3shared.evaluation.evaluate import Evaluation, evaluate
from b3shared.evaluation.metrics import class_shares
from b3shared.evaluation.report.page import render_report
from b3shared.evaluation.sector_shares import sector_shares
from b3shared.models.base import Forecast
from b3shared.params.run import PipelineParams

NEW = {"above_cdi_annual_return", "sharpe_above_cdi", "beta", "alpha"}
RATE = 0.0005


@pytest.fixture(scope="module")
def data(make_market: Callable[..., Dataset]) -> Dataset:
    return make_market(n_tickers=15, n_dates=300, signal=0.5)


@pytest.fixture(scope="module")
def known(data: Dataset) -> Market:
    """CDI, an index of the mean close, and sectors of all but one ticker."""
    days = np.unique(data.date)
    closes = np.array([data.close[data.date == day].mean() for day in days])
    tickers = np.unique(data.ticker)[:-1]
    names = np.where(np.arange(len(tickers)) % 3, "Financeiro", "Petróleo")
    read = np.full(len(tickers), np.datetime64("2023-12-28"))
    return Market(
        Daily("CDI", "market/cdi.csv", days, np.full(len(days), RATE)),
        (Daily("Ibovespa", "market/ibovespa.csv", days, closes),),
        Sectors(tickers, names, names, names, read),
    )


def evaluated(data: Dataset, split: Callable[..., dict[str, np.ndarray]], market: Market | None):
    parts = split(data)
    tilt = data.X[:, 0] * 0.35
    odds = np.exp(np.stack([tilt, np.full(len(data), 0.1), -tilt], axis=1))
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    forecasts = {name: Forecast(probabilities[rows]) for name, rows in parts.items()}
    base_rates = class_shares(data.label[parts["train"]])
    return evaluate(data, parts, forecasts, base_rates, PipelineParams(), {}, market=market)


@pytest.fixture(scope="module")
def with_market(data, split, known) -> Evaluation:
    return evaluated(data, split, known)


@pytest.fixture(scope="module")
def without(data, split) -> Evaluation:
    return evaluated(data, split, None)


def strategies(evaluation: Evaluation):
    for variants in evaluation.metrics["backtest"]["strategies"].values():
        for entries in variants.values():
            yield from entries.values()


def test_every_strategy_and_the_universe_have_the_new_figures(with_market: Evaluation) -> None:
    for figures in strategies(with_market):
        assert figures.keys() >= NEW
        assert figures["above_cdi_annual_return"] is not None
        assert figures["beta"]["estimate"] is not None
    universe = with_market.metrics["backtest"]["strategies"]["universe"]["long_only"]["same_close"]
    low, high = universe["beta"]["ci95"]
    assert low < universe["beta"]["estimate"] < high


def test_the_old_figures_are_the_same_with_and_without_a_market(
    with_market: Evaluation, without: Evaluation
) -> None:
    for now, before in zip(strategies(with_market), strategies(without), strict=True):
        assert {k: v for k, v in now.items() if k not in NEW} == {
            k: v for k, v in before.items() if k not in NEW
        }
    changed = {
        name
        for name, value in with_market.metrics.items()
        if name not in ("backtest", "sectors") and value != without.metrics[name]
    }
    assert not changed


def test_the_cdi_of_a_constant_rate_compounds_over_the_test_part(with_market: Evaluation) -> None:
    found = with_market.metrics["backtest"]["benchmarks"]["same_close"]["cdi"]
    assert found["name"] == "CDI"
    assert found["annual_return"] == pytest.approx((1 + RATE) ** SESSIONS_PER_YEAR - 1, rel=0.02)


def test_an_unknown_benchmark_is_none_and_said_never_0(without: Evaluation) -> None:
    for figures in strategies(without):
        assert figures["above_cdi_annual_return"] is None
        assert all(figures[name]["estimate"] is None for name in NEW - {"above_cdi_annual_return"})
    assert without.metrics["sectors"] is None
    assert without.metrics["backtest"]["benchmarks"]["same_close"]["cdi"]["annual_return"] is None
    told = " ".join(without.metrics["backtest"]["findings"])
    assert "CDI is not known" in told
    assert "beta and alpha are to the equal-weighted universe" in told


def test_the_summary_has_model_universe_market_and_cdi(with_market: Evaluation) -> None:
    found = with_market.summary()["backtest"]
    assert found.keys() == {"model", "universe", "market", "cdi", "market_name", "findings"}
    assert found["market_name"] == "Ibovespa"
    assert found["model"]["alpha"] is not None
    assert found["cdi"]["above_cdi_annual_return"] is None
    json.dumps(found, allow_nan=False)


def test_the_command_line_shows_them_beside_each_other(
    with_market: Evaluation, without: Evaluation
) -> None:
    lines = backtest_text(with_market.metrics).split("\n")
    assert [line[:32].strip() for line in lines[1:]] == [
        "model",
        "all stocks equally",
        "Ibovespa",
        "CDI",
    ]
    text = backtest_text(without.metrics)
    assert "Ibovespa  " not in text
    assert "  note: CDI is not known" in text
    assert backtest_text({"backtest": {"strategies": {}}}) == ""


def test_the_report_shows_the_benchmarks_their_picture_and_the_sectors(
    with_market: Evaluation, without: Evaluation
) -> None:
    page = render_report(with_market.metrics, {})
    assert "The market is Ibovespa (market/ibovespa.csv)" in page
    assert "Sharpe above CDI" in page
    assert "<h2>Sectors, test part</h2>" in page
    assert "as read from 2023-12-28 to 2023-12-28" in page

    bare = render_report(without.metrics, {})
    assert "CDI is not known" in bare
    assert "<h2>Sectors" not in bare


def test_the_shares_of_the_sectors_equal_a_count(
    data: Dataset, known: Market, split: Callable[..., dict]
) -> None:
    rows = split(data)["test"]
    rng = np.random.default_rng(7)
    actions = rng.choice([BUY, HOLD, SELL], len(rows))
    score = rng.normal(size=len(rows))
    found = sector_shares(known.sectors, data, rows, actions, score)
    assert found is not None
    assert known.sectors is not None

    sector_of = dict(zip(known.sectors.ticker, known.sectors.sector, strict=True))
    sector = np.array([sector_of.get(ticker, "") for ticker in data.ticker[rows]])
    held = dict.fromkeys(np.unique(sector), 0.0)
    candidates = Candidates.from_dataset(data, rows, "next_close")
    for day in range(len(candidates.dates)):
        tradable = np.flatnonzero((candidates.day == day) & np.isfinite(candidates.returns))
        buys = [row for row in tradable if actions[row] == BUY]
        best = sorted(buys, key=lambda row: -score[row])[: max(len(tradable) // 5, 1)]
        for row in best:
            held[sector[row]] += 1 / len(best)

    for share in found["shares"]:
        mine = sector == (share["sector"] or "")
        assert share["rows"] == pytest.approx(mine.mean())
        assert share["buy"] == pytest.approx(mine[actions == BUY].mean())
        assert share["sell"] == pytest.approx(mine[actions == SELL].mean())
        assert share["holdings"] == pytest.approx(held[share["sector"] or ""] / sum(held.values()))
        assert share["tickers"] == len(np.unique(data.ticker[rows][mine]))
    assert [share["rows"] for share in found["shares"]] == sorted(
        (share["rows"] for share in found["shares"]), reverse=True
    )


def test_without_a_known_sector_there_are_no_shares(data: Dataset, known: Market) -> None:
    rows = data.labelled
    nothing = np.zeros(len(rows))
    assert known.sectors is not None
    other = replace(known.sectors, ticker=np.array([f"Z{n:03d}" for n in range(14)]))
    for sectors in (None, other):
        assert sector_shares(sectors, data, rows, nothing.astype(int), nothing) is None


def test_the_same_inputs_give_the_same_metrics(
    data: Dataset, known: Market, split: Callable[..., dict], with_market: Evaluation, tmp_path
) -> None:
    again = evaluated(data, split, Market.load(known.save(tmp_path)))
    assert json.dumps(again.metrics) == json.dumps(with_market.metrics)
