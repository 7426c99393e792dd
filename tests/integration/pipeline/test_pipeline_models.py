"""Versions over HTTP: list, promote, roll back; the history says who did it and why."""

import pytest
from pipeline_client import error_of


@pytest.fixture(scope="module")
def versions(full_run, script):
    """Two versions: one of a run by one call, one of a run step by step."""
    first = full_run[1]["pipeline_state"]["training_results"]["model_version"]
    second = script["save"]["model_version"]
    assert first != second
    return first, second


def listed(api):
    return api.get("models/rf").json()["models"]["rf"]


def test_all_versions_are_listed_with_what_is_known_of_them(versions, api):
    body = api.get("models").json()
    assert (body["status"], body["namespace"]) == ("success", "models")
    assert body["models"] == {"rf": listed(api)}
    assert {v["version"] for v in listed(api)["versions"]} >= set(versions)
    for version in [v for v in listed(api)["versions"] if v["version"] in versions]:
        assert version["lineage"]["run_id"]
        assert version["evaluation"]["skill"] in ("none", "weak", "proven")
        assert version["train_end"] == "2023-12-28"


def test_the_other_names_of_a_type_mean_the_same(versions, api):
    assert api.get("models/random_forest").json()["models"]["rf"] == listed(api)


def test_a_type_without_versions_has_none(api):
    lstm = api.get("models/lstm").json()["models"]["lstm"]
    assert lstm == {"live": None, "skill": None, "versions": [], "events": []}


def test_promotion_and_rollback_move_what_is_live_and_say_who_and_why(versions, api):
    first, second = versions
    live = listed(api)["live"]
    other = second if live == first else first
    moved = api.ok(
        "models/rf/promote", {"model_version": other, "expected": live, "why": "looks better"}
    )

    assert (moved["from"], moved["to"]) == (live, other)
    assert listed(api)["live"] == other
    back = api.ok("models/rf/rollback")
    assert (back["from"], back["to"]) == (other, live)
    promotion, rollback = listed(api)["events"][-2:]
    assert (promotion["action"], promotion["why"], promotion["from"], promotion["to"]) == (
        "promote",
        "looks better",
        live,
        other,
    )
    assert (rollback["action"], rollback["why"], rollback["from"], rollback["to"]) == (
        "rollback",
        "by hand",
        other,
        live,
    )
    assert promotion["who"] == rollback["who"] == "http:127.0.0.1"


def test_a_promotion_that_expects_something_else_live_is_refused(versions, api):
    live = listed(api)["live"]
    other = next(version for version in versions if version != live)
    for expected in (other, None):
        body = {"model_version": other, "expected": expected}
        assert api.refused("models/rf/promote", body)[:2] == (409, "CONFLICT")
    assert listed(api)["live"] == live


def test_an_unknown_version_or_model_cannot_be_promoted_or_rolled_back(versions, api):
    unknown = {"model_version": "20200101-00000000"}
    assert api.refused("models/rf/promote", unknown)[:2] == (404, "UNKNOWN_MODEL")
    assert api.refused("models/rf/rollback", {"model_dir": "empty"})[:2] == (503, "NOTHING_LIVE")
    assert error_of(api.get("models", model_dir="Not Allowed"))[:2] == (422, "INVALID_PARAMETER")
