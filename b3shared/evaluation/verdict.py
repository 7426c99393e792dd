"""The verdict on a model's skill, its evidence in words, and warnings to the reader."""

from collections.abc import Mapping
from typing import Any

from b3shared.core.skill import Skill, in_words

LEAK_THRESHOLD = 0.60
"""Honest direction lies between 50 and 56 %; a random split of random walks reaches 64 to 70 %."""
COVERAGE_TOLERANCE = 0.03
"""An interval whose coverage is further than this from its level does not mean what it says."""


def skill_verdict(metrics: Mapping[str, Any]) -> Skill:
    """Judge the model on the test part.

    ``proven``: the lower bounds of the two-sided 99 % intervals of three metrics are above 0: the
    log-loss gain over the class prior, the log-loss gain over logistic regression (both paired by
    date), and the mean daily rank IC. ``weak``: the lower 95 % bound of the mean rank IC, or of the
    log-loss skill against the class prior, is above 0. ``none``: otherwise, also where the test
    part has too few dates for intervals, or a leak is suspected.

    For the label ``signal`` log loss measures how well a rule of the inputs was learned again, not
    what the market will do. Only the rank IC, which is measured on returns, counts then, and the
    verdict is ``weak`` at most.
    """
    if leak_suspected(metrics):
        return "none"
    ranks = metrics["intervals"].get("rank_ic")
    gains = metrics["differences"]
    rule = metrics["label"] == "signal"
    losses = [gains["log_loss_gain_over_prior"], gains["log_loss_gain_over_logistic_regression"]]
    if not rule and all(_above_zero(found, "ci99") for found in (*losses, ranks)):
        return "proven"
    skill = None if rule else metrics["intervals"].get("log_loss_skill")
    return "weak" if _above_zero(ranks, "ci95") or _above_zero(skill, "ci95") else "none"


def _above_zero(found: Mapping[str, Any] | None, level: str) -> bool:
    low = found[level][0] if found else None
    return low is not None and low > 0  # NaN compares false


def warnings_of(metrics: Mapping[str, Any]) -> list[str]:
    """Warnings that a reader must know before believing any metric."""
    found = []
    if metrics["label"] == "signal":
        found.append("label 'signal' is a rule of the inputs: a high score here is not a forecast")
    found += [
        f"{what} {share:.1%} is above 60 %: treat as a leak until proven otherwise"
        for what, share in _leaks(metrics)
    ]
    found += _of_returns(metrics)
    if not metrics["bootstrap"]["resamples"]:
        found.append(
            f"{metrics['model']['test']['dates']} test dates are fewer than five blocks of "
            f"{metrics['bootstrap']['block_length']}: no intervals, and no skill can be shown"
        )

    missing = [
        name for name, share in metrics["parts"]["train"]["class_shares"].items() if share == 0
    ]
    if missing:
        found.append(
            f"the train part has no {' and no '.join(missing)}: the model cannot forecast it"
        )

    return found


def _of_returns(metrics: Mapping[str, Any]) -> list[str]:
    """Warnings about prices and intervals, where the model gives them."""
    found = []
    intervals = metrics["intervals"]

    excess = intervals.get("price_mape_excess")
    if excess and excess["estimate"] is not None and excess["estimate"] > 0:
        bounds = _with_bounds(excess, "+.3%")
        found.append(
            f"price error (MAPE) {bounds} against persistence's: "
            "'the price stays' is the better price forecast"
        )

    covered = intervals.get("interval_coverage")
    if covered:
        level = metrics["return_interval"]["level"]
        share = covered["estimate"]
        if abs(share - level) > COVERAGE_TOLERANCE:
            found.append(
                f"the intervals cover {share:.1%} of the outcomes, not the {level:.1%} asked for: "
                "the test dates are unlike those that the intervals were set on"
            )

    return found


def leak_suspected(metrics: Mapping[str, Any]) -> bool:
    """Whether the direction of returns was right more often than honest forecasts ever are."""
    return bool(_leaks(metrics))


def _leaks(metrics: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Shares of right directions that are too good to be true, with their names.

    The actions of a rule label are no forecast of a return.
    """
    test = metrics["model"]["test"]
    shares = {"sign accuracy of the return": test.get("return_sign_accuracy")}
    if metrics["label"] != "signal":
        shares = {"directional accuracy": test["directional_accuracy"]} | shares
    return [
        (what, share)
        for what, share in shares.items()
        if share is not None and share > LEAK_THRESHOLD
    ]


def headline_of(metrics: Mapping[str, Any]) -> str:
    """The verdict and its evidence in one sentence."""
    return f"{verdict_of(metrics)} ({evidence_of(metrics)})."


def verdict_of(metrics: Mapping[str, Any]) -> str:
    """Whether the model beats the baselines, in plain words, without a full stop."""
    words = in_words(metrics["skill"])
    if leak_suspected(metrics):
        words = (
            "suspect a leak: "
            "the direction was called more often right than honest forecasts ever are"
        )
    return words[0].upper() + words[1:]


def evidence_of(metrics: Mapping[str, Any]) -> str:
    """The metrics that the verdict rests on, with their 95 % intervals, in words."""
    intervals = metrics["intervals"]
    gains = metrics["differences"]
    over_prior = _with_bounds(gains["log_loss_gain_over_prior"], "+.4f")
    over_linear = _with_bounds(gains["log_loss_gain_over_logistic_regression"], "+.4f")

    parts = [
        f"daily rank IC {_with_bounds(intervals.get('rank_ic'), '+.3f')}",
        f"log-loss gain over the class prior {over_prior}",
        f"over logistic regression {over_linear}",
    ]
    if "price_mape_excess" in intervals:
        excess = _with_bounds(intervals["price_mape_excess"], "+.2%")
        parts.append(f"price error against persistence's {excess}")
    return "; ".join(parts) + "; 95 % intervals"


def _with_bounds(found: Mapping[str, Any] | None, form: str) -> str:
    if not found or found["estimate"] is None:
        return "not defined"
    low, high = found["ci95"]
    bounds = "no interval" if low is None or high is None else f"{low:{form}} to {high:{form}}"
    return f"{found['estimate']:{form}} [{bounds}]"
