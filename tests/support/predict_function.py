"""The predict function in this process, over a storage of its own."""

import importlib.util
import itertools
import json
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest
from paths import ROOT
from pydantic import BaseModel

from b3shared.api.schemas import Error

APP = ROOT / "functions" / "predict" / "app.py"


_numbers = itertools.count()


class Answer(BaseModel):
    status: int
    content_type: str
    body: dict[str, Any]

    def error(self, status: int, code: str) -> str:
        """The message of an error of this status and code, in the one form of errors."""
        assert (self.status, self.body["code"]) == (status, code), self.body
        assert self.body.keys() - {"details"} == {"status", "code", "message"}
        return Error.model_validate(self.body, strict=True).message

    def ok(self, schema: type[BaseModel]) -> dict[str, Any]:
        """The body of a success, exactly of the schema's fields."""
        assert (self.status, self.body.get("status", "success")) == (200, "success"), self.body
        assert schema.model_validate(self.body, strict=True).model_dump() == self.body
        return self.body


class PredictFunction:
    """The function in this process, over a storage of its own."""

    def __init__(self, storage: Path) -> None:
        self.storage = storage
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("B3_STORAGE", str(storage))
            environment.setenv("POWERTOOLS_SERVICE_NAME", "predict")
            self.app = load(APP)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: dict[str, str] | None = None,
        **more: Any,
    ) -> Answer:
        event = {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": urlencode(query or {}),
            "headers": {"content-type": "application/json"},
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
            function_name="predict",
            memory_limit_in_mb=512,
            invoked_function_arn="arn",
            aws_request_id="request-1",
        )
        answer = self.app.handler(event | more, context)
        headers = {name.lower(): value for name, value in answer["headers"].items()}
        return Answer(
            status=answer["statusCode"],
            content_type=headers["content-type"],
            body=json.loads(answer["body"]),
        )


def load(path: Path) -> ModuleType:
    """A function's module under a name of its own: all of them are called app."""
    spec = importlib.util.spec_from_file_location(f"predict_app_{next(_numbers)}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
