"""One Lambda execution environment: a child process that runs Lambda's real runtime client."""

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.aws import isolate_from_user
from infra.local.runtime_api import Answered, Exited, Job, RuntimeApi, Started

RESPONSE_LIMIT = 6_291_556
"""Largest answer of a synchronous invocation in bytes (Lambda quotas)."""

INIT_LIMIT = 120.0
"""Seconds until a worker must ask for its first job.

Lambda allows 10 s, on machines that nothing else uses.
"""

_FROM_USER = (
    "PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip


@dataclass(frozen=True)
class FunctionSpec:
    """Everything that a worker depends on; equal specs share workers.

    Attributes:
        name: Physical name of the function.
        version: ``$LATEST`` or a published version's number.
        handler: ``module.function`` inside ``code_dir``.
        code_dir: The function's folder, the worker's working directory.
        root: The repository's root: its packages play the layers' part.
        memory_mb: The function's MemorySize.
        timeout: The function's Timeout in seconds.
        environment: Names and values, sorted.
    """

    name: str
    version: str
    handler: str
    code_dir: Path
    root: Path
    memory_mb: int
    timeout: float
    environment: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Outcome:
    """Result of an invocation.

    Attributes:
        payload: JSON; with ``failed`` an object with ``errorType`` and ``errorMessage``.
        failed: Whether Lambda would set the X-Amz-Function-Error header.
    """

    payload: bytes
    failed: bool = False

    @classmethod
    def error(cls, error_type: str, message: str) -> "Outcome":
        """Make an error that Lambda itself reports, not the handler."""
        return cls(
            json.dumps({"errorType": error_type, "errorMessage": message}).encode(), failed=True
        )


def worker_environment(
    spec: FunctionSpec, runtime_api: str, aws_endpoint: str, folder: str
) -> dict[str, str]:
    """Return a worker's environment: some of the machine's, the template's and Lambda's variables.

    Lambda's reserved variables replace others. Nothing of the user's AWS account is in it.
    """
    machine = {
        k: v for k, v in isolate_from_user().items() if k in _FROM_USER or k.startswith("AWS_")
    }

    return machine | {"LANG": "C.UTF-8", "TZ": "UTC"} | dict(spec.environment) | {
        **{k: v for k, v in machine.items() if k.startswith("AWS_")},
        "HOME": folder,
        "TMPDIR": folder,
        "PYTHONPATH": os.pathsep.join((str(spec.code_dir), str(spec.root))),
        "PYTHONUNBUFFERED": "1",
        "LAMBDA_TASK_ROOT": str(spec.code_dir),
        "_HANDLER": spec.handler,
        "AWS_ENDPOINT_URL": aws_endpoint,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_VERSION": spec.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{spec.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
    }  # fmt: skip


class Worker:
    """Runs a function's invocations one after the other in a process.

    Args:
        spec: The function.
        aws_endpoint: The emulator's address.
        temporary: The folder under which the worker gets one of its own, deleted when it ends.
        log: Called with the function's name and a line of its output.
    """

    def __init__(
        self,
        spec: FunctionSpec,
        aws_endpoint: str,
        temporary: Path,
        log: Callable[[str, str], None],
    ) -> None:
        self.spec = spec
        self.busy_since: float | None = None
        self.peak_mb = 0.0
        self._api = RuntimeApi()
        self._write_log = log
        self._out_of_memory = False
        self._usable = True
        self._folder = tempfile.mkdtemp(prefix=f"{spec.name}-", dir=temporary)
        self._process = self._start(
            worker_environment(spec, self._api.address, aws_endpoint, self._folder)
        )

        threading.Thread(target=self._follow, daemon=True).start()

    def _start(self, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603  # the template names what runs
            [sys.executable, "-m", "awslambdaric", self.spec.handler],
            cwd=self.spec.code_dir,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # a group of its own: Ctrl-C does not reach it, and it is killed whole
            start_new_session=True,
        )

    def _log(self, line: str) -> None:
        self._write_log(self.spec.name, line)

    @property
    def pid(self) -> int:
        """Process id, and process group id too."""
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Whether the worker can take another invocation."""
        return self._usable and self._process.poll() is None

    def invoke(self, payload: bytes, function_arn: str) -> Outcome:
        """Run one invocation; the caller ensures that it is the only one.

        Args:
            payload: The event as JSON.
            function_arn: The ARN by which the function was called.
        """
        job = Job(payload, function_arn, self.spec.timeout)
        begin = time.monotonic()
        self.busy_since = begin
        self._api.jobs.put(job)
        try:
            outcome = self._await(job)
        finally:
            self.busy_since = None
        self._report(job, time.monotonic() - begin, outcome)
        return outcome

    def _await(self, job: Job) -> Outcome:
        limit = INIT_LIMIT
        deadline = time.monotonic() + limit

        while True:
            try:
                event = self._api.events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                self.kill()
                return Outcome.error(
                    "Sandbox.Timedout",
                    f"RequestId: {job.request_id} Error: Task timed out after {limit:.2f} seconds",
                )
            if isinstance(event, Started):
                limit = job.timeout
                deadline = time.monotonic() + limit
            elif isinstance(event, Exited):
                self._usable = False
                return self._crash(job, event)
            else:
                return self._answer(event)

    def _answer(self, event: Answered) -> Outcome:
        if event.at_init:
            self._usable = False
        if len(event.payload) > RESPONSE_LIMIT and not event.failed:
            message = (
                "Response payload size exceeded maximum allowed payload size "
                f"({RESPONSE_LIMIT} bytes)."
            )
            return Outcome.error("Function.ResponseSizeTooLarge", message)
        return Outcome(event.payload, event.failed)

    def _crash(self, job: Job, event: Exited) -> Outcome:
        if event.status < 0:
            name = signal.strsignal(-event.status) or str(-event.status)
            how = f"signal: {name.split(':')[0].lower()}"
        else:
            how = f"exit status {event.status}"
        if self._out_of_memory:
            self._log(
                f"Runtime.OutOfMemory: used {self.peak_mb:.0f} MB, "
                f"MemorySize is {self.spec.memory_mb} MB"
            )

        return Outcome.error(
            "Runtime.ExitError",
            f"RequestId: {job.request_id} Error: Runtime exited with error: {how}",
        )

    def _report(self, job: Job, seconds: float, outcome: Outcome) -> None:
        if outcome.failed:
            error = outcome.payload[:2000].decode(errors="replace")
            self._log(f"ERROR RequestId: {job.request_id} {error}")
        peak = f"\tMax Memory Used: {self.peak_mb:.0f} MB" if self.peak_mb else ""
        size = f"Memory Size: {self.spec.memory_mb} MB"
        self._log(
            f"REPORT RequestId: {job.request_id}\tDuration: {seconds * 1000:.2f} ms\t{size}{peak}"
        )

    def kill_for_memory(self) -> None:
        """Kill the worker because it exceeds MemorySize, as Lambda does."""
        self._out_of_memory = True
        self.kill()

    def kill(self) -> None:
        """Kill the worker and all processes that it has started."""
        self._usable = False
        with contextlib.suppress(ProcessLookupError, PermissionError):  # all gone already
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kill the worker and remove its temporary files."""
        self.kill()
        self._process.wait()
        self._api.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _follow(self) -> None:
        """Log the output line by line, and report the end of the process."""
        assert self._process.stdout is not None  # noqa: S101  # opened as a pipe above
        threading.Thread(target=self._tell_exit, daemon=True).start()
        for raw in self._process.stdout:
            for line in raw.decode(errors="replace").replace("\r", "\n").splitlines():
                if line.strip():
                    self._log(line)

    def _tell_exit(self) -> None:
        self._api.events.put(Exited(self._process.wait()))
