"""Calls the functions' handlers in this process, on moto, and records what each asks of AWS."""

import importlib.util
import itertools
import json
import sys
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
from granted import ROOT, functions

S3_ACTIONS = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "DeleteObject": "s3:DeleteObject",
    "ListObjectsV2": "s3:ListBucket",
}
"""The permission that each request of S3 needs; a request that is not here fails the test."""
SIBLINGS = ("description", "edge")
"""Modules beside the control API's app.py."""

Use = tuple[str, str]
"""A permission and the ARN of what it was needed for."""


class Recorder:
    """Records the permissions that the running function needs."""

    def __init__(self) -> None:
        self.uses: dict[str, set[Use]] = defaultdict(set)
        self.at_work: str | None = None

    def handlers(self) -> list[tuple[str, Any]]:
        """Handlers for botocore, called with every request and every answer of every client."""
        return [("before-parameter-build", self._asked), ("after-call.s3", self._answered)]

    def _asked(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        if self.at_work is None:
            return

        if model.service_model.service_name == "s3":
            context["bucket"] = bucket = f"arn:aws:s3:::{params['Bucket']}"
            need = (
                S3_ACTIONS[model.name],
                f"{bucket}/{params['Key']}" if "Key" in params else bucket,
            )
        else:
            arn = params["executionArn"] if "executionArn" in params else params["stateMachineArn"]
            need = f"{model.service_model.endpoint_prefix}:{model.name}", arn
        self.uses[self.at_work].add(need)

    def _answered(self, http_response: Any, context: dict[str, Any], **_: Any) -> None:
        # S3 says 404 only to those who may list the bucket, and 403 to all others
        if self.at_work and http_response.status_code == 404:
            self.uses[self.at_work].add(("s3:ListBucket", context["bucket"]))


class Deployment:
    """Calls the functions, each loaded once, as Lambda does."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._modules: dict[str, Any] = {}
        self._numbers = itertools.count()

    def invoke(self, function: str, event: dict[str, Any], milliseconds: int = 30_000) -> Any:
        """The answer of a function's handler, which has so much time left."""
        context = SimpleNamespace(
            function_name=function,
            memory_limit_in_mb=1024,
            aws_request_id="0",
            invoked_function_arn=f"arn:aws:lambda:sa-east-1:123456789012:function:{function}",
            get_remaining_time_in_millis=lambda: milliseconds,
        )
        self.recorder.at_work = function

        try:
            if function not in self._modules:
                self._modules[function] = self._load(functions()[function])
            return self._modules[function].handler(event, context)
        finally:
            self.recorder.at_work = None

    def call(
        self, function: str, method: str, path: str, body: Any = None, status: int = 200
    ) -> dict[str, Any]:
        """The body of a function's answer to an HTTP request, which must have this status."""
        http = {"method": method, "path": path, "sourceIp": "127.0.0.1"}
        event = {
            "version": "2.0",
            "routeKey": f"{method} {path}",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"content-type": "application/json"},
            "requestContext": {"http": http, "requestId": "request", "stage": "$default"},
            "isBase64Encoded": False,
        } | ({"body": json.dumps(body)} if body is not None else {})
        answer = self.invoke(function, event)

        assert answer["statusCode"] == status, answer["body"]
        return dict(json.loads(answer["body"]))

    def restart(self, function: str) -> None:
        """Forget a function's process: the next call is a cold start."""
        self._modules.pop(function, None)

    def _load(self, folder: str) -> Any:
        """The app.py of a folder, under a name of its own: all of them are called app."""
        spec = importlib.util.spec_from_file_location(
            f"permissions_app_{next(self._numbers)}", ROOT / folder / "app.py"
        )
        assert spec
        assert spec.loader

        module = importlib.util.module_from_spec(spec)
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(ROOT / folder)
            for name in SIBLINGS:  # these are not for other tests to import
                patch.delitem(sys.modules, name, raising=False)
            spec.loader.exec_module(module)
            for name in SIBLINGS:
                sys.modules.pop(name, None)
        return module
