"""The verdict, its warnings and its headline follow from the metrics."""

import pytest

from b3shared.evaluation.verdict import headline_of, skill_verdict, warnings_of


def bounds(low95, low99, estimate=0.05):
    return {"estimate": estimate, "ci95": [low95, 0.1], "ci99": [low99, 0.12]}


CLEAR, FAINT, NOTHING, UNKNOWN = (
    bounds(0.02, 0.01),
    bounds(0.01, -0.01),
    bounds(-0.01, -0.02),
    bounds(None, None),
)


def metrics(
    ic=CLEAR,
    prior=CLEAR,
    logistic=CLEAR,
    skill=CLEAR,
    label="direction",
    direction=0.53,
    resamples=2000,
):
    differences = {
        "log_loss_gain_over_prior": prior,
        "log_loss_gain_over_logistic_regression": logistic,
    }

    return {
        "label": label,
        "skill": "none",
        "intervals": {"rank_ic": ic, "log_loss_skill": skill},
        "differences": differences,
        "model": {"test": {"directional_accuracy": direction, "dates": 40}},
        "bootstrap": {"resamples": resamples, "block_length": 10},
        "parts": {"train": {"class_shares": {"buy": 0.3, "hold": 0.4, "sell": 0.3}}},
    }


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "proven"),
        ({"logistic": NOTHING}, "weak"),
        ({"prior": FAINT}, "weak"),
        ({"ic": FAINT}, "weak"),
        ({"ic": NOTHING}, "weak"),  # the log-loss skill is still there
        ({"ic": NOTHING, "skill": NOTHING}, "none"),
        ({"ic": FAINT, "skill": NOTHING, "prior": NOTHING}, "weak"),
        ({"ic": NOTHING, "skill": FAINT, "prior": FAINT}, "weak"),
        ({"ic": UNKNOWN, "skill": UNKNOWN, "prior": UNKNOWN, "logistic": UNKNOWN}, "none"),
        ({"ic": None, "skill": NOTHING}, "none"),
        ({"label": "signal"}, "weak"),
        ({"label": "signal", "ic": NOTHING}, "none"),
        ({"label": "triple_barrier"}, "proven"),
    ],
)
def test_the_verdict_follows_from_the_intervals_of_the_metrics(changes, verdict):
    assert skill_verdict(metrics(**changes)) == verdict


def test_a_lower_bound_of_exactly_zero_is_no_evidence():
    zero = bounds(0.0, 0.0)
    assert skill_verdict(metrics(ic=zero, skill=zero, prior=zero)) == "none"


def test_direction_above_sixty_percent_is_called_a_leak():
    (warning,) = warnings_of(metrics(direction=0.601))
    assert "above 60 %: treat as a leak until proven otherwise" in warning
    assert headline_of(metrics(direction=0.601)).startswith("Suspect a leak")
    for innocent in (metrics(direction=0.60), metrics(direction=None)):
        assert warnings_of(innocent) == []
        assert "leak" not in headline_of(innocent)


def test_a_rule_label_gives_a_warning():
    (warning,) = warnings_of(metrics(label="signal", direction=0.7))
    assert warning == "label 'signal' is a rule of the inputs: a high score here is not a forecast"


def test_too_few_dates_and_a_missing_class_give_warnings():
    few = metrics(resamples=0)
    few["parts"]["train"]["class_shares"] = {"buy": 0.0, "hold": 1.0, "sell": 0.0}
    warnings = " ".join(warnings_of(few))
    assert "40 test dates are fewer than five blocks of 10" in warnings
    assert "no buy and no sell" in warnings


@pytest.mark.parametrize(
    ("skill", "words"),
    [("none", "shows no skill"), ("weak", "a little skill"), ("proven", "beats the class prior")],
)
def test_the_headline_says_the_verdict_and_its_evidence(skill, words):
    sentence = headline_of(metrics() | {"skill": skill})
    assert words in sentence
    assert "daily rank IC +0.050 [+0.020 to +0.100]" in sentence
    assert "no interval" in headline_of(metrics(ic=UNKNOWN) | {"skill": "none"})
    assert "not defined" in headline_of(metrics(ic=None) | {"skill": "none"})


def with_returns(excess=-0.01, coverage=0.9, sign=0.52, label="direction"):
    found = metrics(label=label)
    found["model"]["test"]["return_sign_accuracy"] = sign
    found["intervals"] |= {
        "price_mape_excess": {"estimate": excess, "ci95": [-0.02, 0.015], "ci99": [-0.03, 0.02]},
        "interval_coverage": {"estimate": coverage, "ci95": [0.8, 0.95], "ci99": [0.8, 0.95]},
    }
    return found | {"return_interval": {"level": 0.9}}


def test_a_price_error_above_persistence_gives_a_warning():
    assert warnings_of(with_returns()) == []
    assert warnings_of(with_returns(excess=0.0)) == []
    (warning,) = warnings_of(with_returns(excess=0.0123))
    assert warning == (
        "price error (MAPE) +1.230% [-2.000% to +1.500%] against persistence's: "
        "'the price stays' is the better price forecast"
    )
    assert warnings_of(with_returns(excess=None)) == []


@pytest.mark.parametrize(
    ("coverage", "warned"), [(0.871, False), (0.929, False), (0.869, True), (0.931, True)]
)
def test_coverage_more_than_three_points_off_gives_a_warning(coverage, warned):
    found = warnings_of(with_returns(coverage=coverage))
    assert [
        f"the intervals cover {coverage:.1%} of the outcomes, not the 90.0% asked for" in w
        for w in found
    ] == [True] * warned


@pytest.mark.parametrize("label", ["direction", "signal"])
def test_a_return_head_that_is_too_often_right_is_called_a_leak_whatever_the_label(label):
    found = with_returns(sign=0.61, label=label)
    assert any(
        "sign accuracy of the return 61.0% is above 60 %" in warning
        for warning in warnings_of(found)
    )
    assert skill_verdict(found) == "none"
    assert skill_verdict(with_returns(sign=0.60, label=label)) != "none"
    assert skill_verdict(with_returns(sign=None, label=label)) != "none"


def test_the_headline_compares_the_price_with_persistence_where_there_is_one():
    assert "price error against persistence's -1.00% [-2.00% to +1.50%]" in headline_of(
        with_returns()
    )
    assert "persistence" not in headline_of(metrics())
