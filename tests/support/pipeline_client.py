"""A caller of the control API, and what the tests ask of the emulator."""

import json
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
import requests
from processes import descendants
from waiting import until

from b3shared.params.steps import Step
from b3shared.storage import Storage, open_storage
from infra.local import LocalStack
from infra.local.aws import isolate_from_user

PATIENCE = 420


def storage_of(stack: LocalStack) -> Storage:
    """Return the bucket of a stack.

    Its client is made here, in the stack's environment; afterwards the process has its own again.
    """
    with pytest.MonkeyPatch.context() as shell:
        for name, value in (isolate_from_user() | {"AWS_ENDPOINT_URL": stack.aws_url}).items():
            shell.setenv(name, value)
        storage = open_storage(f"s3://{stack.outputs['BucketName']}")
        storage.exists("anything")
    return storage


class Client:
    """Calls of a stack's control API over HTTP."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.base = stack.api_url + "/api/b3/"

    def post(self, path: str, body: Any = None, **headers: str) -> requests.Response:
        """POST a JSON body; underscores in the names of headers are hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.post(self.base + path, json=body, headers=named, timeout=PATIENCE)

    def send(self, path: str, body: bytes) -> requests.Response:
        """POST bytes as they are."""
        binary = {"content-type": "application/octet-stream"}
        return requests.post(self.base + path, data=body, headers=binary, timeout=PATIENCE)

    def get(self, path: str, **query: str) -> requests.Response:
        return requests.get(self.base + path, params=query, timeout=PATIENCE)

    def ok(self, path: str, body: Any = None) -> dict[str, Any]:
        """What a call is answered that must succeed."""
        response = self.post(path, body)
        assert response.status_code == 200, response.text
        return response.json()

    def refused(self, path: str, body: Any = None) -> tuple[int, str, str]:
        """Status, code and message of a call that must not succeed, its form checked."""
        return error_of(self.post(path, body))

    def status(self, run_id: str | None = None) -> dict[str, Any]:
        response = self.get("pipeline-status", **({"run_id": run_id} if run_id else {}))
        assert response.status_code == 200, response.text
        return response.json()

    def ended(self, run_id: str) -> dict[str, Any]:
        """The status of a run once nothing of it runs any more."""
        return until(
            lambda: None if (now := self.status(run_id))["running"] else now,
            f"the end of {run_id}",
            PATIENCE,
        )

    # -- the emulator's side

    def executions(self, run_id: str) -> list[str]:
        """Names of all executions of a run, oldest first."""
        listed = self._sfn.list_executions(stateMachineArn=self._machine)["executions"]
        mine = [e for e in listed if e["name"].split(".")[0] == run_id]
        return [e["name"] for e in sorted(mine, key=lambda e: e["startDate"])]

    def arn_of(self, execution: str) -> str:
        return f"{self._machine.replace(':stateMachine:', ':execution:')}:{execution}"

    def describe(self, execution: str) -> dict[str, Any]:
        return self._sfn.describe_execution(executionArn=self.arn_of(execution))

    def history(self, execution: str) -> list[dict[str, Any]]:
        pages = self._sfn.get_paginator("get_execution_history")
        return [
            event
            for page in pages.paginate(executionArn=self.arn_of(execution))
            for event in page["events"]
        ]

    def start(self, execution: str, given: dict[str, Any]) -> str:
        """Start an execution past the API; its status once it has ended."""
        self._sfn.start_execution(
            stateMachineArn=self._machine, name=execution, input=json.dumps(given)
        )
        return until(
            lambda: None if (now := self.describe(execution)["status"]) == "RUNNING" else now,
            f"the end of {execution}",
            PATIENCE,
        )

    def workers(self, function: str) -> Iterator[psutil.Process]:
        """The processes that run a function, by the name of its folder."""
        for child in descendants(self.stack.pid):
            if "awslambdaric" in child.command and child.folder.name == function:
                yield child.process

    @property
    def _sfn(self) -> Any:
        return self.stack.client("stepfunctions")

    @property
    def _machine(self) -> str:
        return self.stack.outputs["StateMachineArn"]


def error_of(response: requests.Response) -> tuple[int, str, str]:
    """Status, code and message of an error, which has the one form of all errors."""
    body = response.json()
    assert response.status_code >= 400, response.text
    assert body["status"] == "error"
    assert body.keys() <= {"status", "code", "message", "details"}
    assert "Traceback" not in response.text
    assert 'File \\"' not in response.text
    return response.status_code, body["code"], body["message"]


def finished_at(status: dict[str, Any]) -> dict[Step, str | None]:
    """When each step of a run was finished."""
    return {step: status["steps"][step].get("finished_at") for step in Step}
