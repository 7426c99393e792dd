"""The evaluation of one model: every figure, the baselines beside it, the pictures and the report."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from b3shared.dataset import CLASSES, UNLABELLED, Dataset, FloatArray, IntArray
from b3shared.errors import InvalidParameterError, TooLittleHistoryError
from b3shared.evaluation import bootstrap
from b3shared.evaluation.backtest import Backtest, Costs, backtests
from b3shared.evaluation.baselines import Baseline, actions_of, all_baselines
from b3shared.evaluation.figures import draw_figures
from b3shared.evaluation.metrics import class_shares, reliability_bins, to_json
from b3shared.evaluation.ranking import buy_minus_sell
from b3shared.evaluation.report import render_report
from b3shared.evaluation.scorecard import Outcome, Scorecard, interval_json
from b3shared.evaluation.verdict import headline_of, skill_verdict, warnings_of
from b3shared.models.base import Forecast
from b3shared.params import PipelineParams

PARTS = ("train", "val", "test")
Courses = dict[str, dict[str, dict[Any, Backtest]]]
GAPS = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "rank_ic", "directional_accuracy")


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        metrics: JSON types only; undefined figures are None.
        figures: name -> PNG bytes.
        report_html: one self-contained page.
    """

    metrics: dict[str, Any]
    figures: dict[str, bytes]
    report_html: str

    @property
    def skill(self) -> str:
        """The verdict: none, weak or proven."""
        return str(self.metrics["skill"])

    def save(self, folder: Path) -> list[Path]:
        """Write ``metrics.json``, ``report.html`` and a PNG per figure into ``folder``; return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.metrics, indent=1, ensure_ascii=False, allow_nan=False)
        contents = {"metrics.json": text.encode(), "report.html": self.report_html.encode()}
        contents |= {f"{name}.png": image for name, image in self.figures.items()}
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        return [folder / name for name in contents]


@dataclass(frozen=True)
class _Part:
    """A part's labelled rows, what happened in them, what the model said and called."""

    rows: IntArray
    outcome: Outcome
    forecast: Forecast
    actions: IntArray
    card: Scorecard


def evaluate(
    data: Dataset,
    parts: Mapping[str, IntArray],
    forecasts: Mapping[str, Forecast],
    base_rates: FloatArray,
    params: PipelineParams,
    importance: Mapping[str, float],
    *,
    context: Mapping[str, Any] | None = None,
    costs: Costs | None = None,
) -> Evaluation:
    """Evaluate a model on its parts, with every baseline beside it on the test part.

    Args:
        data: the whole table.
        parts: row indices of train, val and test. Rows whose outcome is not known are left out.
        forecasts: what the model says of each part, aligned with ``parts``.
        base_rates: (3,) class shares in the rows that the model was trained on; the decision rule divides by them.
        params: of the run.
        importance: feature name -> weight.
        context: facts for the report's header (run, version, source, how often this test period was opened).
        costs: of trading, for the backtest.

    Raises:
        InvalidParameterError: A part is missing, or a forecast is not one probability row per row of its part.
        TooLittleHistoryError: A part has no labelled row.
    """
    metrics, test, courses = _measure(
        data, parts, forecasts, base_rates, params, importance, context or {}, costs or Costs()
    )
    figures = draw_figures(data, test.rows, test.actions, test.forecast.returns, metrics, courses)
    return Evaluation(metrics, figures, render_report(metrics, figures))


def measure(
    data: Dataset,
    parts: Mapping[str, IntArray],
    forecasts: Mapping[str, Forecast],
    base_rates: FloatArray,
    params: PipelineParams,
    importance: Mapping[str, float],
    *,
    context: Mapping[str, Any] | None = None,
    costs: Costs | None = None,
) -> dict[str, Any]:
    """The metrics of :func:`evaluate` without pictures and report: for many models, or for tests of the pipeline."""
    return _measure(data, parts, forecasts, base_rates, params, importance, context or {}, costs or Costs())[0]


