"""Calls the control API without HTTP: bodies in, status and body out."""

import json
from typing import Any

from b3shared.api.control import Control
from b3shared.api.requests import CompletePipelineRequest, LoadDataRequest, StepRequest
from b3shared.api.responses import Answer
from b3shared.params.steps import Step

REQUESTS: dict[Step, type[StepRequest]] = {
    Step.LOAD_DATA: LoadDataRequest,
    **{request.owner: request for request in StepRequest.__subclasses__() if request.owner},
}
"""Step -> the model of its request."""


def checked(answer: Answer) -> tuple[int, dict[str, Any]]:
    """Status and body of an answer, which has exactly the fields of its model."""
    body = answer.body()
    check_strictly(type(answer), body)
    return answer.status_code, body


def check_strictly(model: type[Answer], body: dict[str, Any]) -> None:
    """Assert that a body has the types of its model and no field beside the model's."""
    assert model.model_validate_json(json.dumps(body), strict=True).body() == body


class ControlApi:
    """Calls a :class:`Control` with the bodies of requests.

    Args:
        control: to ask.
    """

    def __init__(self, control: Control) -> None:
        self.control = control
        self.machine: Any = control.machine

    def step(
        self, step: Step, body: dict[str, Any], key: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        return checked(self.control.step(step, REQUESTS[step].model_validate(body), key))

    def complete_pipeline(
        self, body: dict[str, Any], key: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        request = CompletePipelineRequest.model_validate(body)
        return checked(self.control.complete_pipeline(request, key))

    def status(self, run_id: str | None) -> tuple[int, dict[str, Any]]:
        return checked(self.control.status(run_id))

    def clear_state(self) -> tuple[int, dict[str, Any]]:
        return checked(self.control.clear_state())
