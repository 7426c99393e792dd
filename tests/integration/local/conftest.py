"""The small test template, deployed once for all tests of this folder."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paths import DATA

from infra.local import LocalStack

SMALL_TEMPLATE = DATA / "local_stack" / "template.yaml"


@pytest.fixture(scope="session")
def small_template() -> Path:
    return SMALL_TEMPLATE


@pytest.fixture(scope="session")
def small_stack() -> Iterator[LocalStack]:
    """The small test template, deployed once for all tests of this folder."""
    user = {
        "AWS_PROFILE": "does-not-exist",
        "AWS_ACCESS_KEY_ID": "users-own",
        "AWS_SECRET_ACCESS_KEY": "users-secret",
    }
    stack = LocalStack(
        SMALL_TEMPLATE,
        {"Greeting": "olá"},
        retry_delay=0.05,
        environment={"EXTRA": "from the machine"},
    )
    with (
        pytest.MonkeyPatch.context() as shell
    ):  # the user's own account must neither hinder the stack nor reach it
        for name, value in user.items():
            shell.setenv(name, value)
        stack.start()

    with contextlib.closing(stack):
        yield stack


@pytest.fixture(scope="session")
def failure(small_stack: LocalStack) -> Callable[..., tuple[str, str]]:
    """Invoke a function that fails; return type and message of the error that Lambda reports."""

    def invoke(_function: str = "BehaveFunction", **event: Any) -> tuple[str, str]:
        name = small_stack.resources[_function]
        answer = small_stack.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
        assert answer["StatusCode"] == 200
        assert answer["FunctionError"] == "Unhandled"
        error = json.loads(answer["Payload"].read())
        return error["errorType"], error["errorMessage"]

    return invoke
