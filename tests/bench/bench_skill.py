"""Evaluates the models out of sample by a fixed protocol, on ten years of quotes.

``PYTHONPATH=. python tests/bench/bench_skill.py FOLDER``, the folder of ``b3_daily.parquet``, its
``_tickers.csv`` and ``company/``: rank IC and ICIR of the forest at three horizons. Quotes are
those that the bundled sample is cut from: the exchange's own payments on their ex-dates, the
vendor's factors corrected (``data/vendor_quotes.py``).

``--model lstm`` (or rf): one model at one horizon, in detail: every metric beside what it has to
beat, with paired intervals. ``--label signal --signal-lag 0`` (or 1): how well the reference's rule
of the same (the next) day is learnt from the reference's own features, beside today's rule. ``--set
epochs=3`` changes any parameter.

Train to 2020-12-14; 2021 is validation, where a network also stops (on its earlier part) and sets
its interval (on its later part); test 2022-01-03 to 2023-12-14, no refit. ``--test-year 2020`` is
the same two years earlier: a second sample of how good a model is, though settings were chosen on
its second year. The forest: 150 trees, depth 8, leaf 200, a third of the rows per tree, classes
balanced, nothing searched; for the rule deeper trees and small leaves, as a rule is sharp.
"""

import argparse
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import machine

from b3shared.core.vocabulary import BUY, HOLD, SELL
from b3shared.dataset.table import Dataset
from b3shared.evaluation import bootstrap, metrics
from b3shared.evaluation.baselines import (
    actions_of,
    majority,
    persistence,
    reference_rule,
    reversal,
)
from b3shared.evaluation.comparison import calibration_rows, gain, with_persistence_interval
from b3shared.evaluation.ranking import buy_minus_sell, daily_rank_ic
from b3shared.evaluation.scorecard import Outcome, Scorecard
from b3shared.features.training_table import preprocess
from b3shared.models.base import Model, TrainingSession, model_class
from b3shared.models.decision import decide
from b3shared.models.random_forest.model import RandomForestModel
from b3shared.params.run import PipelineParams
from b3shared.services.given_quotes import tidy
from data.vendor_quotes import raw_tickers, read_vendor_quotes

PERIODS = {
    2022: (np.datetime64("2020-12-14"), np.datetime64("2022-01-03"), np.datetime64("2023-12-14")),
    2020: (np.datetime64("2018-12-20"), np.datetime64("2020-01-02"), np.datetime64("2021-12-27")),
}
"""By first year of the test: last day of training, first and last day of the test."""
HORIZONS = (1, 2, 5)
"""Sessions, of the forest's table."""
FOREST = {
    "n_estimators": 150,
    "max_depth": 8,
    "min_samples_leaf": 200,
    "max_features": "sqrt",
    "max_samples": 0.3,
}
RULE_FOREST = {
    "n_estimators": 100,
    "max_depth": 16,
    "min_samples_leaf": 3,
    "max_features": 0.5,
    "max_samples": 0.5,
}
RULE = {"label": "signal", "features": "v1", "decision": "argmax"}
"""The rule's inputs are the reference's features."""


def quotes(folder: Path, start: str | None = None) -> pd.DataFrame:
    """Clean quotes of all tickers whose prices are as traded, from a first day on."""
    frame = read_vendor_quotes(folder, raw_tickers(folder)).frame
    if start is not None:
        frame = frame[frame["date"] >= start]
    return tidy(frame).quotes