def _measure(
    data: Dataset,
    parts: Mapping[str, IntArray],
    forecasts: Mapping[str, Forecast],
    base_rates: FloatArray,
    params: PipelineParams,
    importance: Mapping[str, float],
    context: Mapping[str, Any],
    costs: Costs,
) -> tuple[dict[str, Any], _Part, Courses]:
    prior = _prior(data, parts)
    scored = {name: _score(data, name, parts, forecasts, base_rates, prior, params) for name in PARTS}
    test = scored["test"]
    baselines = all_baselines(data, scored["train"].rows, test.rows, params)
    cards = {b.name: Scorecard.of(test.outcome, b.actions, b.probabilities, b.score, b.returns) for b in baselines}
    length = bootstrap.block_length(params.horizon)
    counts = bootstrap.resample_counts(len(test.card.dates), length, seed=params.random_state)
    courses = _backtests(data, test, baselines, params, costs)
    metrics: dict[str, Any] = {
        "schema": 1,
        "label": params.label,
        "classes": CLASSES,
        "parts": {name: _describe(part) for name, part in scored.items()},
        "bootstrap": {"resamples": len(counts), "block_length": length, "seed": params.random_state},
        "model": {name: part.card.figures() for name, part in scored.items()},
        "intervals": interval_json(test.card.intervals(counts)),
        "baselines": {b.name: _baseline_json(b, cards[b.name], counts) for b in baselines},
        "differences": interval_json(_differences(test.card, cards, counts)),
        "reliability": reliability_bins(test.forecast.probabilities, test.outcome.label),
        "backtest": _backtest_json(courses, counts, costs),
        "months": _months(test),
        "importance": importance,
        "params": params.model_dump(mode="json"),
        "context": context,
    }
    metrics = to_json(metrics | {"gaps": _gaps(metrics["model"])})
    metrics |= {"skill": skill_verdict(metrics), "warnings": warnings_of(metrics)}
    metrics |= {"headline": headline_of(metrics)}
    return metrics, test, courses


def _labelled(data: Dataset, rows: IntArray) -> IntArray:
    """Positions in ``rows`` whose outcome is known."""
    return np.flatnonzero((data.label[rows] != UNLABELLED) & np.isfinite(data.future_return[rows]))


def _prior(data: Dataset, parts: Mapping[str, IntArray]) -> FloatArray:
    missing = [name for name in PARTS if name not in parts]
    if missing:
        raise InvalidParameterError(f"part {', '.join(missing)} is missing; needed are {', '.join(PARTS)}")
    train = np.asarray(parts["train"], np.int64)
    return class_shares(data.label[train[_labelled(data, train)]])


def _score(
    data: Dataset,
    name: str,
    parts: Mapping[str, IntArray],
    forecasts: Mapping[str, Forecast],
    base_rates: FloatArray,
    prior: FloatArray,
    params: PipelineParams,
) -> _Part:
    rows = np.asarray(parts[name], np.int64)
    probabilities, returns = _checked(name, forecasts, len(rows))
    keep = _labelled(data, rows)
    if not len(keep):
        raise TooLittleHistoryError(f"part {name}: none of its {len(rows)} rows has a known outcome; at least one is needed")
    rows, probabilities = rows[keep], probabilities[keep]
    returns = None if returns is None else returns[keep]
    outcome = Outcome(data.date[rows], data.label[rows], data.future_return[rows], data.close[rows], prior)
    actions = actions_of(probabilities, base_rates, params)
    card = Scorecard.of(outcome, actions, probabilities, buy_minus_sell(probabilities), returns)
    return _Part(rows, outcome, Forecast(probabilities, returns), actions, card)


