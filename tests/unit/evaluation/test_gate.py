"""The gate: the first version passes, a later one only if certainly better on common test rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from b3shared.core.errors import ArtifactNotFoundError
from b3shared.evaluation.gate import Outcomes, decide


def outcomes(
    skill: float, *, start: str = "2023-01-02", sessions: int = 200, seed: int = 0
) -> Outcomes:
    """Random labels of ten tickers, and probabilities with ``skill`` about them (0: none)."""
    rng = np.random.default_rng(seed)
    dates = np.arange(sessions) + np.datetime64(start)
    ticker = np.repeat([f"AAA{n}" for n in range(10)], sessions)
    date = np.tile(dates, 10)
    label = rng.integers(0, 3, len(date)).astype(np.int8)
    weight = np.ones((len(date), 3)) + rng.uniform(0, 0.2, (len(date), 3))
    weight[np.arange(len(date)), label] += skill
    probabilities = weight / weight.sum(axis=1, keepdims=True)
    return Outcomes(ticker, date, label, probabilities, "direction, horizon 2")


def test_the_first_version_goes_live() -> None:
    assert decide(outcomes(0.0), None, margin=0.0, horizon=2).promote


def test_a_certainly_better_challenger_goes_live() -> None:
    decision = decide(outcomes(0.4), outcomes(0.1), margin=0.0, horizon=2)
    assert decision.promote
    assert decision.evidence["ci95"][0] > 0
    assert decision.evidence["rows"] == 2000


def test_a_worse_or_an_equal_challenger_does_not_go_live() -> None:
    for challenger in (outcomes(0.0), outcomes(0.1)):
        decision = decide(challenger, outcomes(0.1), margin=0.0, horizon=2)
        assert not decision.promote
        assert "does not exceed" in decision.reason
        assert "-" not in decision.reason.partition(" than live")[0]


def test_a_worse_challenger_is_called_worse_and_a_better_one_better() -> None:
    for challenger, live, word in ((0.0, 0.4, "worse"), (0.4, 0.0, "better")):
        decision = decide(outcomes(challenger), outcomes(live), margin=0.0, horizon=2)
        gain = decision.evidence["log_loss_gain"]
        assert decision.reason.startswith(
            f"log loss {abs(gain):.5f} {word} than live on 2000 rows of "
        )


def test_the_margin_must_be_exceeded() -> None:
    gain = decide(outcomes(0.4), outcomes(0.1), margin=0.0, horizon=2).evidence["log_loss_gain"]
    assert not decide(outcomes(0.4), outcomes(0.1), margin=gain, horizon=2).promote


def test_only_rows_in_both_test_parts_count() -> None:
    later = outcomes(0.4, start="2023-03-01")
    live = outcomes(0.1)
    shared = np.isin(later.date, live.date)
    same = replace(later, label=_labels_of(live, later))
    decision = decide(same, live, margin=0.0, horizon=2)
    assert decision.evidence["rows"] == shared.sum()
    assert decision.evidence["dates"] == 200 - 58


def _labels_of(live: Outcomes, later: Outcomes) -> np.ndarray:
    known = {(t, d): label for t, d, label in zip(live.ticker, live.date, live.label, strict=True)}
    found = [known.get((t, d), 0) for t, d in zip(later.ticker, later.date, strict=True)]
    return np.array(found, dtype=np.int8)


def test_versions_that_forecast_different_things_or_times_are_not_compared() -> None:
    other = replace(outcomes(0.4), target="direction, horizon 5")
    assert "not comparable" in decide(other, outcomes(0.1), margin=0.0, horizon=2).reason
    apart = decide(outcomes(0.4, start="2025-01-01"), outcomes(0.1), margin=0.0, horizon=2)
    assert not apart.promote
    assert "no test row in common" in apart.reason


def test_few_dates_in_common_are_no_evidence() -> None:
    decision = decide(outcomes(0.9, sessions=20), outcomes(0.0, sessions=20), margin=0.0, horizon=2)
    assert not decision.promote
    assert "too few dates" in decision.reason


def test_outcomes_are_unchanged_after_saving_and_loading(tmp_path: Path) -> None:
    stored = outcomes(0.1)
    stored.save(tmp_path)
    again = Outcomes.load(tmp_path)
    assert again.target == stored.target
    np.testing.assert_array_equal(again.probabilities, stored.probabilities)
    np.testing.assert_array_equal(again.ticker, stored.ticker)
    with pytest.raises(ArtifactNotFoundError):
        Outcomes.load(tmp_path / "elsewhere")


def test_an_outdated_version_is_replaced_by_one_that_is_not_worse() -> None:
    equal, slightly_better = outcomes(0.1), outcomes(0.11, seed=0)
    for challenger in (equal, slightly_better):
        assert decide(challenger, outcomes(0.1), margin=0.5, horizon=2, outdated=True).promote
        assert not decide(challenger, outcomes(0.1), margin=0.5, horizon=2).promote
    assert "not worse" in decide(equal, outcomes(0.1), margin=0.0, horizon=2, outdated=True).reason


def test_an_outdated_version_is_not_replaced_by_a_worse_one() -> None:
    decision = decide(outcomes(0.0), outcomes(0.4), margin=0.0, horizon=2, outdated=True)
    assert not decision.promote
    assert decision.evidence["ci95"][1] < 0
    assert "worse, though" in decision.reason


@pytest.mark.parametrize("seed", range(5))
def test_noise_does_not_hide_that_a_challenger_is_worse(seed: int) -> None:
    live = outcomes(0.2, sessions=60, seed=seed)
    worse = replace(live, probabilities=_noisy(live.probabilities, seed))
    decision = decide(worse, live, margin=0.0, horizon=2, outdated=True)
    assert decision.evidence["log_loss_gain"] < 0
    assert not decision.promote


def _noisy(probabilities: np.ndarray, seed: int) -> np.ndarray:
    weight = probabilities * np.random.default_rng(seed).uniform(0.5, 1.5, probabilities.shape)
    return weight / weight.sum(axis=1, keepdims=True)


def test_an_outdated_version_of_another_target_is_not_compared() -> None:
    other = replace(outcomes(0.4), target="direction, horizon 5")
    assert not decide(other, outcomes(0.1), margin=0.0, horizon=2, outdated=True).promote
