"""Requests made from the API's own description, right and wrong, against the running stack."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from paths import ROOT
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from infra.local import LocalStack

load_all_checks()
SPEC = ROOT / "functions" / "pipeline_api" / "openapi.json"
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
ALLOWED = {501, 503}
"""Named conditions of the product (not available yet, nothing live), never a crash."""
LONG_STEPS = r"/(load-data|train-model)$"
"""What they accept they do, in a second or two.

Their parameters are those of complete-pipeline, which is asked for every boundary of each: these
get random bodies.
"""
SAME_PATHS = "^/predict(/batch)?$|^/api/b3/assets$"
"""Other names of routes that are asked anyway."""
UNHEALTHY = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much]

schema = schemathesis.openapi.from_path(str(SPEC))


@pytest.fixture(scope="session")
def api_url(served: LocalStack) -> str:
    return served.api_url


def _keep_small(path: str, body: dict[str, Any]) -> None:
    """Lower what would take long: waiting, and forests of a thousand trees."""
    most_of = {
        "n_estimators": 8,
        "n_iter": 1,
        "cv_folds": 2,
        "max_depth": 4,
        "epochs": 1,
        "wait_seconds": 2,
    }

    if path.endswith(("train-model", "complete-pipeline")):
        body.update(
            {
                name: most_of[name]
                for name in ("n_estimators", "n_iter", "epochs")
                if name not in body
            }
        )
    for name, most in most_of.items():
        if isinstance(body.get(name), int | float) and body[name] > most:
            body[name] = most


@schema.exclude(path_regex=f"{LONG_STEPS}|{SAME_PATHS}").parametrize()
@settings(max_examples=4, deadline=None, suppress_health_check=UNHEALTHY)
def test_every_answer_is_in_the_description_and_none_is_a_crash(
    case: schemathesis.Case, api_url: str
) -> None:
    _answers_as_described(case, api_url)


@schema.include(path_regex=LONG_STEPS).parametrize()
@settings(max_examples=12, phases=[Phase.generate], deadline=None, suppress_health_check=UNHEALTHY)
def test_every_answer_of_the_long_steps_is_in_the_description(
    case: schemathesis.Case, api_url: str
) -> None:
    _answers_as_described(case, api_url)


def _answers_as_described(case: schemathesis.Case, api_url: str) -> None:
    if isinstance(case.body, dict) and case.method == "POST":
        _keep_small(case.path, case.body)
    response = case.call(base_url=api_url, timeout=120)
    assert response.status_code < 500 or response.status_code in ALLOWED, response.text
    case.validate_response(response, checks=CHECKS)
    assert "Traceback" not in response.text
