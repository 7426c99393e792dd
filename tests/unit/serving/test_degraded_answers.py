"""Answers say when they are not fresh, and follow what is promoted."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from predictor_world import World
from served_store import register_tiny, serve, tiny_snapshot

from b3shared.api.schemas import PredictAnswer
from b3shared.core.versions import FEATURES_VERSION
from b3shared.registry.promotion import promote
from b3shared.registry.release import Release
from b3shared.serving.live import CHECK_SECONDS
from b3shared.serving.predictor import FRESH_SESSIONS, OTHER_FEATURES
from b3shared.storage import FolderStorage


@pytest.mark.parametrize(
    ("today", "age"),
    [
        (date(2023, 12, 28), 0),  # Thursday, the session itself
        (
            date(2023, 12, 29),
            0,
        ),  # the exchange is closed on the last weekday of the year, and on New Year's Day
        (date(2024, 1, 2), 0),  # the first session since; its quotes come in the evening
        (date(2024, 1, 3), 1),
        (date(2024, 1, 5), 3),
        (date(2024, 1, 7), 4),  # Sunday
        (date(2023, 12, 27), 0),  # a clock that is behind makes nothing younger than today
    ],
)
def test_the_age_counts_the_sessions_that_the_data_could_have(
    tiny: World, today: date, age: int
) -> None:
    tiny.today = today
    answer = tiny.predict("PETR4")
    assert answer["data_age_sessions"] == age
    assert answer["degraded"] == (age > FRESH_SESSIONS)
    if answer["degraded"]:
        assert answer["message"] == f"the newest quote is of 2023-12-28, {age} sessions ago"
    assert tiny.batch(["PETR4"])["predictions"][0]["data_age_sessions"] == age


def test_a_release_that_cannot_be_checked_degrades_the_answer_and_all_reasons_are_given(
    tiny: World,
) -> None:
    tiny.predict("PETR4")
    tiny.now, tiny.store.down, tiny.today = CHECK_SECONDS, True, date(2024, 1, 10)
    answer = tiny.predict("PETR4")
    assert answer["status"] == "success"
    assert answer["degraded"] is True
    assert answer["message"] == (
        "the newest quote is of 2023-12-28, 6 sessions ago; "
        "what is live could not be checked (OSError); this was live before"
    )


def test_features_of_other_code_than_the_version_learnt_from_degrade_the_answer(
    tiny: World, tmp_path: Path
) -> None:
    old, new, unknown = (
        register_tiny(tiny.store, tmp_path / name, seed, features_version=code)
        for seed, (name, code) in enumerate(
            [("old", 0), ("new", FEATURES_VERSION), ("silent", None)], 11
        )
    )
    promote(tiny.store, "models", "rf", new, who="test", why="test")

    for version, degraded in ((old, True), (new, False), (unknown, False)):
        answer = tiny.predict("PETR4", model_version=version)
        row = tiny.batch(["PETR4"], model_version=version)["predictions"][0]
        assert (answer["degraded"], row["degraded"]) == (degraded, degraded)
        assert (OTHER_FEATURES in answer["message"], OTHER_FEATURES in row["message"]) == (
            degraded,
            degraded,
        )


def test_answers_follow_a_promotion(tiny: World, tmp_path: Path) -> None:
    before = tiny.predict("PETR4")
    other = register_tiny(FolderStorage(tiny.folder), tmp_path / "other", 2)
    promote(tiny.store, "models", "rf", other, who="test", why="test")
    assert tiny.predict("PETR4") == before
    tiny.now += CHECK_SECONDS
    assert tiny.predict("PETR4")["model_version"] == other
    Release(tiny.store).rollback("models", "rf", who="test", why="test")
    tiny.now += CHECK_SECONDS
    assert tiny.predict("PETR4") == before


@pytest.mark.parametrize(
    ("until", "known", "said"),
    [
        ("2023-12-28", "2023-12-28", ""),
        ("2023-06-30", "2023-06-30", "Dividends after 2023-06-30 are not known: returns and "),
        ("NaT", None, "Dividends are not known: returns and features leave them out."),
        (None, None, "This snapshot does not say up to when dividends are known."),
    ],
)
def test_an_answer_says_up_to_when_dividends_are_known(
    until: str | None, known: str | None, said: str, tiny: World, tmp_path: Path
) -> None:
    days = None if until is None else np.full(4, np.datetime64(until, "D"))
    serve(tiny.store, replace(tiny_snapshot(), dividends_until=days), tmp_path / "dividends")

    answer = tiny.predict("PETR4")
    PredictAnswer.model_validate(answer)
    assert answer["dividends_known_until"] == known
    assert said in answer["explanation"]["summary"]
    assert answer["degraded"] is False
    (row,) = tiny.batch(["PETR4"])["predictions"]
    assert row["dividends_known_until"] == known


@pytest.mark.parametrize(("since", "said"), [("2023-12-01", True), ("NaT", False), (None, False)])
def test_an_answer_says_that_recent_dividends_before_a_day_are_not_all_known(
    since: str | None, said: bool, tiny: World, tmp_path: Path
) -> None:
    snapshot = tiny_snapshot()
    days = None if since is None else np.full(4, np.datetime64(since, "D"))
    serve(tiny.store, replace(snapshot, dividends_from=days), tmp_path / "dividends")

    summary = tiny.predict("PETR4")["explanation"]["summary"]
    assert ("Dividends before 2023-12-01 are not all known: returns and " in summary) is said
