"""The control function in this process, over a folder and a state machine that ends nothing."""

import importlib.util
import itertools
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from paths import ROOT

from b3shared.runs.state_machine import Execution, StateMachine

FOLDER = ROOT / "functions" / "pipeline_api"


_numbers = itertools.count()


class Started(StateMachine):
    """A state machine that accepts every start and whose executions never end."""

    def __init__(self) -> None:
        super().__init__("arn:aws:states:sa-east-1:1:stateMachine:fake")
        self.inputs: dict[str, Any] = {}

    def start(self, name: str, given: dict[str, Any]) -> Execution:
        self.inputs[name] = given
        return Execution(name, name, "RUNNING")

    def find(self, name: str) -> Execution | None:
        return Execution(name, name, "RUNNING") if name in self.inputs else None

    def status(self, execution: Execution) -> Execution:
        return execution

    def running(self) -> Any:
        return iter(())


class ControlFunction:
    """The function in this process, over a storage of its own."""

    def __init__(self, storage: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("B3_STORAGE", str(storage))
            patch.setenv("B3_WAIT_SECONDS", "0")
            patch.setenv("POWERTOOLS_SERVICE_NAME", "pipeline_api")
            patch.syspath_prepend(str(FOLDER))
            spec = importlib.util.spec_from_file_location(
                f"pipeline_api_app_{next(_numbers)}", FOLDER / "app.py"
            )
            assert spec
            assert spec.loader
            self.app = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(self.app)
            sys.modules.pop("description", None)

        self.machine = Started()
        self.app.machine = self.machine

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: dict[str, str] | None = None,
        **more: Any,
    ) -> tuple[int, dict[str, Any]]:
        event = {
            "version": "2.0",
            "routeKey": f"{method} {path}",
            "rawPath": path,
            "rawQueryString": urlencode(query or {}, errors="surrogatepass"),
            "headers": {},
            "requestContext": {
                "http": {"method": method, "path": path, "sourceIp": "127.0.0.1"},
                "requestId": "request",
                "stage": "$default",
            },
            "isBase64Encoded": False,
        }

        if query:
            event["queryStringParameters"] = query
        if body is not None:
            event["body"] = body if isinstance(body, str) else json.dumps(body)
        context = SimpleNamespace(
            function_name="pipeline_api",
            memory_limit_in_mb=512,
            invoked_function_arn="arn",
            aws_request_id="request-1",
            get_remaining_time_in_millis=lambda: 30_000,
        )
        answer = self.app.handler(event | more, context)
        return answer["statusCode"], json.loads(answer["body"])

    def post(self, route: str, body: Any = None, **more: Any) -> tuple[int, dict[str, Any]]:
        return self.call("POST", f"/api/b3/{route}", body, **more)
