"""Evaluates one model: every metric, the baselines beside it, pictures and report."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from b3shared.core.arrays import FloatArray, IntArray
from b3shared.core.vocabulary import CLASSES
from b3shared.dataset.market import Market
from b3shared.dataset.table import Dataset
from b3shared.evaluation import bootstrap
from b3shared.evaluation.backtest import Backtest, Costs, backtests
from b3shared.evaluation.backtest_json import backtest_json
from b3shared.evaluation.backtest_summary import backtest_summary
from b3shared.evaluation.baselines import Baseline, all_baselines
from b3shared.evaluation.comparison import calibration_rows, differences, with_persistence_interval
from b3shared.evaluation.files import METRICS_FILE, REPORT_FILE
from b3shared.evaluation.gate import Outcomes
from b3shared.evaluation.learning_curves import learning_curves
from b3shared.evaluation.metrics import reliability_bins, to_json
from b3shared.evaluation.parts import Part, score_parts
from b3shared.evaluation.ranking import buy_minus_sell
from b3shared.evaluation.relative_return import hold_benchmarks
from b3shared.evaluation.report.page import render_report
from b3shared.evaluation.report.pictures import draw_pictures
from b3shared.evaluation.return_metrics import return_bins
from b3shared.evaluation.scorecard import Scorecard, interval_json
from b3shared.evaluation.sector_shares import sector_shares
from b3shared.evaluation.verdict import headline_of, leak_suspected, skill_verdict, warnings_of
from b3shared.models.base import Forecast
from b3shared.params.run import PipelineParams

Backtests = dict[str, dict[str, dict[Any, Backtest]]]
"""Strategy -> variant -> entry -> backtest."""
GAPS = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "rank_ic", "directional_accuracy")
RETURN_GAPS = ("return_mae", "return_rank_ic")
SUMMARY = ("accuracy", "macro_f1", "log_loss", "rank_ic", "icir", "directional_accuracy")
RETURN_SUMMARY = (
    "return_rank_ic",
    "return_r2_over_zero",
    "price_mape",
    "price_mape_excess",
    "interval_coverage",
)
"""Metrics of the summary, of a model that forecasts returns."""


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        metrics: JSON types only; undefined metrics are None. Its keys: ``model`` part -> metric ->
            value; ``intervals`` the same metrics of the test part with ``estimate``, ``ci95``,
            ``ci99``; ``baselines`` name -> ``description``, ``figures``, ``intervals``;
            ``differences`` paired gains, above 0 in the model's favour. The metrics are those of
            :data:`scorecard.METRICS`; one that a forecast does not allow is absent. ``parts``,
            ``test_tickers``, ``gaps`` (train - val), ``months``, ``reliability``, ``backtest``,
            ``importance``; of a model with returns ``return_bins``, with intervals
            ``return_interval`` (level, and how persistence's was fitted), with epochs ``training``
            (:func:`learning_curves.learning_curves`), else None; ``sectors``
            (:func:`sector_shares.sector_shares`), None where none is known; ``skill``,
            ``warnings``, ``headline``; ``label``, ``classes``, ``bootstrap``, ``params``,
            ``context``.
        outcomes: forecasts and outcomes of the test rows, for later paired comparisons.
        draw: draws the pictures.
    """

    metrics: dict[str, Any]
    outcomes: Outcomes = field(repr=False, compare=False)
    draw: Callable[[], dict[str, bytes]] = field(repr=False, compare=False)

    @cached_property
    def pictures(self) -> dict[str, bytes]:
        """PNG bytes by name; drawn on first use."""
        return self.draw()

    @cached_property
    def report_html(self) -> str:
        """The report as one self-contained page."""
        return render_report(self.metrics, self.pictures)

    @property
    def skill(self) -> str:
        """The verdict on skill: none, weak or proven."""
        return str(self.metrics["skill"])

    def summary(self) -> dict[str, Any]:
        """The part that the step's record and a version's manifest keep, as JSON types."""
        test = self.metrics["model"]["test"]
        of_returns = {name: test[name] for name in RETURN_SUMMARY if name in test}
        return {
            "skill": self.skill,
            "leak_suspected": leak_suspected(self.metrics),
            "headline": self.metrics["headline"],
            "test": {name: test.get(name) for name in SUMMARY} | of_returns,
            "backtest": backtest_summary(self.metrics),
            "warnings": self.metrics["warnings"],
            "parts": self.metrics["parts"],
        }

    def save(self, folder: Path) -> list[Path]:
        """Write metrics, report, a PNG per picture and the outcomes; returns their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.metrics, indent=1, ensure_ascii=False, allow_nan=False)
        contents = {METRICS_FILE: text.encode(), REPORT_FILE: self.report_html.encode()}
        contents |= {f"{name}.png": image for name, image in self.pictures.items()}
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        return [*(folder / name for name in contents), self.outcomes.save(folder)]


def evaluate(
    data: Dataset,
    parts: Mapping[str, IntArray],
    forecasts: Mapping[str, Forecast],
    base_rates: FloatArray,
    params: PipelineParams,
    importance: Mapping[str, float],
    *,
    training: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
    costs: Costs | None = None,
    market: Market | None = None,
) -> Evaluation:
    """Evaluate a model on its parts, with every baseline beside it on the test part.

    Args:
        data: the whole table.
        parts: row indices of train, val and test. Rows whose outcome is not known are left out.
        forecasts: of the model, by part, aligned with ``parts``.
        base_rates: (3,) class shares in the rows that the model was trained on; the decision rule
            divides by them.
        params: of the run.
        importance: feature name -> weight.
        training: the summary of the fit. Used of it are "history" and the "best_epoch" of "chosen",
            for the learning curves, and "calibrate" of "rows": how many of the newest validation
            rows the model's intervals were fitted on.
        context: facts for the report's header (run, version, source, how many evaluations used
            this test period).
        costs: of trading, for the backtest.
        market: CDI, Ibovespa and sectors; what it does not know is None in the metrics, and said.

    Raises:
        InvalidParameterError: A part is missing, or a forecast is not one probability row per row
            of its part.
        TooLittleHistoryError: A part has no labelled row.
    """
    training = training or {}
    context = context or {}
    costs = costs or Costs()
    market = market or Market()

    scored = score_parts(data, parts, forecasts, base_rates, params)
    test = scored["test"]
    baselines, interval = _baselines(data, scored, training, params)
    cards = {
        b.name: Scorecard.from_forecast(
            test.outcome, b.actions, b.probabilities, b.score, b.returns, b.intervals
        )
        for b in baselines
    }
    gains_over_rule = params.label == "signal"

    length = bootstrap.block_length(params.horizon)
    counts = bootstrap.resample_counts(len(test.card.dates), length, seed=params.random_state)
    simulated = _backtests(data, test, baselines, params, costs)
    benchmarks = hold_benchmarks(market, data, test.rows, simulated)
    scores = buy_minus_sell(test.forecast.probabilities)

    metrics: dict[str, Any] = {
        "schema": 1,
        "label": params.label,
        "classes": CLASSES,
        "parts": {name: part.describe() for name, part in scored.items()},
        "test_tickers": np.unique(data.ticker[test.rows]),
        "bootstrap": {
            "resamples": len(counts),
            "block_length": length,
            "seed": params.random_state,
        },
        "model": {name: part.card.metrics() for name, part in scored.items()},
        "intervals": interval_json(test.card.intervals(counts)),
        "baselines": {b.name: _baseline_json(b, cards[b.name], counts) for b in baselines},
        "differences": interval_json(differences(test.card, cards, counts, rule=gains_over_rule)),
        "reliability": reliability_bins(test.forecast.probabilities, test.outcome.label),
        "return_bins": _return_bins(test, counts),
        "return_interval": interval,
        "training": learning_curves(training),
        "backtest": backtest_json(simulated, benchmarks, counts, costs),
        "sectors": sector_shares(market.sectors, data, test.rows, test.actions, scores),
        "months": test.months(),
        "importance": importance,
        "params": params.model_dump(mode="json"),
        "context": context,
    }
    metrics = to_json(metrics | {"gaps": _gaps(metrics["model"])})
    metrics |= {"skill": skill_verdict(metrics), "warnings": warnings_of(metrics)}
    metrics |= {"headline": headline_of(metrics)}

    outcomes = Outcomes.from_dataset(data, parts["test"], forecasts["test"].probabilities, params)
    returns = test.forecast.returns
    return Evaluation(
        metrics,
        outcomes,
        lambda: draw_pictures(
            data, test.rows, test.actions, returns, metrics, simulated, benchmarks
        ),
    )


def _baselines(
    data: Dataset, scored: Mapping[str, Part], training: Mapping[str, Any], params: PipelineParams
) -> tuple[list[Baseline], dict[str, Any] | None]:
    """Forecast the test rows by every baseline.

    Returns:
        The baselines; and how persistence's interval was fitted, None without intervals.
    """
    train, val, test = (scored[name].rows for name in ("train", "val", "test"))
    baselines = all_baselines(data, train, test, params)
    if scored["test"].forecast.intervals is None:
        return baselines, None

    fitted = calibration_rows(data, val, training)
    baselines, scale = with_persistence_interval(baselines, data, fitted, test, params)
    dates = data.date[fitted]
    fit = {
        "rows": len(fitted),
        "first": dates.min(),
        "last": dates.max(),
        "quantile": scale.quantile,
    }
    return baselines, {"level": scale.level, "persistence": fit}


def _return_bins(test: Part, counts: FloatArray) -> list[dict[str, Any]] | None:
    """Bins of the forecast return, None where the model has none."""
    if test.forecast.returns is None:
        return None
    day = np.searchsorted(test.card.dates, test.outcome.date)
    return return_bins(test.forecast.returns, test.outcome.future_return, day, counts)


def _gaps(model: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Metrics on train minus validation: far from 0, the model overfits its train part."""
    names = (*GAPS, *(name for name in RETURN_GAPS if name in model["train"]))
    return {name: model["train"][name] - model["val"][name] for name in names}


def _baseline_json(baseline: Baseline, card: Scorecard, counts: FloatArray) -> dict[str, Any]:
    return {
        "description": baseline.description,
        "figures": card.metrics(),
        "intervals": interval_json(card.intervals(counts)),
    }


def _backtests(
    data: Dataset, test: Part, baselines: list[Baseline], params: PipelineParams, costs: Costs
) -> Backtests:
    strategies = {"model": (test.actions, buy_minus_sell(test.forecast.probabilities))}
    strategies |= {b.name: (b.actions, b.score) for b in baselines if b.score is not None}
    return backtests(data, test.rows, strategies, params.horizon, costs)
