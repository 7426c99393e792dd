"""Listing, promoting and rolling back versions, without HTTP."""

import pytest
from control_api import checked
from pydantic import ValidationError
from served_store import register_tiny, serve, tiny_snapshot

from b3shared.api.requests import PromoteRequest, RollbackRequest
from b3shared.api.versions import Versions
from b3shared.core.errors import ConflictError, InvalidParameterError, UnknownModelError


@pytest.fixture
def registered(storage, tmp_path):
    """Two versions of the forest, none live, over a snapshot that fits them."""
    serve(storage, tiny_snapshot(), tmp_path / "snapshot")
    return [register_tiny(storage, tmp_path / str(seed), seed) for seed in (1, 2)]


def promoted(storage, **body):
    return checked(
        Versions(storage).promote("random_forest", PromoteRequest.model_validate(body), "me")
    )


def test_a_version_is_promoted_and_rolled_back(storage, registered):
    first, second = registered
    moved = {"status": "success", "model": "models/rf"}
    assert promoted(storage, model_version=first) == (200, moved | {"from": None, "to": first})
    assert promoted(storage, model_version=second, why=" better ")[1]["from"] == first

    back = Versions(storage).rollback("rf", RollbackRequest(), "me")

    assert checked(back) == (200, moved | {"from": second, "to": first})
    _, listed = checked(Versions(storage).models("RF", "models"))
    assert listed["models"].keys() == {"rf"}
    assert listed["models"]["rf"]["live"] == first
    assert {found["version"] for found in listed["models"]["rf"]["versions"]} == {first, second}
    reasons = [event["why"] for event in listed["models"]["rf"]["events"]]
    assert reasons == ["by hand", "better", "by hand"]


def test_expected_is_checked_only_when_it_is_given(storage, registered):
    first, second = registered
    promoted(storage, model_version=first, expected=None)
    for wrong in (None, second):
        with pytest.raises(ConflictError):
            promoted(storage, model_version=second, expected=wrong)
    assert promoted(storage, model_version=second, expected=first)[1]["to"] == second


def test_an_unknown_version_is_refused(storage, registered):
    with pytest.raises(UnknownModelError):
        promoted(storage, model_version="20231228-00000000")


def test_a_namespace_without_versions_is_listed_as_empty(storage):
    _, listed = checked(Versions(storage).models(None, "mine"))
    assert listed == {"status": "success", "namespace": "mine", "models": {}}
    with pytest.raises(InvalidParameterError, match="svm"):
        Versions(storage).models("svm", "mine")


@pytest.mark.parametrize(
    ("request_model", "allowed"),
    [
        (PromoteRequest, "allowed are model_dir, why, model_version, expected"),
        (RollbackRequest, "allowed are model_dir, why"),
    ],
)
def test_unknown_fields_are_refused_with_those_that_are_allowed(request_model, allowed):
    with pytest.raises(InvalidParameterError, match="unknown: other, version; ") as caught:
        request_model.model_validate({"version": "zzz", "other": 1})
    assert caught.value.message.endswith(allowed)
    assert caught.value.details == {"parameters": ["other", "version"]}


@pytest.mark.parametrize("namespace", ["Not Allowed", "", 5, None, "../x"])
@pytest.mark.parametrize("request_model", [PromoteRequest, RollbackRequest])
def test_a_malformed_namespace_is_refused(request_model, namespace):
    body = {"model_dir": namespace}
    if request_model is PromoteRequest:
        body["model_version"] = "20231228-00000000"
    with pytest.raises(ValidationError, match="model_dir"):
        request_model.model_validate(body)