def _checked(name: str, forecasts: Mapping[str, Forecast], n_rows: int) -> tuple[FloatArray, FloatArray | None]:
    if name not in forecasts:
        raise InvalidParameterError(f"forecast of part {name} is missing; needed are {', '.join(PARTS)}")
    p, r = np.asarray(forecasts[name].probabilities, np.float64), forecasts[name].returns
    if p.shape != (n_rows, len(CLASSES)):
        raise InvalidParameterError(f"forecast of {name}: probabilities are {p.shape}, not {(n_rows, len(CLASSES))}")
    if not (np.isfinite(p).all() and (p >= 0).all() and np.allclose(p.sum(axis=1), 1, atol=1e-4)):
        raise InvalidParameterError(f"forecast of {name}: probabilities must be finite, not negative, and sum to 1 per row")
    if r is not None and (np.shape(r) != (n_rows,) or not np.isfinite(r).all()):
        raise InvalidParameterError(f"forecast of {name}: returns must be {n_rows} finite numbers or None")
    return p, None if r is None else np.asarray(r, np.float64)


def _describe(part: _Part) -> dict[str, Any]:
    dates = part.card.dates
    return {
        "rows": len(part.rows),
        "dates": len(dates),
        "first": dates[0],
        "last": dates[-1],
        "class_shares": dict(zip(CLASSES, class_shares(part.outcome.label), strict=True)),
    }


def _gaps(model: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Train minus validation: far from 0, the model has learnt its train part by heart."""
    return {name: model["train"][name] - model["val"][name] for name in GAPS}


def _baseline_json(baseline: Baseline, card: Scorecard, counts: FloatArray) -> dict[str, Any]:
    return {
        "description": baseline.description,
        "figures": card.figures(),
        "intervals": interval_json(card.intervals(counts)),
    }


def _differences(model: Scorecard, baselines: Mapping[str, Scorecard], counts: FloatArray) -> dict[str, bootstrap.Interval]:
    """Paired by date. A gain is in the model's favour when it is above 0: a loss that is lower, a rank IC that is higher."""
    losses = {"prior": baselines["majority"], "logistic_regression": baselines["logistic_regression"]}
    found = {
        f"log_loss_gain_over_{name}": bootstrap.paired_interval(
            card.per_date["log_loss"], model.per_date["log_loss"], bootstrap.ratio, counts
        )
        for name, card in losses.items()
    }
    ranked = {name: card for name, card in baselines.items() if "rank_ic" in card.per_date}
    return found | {
        f"rank_ic_gain_over_{name}": bootstrap.paired_interval(
            model.per_date["rank_ic"], card.per_date["rank_ic"], bootstrap.ratio, counts
        )
        for name, card in ranked.items()
    }


def _backtests(data: Dataset, test: _Part, baselines: list[Baseline], params: PipelineParams, costs: Costs) -> Courses:
    strategies = {"model": (test.actions, buy_minus_sell(test.forecast.probabilities))}
    strategies |= {b.name: (b.actions, b.score) for b in baselines if b.score is not None}
    return backtests(data, test.rows, strategies, params.horizon, costs)


def _backtest_json(courses: Courses, counts: FloatArray, costs: Costs) -> dict[str, Any]:
    universe = courses["universe"]["long_only"]
    strategies = {
        name: {
            variant: {
                entry: course.summary(counts, universe[entry] if variant == "long_only" and name != "universe" else None)
                for entry, course in entries.items()
            }
            for variant, entries in variants.items()
        }
        for name, variants in courses.items()
    }
    return {"costs": asdict(costs) | {"per_side_bp": 1e4 * costs.per_side}, "strategies": strategies}


def _months(test: _Part) -> list[dict[str, Any]]:
    months = test.card.dates.astype("datetime64[M]")
    table = []
    for month in np.unique(months):
        now = months == month
        rows, loss = test.card.per_date["log_loss"][now].sum(axis=0)
        ranked, ic, _ = test.card.per_date["rank_ic"][now].sum(axis=0)
        table.append(
            {
                "month": month,
                "dates": int(now.sum()),
                "rows": int(rows),
                "rank_ic": ic / ranked if ranked else None,
                "log_loss": loss / rows,
                "prior_log_loss": test.card.per_date["skill"][now, 1].sum() / rows,
            }
        )
    return table