def parts(data: Dataset, year: int = 2022) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of train, validation and test, purged by label_end."""
    known, (train_end, first, last) = data.label >= 0, PERIODS[year]
    train = known & (data.label_end <= train_end)
    val = known & (data.date > train_end) & (data.label_end < first)
    test = known & (data.date >= first) & (data.date <= last)
    return tuple(np.flatnonzero(rows) for rows in (train, val, test))


def measure(frame: pd.DataFrame, horizon: int) -> dict[str, float]:
    """Train and score one forest."""
    params = PipelineParams.from_values(FOREST, horizon=horizon)
    data = preprocess(frame, params).data
    train, val, test = parts(data)
    model = RandomForestModel(params)
    model.fit(data, train, val, TrainingSession())
    p = model.forecast(data, test).probabilities
    ic = daily_rank_ic(buy_minus_sell(p), data.future_return[test], data.date[test])
    reversal = daily_rank_ic(-data.return_5[test], data.future_return[test], data.date[test])
    label = data.label[test]
    confusion = metrics.confusion_matrix(label, decide(p, model.base_rates, "lift"))
    prior = np.tile(metrics.class_shares(data.label[train]), (len(test), 1))

    return {
        "rank_ic": ic.mean,
        "icir": ic.ratio,
        "macro_f1": float(metrics.macro_f1(confusion)),
        "majority": float(np.bincount(label).max() / len(label)),
        "log_loss": metrics.log_loss(p, label),
        "prior_log_loss": metrics.log_loss(prior, label),
        "reversal_ic": reversal.mean,
        "rows": len(train),
    }


def only(data: Dataset, columns: str) -> Dataset:
    """The table with the features whose names match the pattern."""
    kept = [i for i, name in enumerate(data.feature_names) if re.search(columns, name)]
    return replace(
        data,
        X=np.ascontiguousarray(data.X[:, kept]),
        feature_names=tuple(data.feature_names[i] for i in kept),
    )


def one_model(frame: pd.DataFrame, params: PipelineParams, year: int, columns: str) -> None:
    """Train once and print every metric beside what it has to beat."""
    started = time.perf_counter()
    data = only(preprocess(frame, params).data, columns)
    model = model_class(params.model_type)(params)
    summary = model.fit(data, *parts(data, year)[:2], TrainingSession(progress=_told))
    train, val, test = (rows[model.covers(data, rows)] for rows in parts(data, year))
    print(
        f"\n{params.model_type}, label {params.label}, horizon {params.horizon}, "
        f"{data.X.shape[1]} features"
    )
    print(
        f"rows: train {len(train):,}, validation {len(val):,}, test {len(test):,}, "
        f"{len(np.unique(data.date[test]))} dates"
    )
    print(f"features and training: {time.perf_counter() - started:.0f} s; {machine()}")
    print("in brackets 95 % intervals by blocks of dates, paired where compared")
    card, beside = scored(data, model, train, calibration_rows(data, val, summary), test)
    counts = bootstrap.resample_counts(
        len(card.dates), bootstrap.block_length(params.horizon), seed=params.random_state
    )

    for line in lines_of(card, beside, counts, params):
        print(line)
    if params.label == "signal":
        rule_by_thresholds(data, model, val, test, beside["reference_rule"], counts)


def rule_by_thresholds(
    data: Dataset,
    model: Model,
    val: np.ndarray,
    test: np.ndarray,
    today: Scorecard,
    counts: np.ndarray,
) -> None:
    """Print macro F1 by each way to decide.

    The thresholds are those of the best F1 of buy and of sell on validation.
    """
    on_val = model.forecast(data, val).probabilities
    levels = {c: _best_threshold(on_val[:, c], data.label[val] == c) for c in (BUY, SELL)}

    p = model.forecast(data, test).probabilities
    shares = model.base_rates
    over = np.stack([p[:, c] / levels[c] for c in (BUY, SELL)], axis=1)
    called = np.where(over.max(axis=1) < 1, HOLD, np.array([BUY, SELL])[over.argmax(axis=1)])
    ways = {
        "argmax": decide(p, shares, "argmax"),
        "lift": decide(p, shares, "lift"),
        "thresholds of validation": called,
    }
    outcome = Outcome(
        data.date[test],
        data.label[test],
        data.future_return[test],
        data.close[test],
        shares,
        model.params.interval_level,
    )
    for way, actions in ways.items():
        card = Scorecard.from_forecast(outcome, actions)
        found = _bounded(card.intervals(counts)["macro_f1"], ".4f", 1)
        better = _bounded(gain("macro_f1", card, today, counts), "+.4f", 1)
        print(f"macro F1, {way:<26}{found}  over today's rule {better}")


def _best_threshold(p: np.ndarray, actual: np.ndarray) -> float:
    """The probability from which on calling a class has the greatest F1."""
    order = np.argsort(-p, kind="stable")
    right = np.cumsum(actual[order])
    f1 = 2 * right / (np.arange(1, len(p) + 1) + actual.sum())
    return float(max(p[order][np.argmax(f1)], 1e-9))


def scored(
    data: Dataset, model: Model, train: np.ndarray, later: np.ndarray, test: np.ndarray
) -> tuple[Scorecard, dict[str, Scorecard]]:
    """Scorecards of the model and of the baselines; intervals are set on the rows ``later``."""
    params = model.params
    forecast = model.forecast(data, test)
    outcome = Outcome(
        data.date[test],
        data.label[test],
        data.future_return[test],
        data.close[test],
        metrics.class_shares(data.label[train]),
        params.interval_level,
    )
    free = [
        kind(data, train, test, params)
        for kind in (majority, persistence, reference_rule, reversal)
    ]
    if forecast.intervals is not None:
        free, _ = with_persistence_interval(free, data, later, test, params)
    p = forecast.probabilities
    actions = actions_of(p, model.base_rates, params)
    card = Scorecard.from_forecast(
        outcome, actions, p, buy_minus_sell(p), forecast.returns, forecast.intervals
    )

    return card, {
        b.name: Scorecard.from_forecast(
            outcome, b.actions, b.probabilities, b.score, b.returns, b.intervals
        )
        for b in free
    }


def _told(words: dict[str, Any]) -> None:
    """Print one line per epoch."""
    if "epoch" in words:
        print(
            {name: round(v, 5) if isinstance(v, float) else v for name, v in words.items()},
            flush=True,
        )


def lines_of(
    card: Scorecard, beside: dict[str, Scorecard], counts: np.ndarray, params: PipelineParams
) -> list[str]:
    """One line a metric: the model's, the baseline's, and the gain over it."""
    found = card.intervals(counts)

    def line(
        title: str,
        metric: str,
        other: str | None,
        form: str,
        scale: float = 1.0,
        gained: bool = True,
    ) -> str:
        text = f"{title:<34}{_bounded(found[metric], form, scale):<34}"
        if other is None:
            return text
        theirs = beside[other].metrics()[metric]
        text += f"{other.replace('_', ' ')} {theirs * scale:{form}}  "
        better = gain(metric, card, beside[other], counts)
        return f"{text}gain {_bounded(better, '+' + form, scale)}" if gained else text

    lines = [
        line("log loss (nats)", "log_loss", "majority", ".4f"),
        line(
            "macro F1",
            "macro_f1",
            "reference_rule" if params.label == "signal" else "majority",
            ".4f",
        ),
        line("rank IC of P(buy) - P(sell)", "rank_ic", "reversal", ".4f"),
        line("ICIR of P(buy) - P(sell)", "icir", None, ".3f"),
        line("calibration error", "ece", None, ".4f"),
    ]
    if "return_mae" not in found:
        return lines
    lines += [
        line("rank IC of the return head", "return_rank_ic", None, ".4f"),
        line("ICIR of the return head", "return_icir", None, ".3f"),
        line("sign right (%)", "return_sign_accuracy", None, ".2f", 100),
        line("R2 of the return (%)", "return_r2", None, ".3f", 100),
        line("R2 against zero (%)", "return_r2_over_zero", None, ".3f", 100),
        line("MAE of the return (%)", "return_mae", "persistence", ".4f", 100),
        line("MAPE of the price (%)", "price_mape", "persistence", ".4f", 100),
        line("MAE of the price (R$)", "price_mae", "persistence", ".5f", gained=False),
        *(
            f"{kind} of the price is within {100 * found[name].ci95[1]:+.3f} % of persistence's "
            f"at the 95 % level ({_bounded(found[name], '+.3f', 100)} %)"
            for kind, name in (("MAPE", "price_mape_excess"), ("MAE", "price_mae_excess"))
        ),
    ]
    if "interval_coverage" not in found:
        return lines
    return [
        *lines,
        f"coverage asked for (%)            {100 * params.interval_level:.1f}",
        line("coverage (%)", "interval_coverage", "persistence", ".2f", 100, gained=False),
        line("mean width (%)", "interval_width", "persistence", ".3f", 100, gained=False),
        line("interval score (%)", "interval_score", "persistence", ".4f", 100),
    ]


def _bounded(found: bootstrap.Interval, form: str, scale: float) -> str:
    low, high = (f"{scale * bound:{form}}" for bound in found.ci95)
    return f"{scale * found.estimate:{form}} [{low}, {high}]"


def table(frame: pd.DataFrame, horizons: Sequence[int]) -> None:
    """Print the forest's table."""
    titles = (
        "horizon",
        "rank IC",
        "ICIR",
        "macro F1",
        "majority",
        "log loss",
        "prior",
        "reversal IC",
        "train rows",
        "s",
    )
    print("".join(f"{title:>12}" for title in titles))

    for horizon in horizons:
        started = time.perf_counter()
        m = measure(frame, horizon)
        seconds = time.perf_counter() - started
        cells = (
            f"{m['rank_ic']:>12.3f}{m['icir']:>12.2f}{m['macro_f1']:>12.3f}"
            f"{m['majority']:>12.2f}{m['log_loss']:>12.4f}{m['prior_log_loss']:>12.4f}"
            f"{m['reversal_ic']:>12.3f}{m['rows']:>12,}{seconds:>12.0f}"
        )
        print(f"{horizon:>12}{cells}", flush=True)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument(
        "--model", choices=("rf", "lstm"), help="one model in detail instead of the forest's table"
    )
    parser.add_argument("--label", choices=("direction", "signal"), default="direction")
    parser.add_argument(
        "--signal-lag", type=int, default=0, help="0: the rule of the same day, 1: of the next"
    )
    parser.add_argument(
        "--horizon", type=int, help="sessions; the table has 1, 2 and 5, one model 2"
    )
    parser.add_argument(
        "--test-year",
        type=int,
        choices=PERIODS,
        default=2022,
        help="first year of the test, one model",
    )
    parser.add_argument(
        "--columns",
        default="",
        metavar="PATTERN",
        help="only these features, one model: rank, ^(?!market)",
    )
    parser.add_argument("--start", metavar="DAY", help="leave out quotes before it, to try it out")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="any parameter of a run"
    )

    return parser.parse_args()


def main() -> None:
    """Measure what the command line asks for."""
    given = arguments()

    if given.folder is None or not (given.folder / "b3_daily.parquet").exists():
        print("not measured: give the folder of b3_daily.parquet")
        return
    frame = quotes(given.folder, given.start)
    if given.model is None and given.label == "direction":
        table(frame, HORIZONS if given.horizon is None else [given.horizon])
        return
    chosen: dict[str, Any] = {"model_type": given.model or "rf", "horizon": given.horizon or 2}
    chosen |= (
        (RULE | RULE_FOREST | {"signal_lag": given.signal_lag})
        if given.label == "signal"
        else FOREST
    )
    params = PipelineParams.from_values(chosen | dict(pair.split("=", 1) for pair in given.set))
    one_model(frame, params, given.test_year, given.columns)


if __name__ == "__main__":
    main()
