"""Verdicts of an evaluation, and what they mean in words."""

from typing import Literal

Skill = Literal["none", "weak", "proven"]
"""Whether the evaluation showed nothing beyond the baselines, something, or enough."""

_IN_WORDS: dict[str, str] = {
    "none": (
        "the model shows no skill on the test dates: what speaks for it cannot be told from chance"
    ),
    "weak": (
        "the model shows a little skill on the test dates, but it does not surely beat every "
        "baseline"
    ),
    "proven": (
        "the model beats the class prior and logistic regression on the test dates, at the 99 % "
        "level"
    ),
}


def in_words(skill: str | None) -> str:
    """Return a verdict as a clause; None stands for a version without an evaluation."""
    return _IN_WORDS.get(skill or "", "the model was not evaluated")
