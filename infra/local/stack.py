"""Starts a local stack from another process: tests, benchmarks, ``make run``."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from infra.local.aws import client, isolate_from_user
from infra.local.errors import LocalStackError
from infra.local.options import Options, Ready
from infra.local.schedules import fire_schedules

_REPOSITORY = Path(__file__).resolve().parents[2]
_CLOSE_SECONDS = 30


class LocalStack:
    """Runs an emulator with a deployed template in a process that ends with this one.

    Several may run at a time, and none sees or changes this process's environment, boto3 or moto.

    Args:
        template: Path of the SAM template.
        parameters: Values for its parameters.
        port: Port of the HTTP API on 127.0.0.1; 0 for any free one.
        state_dir: Folder in which buckets and logs are kept between runs; None for nothing kept.
        environment: Variables that every function gets besides the template's.
        integration_timeout: Seconds until the HTTP API gives a function up with a 503 (API Gateway:
            30); None for never.
        retry_delay: Seconds before a failed asynchronous invocation is repeated, twice that before
            the next (Lambda: 60).
        verbose: Whether the functions' output goes to standard error as well.

    Example:
        >>> with LocalStack("template.yaml", state_dir=".state") as stack:  # doctest: +SKIP
        ...     arn = stack.outputs["StateMachineArn"]
        ...     stack.client("stepfunctions").start_execution(stateMachineArn=arn, input="{}")
        ...     requests.get(stack.api_url + "/health")
        ...     stack.fire_schedules("retrain")
        ...     print(stack.logs("LoadDataFunction"))
    """

    def __init__(
        self,
        template: str | Path = "template.yaml",
        parameters: Mapping[str, str] | None = None,
        *,
        port: int = 0,
        state_dir: str | Path | None = None,
        environment: Mapping[str, str] | None = None,
        integration_timeout: float | None = 600.0,
        retry_delay: float = 1.0,
        verbose: bool = False,
    ) -> None:
        self._options = Options(
            template=str(Path(template).resolve()),
            parameters=dict(parameters or {}),
            port=port,
            state_dir=None if state_dir is None else str(Path(state_dir).resolve()),
            environment=dict(environment or {}),
            integration_timeout=integration_timeout,
            retry_delay=retry_delay,
            verbose=verbose,
        )

        self._process: subprocess.Popen[str] | None = None
        self._ready: Ready | None = None

    def start(self) -> Self:
        """Start the emulator and deploy; return when both are done.

        Raises:
            LocalStackError: It could not start; the message is the emulator's.
        """
        with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "infra.local", "--embedded"],
                cwd=_REPOSITORY,
                env=isolate_from_user(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if self._options.verbose else errors,
                start_new_session=True,  # Ctrl-C is this process's to handle
                text=True,
            )

            assert self._process.stdin is not None  # noqa: S101  # opened as a pipe
            assert self._process.stdout is not None  # noqa: S101  # as above
            self._process.stdin.write(self._options.to_json() + "\n")
            self._process.stdin.flush()

            line = self._process.stdout.readline()
            if not line:
                self.close()
                errors.seek(0)
                raise LocalStackError(
                    errors.read().strip() or "the local stack ended while it was starting"
                )
        self._ready = Ready.from_json(line)
        return self

    @property
    def ready(self) -> Ready:
        """Addresses, outputs and resources.

        Raises:
            LocalStackError: The stack is not running.
        """
        if self._ready is None:
            raise LocalStackError("the local stack is not running")
        return self._ready

    @property
    def api_url(self) -> str:
        """Address of the HTTP API."""
        return self.ready.api_url

    @property
    def aws_url(self) -> str:
        """Address of the AWS endpoint, for AWS_ENDPOINT_URL."""
        return self.ready.aws_url

    @property
    def outputs(self) -> dict[str, str]:
        """The template's outputs; an HTTP API's address is the local one."""
        return self.ready.outputs

    @property
    def resources(self) -> dict[str, str]:
        """Physical ids (names or ARNs, what ``!Ref`` gives) by logical id."""
        return self.ready.resources

    @property
    def pid(self) -> int:
        """Process id of the emulator."""
        if self._process is None:
            raise LocalStackError("the local stack is not running")
        return self._process.pid

    def client(self, service: str) -> Any:
        """Return a boto3 client of the emulator that tries once and waits up to 15 minutes."""
        return client(service, self.aws_url)

    def invoke(self, logical_id: str, event: Any = None) -> Any:
        """Run a function and return its answer.

        Args:
            logical_id: The function's name in the template.
            event: The event, as JSON types.

        Raises:
            LocalStackError: The function failed; with its error and the last lines of its log.
        """
        answer = self.client("lambda").invoke(
            FunctionName=self.resources[logical_id], Payload=json.dumps(event or {})
        )
        payload = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            error = f"{payload['errorType']}: {payload['errorMessage']}"
            raise LocalStackError(f"{logical_id}: {error}\n{self.logs(logical_id)}")
        return payload

    def fire_schedules(self, name_contains: str = "", at: datetime | None = None) -> list[str]:
        """Start the target of every matching schedule once; see ``schedules.fire_schedules``."""
        return fire_schedules(self.client, name_contains, at)

    def logs(self, logical_id: str, lines: int = 20) -> str:
        """Return the last lines that a function printed.

        Args:
            logical_id: The function's name in the template, or ``http-api`` for the gateway's own.
            lines: Number of lines at most.
        """
        path = Path(self.ready.log_dir) / f"{self.resources.get(logical_id, logical_id)}.log"
        if not path.exists():
            return ""
        return "\n".join(path.read_text(encoding="utf-8").splitlines()[-lines:])

    def close(self) -> None:
        """End the emulator and everything that it started; kept state is written first."""
        if self._process is None:
            return

        assert self._process.stdin is not None  # noqa: S101  # opened as a pipe
        assert self._process.stdout is not None  # noqa: S101  # as above
        self._process.stdin.close()

        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its reaper ends the workers
            self._process.wait()

        self._process.stdout.close()
        self._process = None
        self._ready = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
